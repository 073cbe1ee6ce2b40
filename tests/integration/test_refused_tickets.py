"""Tickets that cannot be delivered at once: refused without a trace, kept and waiting, or kept as failed."""

from __future__ import annotations

import pytest

from tests.fixtures.whole_app import Connected, WholeApp, refused

pytestmark = pytest.mark.usefixtures("calm")

RULE = {
    "name": "No tickets on Friday",
    "collection": "incident",
    "active": "true",
    "abort_action": "true",
    "action_insert": "true",
    "filter_condition": "",
}


@pytest.fixture(scope="module")
def connected(app: WholeApp) -> Connected:
    return app.connected()


def test_without_any_consent_the_ticket_is_refused(app: WholeApp) -> None:
    connected = app.configured()
    answer = app.adele.ask("POST", "/api/tickets", connected.ticket())
    refused(answer, 409, "connection_not_authorized")
    assert app.adele.get(f"/api/tickets?connection={connected.connection_id}")["tickets"] == []


def test_without_a_name_there_has_to_be_one_connection(app: WholeApp, connected: Connected) -> None:
    app.configured()
    body = connected.ticket()
    del body["connection_id"]
    problem = refused(app.adele.ask("POST", "/api/tickets", body), 409, "connection_ambiguous")
    assert connected.connection_id in problem["connection_ids"]
    answer = app.adele.ask("POST", "/api/tickets", {**body, "connection_id": "nobody"})
    refused(answer, 404, "connection_not_found")


def test_while_consent_is_interrupted_tickets_wait_and_are_delivered_afterwards(app: WholeApp) -> None:
    connected = app.connected()
    app.control.revoke_tokens(user_name=connected.user_name)
    first = app.adele.ask("POST", "/api/tickets", connected.ticket(name="Found out by this one"))
    assert first.status_code == 202
    assert first.json()["delivery"]["error_code"] == "refresh_token_refused"
    shown = app.megan.get(connected.path)
    assert shown["status"] == "reauthorization_required"
    assert "no longer accepts the consent" in shown["last_error"]["message"]
    assert shown["last_error"]["next_step"]
    app.control.clear_requests()
    second = app.adele.ask("POST", "/api/tickets", connected.ticket(name="Known already"))
    assert (second.status_code, second.json()["delivery"]["attempts"]) == (202, 0)
    assert app.control.requests() == []
    assert app.authorize(connected).status_code == 303
    app.run_timer()
    for answer in (first, second):
        assert app.show(answer.json())["delivery"]["status"] == "delivered"
        assert len(app.records(answer.json()["ticket_id"])) == 1


def test_missing_rights_are_tried_again_and_show_on_the_connection(app: WholeApp) -> None:
    connected = app.connected()
    app.control.change_user(connected.user_name, roles=["snc_platform_rest_api_access"])
    kept = app.adele.ask("POST", "/api/tickets", connected.ticket())
    assert (kept.status_code, kept.json()["delivery"]["error_code"]) == (202, "insufficient_rights")
    shown = app.megan.get(connected.path)
    assert (shown["status"], shown["last_error"]["code"]) == ("connected", "insufficient_rights")
    app.control.change_user(connected.user_name, roles=["itil"])
    assert app.adele.ask("POST", f"/api/tickets/{kept.json()['ticket_id']}/retry").status_code == 200
    assert app.megan.get(connected.path)["last_error"] is None


def test_a_refusal_is_told_and_retried_after_the_fix(app: WholeApp) -> None:
    connected = app.connected()
    sys_id = app.control.insert_record("sys_script", RULE)["sys_id"]
    try:
        problem = refused(app.adele.ask("POST", "/api/tickets", connected.ticket()), 422, "delivery_refused")
    finally:
        app.control.delete_record("sys_script", sys_id)
    kept = app.adele.get(f"/api/tickets/{problem['ticket_id']}")
    assert kept["delivery"]["status"] == "failed"
    assert kept["delivery"]["error_code"] == problem["reason"] == "business_rule_refused"
    assert kept["delivery"]["next_step"]
    assert app.adele.ask("POST", problem["retry"]).status_code == 200
    assert len(app.records(problem["ticket_id"])) == 1
    refused(app.adele.ask("POST", problem["retry"]), 409, "already_delivered")
    assert [event["kind"] for event in app.show(kept)["timeline"]] == [
        "created",
        "delivery_failed",
        "retried",
        "delivered",
    ]


def test_many_refused_tickets_are_sent_again_at_once(app: WholeApp) -> None:
    connected = app.connected()
    sys_id = app.control.insert_record("sys_script", RULE)["sys_id"]
    try:
        problems = [
            refused(app.adele.ask("POST", "/api/tickets", connected.ticket()), 422, "delivery_refused")
            for _ in range(2)
        ]
        request = {"filter": {"connection_id": connected.connection_id}}
        again = app.adele.ask("POST", "/api/tickets/retry", request)
    finally:
        app.control.delete_record("sys_script", sys_id)
    ids = [problem["ticket_id"] for problem in problems]
    assert again.status_code == 200
    assert [(each["outcome"], each["code"]) for each in again.json()["tickets"]] == [
        ("refused", "business_rule_refused")
    ] * 2
    with app.visitor("Lee Gu") as reader:
        refused(reader.ask("POST", "/api/tickets/retry", request), 403, "role_missing")
    both_ways = {**request, "ticket_ids": ids}
    refused(app.adele.ask("POST", "/api/tickets/retry", both_ways), 422, "invalid_retry")
    missing = refused(app.adele.ask("POST", "/api/tickets/retry", {"ticket_ids": ["0" * 32]}), 404, "ticket_not_found")
    assert missing["ticket_ids"] == ["0" * 32]

    sent = app.adele.ask("POST", "/api/tickets/retry", {"ticket_ids": ids}).json()
    assert (sent["delivered"], sent["waiting"], sent["refused"], sent["more"]) == (2, 0, 0, False)
    assert [each["ticket_id"] for each in sent["tickets"]] == ids
    assert app.adele.ask("POST", "/api/tickets/retry", request).json()["tickets"] == []
    assert {len(app.records(ticket_id)) for ticket_id in ids} == {1}
