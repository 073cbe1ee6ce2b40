"""Removing a connection keeps its tickets, and connecting the same instance again revives them."""

from __future__ import annotations

import pytest

from sandbox.servicenow.stage.seed.people import user_sys_id
from shared.connections.grant.secret_names import access_token_name, client_secret_name, refresh_token_name
from tests.fixtures.vault import secret_versions
from tests.fixtures.whole_app import Connected, WholeApp, refused

pytestmark = pytest.mark.usefixtures("calm")


def enabled_secrets(app: WholeApp, connected: Connected) -> dict[str, int]:
    """Count the enabled versions of each secret."""
    names = (client_secret_name, refresh_token_name, access_token_name)
    return {
        name.__name__: sum(
            version["attributes"]["enabled"] for version in secret_versions(app, name(connected.connection_id))
        )
        for name in names
    }


def test_removing_and_connecting_again(app: WholeApp) -> None:
    connected = app.connected()
    ticket = app.create(connected)
    app.control.set_fault("cancelled_before_commit", method="POST", path="/table/incident", remaining=None)
    pending = app.adele.ask("POST", "/api/tickets", connected.ticket(name="Never sent"))
    assert pending.status_code == 202
    app.control.clear_faults()
    assert enabled_secrets(app, connected) == {
        "client_secret_name": 1,
        "refresh_token_name": 1,
        "access_token_name": 1,
    }
    tokens = app.tokens(connected)

    removed = app.megan.ask("DELETE", connected.path)
    assert removed.status_code == 200
    assert removed.json()["status"] == "disconnected"
    assert removed.json()["last_error"] is None
    assert tokens
    assert app.tokens(connected) == []
    assert enabled_secrets(app, connected) == {
        "client_secret_name": 0,
        "refresh_token_name": 0,
        "access_token_name": 0,
    }
    # The tickets are kept, and nothing happens to them.
    assert app.show(ticket)["dormant"] is True
    assert app.show(ticket)["servicenow"]["number"] == ticket["servicenow"]["number"]
    refused(app.adele.ask("POST", "/api/tickets", connected.ticket()), 409, "connection_not_authorized")
    refused(app.adele.ask("POST", f"{connected.path}/sync"), 409, "connection_not_authorized")
    retry = f"/api/tickets/{pending.json()['ticket_id']}/retry"
    refused(app.adele.ask("POST", retry), 409, "ticket_dormant")
    app.control.clear_requests()
    app.run_timer()
    assert app.control.requests() == []
    # Removing it again is not an error.
    assert app.megan.ask("DELETE", connected.path).json()["status"] == "disconnected"

    # Without its secret it cannot be authorized, even if the vault still had one.
    without_secret = {name: value for name, value in connected.request.items() if name != "client_secret"}
    answer = app.megan.ask("PUT", connected.path, without_secret)
    assert (answer.status_code, answer.json()["status"]) == (200, "not_configured")
    refused(
        app.megan.visit(f"/api/oauth/authorize?connection_id={connected.connection_id}"),
        409,
        "connection_not_configured",
    )
    answer = app.megan.ask("PUT", connected.path, connected.request)
    assert (answer.status_code, answer.json()["status"]) == (200, "awaiting_authorization")
    assert app.authorize(connected).status_code == 303
    app.control.change_record(
        "incident",
        ticket["servicenow"]["sys_id"],
        {"state": "2", "assigned_to": user_sys_id("agent.smith")},
        as_user="agent.smith",
    )
    assert app.adele.ask("POST", f"{connected.path}/sync").status_code == 200
    shown = app.show(ticket)
    assert (shown["dormant"], shown["phase"]) == (False, "in_progress")


def test_a_removal_that_servicenow_is_not_told_of_says_so(app: WholeApp) -> None:
    connected = app.connected()
    app.control.set_fault("bad_gateway", path=r"^/oauth_revoke_token\.do$|^/oauth_revoke", remaining=None)
    removed = app.megan.ask("DELETE", connected.path)
    assert removed.status_code == 200
    assert removed.json()["status"] == "disconnected"
    assert removed.json()["last_error"]["code"] == "revocation_failed"
    assert set(enabled_secrets(app, connected).values()) == {0}
    app.control.clear_faults()


def test_another_instance_makes_tickets_dormant_and_the_first_one_revives_them(app: WholeApp) -> None:
    connected = app.connected()
    ticket = app.create(connected)
    elsewhere = {**connected.request, "instance": app.world.servicenow.url.replace("127.0.0.1", "localhost")}
    answer = app.megan.ask("PUT", connected.path, elsewhere)
    assert answer.json()["status"] == "reauthorization_required"
    assert app.show(ticket)["dormant"] is True
    answer = app.megan.ask("PUT", connected.path, connected.request)
    assert answer.status_code == 200
    assert app.authorize(connected).status_code == 303
    assert app.show(ticket)["dormant"] is False


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("contoso", "https://contoso.service-now.com"),
        ("Contoso.Service-Now.com", "https://contoso.service-now.com"),
        ("https://contoso.service-now.com/nav_to.do?uri=incident.do", "https://contoso.service-now.com"),
    ],
)
def test_an_instance_may_be_named_in_several_ways(app: WholeApp, given: str, kept: str) -> None:
    answer = app.megan.ask("PUT", "/api/connections/named", {**app.registered().request, "instance": given})
    assert answer.json()["instance"] == kept
    assert answer.json()["status"] == "awaiting_authorization"
