"""A delivered ticket, its record, and the sender of its updates."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from shared.connections.directory import SyncState
from shared.connections.model import Connection
from shared.connections.turns import OpenSyncState
from shared.recommendations.ticketing.ticket_claims import TicketClaims
from shared.tickets.failing import ConnectionNotes
from shared.tickets.model import EventKind, Ticket
from shared.tickets.sync import TicketSync
from shared.tickets.updates.ask import asked
from shared.tickets.updates.model import Update, UpdateKind
from shared.tickets.updates.send import UpdateCounts, UpdateDelivery, next_update_at
from tests.memory.clock import ManualClock
from tests.memory.connection_store import MemoryConnectionStore
from tests.memory.instance import MemoryInstanceHealth
from tests.memory.recommendation_store import MemoryClaimStore
from tests.memory.record_updates import MemoryFollowUps, MemoryRecordUpdates
from tests.memory.servicenow import MemoryServiceNow
from tests.memory.steps import Actor, Stage
from tests.memory.ticket_store import MemoryTicketStore
from tests.unit.tickets.examples import CONNECTION_ID, a_connection, delivered_ticket


class Desk:
    """Everything on one stage; :meth:`run` lets nobody else act."""

    def __init__(self, **asked_for: Any) -> None:
        self.stage = Stage()
        step = self.stage.step
        self.clock = ManualClock()
        self.store = MemoryTicketStore(step)
        self.servicenow = MemoryServiceNow(self.clock, step=step)
        self.records = MemoryRecordUpdates(self.servicenow, step)
        self.follow_ups = MemoryFollowUps(step)
        self.health = MemoryInstanceHealth(step)
        self.connection: Connection = a_connection()
        connections = MemoryConnectionStore(self.connection, step=step)
        self.delivery = UpdateDelivery(
            store=self.store,
            records=self.records,
            follow_ups=self.follow_ups,
            claims=TicketClaims(MemoryClaimStore(step), self.store, connections, self.clock),
            notes=ConnectionNotes(self.servicenow, self.health),
            clock=self.clock,
            random=lambda: 0.0,
        )
        self.kept = OpenSyncState(SyncState())
        self.sync = TicketSync(store=self.store, records=self.servicenow, clock=self.clock)
        ticket = delivered_ticket(self.clock(), **asked_for)
        assert ticket.record is not None
        self.servicenow.insert(ticket.record)
        self.ticket_id = self.stage.run(self.store.create_ticket(ticket)).ticket_id

    @property
    def ticket(self) -> Ticket:
        return self.store.tickets[CONNECTION_ID][self.ticket_id]

    @property
    def updates(self) -> list[Update]:
        return list(self.store.updates[CONNECTION_ID].values())

    @property
    def state(self) -> str:
        record = self.servicenow.record(self.ticket_id)
        assert record is not None
        return record.state

    def ask(self, kind: UpdateKind = UpdateKind.COMMENT, *, behind_s: float = 0, **wanted: Any) -> Update:
        """Store an update.

        Args:
            kind: What is wanted.
            behind_s: How far the clock of the host that stores it is behind.
            wanted: As for :func:`asked`.
        """
        self.clock.advance(0.01)
        now = self.clock() - timedelta(seconds=behind_s)
        after, change = asked(self.ticket, kind, by_id="policy:outcome", now=now, **wanted)
        self.stage.run(self.store.update_ticket(self.ticket, after, [change]))
        assert change.after is not None
        return change.after

    def start(self) -> Actor:
        """Start a run of the timer."""
        return self.stage.start("timer", self.delivery.send_due(self.connection, deadline=self._deadline))

    def run(self) -> UpdateCounts:
        """Run the timer to its end."""
        counts: UpdateCounts = self.stage.run(self.delivery.send_due(self.connection, deadline=self._deadline))
        return counts

    def run_until_done(self) -> None:
        """Run the timer whenever something is due, until nothing waits."""
        for _ in range(20):
            at = next_update_at(self.updates, self.clock())
            if at is None:
                return
            self.clock.advance((at - self.clock()).total_seconds())
            self.run()
        raise AssertionError("something waits for ever")

    def synchronise(self) -> int:
        """Run the synchronisation, and return how many tickets it changed."""
        self.clock.advance(300)
        counts = self.stage.run(self.sync.run(self.connection, self.kept, deadline=self._deadline))
        applied: int = counts.applied
        return applied

    def events(self, update: Update) -> list[EventKind]:
        """Return what the timeline says about an update."""
        return [each.kind for each in self.ticket.timeline if each.details.get("update_id") == update.update_id]

    @property
    def _deadline(self) -> Any:
        return self.clock() + timedelta(seconds=50)
