"""A ticket survives its row."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.storage.ticket_rows import (
    CHANGING_COLUMNS,
    CHUNK_BYTES,
    TIMELINE_MAX_LENGTH,
    summary_change_of,
    summary_change_row,
    summary_of,
    summary_row,
    ticket_of,
    ticket_row,
)
from shared.tickets.identity import new_ticket_id
from shared.tickets.model import EventKind, Ticket, TimelineEvent
from shared.tickets.summary import Summary, SummaryChange
from shared.tickets.timeline import MAX_DETAIL_LENGTH, MAX_EVENTS, reaches_back_to, with_event
from tests.memory.clock import START
from tests.unit.tickets.examples import delivered_ticket, new_ticket
from tests.unit.tickets.strategies import texts, tickets

PROPERTY_UTF16_UNITS = 32_768
"""Table Storage's limit for a text property."""


def utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


@given(tickets())
def test_round_trip(ticket: Ticket) -> None:
    row = ticket_row(ticket)
    assert ticket_of(row, "etag") == ticket
    assert ticket_of(row, "etag").etag == "etag"
    assert None not in row.values()
    assert {type(value) for value in row.values()} <= {str, int, bool, datetime}
    assert (row["PartitionKey"], row["RowKey"]) == (ticket.connection_id, ticket.ticket_id)


@given(tickets().filter(lambda ticket: ticket.record is not None))
def test_columns_that_can_change_hold_all_that_can_change(ticket: Ticket) -> None:
    ticket = ticket_of(ticket_row(replace(ticket, ticket_id=new_ticket_id(START, ticket.connection_id))), None)
    row = {name: value for name, value in ticket_row(ticket).items() if name in CHANGING_COLUMNS}
    part = ticket_of(row, "etag", is_whole=False)
    assert part.made_whole(ticket) == ticket
    assert (part.is_whole, part.etag, part.kept) == (False, "etag", {})
    assert (part.content.kind, part.delivery.status) == (ticket.content.kind, ticket.delivery.status)
    assert {name: value for name, value in ticket_row(part).items() if name in CHANGING_COLUMNS} == row


@given(tickets())
def test_columns_that_are_searched_for_say_what_the_ticket_says(ticket: Ticket) -> None:
    row = ticket_row(ticket)
    assert row["open"] is ticket.is_open
    assert row.get("due_at") == ticket.due_at
    assert row.get("phase") == ticket.phase
    assert row["delivery"] == ticket.delivery.status


@given(
    st.lists(
        st.tuples(st.sampled_from(EventKind), texts | st.sampled_from(["x", "あ😀"]).map(lambda text: text * 1_000)),
        max_size=150,
    )
)
def test_timeline_always_fits_and_keeps_its_ends(happened: list[tuple[EventKind, str]]) -> None:
    ticket = new_ticket(START)
    for number, (kind, text) in enumerate(happened):
        ticket = with_event(ticket, kind, START + timedelta(seconds=number), message=text)
    assert len(ticket.timeline) <= MAX_EVENTS
    row = ticket_row(ticket)
    assert utf16_units(row["timeline"]) <= PROPERTY_UTF16_UNITS
    restored = ticket_of(row, None).timeline
    assert restored[0] == ticket.timeline[0]
    assert restored[-1] == ticket.timeline[-1]
    assert restored[1:] == ticket.timeline[len(ticket.timeline) - len(restored) + 1 :]


def test_a_stored_timeline_that_has_lost_an_event_does_not_reach_back_to_it() -> None:
    """It is cut by its length, too: of long events there are few, of short ones many."""
    for length in (30, MAX_DETAIL_LENGTH):
        ticket = with_event(delivered_ticket(START), EventKind.UPDATE_ASKED, START, update_id="before")
        ticket = with_event(ticket, EventKind.UPDATE_ASKED, START + timedelta(hours=1), update_id="asked")
        for number in range(MAX_EVENTS):
            at = START + timedelta(hours=2 + number)
            ticket = with_event(ticket, EventKind.UPDATE_REFUSED, at, code="access_refused", one="x" * length)
            ticket = ticket_of(ticket_row(ticket), None)
            is_kept = any(event.details.get("update_id") == "asked" for event in ticket.timeline)
            assert is_kept or not reaches_back_to(ticket, START + timedelta(hours=1))
        assert not is_kept
        assert reaches_back_to(ticket, at)


def test_the_longest_timeline() -> None:
    ticket = new_ticket(START)
    for number in range(2 * MAX_EVENTS):
        ticket = with_event(ticket, EventKind.DELIVERY_FAILED, START, message="😀" * 5_000, code=str(number))
    restored = ticket_of(ticket_row(ticket), None).timeline
    assert restored[0].kind is EventKind.CREATED
    assert restored[-1].details["code"] == str(2 * MAX_EVENTS - 1)
    assert restored[-1].details["message"] == "😀" * (MAX_DETAIL_LENGTH - 1) + "…"
    assert len(restored) >= 10


due_counts = st.dictionaries(
    st.tuples(st.sampled_from(["incident", "change"]), st.datetimes().map(lambda at: at.isoformat()[:16])),
    st.integers(-5, 5),
    max_size=20,
)
cell_counts = st.dictionaries(st.tuples(st.sampled_from(["incident", "change"]), texts), st.integers(), max_size=8)


@given(cell_counts, due_counts, texts)
def test_summary_round_trip(
    cells: dict[tuple[str, str], int], due: dict[tuple[str, str], int], folded_until: str
) -> None:
    summary = Summary(cells, due, folded_until)
    assert summary_of(summary_row("contoso", summary)) == summary
    change = SummaryChange(cells, due)
    assert summary_change_of(summary_change_row("contoso", "1", change)) == change


def test_summary_of_very_many_due_dates_is_spread_over_properties() -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    due = {("incident", (begin + timedelta(minutes=n * n)).isoformat()[:16]): n for n in range(1, 40_000)}
    row = summary_row("contoso", Summary(due=due))
    chunks = [value for value in row.values() if isinstance(value, bytes)]
    assert len(chunks) > 1
    assert all(len(chunk) <= CHUNK_BYTES for chunk in chunks)
    assert summary_of(row).due == due


def test_events_read_as_they_were_written() -> None:
    ticket = replace(
        delivered_ticket(START),
        timeline=(TimelineEvent(EventKind.DOUBLED, START, {"number": "INC\n1", "sys_id": "“ü”"}),),
    )
    assert json.loads(ticket_row(ticket)["timeline"])[0][0] == "doubled"
    assert ticket_of(ticket_row(ticket), None) == ticket
    assert ticket.timeline[0].at.microsecond == ticket_of(ticket_row(ticket), None).timeline[0].at.microsecond
    assert utf16_units("x" * TIMELINE_MAX_LENGTH) < PROPERTY_UTF16_UNITS
