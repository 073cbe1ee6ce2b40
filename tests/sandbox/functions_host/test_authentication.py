"""App Service Authentication in front of the host."""

from __future__ import annotations

import base64
import json
import re
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import time_machine
from pydantic import ValidationError

from sandbox.functions_host import authentication
from sandbox.functions_host.authentication import AuthenticationOptions, DaemonApplication, Person, Tenant
from sandbox.processes import Processes
from tests.sandbox.functions_host.apps import BEHAVIOUR, write_app
from tests.sandbox.functions_host.conftest import StartHost, start_host

ALICE = Person(
    name="Alice Example", email="alice@contoso.example", oid="a-1", roles=("Tickets.Read", "Tickets.Create"), token="at"
)
BOB = Person(name="Bob <b>", email="bob@contoso.example", oid="b-2")
DAEMON = DaemonApplication(name="Portal", client_id="c-3", oid="d-4", token="dt", roles=("Tickets.Create",))
TENANT = Tenant(people=(ALICE, BOB), applications=(DAEMON,))
CLAIM = "http://schemas.microsoft.com/identity/claims"


def options(action: authentication.UnauthenticatedAction = "Return401") -> AuthenticationOptions:
    """Return authentication with two excluded paths."""
    return AuthenticationOptions(TENANT, action, ("/api/echo/open", "/api/echo/folder/*"))


async def signed_in(client: httpx.AsyncClient, person: Person, target: str = "/") -> httpx.Response:
    """Sign a person in on the page; the client keeps the cookie."""
    form = {"oid": person.oid, "post_login_redirect_uri": target}
    return await client.post("/.auth/login/aad", data=form)


def principal(headers: dict[str, str]) -> Any:
    """Decode the principal that the function saw."""
    return json.loads(base64.b64decode(headers["x-ms-client-principal"]))


def claims(headers: dict[str, str], kind: str) -> list[str]:
    """Return the values of a claim of the principal that the function saw."""
    return [claim["val"] for claim in principal(headers)["claims"] if claim["typ"] == kind]


async def test_stranger_is_turned_away(host_of: StartHost) -> None:
    _, client = await host_of(BEHAVIOUR, authentication=options())
    for path in ("/api/echo", "/", "/admin/host/ping", "/nothing"):
        answer = await client.get(path)
        assert (answer.status_code, answer.content) == (401, b"")
        assert answer.headers["www-authenticate"].startswith('Bearer realm="h"')
    assert (await client.get("/api/echo", headers={"authorization": "Bearer wrong"})).status_code == 401


async def test_stranger_is_sent_to_the_login_page(host_of: StartHost) -> None:
    _, client = await host_of(BEHAVIOUR, authentication=options("RedirectToLoginPage"))
    answer = await client.get("/api/echo/x%20y?a=1&b=2")
    assert answer.status_code == 302
    login = httpx.URL(answer.headers["location"])
    assert (login.path, login.params["post_login_redirect_uri"]) == ("/.auth/login/aad", "/api/echo/x%20y?a=1&b=2")
    page = await client.get(answer.headers["location"])
    assert page.status_code == 200
    assert 'value="/api/echo/x%20y?a=1&amp;b=2"' in page.text
    assert re.findall(r'name="oid" value="([^"]+)"', page.text) == ["a-1", "b-2"]
    assert "Bob &lt;b&gt;" in page.text
    back = await signed_in(client, ALICE, "/api/echo/x%20y?a=1&b=2")
    assert (back.status_code, back.headers["location"]) == (302, "/api/echo/x%20y?a=1&b=2")
    client.cookies.clear()
    assert (await client.get("/api/echo", headers={"authorization": "Bearer wrong"})).status_code == 401


async def test_script_is_sent_to_the_login_page_as_well(host_of: StartHost) -> None:
    _, client = await host_of(BEHAVIOUR, authentication=options("RedirectToLoginPage"))
    scripts: list[dict[str, str]] = [
        {"x-requested-with": "XMLHttpRequest"},
        {"accept": "application/json"},
        {"sec-fetch-mode": "cors", "sec-fetch-dest": "empty"},
    ]
    for headers in scripts:
        for method in ("GET", "POST", "HEAD", "OPTIONS"):
            assert (await client.request(method, "/api/echo", headers=headers)).status_code == 302


