"""Updates while everything goes wrong.

Actors (people who ask, retry and discard, the timer, the synchronisation) run concurrently with a store and an instance
that fail in every possible way. Between any two steps of an actor, the test may let another one go on, let time pass,
cancel an actor or kill it. Whatever happens, no note gets a second journal entry, and the timeline
shows how each ended.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from shared.connections.directory import SyncState
from shared.connections.model import Connection
from shared.connections.ports import RowChanged
from shared.connections.turns import OpenSyncState, Turns
from shared.errors import FixConfiguration, FixRequest, Reauthorize, TryLater
from shared.recommendations.ticketing.ticket_claims import TicketClaims
from shared.tickets.attempts import LEASE_S
from shared.tickets.failing import ConnectionNotes
from shared.tickets.model import EventKind, Ticket
from shared.tickets.sync import TicketSync
from shared.tickets.updates.ask import asked
from shared.tickets.updates.model import Update, UpdateKind, UpdateStatus
from shared.tickets.updates.people import TicketUpdates
from shared.tickets.updates.progress import NOTES
from shared.tickets.updates.requests import read_update_request
from shared.tickets.updates.send import UpdateDelivery
from tests.memory import servicenow, ticket_store
from tests.memory.clock import ManualClock
from tests.memory.connection_store import MemoryConnectionStore
from tests.memory.directory import MemoryDirectory
from tests.memory.idempotency_store import MemoryIdempotencyStore
from tests.memory.instance import MemoryInstanceHealth
from tests.memory.recommendation_store import MemoryClaimStore
from tests.memory.record_updates import MemoryFollowUps, MemoryRecordUpdates
from tests.memory.steps import Actor, Stage
from tests.unit.tickets.examples import CONNECTION_ID, REQUESTER, a_connection, delivered_ticket

EXPECTED = (FixRequest, FixConfiguration, TryLater, Reauthorize, RowChanged, asyncio.CancelledError)
"""The errors that a caller may get; anything else is a bug."""
ENDS = {EventKind.UPDATE_SENT, EventKind.UPDATE_UNCERTAIN, EventKind.UPDATE_DISCARDED, EventKind.FOLLOWED_UP}
REFUSALS = {
    servicenow.WriteFault.ACCESS_REFUSED,
    servicenow.WriteFault.VALUES_REFUSED,
    servicenow.ReadFault.ACCESS_REFUSED,
}
"""If ServiceNow refuses to show or change the marker for long enough, nobody can know whether a note was written."""
ENOUGH_RUNS = 60
EXAMPLES = 100

STEPS = st.sampled_from([100, 100, 100, 1, 2, 4, 7, 0])
type Fault = servicenow.WriteFault | servicenow.ReadFault | ticket_store.WriteFault
FAULTS: st.SearchStrategy[Fault] = (
    st.sampled_from([servicenow.WriteFault.ANSWER_LOST, servicenow.WriteFault.COMMITTED_LATE])
    | st.sampled_from(servicenow.WriteFault)
    | st.sampled_from(servicenow.ReadFault)
    | st.sampled_from(ticket_store.WriteFault)
)

pytestmark = pytest.mark.timeout(420)
"""Hypothesis takes up to 300 s to shorten a failing example; without the example, a failure says nothing."""


class World(RuleBasedStateMachine):
    """A ticket, its record, and all that want to change it."""

    @initialize(
        marker=st.sampled_from(["works", "works", "not writable", "not readable"]),
        notes=st.sampled_from(["work", "work", "not writable", "not readable"]),
    )
    def begin(self, marker: str, notes: str) -> None:
        self.stage = Stage()
        step = self.stage.step
        self.clock = ManualClock()
        self.store = ticket_store.MemoryTicketStore(step)
        self.servicenow = servicenow.MemoryServiceNow(self.clock, step=step)
        self.records = MemoryRecordUpdates(self.servicenow, step)
        self.records.marker_writable = marker != "not writable"
        self.records.marker_readable = marker != "not readable"
        self.records.notes_writable = notes != "not writable"
        self.records.notes_readable = notes != "not readable"
        self.connections = MemoryConnectionStore(a_connection(), step=step)
        self.delivery = UpdateDelivery(
            store=self.store,
            records=self.records,
            follow_ups=MemoryFollowUps(step),
            claims=TicketClaims(MemoryClaimStore(step), self.store, self.connections, self.clock),
            notes=ConnectionNotes(self.servicenow, MemoryInstanceHealth(step)),
            clock=self.clock,
            random=lambda: 0.5,
        )
        self.people = TicketUpdates(
            store=self.store,
            delivery=self.delivery,
            reservations=MemoryIdempotencyStore(step),
            turns=Turns(MemoryDirectory(step), self.connections, self.clock),
            clock=self.clock,
        )
        self.kept = OpenSyncState(SyncState())
        self.sync = TicketSync(store=self.store, records=self.servicenow, clock=self.clock, page_size=2)
        ticket = delivered_ticket(self.clock())
        assert ticket.record is not None
        self.servicenow.insert(ticket.record)
        self.ticket_id = self.stage.run(self.store.create_ticket(ticket)).ticket_id
        self.seen: dict[str, Update] = {}
        self.number = 0
        self.was_refused = False
        self.syncing: Actor | None = None
        self.answers: list[tuple[str | None, Actor]] = []

    @property
    def connection(self) -> Connection:
        return self.connections.connections[CONNECTION_ID]

    @property
    def ticket(self) -> Ticket:
        return self.store.tickets[CONNECTION_ID][self.ticket_id]

    @property
    def updates(self) -> list[Update]:
        return list(self.store.updates[CONNECTION_ID].values())

    async def _policy_asks(self, behind_s: float) -> None:
        """Ask for a note on a host whose clock is behind: its update is older than one that may be under way."""
        now = self.clock() - timedelta(seconds=behind_s)
        text = f"Verified {self.number}."
        after, change = asked(self.ticket, UpdateKind.WORK_NOTE, by_id="policy:outcome", now=now, text=text)
        await self.store.update_ticket(self.ticket, after, [change])

    @rule(
        who=st.sampled_from(["comment", "comment", "policy", "timer", "timer", "timer", "retry", "discard", "sync"]),
        data=st.data(),
        steps=STEPS,
    )
    def somebody_starts(self, who: str, data: st.DataObject, steps: int) -> None:
        self.clock.advance(0.01)
        self.number += 1
        deadline = self.clock() + timedelta(seconds=50)
        match who:
            case "timer":
                actor = self.stage.start(who, self.delivery.send_due(self.connection, deadline=deadline))
            case "retry" if self.updates:
                update = data.draw(st.sampled_from(self.updates))
                actor = self.stage.start(who, self.people.retry(self.connection, self.ticket, update.update_id))
            case "discard" if self.updates:
                update = data.draw(st.sampled_from(self.updates))
                actor = self.stage.start(who, self.people.discard(self.ticket, update.update_id, REQUESTER))
            case "sync" if self.syncing not in self.stage.living:
                actor = self.syncing = self.stage.start(
                    who, self.sync.run(self.connection, self.kept, deadline=deadline)
                )
            case "policy":
                actor = self.stage.start(who, self._policy_asks(data.draw(st.sampled_from([0, 40]))))
            case _:
                key = data.draw(st.sampled_from([None, "key"]))
                body = {"comment": f"Comment {self.number if key is None else key}."}
                request = self.people.ask(
                    self.connection,
                    self.ticket,
                    read_update_request(body),
                    REQUESTER,
                    caller="caller",
                    idempotency_key=key,
                )
                actor = self.stage.start(who, request)
                self.answers.append((key, actor))
        self.stage.go_on(actor.number, steps)

    @precondition(lambda self: self.stage.living)
    @rule(
        fate=st.sampled_from(["goes on", "goes on", "goes on", "is killed", "is cut off"]), data=st.data(), steps=STEPS
    )
    def somebody(self, fate: str, data: st.DataObject, steps: int) -> None:
        actor = data.draw(st.sampled_from(self.stage.living))
        match fate:
            case "is killed":
                self.stage.kill(actor)
            case "is cut off":
                self.stage.cancel(actor)
            case _:
                self.stage.go_on(actor.number, steps)

    @rule(seconds=st.sampled_from([66, LEASE_S + 1, 4000, 31, 10]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(fault=FAULTS, late_by_s=st.sampled_from([60.0, 45.0, 1.0]))
    def goes_wrong(self, fault: Fault, late_by_s: float) -> None:
        self.servicenow.late_by_s = late_by_s
        self.was_refused = self.was_refused or fault in REFUSALS
        match fault:
            case servicenow.WriteFault():
                self.servicenow.write_faults.append(fault)
            case servicenow.ReadFault():
                self.servicenow.read_faults.append(fault)
            case ticket_store.WriteFault():
                self.store.faults.append(fault)

    @rule(state=st.sampled_from(["2", "3", "6"]))
    def agent_changes_the_record(self, state: str) -> None:
        self.servicenow.change(self.ticket_id, state=state)

    # Invariants

    @invariant()
    def no_note_has_a_second_entry(self) -> None:
        self.seen |= {each.update_id: each for each in self.updates if each.kind in NOTES}
        counts = Counter(each.text for each in self.records.journals.get(self.ticket_id, []))
        assert all(count == 1 for count in counts.values()), counts

    @invariant()
    def nothing_refused_is_in_doubt(self) -> None:
        for update in self.updates:
            if update.status is UpdateStatus.REFUSED:
                assert update.attempt_started_at is None
                assert self.records.entries(update) == 0

    @invariant()
    def every_update_has_an_end(self) -> None:
        ended = {event.details["update_id"]: event.kind for event in self.ticket.timeline if event.kind in ENDS}
        waiting = {each.update_id for each in self.updates}
        assert not waiting & ended.keys()
        for event in self.ticket.timeline:
            if event.kind is EventKind.UPDATE_ASKED:
                assert event.details["update_id"] in waiting | ended.keys()
        for update_id, end in ended.items():
            update = self.seen.get(update_id)
            if update is None:
                continue
            match end:
                case EventKind.UPDATE_SENT:
                    assert self.records.entries(update) == self.records.notes_writable
                    assert self.records.notes_writable or not self.records.notes_readable
                case EventKind.UPDATE_DISCARDED:
                    assert self.records.entries(update) == 0
                case EventKind.UPDATE_UNCERTAIN:
                    works = self.records.marker_writable and self.records.marker_readable
                    assert self.was_refused or not works

    @invariant()
    def one_key_makes_one_update(self) -> None:
        ids = {
            actor.task.result().update_id
            for key, actor in self.answers
            if key is not None and actor.task.done() and not actor.task.cancelled() and actor.task.exception() is None
        }
        assert len(ids) <= 1

    @invariant()
    def nobody_hears_of_a_bug(self) -> None:
        self.stage.raise_unless(EXPECTED)

    def teardown(self) -> None:
        """In the end everything works again; then every note arrives, or it is visible why not."""
        if not hasattr(self, "stage"):
            return
        try:
            self._calm_down()
        finally:
            self.stage.close()

    def _calm_down(self) -> None:
        for actor in self.stage.living:
            self.stage.kill(actor)
        self.servicenow.write_faults.clear()
        self.servicenow.read_faults.clear()
        self.store.faults.clear()
        for _ in range(ENOUGH_RUNS):
            if all(update.status is UpdateStatus.REFUSED for update in self.updates):
                break
            self.clock.advance(3601)
            deadline = self.clock() + timedelta(seconds=50)
            self.stage.run(self.delivery.send_due(self.connection, deadline=deadline))
        for update in self.updates:
            assert update.status is UpdateStatus.REFUSED
            again = self.stage.run(self.people.retry(self.connection, self.ticket, update.update_id))
            assert (again.update is None) is self.records.notes_writable
        for _ in range(2):
            self.clock.advance(300)
            self.stage.run(self.sync.run(self.connection, self.kept, deadline=self.clock() + timedelta(seconds=50)))
        self.no_note_has_a_second_entry()
        self.every_update_has_an_end()
        assert self.ticket.record == self.servicenow.record(self.ticket_id)
        before = self.ticket
        self.clock.advance(300)
        counts = self.stage.run(
            self.sync.run(self.connection, self.kept, deadline=self.clock() + timedelta(seconds=50))
        )
        assert counts.applied == 0
        assert self.ticket == before, "our own notes are no news"


def test_nothing_is_lost_and_nothing_doubled() -> None:
    run_state_machine_as_test(
        World,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        ),
    )
