"""Sending updates: each fault, a kill at each step, the order of one ticket's updates, and each kind of update."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from shared.connections.model import TicketKind
from shared.errors import FixRequest, GraphThrottled
from shared.tickets.attempts import LEASE_S, LEFT_PATIENCE_S, RIGHTS_PATIENCE_S
from shared.tickets.model import EventKind, Phase
from shared.tickets.updates.model import UpdateKind, UpdateStatus
from shared.tickets.updates.send import AT_ONCE_S
from tests.memory.servicenow import ReadFault, WriteFault
from tests.memory.ticket_store import WriteFault as StoreFault
from tests.unit.tickets.examples import CONNECTION_ID
from tests.unit.tickets.updates.surroundings import Desk

SENT = [EventKind.UPDATE_ASKED, EventKind.UPDATE_SENT]
UNCERTAIN = [EventKind.UPDATE_ASKED, EventKind.UPDATE_UNCERTAIN]
REFUSED = [EventKind.UPDATE_ASKED, EventKind.UPDATE_REFUSED]


@contextmanager
def a_desk(*, marker: str = "works", notes: str = "work", **asked: Any) -> Iterator[Desk]:
    desk = Desk(**asked)
    desk.records.marker_writable = marker != "not writable"
    desk.records.marker_readable = marker != "not readable"
    desk.records.notes_writable = notes != "not writable"
    desk.records.notes_readable = notes != "not readable"
    try:
        yield desk
    finally:
        desk.stage.close()


WRITE_FAULTS = [None, WriteFault.ANSWER_LOST, WriteFault.LOST_ON_THE_WAY, WriteFault.COMMITTED_LATE]


@pytest.mark.parametrize("marker", ["works", "not writable", "not readable"])
@pytest.mark.parametrize("second", [None, WriteFault.LOST_ON_THE_WAY, WriteFault.COMMITTED_LATE])
@pytest.mark.parametrize("first", WRITE_FAULTS)
def test_killed_at_each_step(first: WriteFault | None, second: WriteFault | None, marker: str) -> None:
    """The first run is killed at some step; so is the run after it, which may look, try a marker, and send again."""
    for steps in count():
        with a_desk(marker=marker) as desk:
            update = desk.ask(text="Verified.")
            desk.servicenow.write_faults += [fault for fault in (first, second) if fault is not None]
            if first is not None:
                desk.run()
                desk.clock.advance(66)
            actor = desk.start()
            desk.stage.go_on(actor.number, steps)
            over = actor.task.done()
            desk.stage.kill(actor)
            desk.servicenow.write_faults.clear()
            desk.clock.advance(LEASE_S)
            desk.run_until_done()
            assert not desk.updates
            end = desk.events(update)
            entries = desk.records.entries(update)
            assert (end, entries) == (SENT, 1) or (end == UNCERTAIN and entries <= 1 and marker != "works")
        if over:
            break
    assert steps > 5


@pytest.mark.parametrize("fault", WriteFault)
def test_each_fault_of_the_write(fault: WriteFault) -> None:
    with a_desk() as desk:
        update = desk.ask(text="Verified.")
        desk.servicenow.write_faults.append(fault)
        desk.run()
        if fault is not WriteFault.VALUES_REFUSED:
            desk.run_until_done()
            assert (desk.events(update), desk.records.entries(update)) == (SENT, 1)
        else:
            assert (desk.events(update), desk.records.entries(update)) == (REFUSED, 0)
            assert [(each.status, each.failure and each.failure.code) for each in desk.updates] == [
                (UpdateStatus.REFUSED, "data_policy_refused")
            ]


@pytest.mark.parametrize("fault", ReadFault)
def test_each_fault_of_the_look(fault: ReadFault) -> None:
    with a_desk() as desk:
        update = desk.ask(text="Verified.")
        desk.servicenow.write_faults.append(WriteFault.ANSWER_LOST)
        desk.run()
        desk.clock.advance(66)
        desk.servicenow.read_faults.append(fault)
        desk.run()
        desk.run_until_done()
        assert (desk.events(update), desk.records.entries(update)) == (SENT, 1)


@pytest.mark.parametrize("fault", StoreFault)
@pytest.mark.parametrize("before", range(4))
def test_each_fault_of_storage(fault: StoreFault, before: int) -> None:
    with a_desk() as desk:
        update = desk.ask(text="Verified.")
        actor = desk.start()
        while not actor.task.done() and len([each for each in desk.updates if each.leased_until_at]) < (before > 0):
            desk.stage.go_on(actor.number, 1)
        desk.stage.go_on(actor.number, before * 2)
        desk.store.faults.append(fault)
        desk.stage.go_on(actor.number, 100)
        desk.store.faults.clear()
        desk.clock.advance(LEASE_S)
        desk.run_until_done()
        assert (desk.events(update), desk.records.entries(update)) == (SENT, 1)


@pytest.mark.parametrize("notes", ["not writable", "not readable"])
def test_what_the_journal_shows(notes: str) -> None:
    with a_desk(notes=notes) as desk:
        update = desk.ask(text="Verified.")
        desk.run()
        if notes == "not writable":
            assert desk.events(update) == REFUSED
            assert [each.failure and each.failure.code for each in desk.updates] == ["note_not_kept"]
            desk.run()
            assert desk.records.requests["change"] == 1, "it is not sent again until somebody asks"
        else:
            assert desk.events(update) == SENT
            assert desk.ticket.timeline[-1].details["not_read_back"] == "true"


def test_rights_that_are_missing_for_long_refuse_a_note_and_leave_one_in_doubt_uncertain() -> None:
    with a_desk() as desk:
        update = desk.ask(text="Verified.")
        desk.servicenow.write_faults += [WriteFault.ACCESS_REFUSED] * 20
        began = desk.clock()
        desk.run_until_done()
        assert desk.clock() - began == timedelta(seconds=RIGHTS_PATIENCE_S)
        assert desk.events(update) == REFUSED
    with a_desk() as desk:
        update = desk.ask(text="Verified.")
        desk.servicenow.write_faults.append(WriteFault.LOST_ON_THE_WAY)
        desk.servicenow.read_faults += [ReadFault.ACCESS_REFUSED] * 20
        desk.run()
        desk.servicenow.read_faults = type(desk.servicenow.read_faults)([ReadFault.ACCESS_REFUSED] * 20)
        desk.run_until_done()
        assert desk.events(update) == UNCERTAIN


# The order


def test_an_older_note_waits_while_another_one_is_in_doubt() -> None:
    with a_desk() as desk:
        doubtful = desk.ask(text="Doubtful.")
        desk.servicenow.write_faults.append(WriteFault.ANSWER_LOST)
        desk.run()
        older = desk.ask(text="Older.", behind_s=40)
        assert older.update_id < doubtful.update_id
        desk.run()
        assert desk.records.entries(older) == 0
        desk.run_until_done()
        assert [desk.records.entries(each) for each in (doubtful, older)] == [1, 1]
        assert desk.events(doubtful) == desk.events(older) == SENT


@pytest.mark.parametrize("answered", [True, False])
def test_two_notes_of_a_ticket_are_never_under_way_at_once(answered: bool) -> None:
    """Two hosts begin at the same time, whatever the order of their steps; the answer to one of them is lost."""
    for ahead in range(12):
        with a_desk() as desk:
            newer = desk.ask(text="Newer.")
            one = desk.start()
            desk.stage.go_on(one.number, ahead)
            older = desk.ask(text="Older.", behind_s=40)
            if not answered:
                desk.servicenow.write_faults.append(WriteFault.ANSWER_LOST)
            other = desk.start()
            for _ in range(30):
                desk.stage.go_on(other.number, 1)
                desk.stage.go_on(one.number, 1)
            desk.run_until_done()
            assert [desk.records.entries(each) for each in (newer, older)] == [1, 1]


def test_a_refused_one_does_not_hold_up_the_others_and_one_that_waits_does() -> None:
    with a_desk() as desk:
        first, second = desk.ask(text="One."), desk.ask(text="Two.")
        desk.servicenow.write_faults.append(WriteFault.VALUES_REFUSED)
        desk.run()
        assert (desk.events(first), desk.events(second)) == (REFUSED, SENT)
    with a_desk() as desk:
        first, second = desk.ask(text="One."), desk.ask(text="Two.")
        desk.servicenow.write_faults.append(WriteFault.ACCESS_REFUSED)
        desk.run()
        assert desk.records.entries(second) == 0
        desk.run_until_done()
        assert [each.text for each in desk.records.journals[desk.ticket_id]] == ["One.", "Two."]


def test_a_failing_connection_ends_the_run() -> None:
    with a_desk() as desk:
        desk.ask(text="One.")
        other = desk.ask(text="Two.")
        desk.servicenow.write_faults.append(WriteFault.THROTTLED)
        counts = desk.run()
        assert (counts.postponed, counts.sent) == (1, 0)
        assert [each.code for each in desk.health.failures] == ["servicenow_throttled"]
        assert desk.events(other) == [EventKind.UPDATE_ASKED]


# What is carried out


def test_our_own_note_is_no_news_to_the_synchronisation() -> None:
    with a_desk() as desk:
        desk.synchronise()
        update = desk.ask(text="Verified.")
        desk.run()
        before = desk.ticket
        assert before.record == desk.servicenow.record(desk.ticket_id)
        assert [desk.synchronise(), desk.synchronise()] == [0, 0]
        assert desk.ticket == before
        assert desk.events(update) == SENT


@pytest.mark.parametrize(
    ("kind", "before", "after", "phase"),
    [
        (UpdateKind.RESOLVE, "1", "6", Phase.RESOLVED),
        (UpdateKind.CANCEL, "2", "8", Phase.CANCELED),
        (UpdateKind.REOPEN, "6", "2", Phase.IN_PROGRESS),
        (UpdateKind.REOPEN, "3", "3", Phase.ON_HOLD),
        (UpdateKind.RESOLVE, "7", "7", Phase.CLOSED),
    ],
)
@pytest.mark.parametrize("fault", WRITE_FAULTS)
def test_changes_of_state(kind: UpdateKind, before: str, after: str, phase: Phase, fault: WriteFault | None) -> None:
    with a_desk() as desk:
        desk.servicenow.change(desk.ticket_id, state=before)
        update = desk.ask(kind)
        desk.servicenow.write_faults += [] if fault is None else [fault]
        desk.run()
        desk.run_until_done()
        assert desk.events(update) == SENT
        assert (desk.state, desk.ticket.phase) == (after, phase)


@pytest.mark.parametrize("fault", WRITE_FAULTS)
def test_a_due_date(fault: WriteFault | None) -> None:
    with a_desk() as desk:
        wanted = desk.clock().replace(microsecond=0) + timedelta(days=9)
        update = desk.ask(UpdateKind.DUE_DATE, due_at=wanted)
        desk.servicenow.write_faults += [] if fault is None else [fault]
        desk.run()
        desk.run_until_done()
        assert desk.events(update) == SENT
        assert desk.ticket.due_at == wanted


def test_what_can_no_longer_be_canceled_is_refused() -> None:
    with a_desk() as desk:
        desk.servicenow.change(desk.ticket_id, state="7", active=False)
        update = desk.ask(UpdateKind.CANCEL)
        desk.run()
        assert desk.events(update) == REFUSED
        assert desk.updates[0].failure is not None
        assert desk.updates[0].failure.code == "record_already_closed"


@pytest.mark.parametrize("closed", ["closed", "change", "gone"])
def test_where_nothing_can_be_reopened_a_follow_up_takes_its_place(closed: str) -> None:
    kind = TicketKind.CHANGE if closed == "change" else TicketKind.INCIDENT
    with a_desk(kind=kind) as desk:
        match closed:
            case "closed":
                desk.servicenow.change(desk.ticket_id, state="7", active=False)
            case "gone":
                desk.servicenow.delete(desk.ticket_id)
        update = desk.ask(UpdateKind.REOPEN)
        desk.run()
        desk.run_until_done()
        assert desk.events(update) == [*REFUSED, EventKind.FOLLOWED_UP]
        assert list(desk.follow_ups.made) == [update.update_id]
        assert desk.ticket.timeline[-1].details["follow_up_id"] == update.update_id
        assert not desk.updates


def test_a_follow_up_is_made_once_whenever_its_maker_is_killed() -> None:
    for steps in count():
        with a_desk() as desk:
            update = desk.ask(UpdateKind.FOLLOW_UP)
            actor = desk.start()
            desk.stage.go_on(actor.number, steps)
            over = actor.task.done()
            desk.stage.kill(actor)
            desk.clock.advance(LEASE_S)
            desk.run_until_done()
            assert list(desk.follow_ups.made) == [update.update_id]
            assert desk.events(update) == [EventKind.UPDATE_ASKED, EventKind.FOLLOWED_UP]
        if over:
            return


def test_a_follow_up_that_fails() -> None:
    with a_desk() as desk:
        update = desk.ask(UpdateKind.FOLLOW_UP)
        desk.follow_ups.errors += [FixRequest("kind_not_enabled"), GraphThrottled()]
        desk.run()
        assert desk.events(update) == [EventKind.UPDATE_ASKED]
        assert not desk.health.failures, "it says nothing about ServiceNow"
        desk.run_until_done()
        assert desk.events(update) == REFUSED
    with a_desk() as desk:
        update = desk.ask(UpdateKind.FOLLOW_UP)
        desk.follow_ups.open_elsewhere = True
        desk.run()
        assert desk.events(update) == [EventKind.UPDATE_ASKED, EventKind.FOLLOWED_UP]
        assert "follow_up_id" not in desk.ticket.timeline[-1].details
        assert desk.ticket.timeline[-1].details["open_id"] == "e" * 32


# Time


def test_updates_of_an_instance_that_the_connection_has_left() -> None:
    with a_desk() as desk:
        update = desk.ask(text="Verified.")
        desk.connection = replace(desk.connection, instance="https://other.service-now.com", consented_at=desk.clock())
        desk.run()
        assert desk.events(update) == [EventKind.UPDATE_ASKED]
        desk.clock.advance(LEFT_PATIENCE_S)
        desk.run()
        assert desk.events(update) == REFUSED
        assert desk.records.requests.total() == 0


def test_a_lease_and_a_wait_from_a_wrong_clock_hold_nothing_up() -> None:
    with a_desk() as desk:
        update = desk.ask(text="Verified.")
        stored = desk.updates[0]
        wrong = desk.clock() + timedelta(days=400)
        key = (update.ticket_id, update.update_id)
        desk.store.updates[CONNECTION_ID][key] = replace(
            stored, leased_until_at=wrong, next_attempt_at=wrong, attempt_started_at=wrong
        )
        began = desk.clock()
        desk.run_until_done()
        assert desk.events(update) == SENT
        assert desk.clock() - began <= timedelta(seconds=LEASE_S + 61)


def test_a_person_does_not_wait_for_long() -> None:
    with a_desk() as desk:
        first, second = desk.ask(text="One."), desk.ask(text="Two.")
        actor = desk.stage.start("person", desk.delivery.send_now(desk.connection, desk.ticket, second))
        while not desk.records.journals:
            desk.stage.go_on(actor.number, 1)
        desk.clock.advance(AT_ONCE_S)
        desk.stage.go_on(actor.number, 100)
        ticket, left = actor.task.result()
        assert desk.events(first) == SENT
        assert (left.update_id, ticket) == (second.update_id, desk.ticket)
        assert desk.records.entries(second) == 0
