"""Changes in ServiceNow come back: with the timer, or at once on request; tokens are renewed on the way."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sandbox.servicenow.stage.seed.people import user_sys_id
from tests.fixtures.whole_app import Connected, WholeApp, refused

pytestmark = pytest.mark.usefixtures("calm")

AGENT = "agent.smith"
ACCESS_TOKEN_LIFE_S = 9


@pytest.fixture(scope="module")
def connected(app: WholeApp) -> Connected:
    return app.connected(kinds={"incident": {"state_names": {"6": "Fixed, please check"}}})


def sync(app: WholeApp, connected: Connected) -> dict[str, Any]:
    return app.adele.call("POST", f"{connected.path}/sync")


def work(app: WholeApp, ticket: dict[str, Any], **values: str) -> None:
    """Change a ticket's record as the agent does."""
    record = ticket["servicenow"]
    app.control.change_record(record["table"], record["sys_id"], values, as_user=AGENT)


@pytest.mark.parametrize("text_comparison", ["case_insensitive", "case_sensitive"])
def test_state_people_and_due_date_come_back(app: WholeApp, connected: Connected, text_comparison: str) -> None:
    app.control.set_properties({"simulator.query.text_comparison": text_comparison})
    incident, change = app.create(connected), app.create(connected, kind="change")
    work(app, incident, state="2", assigned_to=user_sys_id(AGENT), due_date="2031-05-01 10:00:00")
    work(app, change, state="-4", assignment_group="Change Management")
    counts = sync(app, connected)
    assert counts["complete"]
    assert counts["applied"] == 2
    shown = app.show(incident)
    assert (shown["phase"], shown["servicenow"]["state"], shown["servicenow"]["state_name"]) == (
        "in_progress",
        "2",
        "In Progress",
    )
    assert shown["servicenow"]["assigned_to"] == "Alex Smith"
    assert shown["due_at"] == "2031-05-01T10:00:00Z"
    assert {event["kind"] for event in shown["timeline"][2:]} == {"state_changed", "due_date_changed"}
    assert app.show(change)["phase"] == "in_progress"
    page = app.adele.visit(f"/tickets/{incident['ticket_id']}").text
    assert "Due date changed in ServiceNow: 2031-05-01 10:00 UTC" in page
    assert page.index("Due date changed in ServiceNow") < page.index("Delivered to ServiceNow as"), "newest first"
    # Nothing has happened since, and nothing is noted twice.
    assert sync(app, connected)["applied"] == 0
    assert len(app.show(incident)["timeline"]) == len(shown["timeline"])


def test_a_state_has_the_name_that_the_connection_gives_it(app: WholeApp, connected: Connected) -> None:
    ticket = app.create(connected)
    work(app, ticket, state="6", close_code="Solution provided", close_notes="Done.")
    sync(app, connected)
    shown = app.show(ticket)
    assert (shown["phase"], shown["servicenow"]["state_name"]) == ("resolved", "Fixed, please check")
    assert "State changed from New to Fixed, please check" in app.adele.visit(f"/tickets/{ticket['ticket_id']}").text


def test_a_state_of_the_instances_own_is_shown_and_not_skipped(app: WholeApp, connected: Connected) -> None:
    app.control.add_choice("incident", "state", "21", "Waiting for the vendor")
    ticket = app.create(connected)
    work(app, ticket, state="21")
    sync(app, connected)
    shown = app.show(ticket)
    assert (shown["phase"], shown["servicenow"]["state"], shown["servicenow"]["state_name"]) == (
        "unmapped",
        "21",
        "Waiting for the vendor",
    )


def test_the_timer_synchronises(app: WholeApp) -> None:
    connected = app.connected()
    ticket = app.create(connected)
    work(app, ticket, state="2")
    app.run_timer()
    assert app.show(ticket)["phase"] == "in_progress"
    shown = app.megan.get(connected.path)
    assert shown["last_sync_at"] is not None
    assert shown["lag_s"] < 60


def test_an_idle_run_asks_once_for_each_connection(app: WholeApp, connected: Connected) -> None:
    sync(app, connected)
    app.control.clear_requests()
    assert sync(app, connected)["requests"] == 1
    assert len(app.control.requests()) == 1


def test_a_ticket_whose_correlation_id_a_rule_replaces_is_followed(app: WholeApp, connected: Connected) -> None:
    rule = app.control.add_business_rule("incident", {"correlation_id": "TASK-1"})
    ticket = app.create(connected)
    app.control.delete_record("sys_script", rule["sys_id"])
    assert app.show(ticket)["timeline"][-1]["kind"] == "unlinked"
    assert "not the connector’s" in app.adele.visit(f"/tickets/{ticket['ticket_id']}").text
    work(app, ticket, state="2")
    counts = sync(app, connected)
    assert (counts["requests"], counts["applied"]) == (2, 1)
    assert app.show(ticket)["phase"] == "in_progress"
    work(app, ticket, correlation_id=f"m365:{ticket['ticket_id']}")
    sync(app, connected)
    assert sync(app, connected)["requests"] == 1


