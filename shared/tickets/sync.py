"""Synchronisation: fetch what changed in ServiceNow since the last run, with one request per page.

One query per connection asks table ``task`` for our records in order of ``sys_updated_on, sys_id``. The watermark is
ServiceNow's own time. A record whose transaction was still open when we read may show up later with an older time.
While that is possible, the next run starts a little before the watermark. Once enough time has passed between two
runs, it starts right after the watermark, and an idle run is one empty answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Final

from shared.clock import Clock, believed
from shared.connections.directory import Place, SyncState
from shared.connections.model import Connection
from shared.connections.turns import OpenSyncState
from shared.errors import (
    ConnectorError,
    NoAnswerInTime,
    QueryRefused,
    RecordsHidden,
    ServiceNowUnavailable,
    StorageUnavailable,
)
from shared.service import service
from shared.telemetry import CHANGES_APPLIED
from shared.tickets.identity import ticket_id_of
from shared.tickets.model import TIME_FORMAT, Delivery, Record, Ticket, time_of
from shared.tickets.ports import (
    BEFORE_ANY_SYS_ID,
    SYS_IDS_PER_REQUEST,
    TicketFilter,
    TicketRecords,
    TicketStore,
)
from shared.tickets.reach import Reach, less, reaches, step_to_try, with_step
from shared.tickets.record_effects import is_outdated, own_first, with_record

PAGE_SIZE: Final = 1000
LATE_COMMIT_S: Final = 120.0
"""Longer than any ServiceNow transaction that can write our records (60 s REST quota, ServiceNow §3)."""
FUTURE: Final = timedelta(days=1)
"""A record further in the future than this does not move the watermark: any change until then would go unseen."""
CONFLICT_TRIES: Final = 5
HALF_A_MINUTE_S: Final = 30.0
BEFORE_OUR_FIRST_RECORD: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""A time before this product existed, for reads that need a time to begin at."""


@dataclass(slots=True)
class SyncCounts:
    """What one run did.

    Attributes:
        requests: Pages requested.
        seen: Records that ServiceNow showed.
        applied: Tickets that changed here.
        unknown: Records with our correlation id but without a ticket here.
        hidden: Pages on which ServiceNow showed nothing although more records follow.
        complete: Whether the run reached the end before its deadline.
    """

    requests: int = 0
    seen: int = 0
    applied: int = 0
    unknown: int = 0
    hidden: int = 0
    complete: bool = False


def first_bound(state: SyncState, now: datetime) -> tuple[str | None, bool]:
    """Return where a run begins: a bound for ``sys_updated_on`` and whether it includes records of that second."""
    watermark = time_of(state.watermark)
    if watermark is None:
        return None, True
    seen_at, completed_at = believed(state.watermark_seen_at, now), believed(state.last_completed_at, now)
    settled = (
        seen_at is not None and completed_at is not None and (completed_at - seen_at).total_seconds() >= LATE_COMMIT_S
    )
    if settled:
        return state.watermark, False
    return (watermark - timedelta(seconds=LATE_COMMIT_S)).strftime(TIME_FORMAT), True


def completed(state: SyncState, newest: str | None, started_at: datetime, ended_at: datetime) -> SyncState:
    """Return the state after a run that read everything, with the newest ``sys_updated_on`` it saw."""
    known = state.watermark if time_of(state.watermark) is not None else None
    moved = newest is not None and (known is None or newest > known)
    return replace(
        state,
        watermark=newest if moved else state.watermark,
        watermark_seen_at=ended_at if moved else believed(state.watermark_seen_at, ended_at) or ended_at,
        resume_at=None,
        resume_after_ticket=None,
        last_completed_at=started_at,
        requested_at=None,
    )


def sync_due_at(state: SyncState, now: datetime, interval_s: float) -> datetime:
    """Return when a run is due: now when asked for or interrupted, else an interval after the last one.

    The timer fires once a minute. A run is due in the nearest minute, so that an interval of one minute does not become
    two.
    """
    interrupted = state.resume_at is not None or state.resume_after_ticket is not None
    last_started_at = believed(state.last_started_at, now)
    if state.requested_at is not None or interrupted or last_started_at is None:
        return now
    return max(now, last_started_at + timedelta(seconds=max(0.0, interval_s - HALF_A_MINUTE_S)))


def is_sync_due(state: SyncState, now: datetime, interval_s: float) -> bool:
    """Whether a run is due now."""
    return sync_due_at(state, now, interval_s) == now


def place_to_resume(before: SyncState, now: datetime) -> Place:
    """Return where to resume an interrupted run, or the beginning if no run was interrupted.

    A record whose transaction was open at the interruption can show up later, before the place we reached. When enough
    time has passed for that, the run begins a little earlier.

    Args:
        before: The state before this run began.
    """
    place = before.resume_at
    at = None if place is None or place.after is None else time_of(place.after[0])
    late = before.last_started_at is None or not (
        timedelta() <= now - before.last_started_at < timedelta(seconds=LATE_COMMIT_S)
    )
    if place is None or (place.after is not None and at is None):
        return Place()
    if not late:
        return place
    if at is None:
        return Place()
    return Place(((at - timedelta(seconds=LATE_COMMIT_S)).strftime(TIME_FORMAT), BEFORE_ANY_SYS_ID))


