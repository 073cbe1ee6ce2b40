"""Synchronisation: what changed in ServiceNow since the last time, in as few requests as there are pages.

One query per connection asks table ``task`` for our records in order of ``sys_updated_on, sys_id``. The watermark is
ServiceNow's own time. A record whose transaction was still open when we read may show up later with an older time, so
as long as that is possible the next run starts a little before the watermark; once enough time has passed between
two runs it starts right behind it, and an idle run is one empty answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from shared.clock import Clock
from shared.connections.changes import change_sync_state
from shared.connections.model import Connection, SyncState
from shared.connections.ports import ConnectionStore
from shared.errors import AccessRefused, StorageUnavailable
from shared.telemetry import CHANGES_APPLIED
from shared.tickets.access import with_access
from shared.tickets.apply import is_outdated, own_first, with_record
from shared.tickets.identity import ticket_id_of
from shared.tickets.model import EARLIEST, Delivery, Record, Ticket
from shared.tickets.ports import InstanceDoor, TicketFilter, TicketRecords, TicketStore

PAGE_SIZE: Final = 1000
LATE_COMMIT_S: Final = 120.0
"""Longer than any ServiceNow transaction that can write our records (60 s REST quota, wire document 3)."""
QUERY_REFUSED: Final = "query_refused"
FUTURE: Final = timedelta(days=1)
"""A record from further ahead than this does not move the watermark: whatever changes until then would stay unseen."""
TIME_FORMAT: Final = "%Y-%m-%d %H:%M:%S"
CONFLICT_TRIES: Final = 5


@dataclass(slots=True)
class SyncCounts:
    """What one run did.

    Attributes:
        requests: Pages asked for.
        seen: Records that ServiceNow showed.
        applied: Tickets that changed here.
        unknown: Records with our correlation id that no ticket here belongs to.
        complete: Whether the run came to the end before its deadline.
    """

    requests: int = 0
    seen: int = 0
    applied: int = 0
    unknown: int = 0
    complete: bool = False


def first_bound(state: SyncState, now: datetime) -> tuple[str | None, bool]:
    """Return where a run begins: a bound for ``sys_updated_on`` and whether records of that second belong to it."""
    watermark = _time_of(state.watermark)
    if watermark is None:
        return None, True
    settled = (
        state.watermark_seen_at is not None
        and state.last_completed_at is not None
        and (state.last_completed_at - state.watermark_seen_at).total_seconds() >= LATE_COMMIT_S
    )
    if settled:
        return state.watermark, False
    return (watermark - timedelta(seconds=LATE_COMMIT_S)).strftime(TIME_FORMAT), True


def _time_of(stored: str | None) -> datetime | None:
    """Return a stored time of ServiceNow's; None for no time: earlier releases stored whatever a record said."""
    try:
        moment = datetime.strptime(stored or "", TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None
    return moment if moment >= EARLIEST else None


def completed(state: SyncState, newest: str | None, started_at: datetime, ended_at: datetime) -> SyncState:
    """Return the state after a run that read everything, with the newest ``sys_updated_on`` it saw."""
    known = state.watermark if _time_of(state.watermark) is not None else None
    moved = newest is not None and (known is None or newest > known)
    return replace(
        state,
        watermark=newest if moved else state.watermark,
        watermark_seen_at=ended_at if moved else state.watermark_seen_at,
        resume_after=None,
        resume_after_ticket=None,
        last_completed_at=started_at,
        requested_at=None,
    )


def merged(stored: SyncState, *, begun: SyncState, ended: SyncState) -> SyncState:
    """Return what to store after a run: its end, but for what somebody else wrote while it ran.

    Who asked for a run meanwhile gets another one. A state that was reset (the connection points to another instance)
    stays reset.
    """
    if stored.last_started_at != begun.last_started_at:
        return stored
    asked_again = stored.requested_at != begun.requested_at
    return replace(
        ended,
        requested_at=stored.requested_at if asked_again else ended.requested_at,
        etag=stored.etag,
    )


def is_sync_due(state: SyncState, now: datetime, interval_s: float) -> bool:
    """Whether a run is due: asked for, interrupted, or the interval has passed."""
    interrupted = state.resume_after is not None or state.resume_after_ticket is not None
    if state.requested_at is not None or interrupted or state.last_started_at is None:
        return True
    return now >= state.last_started_at + timedelta(seconds=interval_s)


@dataclass(frozen=True, slots=True)
class TicketSync:
    """Brings the state of tickets back; see the module's description."""

    connections: ConnectionStore
    store: TicketStore
    records: TicketRecords
    door: InstanceDoor
    clock: Clock
    page_size: int = PAGE_SIZE

    async def run(self, connection: Connection, *, deadline: datetime) -> SyncCounts:
        """Apply what changed; when the deadline comes first, keep the place and go on from there next time.

        The caller holds the connection's ``sync`` lease.

        Raises:
            TryLater, Reauthorize, FixConfiguration: ServiceNow did not let us; what was applied stays applied.
        """
        started_at = self.clock()
        begun = await change_sync_state(
            self.connections, connection.connection_id, lambda state: replace(state, last_started_at=started_at)
        )
        counts = SyncCounts()
        try:
            ended = await self._by_time(connection, begun, started_at, deadline, counts)
        except AccessRefused as error:
            if error.code != QUERY_REFUSED:
                raise
            ended = await self._by_id(connection, begun, started_at, deadline, counts)
        await change_sync_state(
            self.connections, connection.connection_id, lambda state: merged(state, begun=begun, ended=ended)
        )
        return counts

    async def _by_time(
        self, connection: Connection, state: SyncState, started_at: datetime, deadline: datetime, counts: SyncCounts
    ) -> SyncState:
        since, inclusive = first_bound(state, started_at)
        after = state.resume_after if state.resume_after is not None and _time_of(state.resume_after[0]) else None
        latest = (started_at + FUTURE).strftime(TIME_FORMAT)
        newest = after[0] if after is not None and after[0] <= latest else None
        while True:
            page, more = await with_access(
                self.door,
                connection,
                partial(
                    self.records.list_changes,
                    since=since,
                    inclusive=inclusive,
                    after=after,
                    page_size=self.page_size,
                ),
            )
            counts.requests += 1
            counts.seen += len(page)
            await self.apply(connection, page, counts, first_answer=state.watermark is None)
            if page:
                after = (page[-1].updated_at_text, page[-1].sys_id)
                # A record without a time, or with one from the future, is applied and moves nothing.
                times = (each.updated_at_text for each in page)
                newest = max((time for time in times if time and time <= latest), default=newest)
            if not more:
                counts.complete = True
                return completed(state, newest, started_at, self.clock())
            if self.clock() >= deadline:
                return replace(state, resume_after=after)

    async def _by_id(
        self, connection: Connection, state: SyncState, started_at: datetime, deadline: datetime, counts: SyncCounts
    ) -> SyncState:
        """Ask for every open ticket by its sys_id: for instances whose query rules forbid the one query."""
        after = state.resume_after_ticket
        while True:
            tickets = await self.store.list_tickets(
                [connection.connection_id],
                TicketFilter(delivery=Delivery.DELIVERED, open_only=True),
                limit=self.page_size,
                after=after,
            )
            if not tickets:
                counts.complete = True
                return completed(state, None, started_at, self.clock())
            after = tickets[-1].ticket_id
            sys_ids = [
                ticket.record.sys_id for ticket in tickets if ticket.is_of(connection) and ticket.record is not None
            ]
            if sys_ids:
                seen = await with_access(self.door, connection, partial(self.records.list_by_sys_id, sys_ids=sys_ids))
                counts.requests += 1
                counts.seen += len(seen)
                await self.apply(connection, seen, counts, first_answer=state.watermark is None)
            if self.clock() >= deadline:
                return replace(state, resume_after_ticket=after)

    async def apply(
        self, connection: Connection, records: Sequence[Record], counts: SyncCounts, *, first_answer: bool
    ) -> None:
        """Bring the tickets of these records up to date, in transactions.

        Args:
            first_answer: Nothing is known of the instance yet, or not since the connection came back to it: what it
                says now counts, also where its count is smaller than the one known.
        """
        by_ticket: dict[str, list[Record]] = {}
        for record in records:
            if (ticket_id := ticket_id_of(record.correlation_id or "")) is not None:
                by_ticket.setdefault(ticket_id, []).append(record)
        waiting = list(by_ticket)
        for _ in range(CONFLICT_TRIES):
            if not waiting:
                break
            tickets = await self.store.get_tickets(connection.connection_id, waiting)
            now = self.clock()
            changes = [
                (ticket, after)
                for ticket_id, ticket in tickets.items()
                if ticket.is_of(connection)
                and (after := _applied(ticket, by_ticket[ticket_id], now, first_answer=first_answer)) is not ticket
            ]
            counts.unknown += len(waiting) - len(tickets)
            conflicts = await self.store.update_tickets(changes)
            applied = len(changes) - len(conflicts)
            CHANGES_APPLIED.record(applied, connection_id=connection.connection_id)
            counts.applied += applied
            waiting = [before.ticket_id for before, _ in conflicts]
        if waiting:
            raise StorageUnavailable("Some tickets change too often; the synchronisation is tried again.")


def _applied(ticket: Ticket, records: Sequence[Record], now: datetime, *, first_answer: bool) -> Ticket:
    """Return the ticket with what its records say; one in delivery is left to its deliverer."""
    if ticket.delivery.status is Delivery.PENDING:
        return ticket
    for record in own_first(ticket, records):
        if first_answer or not is_outdated(ticket, record):
            ticket = with_record(ticket, record, now)
    return ticket
