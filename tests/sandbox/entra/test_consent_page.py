"""An administrator lets an application into a tenant, or does not (Microsoft Graph §2.4)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from starlette.applications import Starlette

from sandbox.certificates import Certificates
from sandbox.clock import Clock
from sandbox.entra.consent_page import ConsentPage
from sandbox.entra.control import control_routes
from sandbox.entra.directory import Directories
from sandbox.entra.token_endpoint import TokenEndpoint
from sandbox.managed_identity.tokens import TENANT_ID, TokenSigner
from tests.sandbox.graph.simulated import START

APP = "0c0ffee0-0000-4000-8000-000000000001"
CUSTOMER = "0c0ffee0-0000-4000-8000-00000000000c"
READ = "SecurityEvents.Read.All"
CALLBACK = "https://connector.example/tenants/consent"
LINK = {"client_id": APP, "scope": "https://graph.microsoft.com/.default", "redirect_uri": CALLBACK, "state": "s&1"}
REGISTRATION = {"home_tenant_id": TENANT_ID, "secrets": ["s"], "redirect_uris": [CALLBACK], "required_roles": [READ]}


@pytest.fixture
def endpoint(certificates: Certificates) -> TokenEndpoint:
    directories = Directories({TENANT_ID: "global", CUSTOMER: "global"}.get)
    return TokenEndpoint(directories, TokenSigner(certificates.token_key), Clock.stopped_at(START))


@pytest.fixture
async def wire(endpoint: TokenEndpoint) -> AsyncIterator[httpx.AsyncClient]:
    page = ConsentPage(endpoint)
    app = Starlette(routes=[*endpoint.routes(), *page.routes(), *control_routes(endpoint, page)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://entra") as client:
        (await client.put(f"/control/entra/applications/{APP}", json=REGISTRATION)).raise_for_status()
        yield client


async def decide(
    wire: httpx.AsyncClient, decision: str, *, tenant: str = CUSTOMER, tenant_id: str = ""
) -> dict[str, list[str]]:
    """Return what the browser brings back."""
    form = {"decision": decision, "tenant_id": tenant_id}
    answer = await wire.post(f"/{tenant}/v2.0/adminconsent", params=LINK, data=form)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(f"{CALLBACK}?")
    return parse_qs(urlsplit(answer.headers["Location"]).query)


async def roles(wire: httpx.AsyncClient, endpoint: TokenEndpoint) -> list[str] | None:
    """Return the roles in a token for the customer; None if there is no token."""
    form = {"client_id": APP, "client_secret": "s", "grant_type": "client_credentials", "scope": LINK["scope"]}
    answer = await wire.post(f"/{CUSTOMER}/oauth2/v2.0/token", data=form)
    if answer.is_error:
        assert answer.json()["error_codes"] == [700016]
        return None
    return list(endpoint.signer.claims(answer.json()["access_token"]).get("roles", []))


@pytest.mark.parametrize(("tenant", "tenant_id"), [(CUSTOMER, ""), ("organizations", CUSTOMER)])
async def test_a_consent_shows_in_tokens_a_while_later(
    wire: httpx.AsyncClient, endpoint: TokenEndpoint, tenant: str, tenant_id: str
) -> None:
    assert READ in (await wire.get(f"/{tenant}/v2.0/adminconsent", params=LINK)).text
    assert await roles(wire, endpoint) is None
    back = await decide(wire, "accept", tenant=tenant, tenant_id=tenant_id)
    assert back == {
        "admin_consent": ["True"],
        "tenant": [CUSTOMER],
        "state": ["s&1"],
        "scope": [f"https://graph.microsoft.com/{READ}"],
    }
    assert await roles(wire, endpoint) == []
    endpoint.clock.advance(timedelta(seconds=30).total_seconds())
    assert await roles(wire, endpoint) == [READ]


async def test_a_refusal_says_that_there_is_a_consent(wire: httpx.AsyncClient, endpoint: TokenEndpoint) -> None:
    back = await decide(wire, "cancel")
    assert (back["error"], back["admin_consent"], back["state"]) == (["consent_required"], ["True"], ["s&1"])
    assert "tenant" not in back
    assert await roles(wire, endpoint) is None


async def test_nobody_else_can_consent_and_the_app_hears_nothing(
    wire: httpx.AsyncClient, endpoint: TokenEndpoint
) -> None:
    answer = await wire.post(f"/{CUSTOMER}/v2.0/adminconsent", params=LINK, data={"decision": "not_administrator"})
    assert (answer.status_code, "Location" in answer.headers) == (200, False)
    assert await roles(wire, endpoint) is None


@pytest.mark.parametrize(
    ("tenant", "changed", "code"),
    [
        (CUSTOMER, {"redirect_uri": "https://attacker.example/tenants/consent"}, "AADSTS50011"),
        (CUSTOMER, {"redirect_uri": f"{CALLBACK}/"}, "AADSTS50011"),
        (CUSTOMER, {"client_id": CUSTOMER}, "AADSTS700016"),
        (CUSTOMER, {"scope": READ}, "AADSTS70011"),
        ("common", {}, "AADSTS90002"),
    ],
)
async def test_a_wrong_link_comes_back_to_nobody(
    wire: httpx.AsyncClient, tenant: str, changed: dict[str, str], code: str
) -> None:
    for send in (wire.get, wire.post):
        answer = await send(f"/{tenant}/v2.0/adminconsent", params=LINK | changed)
        assert (answer.status_code, "Location" in answer.headers) == (400, False)
        assert code in answer.text


async def test_a_consent_can_grant_less_than_was_asked_for(wire: httpx.AsyncClient, endpoint: TokenEndpoint) -> None:
    settings = {"consent_grants": [], "consent_delay_s": 0}
    assert (await wire.patch("/control/entra/settings", json=settings)).is_success
    await decide(wire, "accept")
    assert await roles(wire, endpoint) == []
    assert (await wire.patch("/control/entra/settings", json={"consent_grants": None})).is_success
    await decide(wire, "accept")
    assert await roles(wire, endpoint) == [READ]