def latest_time(now: datetime) -> str:
    """Return the latest ``sys_updated_on`` that moves the watermark."""
    return (now + FUTURE).strftime(TIME_FORMAT)


def next_bound(begins_at: str | None, reach: Reach, now: datetime) -> str | None:
    """Return the upper bound of ``sys_updated_on`` for a query that begins at this time; None for no bound."""
    if reach.span is None:
        return None
    begin = time_of(begins_at) or BEFORE_OUR_FIRST_RECORD
    return None if begin + reach.span >= now else (begin + reach.span).strftime(TIME_FORMAT)


def by_ticket_id(records: Iterable[Record]) -> Mapping[str, Sequence[Record]]:
    """Return the records that carry one of our correlation ids, by ticket id."""
    found: dict[str, list[Record]] = {}
    for record in records:
        if (ticket_id := ticket_id_of(record.correlation_id or "")) is not None:
            found.setdefault(ticket_id, []).append(record)
    return found


@dataclass(slots=True)
class _Progress:
    """How far a run by time has come, even if it fails."""

    step: int
    place: Place
    newest: str | None

    @classmethod
    def begin(cls, step: int, place: Place, now: datetime) -> _Progress:
        """Return where a run begins; if it resumes after a record, that is the newest one seen so far."""
        is_record = place.after is not None and place.after[1] != BEFORE_ANY_SYS_ID
        seen = place.after[0] if is_record and place.after is not None else ""
        return cls(step, place, seen if seen and seen <= latest_time(now) else None)

    def interrupted(self, state: SyncState, now: datetime) -> SyncState:
        """Return the state from which the next run continues."""
        return with_step(replace(state, resume_at=self.place if self.place != Place() else None), self.step, now)


