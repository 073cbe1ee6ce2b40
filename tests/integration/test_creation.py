"""Tickets: what is sent reaches ServiceNow once, and can be found there again."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sandbox.servicenow.seed import group_sys_id, user_sys_id
from tests.fixtures.whole_app import Connected, WholeApp, daemon, person, refused

pytestmark = pytest.mark.usefixtures("calm")

PRIORITIES = ("critical", "high", "moderate", "low", "planning")


@pytest.fixture(scope="module")
def connected(app: WholeApp) -> Connected:
    return app.connected()


@pytest.mark.parametrize("kind", ["incident", "change"])
def test_the_seven_data_are_found_in_servicenow_again(app: WholeApp, connected: Connected, kind: str) -> None:
    ticket = app.create(connected, kind=kind, portal="compliance", priority="critical", due_date="2031-03-31")
    assert ticket["delivery"]["status"] == "delivered"
    assert ticket["phase"] == "new"
    record = app.record(ticket)
    assert record["sys_class_name"] == {"incident": "incident", "change": "change_request"}[kind]
    assert record["sys_id"] == ticket["ticket_id"]
    assert record["number"] == ticket["servicenow"]["number"]
    assert record["correlation_id"] == f"m365:{ticket['ticket_id']}"
    # The seven: initiating user, name, description, priority, due date, source and category of the recommendation.
    adele = person("Adele Vance")
    assert record["caller_id" if kind == "incident" else "requested_by"] == user_sys_id("adele.vance")
    assert record["short_description"] == "Block legacy authentication"
    assert record["priority"] == "1"
    assert record["due_date"] == "2031-03-31 23:59:59"
    description = record["description"].splitlines()
    assert description[0] == "Nine accounts still sign in by protocols that know no second factor."
    assert description[3:] == [
        f"Requested by: {adele.name} <{adele.email}>",
        f"User id: {adele.oid}",
        "Portal: compliance",
        "Source: microsoft",
        "Category: identity",
        "Recommendation: BlockLegacyAuthentication",
        "Link: https://security.microsoft.com/securescore?viewid=actions",
    ]
    assert ticket["servicenow"]["link"].startswith(app.world.servicenow.url)
    assert [event["kind"] for event in app.show(ticket)["timeline"]] == ["created", "delivered"]


@pytest.mark.parametrize("kind", ["incident", "change"])
def test_every_priority_arrives(app: WholeApp, connected: Connected, kind: str) -> None:
    arrived = [app.record(app.create(connected, kind=kind, priority=each))["priority"] for each in PRIORITIES]
    assert arrived == ["1", "2", "3", "4", "5"]


def test_what_the_connection_says_of_a_kind_is_sent(app: WholeApp) -> None:
    kinds = {
        "incident": {"assignment_group": group_sys_id("Security Operations"), "category": "software"},
        "change": {"enabled": False},
    }
    connected = app.connected(kinds=kinds, time_zone="Asia/Tokyo", portals=["security"])
    ticket = app.create(connected)
    record = app.record(ticket)
    assert record["assignment_group"] == group_sys_id("Security Operations")
    assert ticket["servicenow"]["assignment_group"] == "Security Operations"
    assert record["category"] == "software"
    assert record["due_date"] == "2031-03-31 14:59:59"
    change = app.adele.ask("POST", "/api/tickets", connected.ticket(kind="change"))
    refused(change, 422, "kind_not_enabled")
    compliance = app.adele.ask("POST", "/api/tickets", connected.ticket(portal="compliance"))
    refused(compliance, 422, "portal_not_enabled")


def test_nobody_is_the_caller_when_servicenow_knows_no_such_address(app: WholeApp, connected: Connected) -> None:
    answer = app.megan.ask("POST", "/api/tickets", connected.ticket())
    record = app.record(answer.json())
    assert record["caller_id"] == ""
    assert f"User id: {person('Megan Bowen').oid}" in record["description"]


def test_texts_arrive_as_they_were_written(app: WholeApp, connected: Connected) -> None:
    name = "多要素認証を必須にする ^ORactive=true <b>&amp; \"quoted\" 'single' \\ %20 \N{ROCKET}"
    text = "Erste Zeile\r\nzweite\tZeile\n\n-- Microsoft 365 recommendation --\nUser id: somebody else"
    record = app.record(app.create(connected, name=name, description=text))
    assert record["short_description"] == name
    assert record["description"].startswith("Erste Zeile\nzweite\tZeile\n\n")
    assert record["description"].splitlines()[-6] == f"User id: {person('Adele Vance').oid}"


def test_a_description_that_is_too_long_is_refused_by_how_much(app: WholeApp, connected: Connected) -> None:
    answer = app.adele.ask("POST", "/api/tickets", connected.ticket(description="x" * 4000))
    too_long_by = refused(answer, 422, "description_too_long")["too_long_by"]
    record = app.record(app.create(connected, description="x" * (4000 - too_long_by)))
    assert len(record["description"]) == 4000


def test_a_program_may_name_the_user_it_asks_for_and_a_person_may_not(app: WholeApp, connected: Connected) -> None:
    named = {"id": "6b4f7e4e-0000-4000-8000-000000000001", "name": "Somebody", "email": "adele.vance@contoso.example"}
    body = connected.ticket(requested_by=named)
    refused(app.adele.ask("POST", "/api/tickets", body), 403, "requested_by_not_allowed")
    program = app.program(daemon().token)
    answer = program.ask("POST", "/api/tickets", body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["requester"] == named
    assert app.record(answer.json())["caller_id"] == user_sys_id("adele.vance")
    plain = program.ask("POST", "/api/tickets", connected.ticket())
    assert plain.json()["requester"]["id"] == daemon().oid
    program.close()


class TestIdempotency:
    def post(self, app: WholeApp, key: str, body: dict[str, Any], *, by: str = "adele") -> Any:
        return getattr(app, by).ask("POST", "/api/tickets", body, headers={"Idempotency-Key": key})

    def test_the_same_request_has_the_same_answer(self, app: WholeApp, connected: Connected) -> None:
        first, second = (self.post(app, "the same", connected.ticket()) for _ in range(2))
        assert (first.status_code, second.status_code) == (201, 201)
        assert first.json() == second.json()
        assert first.headers["Location"] == second.headers["Location"] == f"/api/tickets/{first.json()['ticket_id']}"
        assert "Idempotency-Replayed" not in first.headers
        assert second.headers["Idempotency-Replayed"] == "true"
        assert len(app.records(first.json()["ticket_id"])) == 1

    def test_another_body_is_refused(self, app: WholeApp, connected: Connected) -> None:
        self.post(app, "another body", connected.ticket())
        answer = self.post(app, "another body", connected.ticket(priority="low"))
        refused(answer, 422, "idempotency_key_reused")

    def test_another_order_of_members_is_the_same_body(self, app: WholeApp, connected: Connected) -> None:
        body = connected.ticket()
        first = self.post(app, "order", body)
        second = self.post(app, "order", dict(reversed(body.items())))
        assert first.json() == second.json()

    def test_keys_of_different_people_never_meet(self, app: WholeApp, connected: Connected) -> None:
        first = self.post(app, "shared", connected.ticket())
        second = self.post(app, "shared", connected.ticket(), by="megan")
        assert first.json()["ticket_id"] != second.json()["ticket_id"]

    def test_without_a_key_nothing_is_guessed(self, app: WholeApp, connected: Connected) -> None:
        assert app.create(connected)["ticket_id"] != app.create(connected)["ticket_id"]

    @pytest.mark.parametrize("key", ["", "x" * 256, "tab\there"])
    def test_a_key_has_to_be_printable(self, app: WholeApp, connected: Connected, key: str) -> None:
        refused(self.post(app, key, connected.ticket()), 400, "invalid_idempotency_key")

    def test_a_request_refused_once_may_be_corrected_by_repeating_it(self, app: WholeApp) -> None:
        """Nothing was kept of the first, so the key is free for the same request."""
        connected = app.configured()
        refused(self.post(app, "too early", connected.ticket()), 409, "connection_not_authorized")
        app.authorize(connected)
        assert self.post(app, "too early", connected.ticket()).status_code == 201

    def test_two_hosts_make_one_ticket(
        self, app: WholeApp, connected: Connected, start_other: Callable[[], Any]
    ) -> None:
        app.control.set_fault("slow", method="POST", path="/api/now/table/incident", delay_s=0.5)
        with start_other() as other, ThreadPoolExecutor(6) as threads:
            sent = [
                threads.submit(
                    by.ask, "POST", "/api/tickets", connected.ticket(), headers={"Idempotency-Key": "two hosts"}
                )
                for by in (app.adele, other) * 3
            ]
            answers = [each.result() for each in sent]
        assert {answer.status_code for answer in answers} == {201}
        [ticket_id] = {answer.json()["ticket_id"] for answer in answers}
        assert len({answer.json()["servicenow"]["number"] for answer in answers}) == 1
        assert len(app.records(ticket_id)) == 1
        assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1


@pytest.fixture
def start_other(app: WholeApp) -> Callable[[], Any]:
    """Another instance of the app and Adele's browser there."""
    return lambda: app.visitor("Adele Vance", app.another_host())