async def test_person_is_announced_as_the_platform_does(host_of: StartHost) -> None:
    _, client = await host_of(BEHAVIOUR, authentication=options())
    await signed_in(client, ALICE)
    headers = (await client.get("/api/echo")).json()["headers"]
    assert headers["x-ms-client-principal-id"] == "a-1"
    assert headers["x-ms-client-principal-name"] == "alice@contoso.example"
    assert headers["x-ms-client-principal-idp"] == "aad"
    assert principal(headers)["auth_typ"] == "aad"
    assert claims(headers, f"{CLAIM}/objectidentifier") == ["a-1"]
    assert claims(headers, f"{CLAIM}/tenantid") == [TENANT.tenant_id]
    assert claims(headers, "name") == ["Alice Example"]
    assert claims(headers, "preferred_username") == ["alice@contoso.example"]
    assert claims(headers, "roles") == ["Tickets.Read", "Tickets.Create"]
    assert claims(headers, "idtyp") == []


async def test_bearer_tokens_of_persons_and_applications(host_of: StartHost) -> None:
    _, client = await host_of(BEHAVIOUR, authentication=options())
    person = (await client.get("/api/echo", headers={"authorization": "Bearer at"})).json()["headers"]
    assert claims(person, "preferred_username") == ["alice@contoso.example"]
    daemon = (await client.get("/api/echo", headers={"authorization": "bearer dt"})).json()["headers"]
    assert claims(daemon, "idtyp") == ["app"]
    assert claims(daemon, "azp") == ["c-3"]
    assert claims(daemon, "roles") == ["Tickets.Create"]
    assert daemon["x-ms-client-principal-id"] == "d-4"
    assert "x-ms-client-principal-name" not in daemon
    await signed_in(client, BOB)
    both = (await client.get("/api/echo", headers={"authorization": "Bearer dt"})).json()["headers"]
    assert both["x-ms-client-principal-id"] == "d-4"


@pytest.mark.parametrize("path", ["/api/echo", "/api/echo/open", "/api/echo/folder/x"])
async def test_principal_headers_from_outside_never_come_through(host_of: StartHost, path: str) -> None:
    _, client = await host_of(BEHAVIOUR, authentication=options("AllowAnonymous"))
    forged = {
        "X-MS-CLIENT-PRINCIPAL": "eyJ9",
        "x-ms-client-principal-id": "admin",
        "X-Ms-Client-Principal-Name": "admin",
        "x-ms-client-principal-idp": "aad",
        "X-MS-TOKEN-AAD-ID-TOKEN": "t",
    }
    headers = (await client.get(path, headers=forged)).json()["headers"]
    assert not [name for name in headers if name.startswith("x-ms-")]
    await signed_in(client, BOB)
    headers = (await client.get("/api/echo", headers=forged)).json()["headers"]
    assert headers["x-ms-client-principal-id"] == "b-2"
    assert "x-ms-token-aad-id-token" not in headers


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/echo/open", 200),
        ("/api/echo/open/more", 401),
        ("/api/echo/opening", 401),
        ("/api/echo/folder/x/y", 200),
        ("/api/echo/folder", 401),
        ("/api/echo/folder/../secret", 401),
        ("/api/echo/folder/%2e%2e/secret", 401),
    ],
)
async def test_excluded_paths_are_open_and_get_no_principal(host_of: StartHost, path: str, status: int) -> None:
    _, client = await host_of(BEHAVIOUR, authentication=options())
    assert (await client.get(path)).status_code == status
    await signed_in(client, ALICE)
    answer = await client.get(path)
    assert answer.status_code == 200
    assert ("x-ms-client-principal" in answer.json()["headers"]) == (status == 401)


async def test_session_cannot_be_made_up_or_outlive_its_time(host_of: StartHost) -> None:
    _, client = await host_of(BEHAVIOUR, authentication=options())
    answer = await signed_in(client, BOB)
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    own = client.cookies["AppServiceAuthSession"]
    content, _, signature = own.partition(".")
    other = base64.urlsafe_b64encode(json.dumps(["a-1", 9_999_999_999]).encode()).decode().rstrip("=")
    client.cookies.clear()
    for forged in (f"{other}.{signature}", f"{content}.{'0' * 64}", content, "", "x.y"):
        answer = await client.get("/api/echo", headers={"cookie": f"AppServiceAuthSession={forged}"})
        assert answer.status_code == 401
    kept = {"cookie": f"AppServiceAuthSession={own}"}
    assert (await client.get("/api/echo", headers=kept)).status_code == 200
    with time_machine.travel(time.time() + authentication.SESSION_S + 1):
        assert (await client.get("/api/echo", headers=kept)).status_code == 401