@service
class TicketSync:
    """Copies the state of records to their tickets; see the module's description."""

    store: TicketStore
    records: TicketRecords
    clock: Clock
    page_size: int = PAGE_SIZE

    async def run(
        self, connection: Connection, kept: OpenSyncState, *, deadline: datetime, follow_unlinked: bool = True
    ) -> SyncCounts:
        """Apply what changed; when the deadline comes first, keep the place and continue from there next time.

        The caller has the connection's turn.

        Args:
            kept: How far the synchronisation has come; updated even if it fails.
            follow_unlinked: Whether there may be tickets that are followed by ``sys_id``.

        Raises:
            TryLater, Reauthorize, FixConfiguration: ServiceNow failed or refused; what was applied stays applied.
        """
        started_at = self.clock()
        before = kept.state
        begun = kept.state = replace(before, last_started_at=started_at)
        counts = SyncCounts()
        progress = _Progress.begin(step_to_try(begun, started_at), place_to_resume(before, started_at), started_at)
        try:
            ended = await self._step_by_step(connection, begun, progress, deadline, counts)
            if counts.complete and (follow_unlinked or begun.resume_after_ticket is not None):
                ended = await self._unlinked(connection, begun, ended, deadline, counts)
        except QueryRefused:
            ended = await self._by_id(connection, begun, started_at, deadline, counts)
        except ConnectorError:
            kept.state = progress.interrupted(begun, self.clock())
            raise
        kept.state = with_step(ended, progress.step, self.clock())
        if counts.hidden and await self._sees_none_of_ours(connection):
            raise RecordsHidden()
        return counts

    async def _step_by_step(
        self,
        connection: Connection,
        state: SyncState,
        progress: _Progress,
        deadline: datetime,
        counts: SyncCounts,
    ) -> SyncState:
        """Read by time; if ServiceNow cancels the read, ask for less.

        No answer in time can also mean that the instance hangs. Asking again would only wait again, so that is left to
        the next run.
        """
        while True:
            try:
                return await self._by_time(connection, state, progress, deadline, counts)
            except ServiceNowUnavailable as error:
                step = less(error, progress.step)
                if step is None:
                    raise
                progress.step = step
                if isinstance(error, NoAnswerInTime) or self.clock() >= deadline:
                    raise

    async def _by_time(
        self,
        connection: Connection,
        state: SyncState,
        progress: _Progress,
        deadline: datetime,
        counts: SyncCounts,
    ) -> SyncState:
        assert state.last_started_at is not None, "a run has begun"
        started_at = state.last_started_at
        reach = reaches(self.page_size)[progress.step]
        since, inclusive = first_bound(state, started_at)
        latest = latest_time(started_at)
        begins_at = since if progress.place.after is None else progress.place.after[0]
        until = next_bound(begins_at, reach, started_at)
        while True:
            page = await self.records.list_changes(
                connection, since=since, inclusive=inclusive, until=until, place=progress.place, reach=reach
            )
            counts.requests += 1
            counts.seen += len(page.records)
            counts.hidden += not page.records and page.next is not None
            await self.apply(connection, by_ticket_id(page.records), counts, first_answer=state.watermark is None)
            # A record without a time, or with one from the future, is applied but does not move the watermark.
            times = (each.updated_at_text for each in page.records)
            seen = [time for time in times if time and time <= latest]
            progress.newest = max([*seen, *filter(None, [progress.newest])], default=None)
            if page.next is not None:
                progress.place = page.next
            elif until is not None:
                progress.place = Place((until, BEFORE_ANY_SYS_ID))
                until = next_bound(until, reach, started_at)
            else:
                counts.complete = True
                return completed(state, progress.newest, started_at, self.clock())
            if self.clock() >= deadline:
                return progress.interrupted(state, self.clock())

    async def _unlinked(
        self, connection: Connection, begun: SyncState, ended: SyncState, deadline: datetime, counts: SyncCounts
    ) -> SyncState:
        """Ask by sys_id for the records of open tickets that have lost their correlation id."""
        after = begun.resume_after_ticket
        while True:
            tickets = await self.store.list_unlinked(connection.connection_id, limit=self.page_size, after=after)
            await self._ask_by_sys_id(connection, tickets, counts, first_answer=begun.watermark is None)
            if len(tickets) < self.page_size:
                return ended
            after = tickets[-1].ticket_id
            if self.clock() >= deadline:
                counts.complete = False
                return replace(
                    ended,
                    resume_after_ticket=after,
                    last_completed_at=begun.last_completed_at,
                    requested_at=begun.requested_at,
                )

    async def _by_id(
        self, connection: Connection, state: SyncState, started_at: datetime, deadline: datetime, counts: SyncCounts
    ) -> SyncState:
        """Ask for the record of every open ticket by sys_id: the instance's query rules forbid the query by time."""
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
            await self._ask_by_sys_id(connection, tickets, counts, first_answer=state.watermark is None)
            if self.clock() >= deadline:
                return replace(state, resume_after_ticket=after)

    async def _ask_by_sys_id(
        self, connection: Connection, tickets: Sequence[Ticket], counts: SyncCounts, *, first_answer: bool
    ) -> None:
        ids = {
            ticket.record.sys_id: ticket.ticket_id
            for ticket in tickets
            if ticket.is_of(connection) and ticket.record is not None
        }
        if not ids:
            return
        seen = await self.records.list_by_sys_id(connection, list(ids))
        counts.requests += ceil(len(ids) / SYS_IDS_PER_REQUEST)
        counts.seen += len(seen)
        records = {ids[record.sys_id]: [record] for record in seen}
        await self.apply(connection, records, counts, first_answer=first_answer)

    async def _sees_none_of_ours(self, connection: Connection) -> bool:
        """Whether we may see no record of the newest open tickets: then the hidden records are ours."""
        tickets = await self.store.list_tickets(
            [connection.connection_id],
            TicketFilter(delivery=Delivery.DELIVERED, open_only=True),
            limit=SYS_IDS_PER_REQUEST,
        )
        sys_ids = [ticket.record.sys_id for ticket in tickets if ticket.is_of(connection) and ticket.record is not None]
        if not sys_ids:
            return False
        return not await self.records.list_by_sys_id(connection, sys_ids)

    async def apply(
        self,
        connection: Connection,
        records: Mapping[str, Sequence[Record]],
        counts: SyncCounts,
        *,
        first_answer: bool,
    ) -> None:
        """Bring the tickets of these records up to date, in transactions.

        Args:
            records: By ticket id.
            first_answer: Nothing is known about the instance yet, or nothing since the connection came back to it.
                What it says now counts, even where ``sys_mod_count`` is smaller than the one we know.
        """
        waiting = list(records)
        for _ in range(CONFLICT_TRIES):
            if not waiting:
                break
            tickets = await self.store.get_tickets(connection.connection_id, waiting, whole=False)
            now = self.clock()
            changes = [
                (ticket, after)
                for ticket_id, ticket in tickets.items()
                if ticket.is_of(connection)
                and (after := _applied(ticket, records[ticket_id], now, first_answer=first_answer)) is not ticket
            ]
            counts.unknown += len(waiting) - len(tickets)
            conflicts = await self.store.update_tickets(changes)
            applied = len(changes) - len(conflicts)
            CHANGES_APPLIED.record(applied, connection_id=connection.connection_id)
            counts.applied += applied
            waiting = [before.ticket_id for before, _ in conflicts]
        if waiting:
            raise StorageUnavailable(variant="contended")


def _applied(ticket: Ticket, records: Sequence[Record], now: datetime, *, first_answer: bool) -> Ticket:
    """Return the ticket updated from its records; a ticket in delivery is left to its deliverer."""
    if ticket.delivery.status is Delivery.PENDING:
        return ticket
    for record in own_first(ticket, records):
        if first_answer or not is_outdated(ticket, record):
            ticket = with_record(ticket, record, now)
    return ticket