class TestConnectionsThatDoNotWork:
    def test_without_any_consent_the_ticket_is_refused(self, app: WholeApp) -> None:
        connected = app.configured()
        answer = app.adele.ask("POST", "/api/tickets", connected.ticket())
        refused(answer, 409, "connection_not_authorized")
        assert app.adele.get(f"/api/tickets?connection={connected.connection_id}")["tickets"] == []

    def test_without_a_name_there_has_to_be_one_connection(self, app: WholeApp, connected: Connected) -> None:
        app.configured()
        body = connected.ticket()
        del body["connection_id"]
        problem = refused(app.adele.ask("POST", "/api/tickets", body), 409, "connection_ambiguous")
        assert connected.connection_id in problem["connection_ids"]
        answer = app.adele.ask("POST", "/api/tickets", {**body, "connection_id": "nobody"})
        refused(answer, 404, "connection_not_found")

    def test_while_consent_is_interrupted_tickets_wait_and_are_delivered_afterwards(self, app: WholeApp) -> None:
        connected = app.connected()
        app.control.revoke_tokens(user_name=connected.user_name)
        first = app.adele.ask("POST", "/api/tickets", connected.ticket(name="Found out by this one"))
        assert first.status_code == 202
        assert first.json()["delivery"]["error_code"] == "refresh_token_refused"
        shown = app.megan.get(connected.path)
        assert shown["status"] == "reauthorization_required"
        assert "no longer accepted" in shown["last_error"]["message"]
        assert shown["last_error"]["next_step"]
        app.control.clear_requests()
        second = app.adele.ask("POST", "/api/tickets", connected.ticket(name="Known already"))
        assert (second.status_code, second.json()["delivery"]["attempts"]) == (202, 0)
        assert app.control.requests() == []
        assert app.authorize(connected).status_code == 303
        app.run_timer()
        assert app.show(second.json())["delivery"]["status"] == "delivered"
        # The first has been tried, so it waits for its turn unless somebody asks.
        retried = app.adele.ask("POST", f"/api/tickets/{first.json()['ticket_id']}/retry")
        assert retried.status_code == 200
        for answer in (first, second):
            assert len(app.records(answer.json()["ticket_id"])) == 1

    def test_a_refusal_is_told_and_retried_after_the_fix(self, app: WholeApp) -> None:
        connected = app.connected()
        app.control.change_user(connected.user_name, roles=["snc_platform_rest_api_access"])
        problem = refused(app.adele.ask("POST", "/api/tickets", connected.ticket()), 502, "delivery_refused")
        kept = app.adele.get(f"/api/tickets/{problem['ticket_id']}")
        assert kept["delivery"]["status"] == "failed"
        assert kept["delivery"]["error_code"] == problem["reason"]
        assert kept["delivery"]["next_step"]
        app.control.change_user(connected.user_name, roles=["itil"])
        assert app.adele.ask("POST", problem["retry"]).status_code == 200
        assert len(app.records(problem["ticket_id"])) == 1
        refused(app.adele.ask("POST", problem["retry"]), 409, "already_delivered")
        assert [event["kind"] for event in app.show(kept)["timeline"]] == [
            "created",
            "delivery_failed",
            "retried",
            "delivered",
        ]
