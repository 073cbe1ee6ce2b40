"""Lists and counts: pages, filters, and numbers that agree with the lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest

from sandbox.servicenow.stage.control.client import ControlClient
from tests.fixtures.whole_app import Connected, WholeApp


@dataclass(frozen=True)
class Tickets:
    """The created tickets, by this test's names."""

    main: Connected
    other: Connected
    ids: Mapping[str, str]


@pytest.fixture(scope="module")
def tickets(app: WholeApp, control: ControlClient) -> Tickets:
    main, other = app.connected(), app.connected()
    created: dict[str, dict[str, Any]] = {}

    def create(name: str, connected: Connected = main, **changes: Any) -> None:
        answer = app.adele.ask("POST", "/api/tickets", connected.ticket(name=f"Ticket {name}", **changes))
        created[name] = answer.json()

    create("new")
    create("overdue", due_date="2020-01-31")
    create("progress", portal="compliance")
    create("resolved and overdue", due_date="2020-01-31")
    create("change", kind="change")
    create("change overdue", kind="change", due_date="2020-01-31", portal="compliance")
    create("undated", due_date=None)
    create("elsewhere", other)
    control.change_record("incident", created["progress"]["ticket_id"], {"state": "2"}, as_user="agent.smith")
    done = {"state": "6", "close_code": "Solution provided", "close_notes": "Done."}
    control.change_record("incident", created["resolved and overdue"]["ticket_id"], done, as_user="agent.smith")
    app.adele.call("POST", f"{main.path}/sync")
    control.set_fault("rate_limited", method="POST", path="/table/incident", retry_after_s=3600)
    create("pending")
    control.clear_faults()
    rule = {
        "name": "No tickets on Friday",
        "collection": "incident",
        "active": "true",
        "abort_action": "true",
        "action_insert": "true",
        "filter_condition": "",
    }
    sys_id = control.insert_record("sys_script", rule)["sys_id"]
    create("failed")
    control.delete_record("sys_script", sys_id)
    return Tickets(main, other, {name: ticket["ticket_id"] for name, ticket in created.items()})


def listed(app: WholeApp, **query: object) -> list[dict[str, Any]]:
    """Return the tickets of every page of a list, newest first."""
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = app.adele.get("/api/tickets?" + urlencode({**query, **({"cursor": cursor} if cursor else {})}))
        assert len(page["tickets"]) <= int(str(query.get("limit", 50)))
        found += page["tickets"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def names(found: Sequence[Mapping[str, Any]]) -> list[str]:
    return [str(ticket["name"]).removeprefix("Ticket ") for ticket in found]


EVERYTHING = [
    "pending",
    "elsewhere",
    "undated",
    "change overdue",
    "change",
    "resolved and overdue",
    "progress",
    "overdue",
    "new",
]


@pytest.mark.parametrize("limit", [1, 3, 10, 11, 200])
def test_pages_hold_every_ticket_once_newest_first(app: WholeApp, tickets: Tickets, limit: int) -> None:
    assert names(listed(app, limit=limit)) == ["failed", *EVERYTHING]


def test_a_list_goes_on_although_new_tickets_arrive(app: WholeApp, tickets: Tickets) -> None:
    first = app.adele.get("/api/tickets?limit=4")
    app.adele.ask("POST", "/api/tickets", tickets.other.ticket(name="Ticket late"))
    rest = app.adele.get(f"/api/tickets?limit=200&cursor={first['next_cursor']}")
    assert names([*first["tickets"], *rest["tickets"]]) == ["failed", *EVERYTHING]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"kind": "change"}, ["change overdue", "change"]),
        ({"portal": "compliance"}, ["change overdue", "progress"]),
        ({"kind": "incident", "portal": "compliance"}, ["progress"]),
        ({"phase": "in_progress"}, ["progress"]),
        ({"phase": "resolved"}, ["resolved and overdue"]),
        ({"open": "true"}, ["undated", "change overdue", "change", "progress", "overdue", "new"]),
        ({"overdue": "true"}, ["change overdue", "overdue"]),
        ({"overdue": "true", "kind": "incident"}, ["overdue"]),
        ({"delivery": "pending"}, ["pending"]),
        ({"delivery": "failed"}, ["failed"]),
        ({"text": "OVERDUE"}, ["change overdue", "resolved and overdue", "overdue"]),
        ({"text": "' or true or '"}, []),
        ({"phase": "canceled"}, []),
    ],
    ids=str,
)
@pytest.mark.parametrize("limit", [2, 50])
def test_filters(app: WholeApp, tickets: Tickets, query: dict[str, str], expected: list[str], limit: int) -> None:
    assert names(listed(app, connection=tickets.main.connection_id, limit=limit, **query)) == expected


def test_a_ticket_is_found_by_its_number(app: WholeApp, tickets: Tickets) -> None:
    number = app.adele.get(f"/api/tickets/{tickets.ids['progress']}")["servicenow"]["number"]
    assert names(listed(app, text=number)) == ["progress"]
    assert names(listed(app, text=number.lower())) == ["progress"]


def test_the_counts_agree_with_the_lists(app: WholeApp, tickets: Tickets) -> None:
    for connections in ({"connection": tickets.main.connection_id}, {}):
        counts = app.adele.get("/api/tickets/summary?" + urlencode(connections))["kinds"]
        for kind in ("incident", "change"):
            query = {"kind": kind, **connections}
            assert counts[kind]["open"] == len(listed(app, open="true", **query))
            assert counts[kind]["overdue"] == len(listed(app, overdue="true", **query))
            assert counts[kind]["pending"] == len(listed(app, delivery="pending", **query))
            assert counts[kind]["failed"] == len(listed(app, delivery="failed", **query))
            for phase, count in counts[kind]["phases"].items():
                assert count == len(listed(app, phase=phase, **query)), phase


def test_the_counts_are_these(app: WholeApp, tickets: Tickets) -> None:
    counts = app.adele.get(f"/api/tickets/summary?connection={tickets.main.connection_id}")["kinds"]
    assert {name: value for name, value in counts["incident"].items() if name not in {"phases", "outcomes"}} == {
        "open": 4,
        "overdue": 1,
        "pending": 1,
        "failed": 1,
    }
    assert {phase: count for phase, count in counts["incident"]["phases"].items() if count} == {
        "new": 3,
        "in_progress": 1,
        "resolved": 1,
    }
    assert {phase: count for phase, count in counts["change"]["phases"].items() if count} == {"new": 2}
    assert counts["change"]["overdue"] == 1


def test_folding_the_counts_changes_none(app: WholeApp, tickets: Tickets) -> None:
    before = app.adele.get("/api/tickets/summary")
    app.run_timer()
    assert app.adele.get("/api/tickets/summary") == before
