"""The hosts together: tokens of the identity endpoints open Graph, and links lead to the portals' pages."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox.managed_identity.tokens import TokenSigner
from tests.sandbox.graph.simulated import (
    APPLICATION,
    OTHER_TENANT,
    PROFILES,
    READ,
    SCORES,
    TENANT,
    Simulated,
    bearer,
    token,
)

APP = "0c0ffee0-0000-4000-8000-000000000001"


def status(graph: Simulated, access_token: str) -> int:
    return graph.client.get(f"{SCORES}?$top=1", headers=bearer(access_token)).status_code


def access_token(graph: Simulated, tenant_id: str) -> httpx.Response:
    fields = {"client_id": APP, "client_secret": "s", "grant_type": "client_credentials"}
    scope = {"scope": "https://graph.microsoft.com/.default"}
    return graph.client.post(f"/{tenant_id}/oauth2/v2.0/token", data=fields | scope)


@pytest.mark.parametrize(
    ("audience", "expected"),
    [
        ("https://graph.test", 200),
        ("https://graph.microsoft.com/", 200),
        ("https://graph.microsoft.us", 401),
        ("https://127.0.0.1:8443", 401),
        ("https://vault.azure.net", 401),
    ],
)
def test_a_token_is_for_this_host(graph: Simulated, audience: str, expected: int) -> None:
    assert status(graph, token(audience=audience)) == expected


def test_a_token_of_another_signer_is_refused(graph: Simulated, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("keys") / "other.key"
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file.write_bytes(key.private_bytes(*form))
    hour = timedelta(hours=1)
    forged = TokenSigner(file).issue(
        APPLICATION, "https://graph.test", issued_at=datetime.now(UTC), lifetime=hour, roles=[READ], tenant_id=TENANT
    )
    assert status(graph, forged) == 401


def test_a_token_ends_by_the_clock_of_entra_id(graph: Simulated) -> None:
    hour = token(lifetime=timedelta(hours=1))
    graph.control.advance(days=3)
    assert status(graph, hour) == 200
    graph.client.post("/control/entra/clock", json={"advance_s": 3600})
    assert status(graph, hour) == 401
    graph.client.post("/control/entra/clock", json={"advance_s": -2 * 3600})
    assert status(graph, hour) == 401, "issued in the future"


def test_a_revocation_demands_a_newer_token(graph: Simulated) -> None:
    clock = graph.client.post("/control/entra/clock", json={"advance_s": 60}).json()["now"]
    graph.client.post(f"/control/entra/tenants/{TENANT}/revocation")
    answer = graph.client.get(SCORES, headers=bearer(token()))
    challenge = answer.headers["www-authenticate"]
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "InvalidAuthenticationToken")
    assert 'error="insufficient_claims"' in challenge
    claims = re.search(r'claims="([^"]+)"', challenge)
    assert claims is not None
    wanted = json.loads(base64.b64decode(claims[1]))["access_token"]["nbf"]
    assert 0 <= int(wanted["value"]) - int(datetime.fromisoformat(clock).timestamp()) < 10
    assert status(graph, token(OTHER_TENANT)) == 200


def test_a_consent_opens_one_tenant_and_the_others_stay_closed(graph: Simulated) -> None:
    client = graph.client
    client.put(f"/control/entra/applications/{APP}", json={"home_tenant_id": TENANT, "secrets": ["s"]})
    assert access_token(graph, OTHER_TENANT).json()["error_codes"] == [700016]
    client.post(f"/control/entra/tenants/{OTHER_TENANT}/applications/{APP}", json={"grant": [READ]})
    customer = access_token(graph, OTHER_TENANT).json()["access_token"]
    profiles = client.get(f"{PROFILES}?$top=3", headers=bearer(customer)).json()["value"]
    assert {profile["azureTenantId"] for profile in profiles} == {OTHER_TENANT}
    assert client.get(f"{SCORES}/{TENANT}_2026-11-24", headers=bearer(customer)).status_code == 404
    without_roles = access_token(graph, TENANT).json()["access_token"]
    assert status(graph, without_roles) == 403
    client.delete(f"/control/entra/tenants/{OTHER_TENANT}/applications/{APP}")
    assert access_token(graph, OTHER_TENANT).status_code == 400
    assert status(graph, customer) == 200, "a token goes on until it ends"


def test_a_tenant_that_is_added_later_has_a_token_endpoint(graph: Simulated) -> None:
    new = "33333333-aaaa-4bbb-8ccc-000000000003"
    assert access_token(graph, new).json()["error_codes"] == [90002]
    graph.control.add_tenant(new, name="Late", licences=["entra_p1"])
    assert access_token(graph, new).json()["error_codes"] == [700016]


def test_a_reset_forgets_consents(graph: Simulated) -> None:
    graph.client.put(f"/control/entra/applications/{APP}", json={"home_tenant_id": TENANT, "secrets": ["s"]})
    graph.control.reset()
    assert access_token(graph, TENANT).json()["error_codes"] == [700016]


def test_faults_of_graph_leave_entra_and_the_portals_alone(graph: Simulated) -> None:
    graph.client.put(f"/control/entra/applications/{APP}", json={"home_tenant_id": TENANT, "secrets": ["s"]})
    graph.control.set_fault("throttled", remaining=None, path="")
    assert status(graph, token()) == 429
    assert access_token(graph, TENANT).status_code == 200
    assert graph.client.get("/compliancemanager/assessmentspage").status_code == 200
    assert [entry["path"] for entry in graph.control.requests()] == [SCORES]


def portal(graph: Simulated, **query: str) -> httpx.Response:
    return graph.client.get(f"/securescore?{urlencode({'viewid': 'actions', **query})}")


def test_a_link_opens_the_action_with_its_points_and_status(graph: Simulated) -> None:
    graph.control.fix(TENANT, "AdminMFAV2")
    graph.control.advance(days=15)
    done = portal(graph, actionId="AdminMFAV2", tid=TENANT)
    assert graph.control.controls(TENANT)["AdminMFAV2"]["title"] in done.text
    assert "10/10" in done.text
    assert "Completed" in done.text
    graph.control.undo(TENANT, "AdminMFAV2")
    graph.control.advance(days=15)
    open_again = portal(graph, actionId="AdminMFAV2", tid=TENANT)
    assert "0/10" in open_again.text
    assert "To address" in open_again.text


def test_ids_with_any_character_have_a_link(graph: Simulated) -> None:
    strange = "11770.MDA/Google #1 <b>"
    graph.control.add_control(TENANT, strange, title="Multi-factor <i>sign-in</i>", service="AzureAD")
    page = portal(graph, actionId=strange, tid=TENANT)
    assert "Multi-factor &lt;i&gt;sign-in" in page.text
    links = re.findall(r'href="(\?[^"]+)"', portal(graph, tid=TENANT).text)
    opened = [
        graph.client.get(f"/securescore{link.replace('&amp;', '&')}") for link in links if "Google%20%231" in link
    ]
    assert [answer.status_code for answer in opened] == [200]


def test_what_is_not_there(graph: Simulated) -> None:
    assert portal(graph, actionId="nothing", tid=TENANT).status_code == 404
    assert portal(graph, tid="33333333-aaaa-4bbb-8ccc-000000000003").status_code == 404
    assert portal(graph).status_code == 404, "this world lacks the tenant of the managed identity"


def test_an_action_without_a_measurement_says_so(graph: Simulated) -> None:
    unlicensed = next(id_ for id_, control in graph.control.controls(TENANT).items() if control["service"] == "MIP")
    page = portal(graph, actionId=unlicensed, tid=TENANT).text
    assert "Not measured" in page
    assert "<dd>–</dd>" in page
