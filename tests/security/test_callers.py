"""Who may do what: every route of the app with every set of roles, by the app's own checks and the platform's."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from itertools import chain, combinations
from pathlib import Path

import httpx
import pytest
from azure.functions.decorators.http import HttpMethod, HttpTrigger

from sandbox.functions_host.authentication import person_principal
from shared.triggers.principal import Role
from shared.triggers.routes import Route, operations
from tests.fixtures.vault import faulty_vault
from tests.fixtures.whole_app import TENANT, Program, WholeApp, person, refused
from tests.registered import functions

ROLE_SETS = [frozenset(chosen) for chosen in chain.from_iterable(combinations(Role, n) for n in range(len(Role) + 1))]
OPEN_TO_ALL = {
    "check_health",
    "complete_authorization",
    "tenant_consent_answer",
    "static_file",
    "choose_language_page",
    "unknown_address",
}
"""Functions that need no role."""


def routes() -> list[tuple[str, str, str]]:
    """Return the name, method and address of every HTTP function that the app registers."""
    found = []
    for function in functions():
        name, trigger = function.get_function_name(), function.get_trigger()
        assert name is not None
        if isinstance(trigger, HttpTrigger):
            address = re.sub(r"\{(\w+)[^}]*\}", "nothing-here", f"/{(trigger.route or '').strip('/')}")
            found += [(name, HttpMethod(method).value, address) for method in trigger.methods or ()]
    return found


ROUTES = routes()


def token(roles: frozenset[Role]) -> str:
    return "token-with-" + ("-".join(sorted(roles)) or "no-role")


@pytest.fixture(scope="module")
def app(start_app: Callable[..., WholeApp], tmp_path_factory: pytest.TempPathFactory) -> WholeApp:
    """The app in a tenant with a person for each set of roles."""
    people = [
        {
            "name": f"Person {number}",
            "email": f"{number}@contoso.example",
            "oid": f"0b1e6d3c-6a53-4f7e-9a7e-0000000000{number:02}",
            "roles": sorted(roles),
            "token": token(roles),
        }
        for number, roles in enumerate(ROLE_SETS)
    ]
    people += [each.model_dump(mode="json") for each in TENANT.people]
    file: Path = tmp_path_factory.mktemp("tenant") / "people.json"
    file.write_text(json.dumps({**TENANT.model_dump(mode="json"), "people": people}))
    return start_app(options=["--no-timers", "--people", str(file)])


@pytest.fixture(scope="module")
def programs(app: WholeApp) -> Iterator[dict[frozenset[Role], Program]]:
    made = {roles: app.program(token(roles)) for roles in ROLE_SETS}
    yield made
    for program in made.values():
        program.close()


@pytest.fixture(scope="module")
def unguarded(start_app: Callable[..., WholeApp]) -> WholeApp:
    """The app without App Service Authentication in front of it."""
    return start_app(options=["--no-timers", "--authentication", "off"], sign_in=False)


def address_of(operation: Route) -> str:
    return "/" + re.sub(r"\{(\w+)[^}]*\}", "nothing-here", operation.path)


@pytest.mark.parametrize("operation", operations(), ids=lambda each: each.name)
def test_an_operation_is_open_to_its_roles_and_to_nobody_else(
    programs: dict[frozenset[Role], Program], operation: Route
) -> None:
    for roles, program in programs.items():
        answer = program.ask(operation.method, address_of(operation))
        has = roles | ({Role.TICKETS_READ} if Role.TICKETS_CREATE in roles else set())
        if operation.roles is None or has & operation.roles:
            assert answer.status_code not in {401, 403}, (roles, answer.text)
        else:
            problem = refused(answer, 403, "role_missing")
            assert all(role in problem["next_step"] for role in operation.roles)


@pytest.mark.parametrize(("name", "method", "address"), ROUTES)
def test_no_route_is_open_to_somebody_without_a_role(
    programs: dict[frozenset[Role], Program], name: str, method: str, address: str
) -> None:
    answer = programs[frozenset()].ask(method, address)
    assert (answer.status_code == 403) is (name not in OPEN_TO_ALL), answer.text


@pytest.mark.parametrize(("name", "method", "address"), ROUTES)
def test_no_route_is_open_to_nobody(app: WholeApp, unguarded: WholeApp, name: str, method: str, address: str) -> None:
    """The platform refuses people who have not signed in; if it does not, the app does."""
    principal = base64.b64encode(json.dumps(person_principal(TENANT, person("Megan Bowen"))).encode()).decode()
    forged = {"X-MS-CLIENT-PRINCIPAL": principal, "X-MS-CLIENT-PRINCIPAL-ID": "0", "X-MS-CLIENT-PRINCIPAL-IDP": "aad"}
    guarded, bare = app.program(None), unguarded.program(None)
    for headers in ({}, forged):
        outside = guarded.ask(method, address, headers=headers)
        if name not in {"check_health", "complete_authorization", "tenant_consent_answer"}:
            assert outside.status_code == 302
            assert outside.headers["Location"].startswith("/.auth/login/aad?post_login_redirect_uri=")
        inside = bare.ask(method, address, headers=headers)
        if name in OPEN_TO_ALL:
            assert inside.status_code not in {401, 403}
        elif method in {"GET", "HEAD"} and not address.startswith("/api/"):
            assert inside.status_code == 302
            assert inside.headers["Location"].startswith("/.auth/login/aad?post_login_redirect_uri=")
        else:
            assert inside.status_code == 401
    guarded.close()
    bare.close()


FOR_READERS = {"export_selected_tickets", "refresh_page"}
"""Forms that write nothing that a person decides: they answer with a file, or ask for what the timer does anyway."""
FORMS = [
    (name, address)
    for name, method, address in ROUTES
    if method == "POST" and not address.startswith("/api/") and name not in FOR_READERS
]


@pytest.mark.parametrize(("name", "address"), FORMS)
def test_a_page_that_writes_is_closed_to_those_who_may_only_read(
    programs: dict[frozenset[Role], Program], name: str, address: str
) -> None:
    assert programs[frozenset({Role.TICKETS_READ})].ask("POST", address).status_code == 403
    for_tickets = address.startswith(("/tickets", "/recommendations"))
    creator = programs[frozenset({Role.TICKETS_CREATE})].ask("POST", address)
    manager = programs[frozenset({Role.CONNECTIONS_MANAGE})].ask("POST", address)
    assert (creator.status_code == 403, manager.status_code == 403) == (not for_tickets, for_tickets)


def test_a_forged_principal_does_not_change_who_somebody_is(app: WholeApp) -> None:
    principal = base64.b64encode(json.dumps(person_principal(TENANT, person("Megan Bowen"))).encode()).decode()
    with app.visitor("Diego Siciliani") as diego:
        answer = diego.ask("GET", "/api/connections", headers={"X-MS-CLIENT-PRINCIPAL": principal})
    refused(answer, 403, "role_missing")


WRITES = [each for each in operations() if each.method != "GET"]
FROM_ELSEWHERE = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "PUBLIC"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
]


@pytest.mark.parametrize("operation", WRITES, ids=lambda each: each.name)
@pytest.mark.parametrize("headers", FROM_ELSEWHERE, ids=str)
def test_another_site_cannot_make_a_browser_write(app: WholeApp, operation: Route, headers: dict[str, str]) -> None:
    sent = {name: app.host.public_url if value == "PUBLIC" else value for name, value in headers.items()}
    refused(app.megan.ask(operation.method, address_of(operation), {}, headers=sent), 403, "cross_site_request")


@pytest.mark.parametrize("headers", FROM_ELSEWHERE, ids=str)
def test_another_site_cannot_send_a_form(app: WholeApp, headers: dict[str, str]) -> None:
    sent = {name: app.host.public_url if value == "PUBLIC" else value for name, value in headers.items()}
    for name, address in FORMS:
        answer = app.megan.ask("POST", address, headers=sent, data={"confirm": "yes"})
        assert answer.status_code == 403, name
        assert "another web site" in answer.text


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}], ids=str)
def test_the_apps_own_pages_can_write(app: WholeApp, headers: dict[str, str]) -> None:
    refused(app.megan.ask("POST", "/api/tickets", {}, headers=headers), 422, "invalid_ticket")


def test_another_site_can_read_nothing(app: WholeApp) -> None:
    answer = app.megan.ask("GET", "/api/connections", headers={"Origin": "https://evil.example"})
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
    preflight = app.megan.ask(
        "OPTIONS",
        "/api/tickets",
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
    )
    refused(preflight, 403, "cross_site_request")
    assert not [name for name in preflight.headers if name.lower().startswith("access-control-")]
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_a_page_leads_whoever_is_not_signed_in_to_the_sign_in_and_back(app: WholeApp) -> None:
    answer = httpx.get(f"{app.host.url}/tickets?kind=incident", trust_env=False)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/.auth/login/aad")
    assert "kind%3Dincident" in answer.headers["Location"]


def test_health_says_to_anybody_that_it_lives_and_nothing_else(app: WholeApp) -> None:
    stranger = app.program(None)
    for answer in (stranger.ask("GET", "/api/health"), app.megan.ask("GET", "/api/health")):
        assert (answer.status_code, answer.json()) == (200, {"status": "alive"})
    stranger.close()


def test_status_shows_the_parts_to_everybody_with_a_role(app: WholeApp) -> None:
    connected = app.configured()
    status = {
        "storage": "ok",
        "key_vault": "ok",
        "connections": [{"connection_id": connected.connection_id, "status": "awaiting_authorization"}],
        "unreadable_rows": [],
    }
    assert app.adele.get("/api/status") == status
    with faulty_vault(app, "forbidden_by_rbac"):
        assert app.adele.get("/api/status") == status | {"key_vault": "unavailable"}


@pytest.mark.parametrize("site", [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "none"}, {"Origin": "null"}, {}])
def test_only_a_form_of_our_own_page_is_repeated_to_somebody_who_is_signed_out(
    unguarded: WholeApp, site: dict[str, str]
) -> None:
    """What another site makes a browser send must not become text of a page of ours."""
    form = {"name": "Planted <b>text</b>", "client_secret": "do not repeat me", "description": "two\r\nlines"}

    def sent(path: str, headers: dict[str, str]) -> httpx.Response:
        address = f"{unguarded.host.url}{path}"
        return httpx.post(address, data=form, headers={"Accept": "text/html", **headers}, trust_env=False)

    planted = sent("/tickets/new", site)
    assert planted.status_code in {401, 403}
    assert "Planted" not in planted.text
    repeated = sent("/tickets/new", {"Sec-Fetch-Site": "same-origin"})
    assert repeated.status_code == 401
    assert 'name="name" value="Planted &lt;b&gt;text&lt;/b&gt;"' in repeated.text
    assert "two\nlines</textarea>" in repeated.text.replace("\r", "")
    account = sent("/ticketProvisioning", {"Sec-Fetch-Site": "same-origin"})
    assert "do not repeat me" not in account.text
    assert "The secret is not kept" in account.text
    assert "Planted" in account.text
