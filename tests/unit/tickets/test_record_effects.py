from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.servicenow.states import phase_of
from shared.tickets.model import Delivery, EventKind, Phase, Record, Ticket, TimelineEvent
from shared.tickets.record_effects import (
    adopted,
    archived,
    deleted,
    delivered,
    doubled,
    is_outdated,
    own_first,
    with_record,
)
from shared.tickets.record_texts import record_texts
from shared.tickets.timeline import MAX_EVENTS, with_event
from tests.memory.clock import START
from tests.memory.servicenow import as_shown
from tests.unit.tickets.examples import delivered_ticket, new_ticket, record_for
from tests.unit.tickets.strategies import due_dates, records, states, words

FAR = MAX_EVENTS // 4
"""The timeline never overflows, however many steps there are."""


def shown(ticket: Ticket, **changes: Any) -> Record:
    assert ticket.record is not None
    return as_shown(replace(ticket.record, **changes))


@st.composite
def histories(draw: st.DrawFn) -> tuple[Ticket, list[Record]]:
    """A ticket, and states of its record in ServiceNow, some late or repeated."""
    ticket = delivered_ticket(START)
    made = [
        shown(
            ticket,
            state=draw(states),
            active=draw(st.booleans()),
            due_at=draw(due_dates),
            table=draw(st.sampled_from(["incident", "incident", "problem"])),
            mod_count=number,
            assigned_to=draw(st.none() | words),
        )
        for number in range(draw(st.integers(1, 8)))
    ]
    return ticket, draw(st.lists(st.sampled_from(made), max_size=FAR))


def events_after(before: Ticket, after: Ticket) -> list[TimelineEvent]:
    assert after.timeline[: len(before.timeline)] == before.timeline
    return list(after.timeline[len(before.timeline) :])


@given(histories())
def test_the_count_never_falls_and_the_newest_state_stays(history: tuple[Ticket, list[Record]]) -> None:
    ticket, seen = history
    record_of_first = shown(ticket)
    for record in seen:
        if is_outdated(ticket, record):
            continue
        after = with_record(ticket, record, START)
        assert after.record is not None
        assert ticket.record is not None
        assert after.record.mod_count == max(ticket.record.mod_count, record.mod_count)
        assert after.phase is phase_of(after.record.table, after.record.state, active=after.record.active)
        ticket = after
    newest_first = sorted([*reversed(seen), record_of_first], key=lambda record: -record.mod_count)
    assert ticket.record == newest_first[0]


@given(histories())
def test_each_event_shows_a_difference_and_each_difference_is_reported(history: tuple[Ticket, list[Record]]) -> None:
    ticket, seen = history
    for number, record in enumerate(seen):
        now = START + timedelta(seconds=number)
        after = with_record(ticket, record, now)
        assert ticket.record is not None
        assert after.record is not None
        expected = set()
        if (after.record.state, after.phase) != (ticket.record.state, ticket.phase):
            expected.add(EventKind.STATE_CHANGED)
        if after.record.due_at != ticket.record.due_at:
            expected.add(EventKind.DUE_DATE_CHANGED)
        if after.record.table != ticket.record.table:
            expected.add(EventKind.MOVED)
        told = events_after(ticket, after)
        assert {event.kind for event in told} == expected
        assert len(told) == len(expected)
        assert all(event.at == now for event in told)
        if EventKind.STATE_CHANGED in expected:
            change = next(event for event in told if event.kind is EventKind.STATE_CHANGED)
            assert change.details["from"] == ticket.record.state
            assert change.details["to"] == after.record.state
            assert change.details["phase"] == after.phase
        ticket = after


def test_a_hidden_class_is_no_other_class() -> None:
    ticket = delivered_ticket(START)
    assert ticket.record is not None
    assert with_record(ticket, shown(ticket, table="task"), START) is ticket
    after = with_record(ticket, shown(ticket, table="task", state="6", mod_count=9), START)
    assert after.phase is Phase.RESOLVED
    assert [event.kind for event in events_after(ticket, after)] == [EventKind.STATE_CHANGED]


@given(histories())
def test_seeing_the_same_again_changes_nothing(history: tuple[Ticket, list[Record]]) -> None:
    ticket, seen = history
    for record in seen:
        ticket = with_record(ticket, record, START)
        assert ticket.record is not None
        assert with_record(ticket, ticket.record, START + timedelta(days=1)) is ticket


@given(records)
def test_a_foreign_record_changes_nothing(record: Record) -> None:
    ticket = delivered_ticket(START)
    assert with_record(ticket, replace(record, sys_id="0" * 32), START) is ticket


@given(records)
def test_a_record_that_turns_up_delivers_its_ticket(record: Record) -> None:
    waiting = new_ticket(START)
    found = with_record(waiting, record, START)
    assert found.delivery.status is Delivery.DELIVERED
    assert found.record == replace(record, correlation_id=waiting.correlation_id)
    assert found.is_unlinked is (record.correlation_id != waiting.correlation_id)
    delivery, *others = events_after(waiting, found)
    assert (delivery.kind, delivery.details["found"]) == (EventKind.DELIVERED, "true")
    due_date = [EventKind.DUE_DATE_CHANGED] * (record.due_at is not None)
    assert [event.kind for event in others] == due_date + [EventKind.UNLINKED] * found.is_unlinked
    assert found == delivered(waiting, record, START, found=True)


