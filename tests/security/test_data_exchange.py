"""What ServiceNow learns about a person, seen from its side: everything that reached it."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_plus

import pytest

from sandbox.servicenow.stage.seed.people import group_sys_id, user_sys_id
from tests.fixtures.whole_app import Connected, WholeApp, person, refused

pytestmark = pytest.mark.usefixtures("calm")

ADELE = person("Adele Vance")
DEFAULT_CALLER = {"default_caller": user_sys_id("agent.smith")}
KEPT: dict[str, Any] = {"shares_requester": False, "kinds": {"incident": DEFAULT_CALLER, "change": DEFAULT_CALLER}}
RULE = {
    "name": "Nothing new today",
    "collection": "incident",
    "active": "true",
    "when": "before",
    "action_insert": "true",
    "abort_action": "true",
}


def told(app: WholeApp) -> set[str]:
    """Return which of Adele's data reached ServiceNow since the log was cleared."""
    log = app.control.requests()
    assert len(log) > 1, "the instance was asked"
    everything = unquote_plus("\n".join(f"{each['path']} {each['query']} {each['body']}" for each in log)).casefold()
    return {name for name, text in (("email", ADELE.email), ("oid", ADELE.oid)) if text.casefold() in everything}


def switched_off(app: WholeApp, connected: Connected) -> None:
    answer = app.megan.ask("PUT", connected.path, {**connected.request, **KEPT})
    assert (answer.status_code, answer.json()["shares_requester"]) == (200, False), answer.text
    app.control.clear_requests()


def test_the_log_shows_what_is_shared(app: WholeApp) -> None:
    connected = app.connected()
    app.control.clear_requests()
    app.create(connected)
    assert told(app) == {"email", "oid"}


def test_nothing_of_the_requester_reaches_servicenow_once_it_is_switched_off(app: WholeApp) -> None:
    connected = app.connected(**KEPT)
    app.control.clear_requests()
    for kind, caller in (("incident", "caller_id"), ("change", "requested_by")):
        ticket = app.create(connected, kind=kind)
        assert app.record(ticket)[caller] == user_sys_id("agent.smith")
        assert f"Requested by: {ADELE.name}\nPortal:" in app.record(ticket)["description"]
        answer = app.adele.ask("POST", f"/api/tickets/{ticket['ticket_id']}/updates", {"comment": "Please hurry."})
        assert answer.json()["result"] == "sent", answer.text
        app.adele.ask("GET", f"/tickets/{ticket['ticket_id']}", headers={"Accept": "text/html"})
        assert ticket["requester"]["email"] == ADELE.email, "the connector itself knows"
    app.control.set_fault("cancelled_after_commit", method="POST", path="/table/incident")
    assert app.adele.ask("POST", "/api/tickets", connected.ticket()).status_code in {201, 202}
    app.megan.ask("POST", f"{connected.path}/check", {"dry_run": True})
    app.megan.ask("POST", f"{connected.path}/sync")
    assert told(app) == set()


def test_tickets_that_wait_or_are_sent_again_keep_to_it(app: WholeApp) -> None:
    connected = app.connected()
    sys_id = app.control.insert_record("sys_script", RULE)["sys_id"]
    try:
        problem = refused(app.adele.ask("POST", "/api/tickets", connected.ticket()), 422, "delivery_refused")
    finally:
        app.control.delete_record("sys_script", sys_id)
    app.control.revoke_tokens(user_name=connected.user_name)
    app.adele.ask("POST", "/api/tickets", connected.ticket(name="Finds out that the consent is over"))
    waiting = app.adele.ask("POST", "/api/tickets", connected.ticket(name="Known already"))
    assert (waiting.status_code, waiting.json()["delivery"]["attempts"]) == (202, 0)
    switched_off(app, connected)
    assert app.authorize(connected).status_code == 303
    app.run_timer()
    assert app.show(waiting.json())["delivery"]["status"] == "delivered"
    assert app.adele.ask("POST", problem["retry"]).status_code == 200
    assert told(app) == set()
    for ticket_id in (problem["ticket_id"], waiting.json()["ticket_id"]):
        assert app.record(app.show({"ticket_id": ticket_id}))["caller_id"] == user_sys_id("agent.smith")


def test_names_of_people_are_for_those_who_may_create_tickets(app: WholeApp) -> None:
    connected = app.connected()
    address = f"{connected.path}/suggestions?kind=incident"
    found = app.adele.get(f"{address}&column=assigned_to&text=smith")
    assert found["known"]
    assert user_sys_id("agent.smith") in {each["value"] for each in found["suggestions"]}
    groups = app.adele.get(f"{address}&column=assignment_group&text=net")["suggestions"]
    assert group_sys_id("Network") in {each["value"] for each in groups}
    refused(app.adele.ask("GET", f"{address}&column=opened_by&text=smith"), 400, "invalid_parameter")
    refused(app.adele.ask("GET", f"{address}&column=sys_user.password&text=smith"), 400, "invalid_parameter")
    with app.visitor("Lee Gu") as reader:
        refused(reader.ask("GET", f"{address}&column=assigned_to&text=smith"), 403, "role_missing")
        page = reader.ask("GET", f"/configuration/{connected.connection_id}/data", headers={"Accept": "text/html"})
        assert page.status_code == 403
    shown = app.adele.ask("GET", f"/configuration/{connected.connection_id}/data", headers={"Accept": "text/html"})
    assert shown.status_code == 200
    assert ADELE.email in shown.text


def test_no_text_changes_what_is_asked(app: WholeApp) -> None:
    connected = app.connected()
    app.control.clear_requests()
    for text in ("%25%25%25", "__", "^ORactive=true", "javascript:gs.getUserID()", "a^NQsys_idISNOTEMPTY", "x" * 100):
        answer = app.adele.ask("GET", f"{connected.path}/suggestions?kind=incident&column=assigned_to&text={text}")
        assert (answer.status_code, answer.json()["suggestions"]) == (200, []), text
    asked = list(app.control.requests("sys_user$"))
    assert len(asked) <= 6
    refused(
        app.adele.ask("GET", f"{connected.path}/suggestions?kind=incident&column=cmdb_ci&text={'x' * 101}"),
        400,
        "invalid_parameter",
    )


def test_a_fixed_field_never_replaces_what_the_connector_writes(app: WholeApp) -> None:
    connected = app.connected()
    for column in ("sys_id", "correlation_id", "description", "caller_id", "work_notes", "state", "sys_created_by"):
        kinds = {"incident": {"fixed_fields": [{"column": column, "value": "a" * 32}]}}
        problem = refused(
            app.megan.ask("PUT", connected.path, {**connected.request, "kinds": kinds}), 422, "invalid_connection"
        )
        assert [each["code"] for each in problem["errors"]] == ["column_reserved"], column
    assert app.megan.get(connected.path)["kinds"]["incident"]["fixed_fields"] == []
