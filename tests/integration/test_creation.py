"""Tickets reach ServiceNow once, however often they are sent, and can be found there."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sandbox.servicenow.stage.seed.people import group_sys_id, user_sys_id
from sandbox.world import ROOT, sample_settings
from tests.fixtures.whole_app import Connected, WholeApp, person, refused

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
    assert description[-1] == "Nine accounts still sign in by protocols that know no second factor."
    assert description[:-2] == [
        "-- Microsoft 365 recommendation --",
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


def test_the_call_that_the_readme_shows_makes_one_ticket(app: WholeApp, connected: Connected) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (call,) = re.findall(r"^```sh\ncurl (.+?)^```", readme, re.MULTILINE | re.DOTALL)
    url, *options = shlex.split(call.replace("\\\n", ""))
    sent = list(zip(options[::2], options[1::2], strict=True))
    headers = dict(value.split(": ", 1) for option, value in sent if option == "-H")
    (body,) = (json.loads(value) for option, value in sent if option == "-d")
    token = headers.pop("Authorization").removeprefix("Bearer ")
    assert url == f"{sample_settings()['PUBLIC_BASE_URL']}/api/tickets"
    program = app.program(token)
    try:
        # The app of `make run` has one connection, so its call names none; this app has more.
        answers = [
            program.ask("POST", "/api/tickets", {**body, "connection_id": connected.connection_id}, headers=headers)
            for _ in range(2)
        ]
    finally:
        program.close()
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert app.record(answers[0].json())["short_description"] == body["name"]
    assert answers[0].json()["servicenow"].keys() >= {"number", "link"}


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


def test_a_description_that_is_too_long_is_refused_by_how_much(app: WholeApp, connected: Connected) -> None:
    answer = app.adele.ask("POST", "/api/tickets", connected.ticket(description="x" * 4000))
    too_long_by = refused(answer, 422, "description_too_long")["too_long_by"]
    record = app.record(app.create(connected, description="x" * (4000 - too_long_by)))
    assert len(record["description"]) == 4000


def test_what_may_be_a_mistake_is_accepted_and_said(app: WholeApp, connected: Connected) -> None:
    said_before = app.create(connected, name="Said once", recommendation={"source": "user", "category": "data"})
    said = app.create(
        connected, name="SAID  once", recommendation={"source": "user", "category": "data"}, due_date="2020-01-01"
    )
    assert said_before["warnings"] == []
    past, doubled = said["warnings"]
    assert (past["code"], past["ticket_ids"]) == ("due_date_past", [])
    assert (doubled["code"], doubled["ticket_ids"]) == ("recommendation_has_open_ticket", [said_before["ticket_id"]])
    assert "warnings" not in app.show(said)


@pytest.fixture
def start_other(app: WholeApp) -> Callable[[], Any]:
    """Another instance of the app, and Adele's browser there."""
    return lambda: app.visitor("Adele Vance", app.another_host())


def post(app: WholeApp, key: str, body: dict[str, Any], *, by: str = "adele") -> Any:
    return getattr(app, by).ask("POST", "/api/tickets", body, headers={"Idempotency-Key": key})


def test_the_same_request_has_the_same_answer(app: WholeApp, connected: Connected) -> None:
    first, second = (post(app, "the same", connected.ticket()) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert first.headers["Location"] == second.headers["Location"] == f"/api/tickets/{first.json()['ticket_id']}"
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert len(app.records(first.json()["ticket_id"])) == 1


def test_another_body_is_refused(app: WholeApp, connected: Connected) -> None:
    post(app, "another body", connected.ticket())
    answer = post(app, "another body", connected.ticket(priority="low"))
    refused(answer, 422, "idempotency_key_reused")


def test_another_order_of_members_is_the_same_body(app: WholeApp, connected: Connected) -> None:
    body = connected.ticket()
    first = post(app, "order", body)
    second = post(app, "order", dict(reversed(body.items())))
    assert first.json() == second.json()


def test_without_a_key_nothing_is_guessed(app: WholeApp, connected: Connected) -> None:
    assert app.create(connected)["ticket_id"] != app.create(connected)["ticket_id"]


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there"])
def test_a_key_has_to_be_printable(app: WholeApp, connected: Connected, key: str) -> None:
    refused(post(app, key, connected.ticket()), 400, "invalid_idempotency_key")


def test_a_request_refused_once_may_be_corrected_by_repeating_it(app: WholeApp) -> None:
    """Nothing of the first request was kept, so its key is free for the same request."""
    connected = app.configured()
    refused(post(app, "too early", connected.ticket()), 409, "connection_not_authorized")
    app.authorize(connected)
    assert post(app, "too early", connected.ticket()).status_code == 201


def test_two_hosts_make_one_ticket(app: WholeApp, connected: Connected, start_other: Callable[[], Any]) -> None:
    app.control.set_fault("slow", method="POST", path="/api/now/table/incident", delay_s=0.5)
    with start_other() as other, ThreadPoolExecutor(6) as threads:
        sent = [
            threads.submit(by.ask, "POST", "/api/tickets", connected.ticket(), headers={"Idempotency-Key": "two hosts"})
            for by in (app.adele, other) * 3
        ]
        answers = [each.result() for each in sent]
    assert {answer.status_code for answer in answers} == {201}
    [ticket_id] = {answer.json()["ticket_id"] for answer in answers}
    assert len({answer.json()["servicenow"]["number"] for answer in answers}) == 1
    assert len(app.records(ticket_id)) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1