def test_a_count_that_is_too_dear_is_not_asked_for_again(app: WholeApp) -> None:
    connected = app.connected()
    ticket = app.create(connected)
    work(app, ticket, state="2")
    app.control.set_fault("cancelled_for_count", remaining=None)
    assert sync(app, connected)["complete"]
    assert app.show(ticket)["phase"] == "in_progress"
    app.control.clear_requests()
    assert sync(app, connected)["complete"]
    assert all(request["status"] == 200 for request in app.control.requests())
    assert app.megan.get(connected.path)["status"] == "connected"


def test_foreign_tickets_are_left_alone(app: WholeApp, connected: Connected) -> None:
    foreign = app.control.insert_record("incident", {"short_description": "Not ours", "correlation_id": "other:1"})
    before = app.adele.get("/api/tickets?limit=200")["tickets"]
    sync(app, connected)
    assert app.adele.get("/api/tickets?limit=200")["tickets"] == before
    assert app.control.record("incident", foreign["sys_id"])["sys_mod_count"] == foreign["sys_mod_count"]


def test_an_access_token_that_is_refused_is_renewed_on_the_way(app: WholeApp, connected: Connected) -> None:
    before = app.megan.get(connected.path)
    assert app.control.revoke_tokens(user_name=connected.user_name, token_type="access_token") == 1
    assert sync(app, connected)["complete"]
    after = app.megan.get(connected.path)
    assert after["status"] == "connected"
    assert after["access_token_expires_at"] > before["access_token_expires_at"]
    assert after["consent_ends_at"] == before["consent_ends_at"]


def test_the_timer_refreshes_after_two_thirds_of_a_tokens_life(app: WholeApp) -> None:
    connected = app.configured()
    app.control.change_oauth_client(connected.client_id, access_token_lifespan=str(ACCESS_TOKEN_LIFE_S))
    app.authorize(connected)
    [first] = app.tokens(connected, "access_token")
    before = app.megan.get(connected.path)
    ends_at = datetime.fromisoformat(before["access_token_expires_at"])
    # ServiceNow says that a new token lasts for a second less than its life (ServiceNow §1.5).
    due_at = ends_at - timedelta(seconds=(ACCESS_TOKEN_LIFE_S - 1) / 3)
    time.sleep(max(0.0, (due_at - datetime.now(UTC)).total_seconds()))
    app.run_timer()
    after = app.megan.get(connected.path)
    assert after["access_token_expires_at"] > before["access_token_expires_at"]
    assert after["consent_ends_at"] == before["consent_ends_at"]
    assert app.tokens(connected, "access_token") != [first]


@pytest.mark.parametrize("how", ["same", "omitted", "rotated"])
def test_whatever_a_refresh_says_of_the_refresh_token_the_next_one_works(app: WholeApp, how: str) -> None:
    app.control.set_properties({"simulator.oauth.refresh_token_on_refresh": how})
    connected = app.connected()
    for _ in range(2):
        app.control.revoke_tokens(user_name=connected.user_name, token_type="access_token")
        app.canary.collect()
        assert sync(app, connected)["complete"]
    assert app.status(connected) == "connected"


def test_revoked_consent_is_noticed_and_says_what_to_do(app: WholeApp) -> None:
    connected = app.connected()
    ticket = app.create(connected)
    app.control.revoke_tokens(user_name=connected.user_name)
    problem = refused(app.adele.ask("POST", f"{connected.path}/sync"), 409, "refresh_token_refused")
    assert "authorize" in problem["next_step"].lower()
    shown = app.megan.get(connected.path)
    assert shown["status"] == "reauthorization_required"
    assert shown["status_since_at"]
    work(app, ticket, state="2")
    assert app.authorize(connected).status_code == 303
    assert app.megan.get(connected.path)["last_error"] is None
    sync(app, connected)
    assert app.show(ticket)["phase"] == "in_progress"


def test_one_bad_refresh_is_not_believed(app: WholeApp) -> None:
    connected = app.connected()
    app.control.revoke_tokens(user_name=connected.user_name, token_type="access_token")
    app.control.set_fault("token_refused", remaining=1)
    assert sync(app, connected)["complete"]
    assert app.status(connected) == "connected"


def test_one_connection_that_does_not_answer_holds_up_no_other(app: WholeApp) -> None:
    silent, working = app.connected(), app.connected()
    ticket = app.create(working)
    work(app, ticket, state="2")
    app.control.revoke_tokens(user_name=silent.user_name)
    app.run_timer()
    assert app.show(ticket)["phase"] == "in_progress"
    assert (app.status(silent), app.status(working)) == ("reauthorization_required", "connected")


def test_a_connection_that_was_never_authorized_cannot_be_synchronised(app: WholeApp) -> None:
    connected = app.configured()
    refused(app.adele.ask("POST", f"{connected.path}/sync"), 409, "connection_not_authorized")
