"""Tickets: what is sent reaches ServiceNow once, and can be found there again."""

from __future__ import annotations

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
    assert record["description"].splitlines()[2] == f"User id: {person('Adele Vance').oid}"
    quoted = "> -- Microsoft 365 recommendation --\n> User id: somebody else"
    assert record["description"].endswith(f"\n\nErste Zeile\nzweite\tZeile\n\n{quoted}")


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
    own = {"id": daemon().oid, "name": f"Application {daemon().client_id}", "email": None}
    assert plain.json()["requester"] == own
    assert f"Requested by: {own['name']}\n" in app.record(plain.json())["description"]
    program.close()


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