def test_texts_that_were_not_kept_whole_are_reported_once_without_the_texts() -> None:
    ticket = new_ticket(START, name="Require MFA 😀 now")
    sent = record_texts(ticket.content)
    cut = record_for(ticket, texts={**sent, "short_description": "Require MFA"})
    after = delivered(ticket, cut, START)
    told = [event for event in after.timeline if event.kind is EventKind.SHORTENED]
    assert [event.details for event in told] == [{"short_description": "6"}]
    assert after.record is not None
    assert after.record.texts is None
    assert with_record(after, replace(cut, mod_count=1), START).timeline == after.timeline


@pytest.mark.parametrize("is_shown", [True, False])
def test_what_is_kept_whole_or_not_shown_is_not_reported(is_shown: bool) -> None:
    ticket = new_ticket(START)
    kept = {field: text.replace("\n", "\r\n") for field, text in record_texts(ticket.content).items()}
    after = delivered(ticket, record_for(ticket, texts=kept if is_shown else None), START)
    assert [event.kind for event in after.timeline] == [EventKind.CREATED, EventKind.DELIVERED]


def test_a_due_date_that_servicenow_does_not_keep_is_reported() -> None:
    wanted = START + timedelta(days=3)
    ticket = new_ticket(START, due_at=wanted)
    kept, moved = (delivered(ticket, record_for(ticket, due_at=at), START) for at in (wanted, None))
    assert kept.timeline[-1].kind is EventKind.DELIVERED
    assert moved.timeline[-1].kind is EventKind.DUE_DATE_CHANGED


def test_an_inactive_record_is_closed_whatever_its_number_says() -> None:
    ticket = delivered_ticket(START)
    closed = with_record(ticket, shown(ticket, active=False, mod_count=1), START)
    assert closed.phase is Phase.CLOSED
    assert closed.timeline[-1].kind is EventKind.STATE_CHANGED


EARLIER, KNOWN, LATER = "2026-03-02 09:30:14", "2026-03-02 09:30:15", "2026-03-02 09:30:16"


@pytest.mark.parametrize(
    ("mod_count", "updated_at_text", "expected"),
    [
        (6, EARLIER, True),
        (6, KNOWN, True),
        (6, LATER, False),  # restored from a backup, then changed
        (7, KNOWN, False),
        (8, EARLIER, False),
        (8, LATER, False),
    ],
)
def test_which_state_is_older(mod_count: int, updated_at_text: str, expected: bool) -> None:
    ticket = delivered_ticket(START, record={"mod_count": 7, "updated_at_text": KNOWN})
    record = shown(ticket, mod_count=mod_count, updated_at_text=updated_at_text)
    assert is_outdated(ticket, record) is expected
    assert not is_outdated(deleted(ticket, START), record)
    assert not is_outdated(ticket, replace(record, sys_id="f" * 32))


@pytest.mark.parametrize("state", ["6", "7", "8"])
def test_an_archived_record_leaves_its_closed_ticket_as_it_is(state: str) -> None:
    ticket = delivered_ticket(START)
    closed = with_record(ticket, shown(ticket, state=state, mod_count=1), START)
    gone = archived(closed, START)
    assert (gone.phase, gone.record) == (closed.phase, closed.record)
    assert [event.kind for event in events_after(closed, gone)] == [EventKind.ARCHIVED]
    assert archived(gone, START) is gone


def test_a_copy_takes_the_place_of_a_record_that_is_gone() -> None:
    ticket = delivered_ticket(START)
    copy = record_for(ticket, sys_id="f" * 32, number="INC0000002", state="2")
    after = adopted(ticket, copy, START)
    assert (after.record, after.phase) == (copy, Phase.IN_PROGRESS)
    assert [event.kind for event in events_after(ticket, after)] == [EventKind.ADOPTED, EventKind.STATE_CHANGED]
    gone = deleted(ticket, START)
    assert [event.kind for event in events_after(gone, adopted(gone, copy, START))] == [
        EventKind.ADOPTED,
        EventKind.FOUND_AGAIN,
    ]


def test_the_record_with_the_proposed_sys_id_comes_first() -> None:
    ticket = new_ticket(START)
    copy, own = record_for(ticket, sys_id="0" * 32), record_for(ticket)
    assert own_first(ticket, [copy, own]) == [own, copy]


def test_deleted_and_found_again() -> None:
    ticket = delivered_ticket(START)
    gone = deleted(ticket, START)
    assert gone.phase is Phase.DELETED
    assert not gone.is_open
    assert deleted(gone, START) is gone
    # Restored from a backup: its count may be smaller than the known one.
    back = with_record(replace(gone, record=shown(gone, mod_count=7)), shown(gone, mod_count=3), START)
    assert back.phase is Phase.NEW
    assert [event.kind for event in events_after(ticket, back)] == [EventKind.DELETED, EventKind.FOUND_AGAIN]


def test_a_double_is_reported_once() -> None:
    ticket = delivered_ticket(START)
    other = record_for(ticket, sys_id="f" * 32, number="INC0000002")
    told = doubled(ticket, other, START)
    assert doubled(told, other, START + timedelta(days=1)) is told
    third = record_for(ticket, sys_id="e" * 32, number="INC0000003")
    assert len(events_after(ticket, doubled(told, third, START))) == 2


@given(st.integers(1, 3 * MAX_EVENTS))
def test_the_timeline_keeps_its_beginning_and_what_is_new(count: int) -> None:
    ticket = new_ticket(START)
    for number in range(count):
        ticket = with_event(ticket, EventKind.RETRIED, START, number=str(number), nothing=None)
    assert len(ticket.timeline) == min(count + 1, MAX_EVENTS)
    assert ticket.timeline[0].kind is EventKind.CREATED
    assert [event.details["number"] for event in ticket.timeline[1:]] == [
        str(number) for number in range(count - len(ticket.timeline) + 1, count)
    ]