async def test_who_am_i_and_sign_out(host_of: StartHost) -> None:
    _, client = await host_of(BEHAVIOUR, authentication=options())
    assert (await client.get("/.auth/me")).status_code == 401
    await signed_in(client, ALICE)
    (me,) = (await client.get("/.auth/me")).json()
    assert (me["provider_name"], me["user_id"]) == ("aad", "alice@contoso.example")
    assert {"typ": "roles", "val": "Tickets.Read"} in me["user_claims"]
    answer = await client.get("/.auth/logout?post_logout_redirect_uri=/bye")
    assert (answer.status_code, answer.headers["location"]) == (302, "/bye")
    assert (await client.get("/.auth/me")).status_code == 401


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example", "/a\r\nX: y", "é"])
async def test_login_and_logout_lead_nowhere_else(host_of: StartHost, target: str) -> None:
    _, client = await host_of(BEHAVIOUR, authentication=options())
    assert (await signed_in(client, ALICE, target)).headers["location"] == "/"
    answer = await client.get("/.auth/logout", params={"post_logout_redirect_uri": target})
    assert answer.headers["location"] == "/"


async def test_nobody_unknown_signs_in(host_of: StartHost) -> None:
    _, client = await host_of(BEHAVIOUR, authentication=options())
    assert (await client.post("/.auth/login/aad", data={"oid": "nobody"})).status_code == 401
    assert (await client.post("/.auth/login/aad")).status_code == 401


async def test_app_knows_that_authentication_is_on(host_of: StartHost) -> None:
    _, client = await host_of(BEHAVIOUR, authentication=options("AllowAnonymous"))
    assert (await client.get("/api/state")).json()["environment"]["WEBSITE_AUTH_ENABLED"] == "True"


async def test_malformed_request_is_refused_before_authentication(host_of: StartHost) -> None:
    _, client = await host_of(BEHAVIOUR, authentication=options())
    assert (await client.get("/api/echo/%00")).status_code == 400


def test_hosts_on_one_storage_share_sessions_and_read_the_people_file(processes: Processes, tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", BEHAVIOUR)
    people = tmp_path / "people.json"
    people.write_text(TENANT.model_dump_json())
    common = ("--storage", str(tmp_path / "storage"), "--host-id", "shared", "--people", str(people))
    clients = []
    for _ in range(2):
        _, port = start_host(
            processes, app, *common, "--authentication", "redirect", "--excluded-path", "/api/echo/open"
        )
        clients.append(httpx.Client(base_url=f"http://127.0.0.1:{port}"))
    first, second = clients
    assert second.get("/api/echo/open").status_code == 200
    assert second.get("/api/echo").status_code == 302
    first.post("/.auth/login/aad", data={"oid": "a-1"})
    session = {"cookie": f"AppServiceAuthSession={first.cookies['AppServiceAuthSession']}"}
    assert second.get("/api/echo", headers=session).json()["headers"]["x-ms-client-principal-id"] == "a-1"
    for client in clients:
        client.close()


@pytest.mark.parametrize(
    ("count", "expected"), [(0, set()), (200, {"groups"}), (201, {"_claim_names", "_claim_sources"})]
)
def test_groups_are_named_unless_there_are_too_many(count: int, expected: set[str]) -> None:
    groups = tuple(f"0b1e6d3c-6a53-4f7e-9a7e-{number:012}" for number in range(count))
    described = authentication.person_principal(TENANT, ALICE.model_copy(update={"groups": groups}))["claims"]
    about_groups = {"groups", "hasgroups", "_claim_names", "_claim_sources"}
    assert {each["typ"] for each in described} & about_groups == expected
    assert [each["val"] for each in described if each["typ"] == "groups"] == list(groups if count <= 200 else ())


def test_a_program_has_no_groups() -> None:
    described = authentication.application_principal(TENANT, DAEMON)["claims"]
    assert "groups" not in {each["typ"] for each in described}


def test_people_file_with_unknown_fields_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "people.json"
    file.write_text('{"people": [{"name": "A", "email": "a@x", "oid": "1", "rolls": []}]}')
    with pytest.raises(ValidationError):
        Tenant.read(file)
