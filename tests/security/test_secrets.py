"""Attempts to get secrets: by another address, a redirect, a cookie, or the remains of a removed connection.

The canary looks for secrets where they must never be; if it finds one at the end of a session, the session fails.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.demonstration import read_tenant
from sandbox.graph.stage.control.client import ControlClient as ControlOfGraph
from sandbox.graph.stage.seed.tenants import E5
from sandbox.servicenow.stage.control.client import ControlClient
from sandbox.world import World
from shared.connections.grant.secret_names import access_token_name, client_secret_name, refresh_token_name
from shared.outbound.transport import USER_AGENT
from tests.fixtures.canary import Canary
from tests.fixtures.vault import secret_versions
from tests.fixtures.whole_app import WholeApp, refused

pytestmark = pytest.mark.usefixtures("calm")

NAME = "a name that is everywhere"


@pytest.fixture
def tenant(app: WholeApp) -> Iterator[str]:
    """The tenant that the managed identity can read."""
    app.megan.call("PUT", f"/api/tenants/{E5}", {"name": "Contoso"})
    yield E5
    assert app.megan.ask("DELETE", f"/api/tenants/{E5}").status_code == 204


def test_it_finds_what_is_in_logs_rows_and_answers(app: WholeApp, world: World, control: ControlClient) -> None:
    connected = app.connected(display_name=NAME)
    answer = app.megan.ask("GET", connected.path)
    canary = Canary(world, control)
    canary.plant("display name", NAME)
    canary.plant("route", "/api/oauth/callback")
    canary.watch(app.account)
    canary.saw(answer)
    assert set(canary.sightings()) >= {
        f"route in {app.host.process.log.name}",
        f"display name in the answer to GET {connected.path}",
        "display name in table connections",
    }


def test_it_knows_every_kind_of_secret(app: WholeApp) -> None:
    app.connected()
    app.canary.collect()
    assert set(app.canary.kinds.values()) >= {
        "access_token",
        "refresh_token",
        "client secret",
        "managed identity's token",
        "code",
        "cookie",
        "PKCE verifier",
    }


@pytest.mark.parametrize(
    "instance",
    [
        "https://contoso.service-now.com.evil.example",
        "https://evil.example",
        "https://contoso.service-now.com:8443",
        "https://user:password@contoso.service-now.com",
        "http://contoso.service-now.com",
        "https://203.0.113.7",
        "https://xn--contso-iua.service-now.com",
        "https://contoѕo.service-now.com",
        "https://contoso.service-now.com\\@evil.example",
        "file:///etc/passwd",
        "http://169.254.169.254",
        "",
    ],
)
def test_secrets_are_never_sent_elsewhere(app: WholeApp, instance: str) -> None:
    request = {**app.registered().request, "instance": instance}
    answer = app.megan.ask("PUT", "/api/connections/elsewhere", request)
    assert answer.status_code == 422
    assert answer.json()["code"] in {"instance_not_allowed", "invalid_connection"}
    refused(app.megan.ask("GET", "/api/connections/elsewhere"), 404, "connection_not_found")


@pytest.mark.parametrize("member", ["instance", "client_id"])
def test_the_stored_secret_does_not_follow_a_changed_connection(app: WholeApp, member: str) -> None:
    connected = app.connected()
    elsewhere = {
        "instance": app.world.servicenow.url.replace("127.0.0.1", "localhost"),
        "client_id": "client-of-the-attacker",
    }
    request = {**connected.request, member: elsewhere[member]}
    del request["client_secret"]
    app.control.clear_requests()
    refused(app.megan.ask("PUT", connected.path, request), 422, "client_secret_required")
    assert app.control.requests() == []
    assert app.megan.get(connected.path)[member] == connected.request[member]


@pytest.mark.parametrize("path", [r"^/oauth_token\.do$", "^/api/"])
def test_a_redirect_takes_nothing_elsewhere(app: WholeApp, path: str) -> None:
    connected = app.connected()
    app.control.revoke_tokens(user_name=connected.user_name, token_type="access_token")
    trap = f"{app.world.servicenow.url.replace('127.0.0.1', 'localhost')}/trap"
    app.control.set_fault("redirected", path=path, location=trap, remaining=None)
    app.control.clear_requests()
    waiting = app.adele.ask("POST", "/api/tickets", connected.ticket())
    app.adele.ask("POST", f"{connected.path}/sync")
    app.megan.ask("POST", f"{connected.path}/check", {})
    assert waiting.status_code == 202
    assert app.control.requests(path)
    assert app.control.requests("/trap") == []


@pytest.mark.parametrize(
    ("fault", "code", "requests"),
    [("foreign_next_link", "graph_link_refused", 1), ("same_next_link", "graph_list_endless", 2)],
)
def test_no_list_of_microsoft_graph_leads_elsewhere_or_in_circles(
    app: WholeApp, tenant: str, fault: str, code: str, requests: int
) -> None:
    trap = app.world.servicenow.url.replace("127.0.0.1", "localhost")
    read_tenant(app.megan)  # From now on, the timer has no reason to.
    app.control.clear_requests()
    with ControlOfGraph(app.world.graph.url) as graph:
        graph.clear_requests()
        planted = graph.set_fault(fault, location=trap, remaining=None)
        read = app.adele.call("POST", f"/api/tenants/{tenant}/read")
        graph.remove_fault(planted)
        asked = graph.requests("secureScoreControlProfiles")
    assert (read["status"], read["last_error"]["code"]) == ("unreadable", code)
    assert [each["status"] for each in asked] == [200] * requests
    assert trap not in str(read)
    assert app.control.requests() == []


def test_the_identitys_token_reads_no_other_tenant(app: WholeApp) -> None:
    """Whoever adds a tenant only claims that it is theirs."""
    claimed = "11111111-aaaa-4bbb-8ccc-000000000098"
    app.megan.call("PUT", f"/api/tenants/{claimed}", {"name": "Fabrikam"})
    with ControlOfGraph(app.world.graph.url) as graph:
        graph.clear_requests()
        read = app.adele.call("POST", f"/api/tenants/{claimed}/read")
        assert graph.requests("security") == []
    assert (read["status"], read["last_error"]["code"]) == ("no_permission", "tenant_unknown")
    assert app.adele.get(f"/api/recommendations?tenant_id={claimed}&hidden=true")["total"] == 0
    assert app.megan.ask("DELETE", f"/api/tenants/{claimed}").status_code == 204


def test_no_cookie_of_servicenow_is_ever_sent_back(app: WholeApp) -> None:
    app.control.clear_requests()
    connected = app.connected()
    app.create(connected)
    app.adele.call("POST", f"{connected.path}/sync")
    ours = [each for each in app.control.requests() if each["user_agent"] == USER_AGENT]
    assert {each["path"].split("/")[1] for each in ours} >= {"oauth_token.do", "api"}
    assert not [each["path"] for each in ours if each["had_cookies"]]


def test_nothing_of_a_grant_can_be_used_after_a_switch_to_the_other(app: WholeApp) -> None:
    connected = app.connected()
    kept = {name: value for name, value in connected.request.items() if name != "client_secret"}
    assert app.megan.ask("PUT", connected.path, kept | {"grant": "client_credentials"}).status_code == 200
    assert app.tokens(connected) == []
    for name in (refresh_token_name, access_token_name):
        versions = secret_versions(app, name(connected.connection_id))
        assert versions
        assert not any(version["attributes"]["enabled"] for version in versions)


def test_nothing_of_a_removed_connections_secrets_can_be_read(app: WholeApp) -> None:
    connected = app.connected()
    app.authorize(connected)
    app.megan.call("DELETE", connected.path)
    for name in (client_secret_name, refresh_token_name, access_token_name):
        versions = secret_versions(app, name(connected.connection_id))
        assert len(versions) > 1
        assert not [version["id"] for version in versions if version["attributes"]["enabled"]]
