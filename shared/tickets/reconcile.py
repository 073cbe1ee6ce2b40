"""Reconciliation, once a night: finds what the synchronisation by time cannot see.

It reads both sides in the same order, by ticket id: our table by its row key, ServiceNow by ``correlation_id``. So it
finds tickets whose record is deleted, records never seen here, and tickets with two records. It also applies every
difference in state.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import Final

from shared.clock import Clock, believed
from shared.connections.directory import Place, SyncState
from shared.connections.model import Connection
from shared.connections.turns import OpenSyncState
from shared.errors import FixConfiguration, NoAnswerInTime, RecordsHidden, ServiceNowUnavailable
from shared.service import service
from shared.tickets.identity import creation_time_of, first_id_of
from shared.tickets.model import CORRELATION_PREFIX, Delivery, Record, Ticket
from shared.tickets.ports import BEFORE_ANY_SYS_ID, TicketRecords, TicketStore
from shared.tickets.reach import Reach, less, reaches, step_to_try, with_step
from shared.tickets.record_effects import (
    adopted,
    archived,
    deleted,
    doubled,
    is_known_to_be_gone,
    is_outdated,
    own_first,
    with_record,
)
from shared.tickets.sync import BEFORE_OUR_FIRST_RECORD, by_ticket_id

PAGE_SIZE: Final = 1000
GRACE: Final = timedelta(minutes=10)
"""Tickets younger than this are left alone: their delivery may be under way while both sides are read."""

COMPARED_AT_ONCE: Final = 1000
"""Tickets that are compared together: enough to notice lost rights before anything is marked as deleted."""
PATIENCE: Final = timedelta(hours=1)
"""How long to wait before trying again after a refusal, which somebody has to fix."""
MANY: Final = 20
"""If more than this many open tickets, and more than half of them, are missing at once, we have lost rights.

Closed ones do not count: archiving takes them away."""


@dataclass(slots=True)
class ReconciliationCounts:
    """What one run found.

    Attributes:
        compared: Tickets whose record was looked for.
        compared_open: How many of them are open.
        corrected: Tickets that differed from their record.
        deleted: Open tickets whose record is gone.
        archived: Closed tickets whose record is gone; they stay as they are.
        doubled: Tickets with more than one record.
        adopted: Failed tickets that have a record after all, and tickets whose record is gone but that have a copy.
        never_seen: Records with our correlation id but without a ticket here.
    """

    compared: int = 0
    compared_open: int = 0
    corrected: int = 0
    deleted: int = 0
    archived: int = 0
    doubled: int = 0
    adopted: int = 0
    never_seen: int = 0
    complete: bool = False

    def change(self, before: Ticket, after: Ticket, shown: Sequence[Record]) -> list[tuple[Ticket, Ticket]]:
        """Count a comparison that found the ticket's record, and return what to store."""
        if after is before:
            return []
        if len(shown) > 1:
            self.doubled += 1
        else:
            self.corrected += 1
        return [(before, after)]


def reconciliation_due_at(state: SyncState, now: datetime, at: time) -> datetime:
    """Return when a reconciliation is due: at the time of day ``at`` (UTC), or now if one was interrupted or missed.

    After a refusal, it is due an hour later at the earliest.
    """
    earliest_at = max(now, believed(state.reconcile_again_at, now, ahead=PATIENCE) or now)
    if state.reconcile_after is not None or state.reconcile_place is not None:
        return earliest_at
    planned_at = datetime.combine(now.date(), at, tzinfo=now.tzinfo)
    if planned_at > now:
        planned_at -= timedelta(days=1)
    reconciled_at = believed(state.reconciled_at, now)
    if reconciled_at is None or reconciled_at < planned_at:
        return earliest_at
    return max(earliest_at, planned_at + timedelta(days=1))


def is_reconciliation_due(state: SyncState, now: datetime, at: time) -> bool:
    """Whether a reconciliation is due now."""
    return reconciliation_due_at(state, now, at) == now


@service
class TicketReconciliation:
    """Compares both sides completely; see the module's description."""

    store: TicketStore
    records: TicketRecords
    clock: Clock
    page_size: int = PAGE_SIZE

    async def run(self, connection: Connection, kept: OpenSyncState, *, deadline: datetime) -> ReconciliationCounts:
        """Compare page by page; when the deadline comes first, keep the place and continue from there next time.

        The caller has the connection's turn.

        Args:
            kept: How far the reconciliation has come; updated even if it fails.

        Raises:
            TryLater, Reauthorize, FixConfiguration: ServiceNow failed or refused; what was corrected stays corrected.
        """
        begun = kept.state
        counts = ReconciliationCounts()
        progress = _Progress.begin(begun, self.clock())
        again_at: datetime | None = None
        try:
            await self._step_by_step(connection, progress, deadline, counts)
        except FixConfiguration:
            again_at = self.clock() + PATIENCE
            raise
        finally:
            ended = progress.interrupted(begun, self.clock())
            if counts.complete:
                ended = replace(ended, reconciled_at=self.clock())
            if counts.complete or again_at is not None:
                ended = replace(ended, reconcile_again_at=again_at, reconcile_after=None, reconcile_place=None)
            kept.state = ended
        return counts

    async def _step_by_step(
        self, connection: Connection, progress: _Progress, deadline: datetime, counts: ReconciliationCounts
    ) -> None:
        """Read both sides; if ServiceNow cancels a read, ask for less, as the synchronisation does."""
        while not counts.complete and self.clock() < deadline:
            try:
                await self._walk(connection, progress, deadline, counts)
            except ServiceNowUnavailable as error:
                step = less(error, progress.step)
                if step is None:
                    raise
                progress.step = step
                if isinstance(error, NoAnswerInTime):
                    raise

    async def _walk(
        self, connection: Connection, progress: _Progress, deadline: datetime, counts: ReconciliationCounts
    ) -> None:
        reach = reaches(self.page_size)[progress.step]
        ours = _Walk(self.store.scan_tickets(connection.connection_id, after=progress.ticket_id))
        bound = next_bound(progress.ticket_id, reach, self.clock())
        while not counts.complete and self.clock() < deadline:
            page = await self.records.list_by_correlation(
                connection,
                until=None if bound is None else f"{CORRELATION_PREFIX}{bound}",
                place=progress.place,
                reach=reach,
            )
            records = by_ticket_id(page.records)
            # The page shows every record up to this id. If it ends with foreign records, that is our last one before.
            until = bound if page.next is None else max(*records, progress.ticket_id or "", "")
            met: set[str] = set()
            async for tickets in ours.up_to(until):
                await self._compare(connection, tickets, records, counts)
                met |= {ticket.ticket_id for ticket in tickets}
                progress.ticket_id = tickets[-1].ticket_id
                if self.clock() >= deadline:
                    return  # The next run reads the page again, because the rest of it has not been compared.
            await self._compare_others(connection, records, met, counts)
            progress.ticket_id = until or progress.ticket_id
            if page.next is not None:
                progress.place = page.next
            elif bound is not None:
                progress.place = Place((f"{CORRELATION_PREFIX}{bound}", BEFORE_ANY_SYS_ID))
                bound = next_bound(bound, reach, self.clock())
            else:
                counts.complete = True

    async def _compare_others(
        self,
        connection: Connection,
        records: Mapping[str, Sequence[Record]],
        met: Set[str],
        counts: ReconciliationCounts,
    ) -> None:
        """Compare the tickets of records that the walk has already passed, and count the records without a ticket."""
        ticket_ids = [ticket_id for ticket_id in records if ticket_id not in met]
        others = await self.store.get_tickets(connection.connection_id, ticket_ids, whole=False)
        counts.never_seen += len(ticket_ids) - len(others)
        await self._compare(connection, list(others.values()), records, counts)

    async def _compare(
        self,
        connection: Connection,
        tickets: Sequence[Ticket],
        records: Mapping[str, Sequence[Record]],
        counts: ReconciliationCounts,
    ) -> None:
        """Compare tickets with the records that carry their correlation ids, by ticket id."""
        now = self.clock()
        changes: list[tuple[Ticket, Ticket]] = []
        doubtful: list[tuple[Ticket, Record]] = []
        for ticket in tickets:
            if not _concerns(ticket, connection, now):
                continue
            shown = own_first(ticket, records.get(ticket.ticket_id, ()))
            known = ticket.record
            if known is None:
                if shown:
                    counts.adopted += 1
                    changes.append((ticket, _compared(ticket, shown[0], shown, now)))
                continue
            counts.compared += 1
            counts.compared_open += ticket.is_open
            own = next((record for record in shown if record.sys_id == known.sys_id), None)
            if own is not None and not is_outdated(ticket, own):
                changes += counts.change(ticket, _compared(ticket, own, shown, now), shown)
            elif shown or not is_known_to_be_gone(ticket):
                doubtful.append((ticket, known))
        gone = await self._ask_for_themselves(connection, doubtful, records, changes, counts)
        refused = bool(gone) and counts.deleted + len(gone) > max(MANY, counts.compared_open / 2)
        if not refused:
            counts.deleted += len(gone)
            changes += [(ticket, deleted(ticket, now)) for ticket in gone]
        await self.store.update_tickets(changes)
        if refused:
            raise RecordsHidden(variant="counted", gone=len(gone), compared=counts.compared_open)

    async def _ask_for_themselves(
        self,
        connection: Connection,
        doubtful: Sequence[tuple[Ticket, Record]],
        records: Mapping[str, Sequence[Record]],
        changes: list[tuple[Ticket, Ticket]],
        counts: ReconciliationCounts,
    ) -> list[Ticket]:
        """Ask for records by sys_id before concluding anything; return the open tickets whose record is gone.

        A record may have lost its correlation id. A page may also be older than what the synchronisation has applied
        since. What we read now is newer than the ticket, because we read the ticket first.
        """
        if not doubtful:
            return []
        sys_ids = [known.sys_id for _, known in doubtful]
        seen = await self.records.list_by_sys_id(connection, sys_ids)
        by_sys_id = {record.sys_id: record for record in seen}
        gone: list[Ticket] = []
        now = self.clock()
        for ticket, known in doubtful:
            shown = own_first(ticket, records.get(ticket.ticket_id, ()))
            if (record := by_sys_id.get(known.sys_id)) is not None:
                changes += counts.change(ticket, _compared(ticket, record, shown, now), shown)
            elif shown:
                counts.adopted += 1
                changes.append((ticket, _compared(adopted(ticket, shown[0], now), shown[0], shown, now)))
            elif ticket.is_open:
                gone.append(ticket)
            else:
                counts.archived += 1
                changes.append((ticket, archived(ticket, now)))
        return gone


def _concerns(ticket: Ticket, connection: Connection, now: datetime) -> bool:
    return (
        ticket.is_of(connection) and ticket.delivery.status is not Delivery.PENDING and ticket.created_at < now - GRACE
    )


def _compared(ticket: Ticket, own: Record, shown: Sequence[Record], now: datetime) -> Ticket:
    """Return the ticket updated from its own record, with an event for every other record with its correlation id."""
    ticket = with_record(ticket, own, now)
    for record in shown:
        if record.sys_id != own.sys_id:
            ticket = doubled(ticket, record, now)
    return ticket


def next_bound(after: str | None, reach: Reach, now: datetime) -> str | None:
    """Return the last ticket id for a query that begins after ``after``; None for no bound.

    Ticket ids begin with the time of their creation, and the newest sorts first.
    """
    if reach.span is None:
        return None
    begin = now + reach.span if after is None else creation_time_of(after)
    return first_id_of(begin - reach.span) if begin - reach.span > BEFORE_OUR_FIRST_RECORD else None


@dataclass(slots=True)
class _Progress:
    """How far a comparison has come, even if it fails.

    Attributes:
        ticket_id: Tickets up to this one have been compared.
        place: Where the next page begins.
    """

    step: int
    ticket_id: str | None
    place: Place

    @classmethod
    def begin(cls, state: SyncState, now: datetime) -> _Progress:
        """Return where a run begins. Release 0.1 stored only the ticket's id."""
        ticket_id, place = state.reconcile_after, state.reconcile_place
        if place is None and ticket_id is not None:
            place = Place((f"{CORRELATION_PREFIX}{ticket_id}", BEFORE_ANY_SYS_ID))
        return cls(step_to_try(state, now), ticket_id, place or Place())

    def interrupted(self, state: SyncState, now: datetime) -> SyncState:
        """Return the state from which the next run continues; a run that is still at its beginning has no place."""
        place = self.place if self.place != Place() else None
        after = replace(state, reconcile_again_at=None, reconcile_after=self.ticket_id, reconcile_place=place)
        return with_step(after, self.step, now)


class _Walk:
    """Hands out a sorted sequence of pages piece by piece."""

    def __init__(self, pages: AsyncIterator[Sequence[Ticket]]) -> None:
        self._pages = pages
        self._left: Sequence[Ticket] = ()

    async def up_to(self, ticket_id: str | None) -> AsyncIterator[Sequence[Ticket]]:
        """Go through the tickets up to and including this id, or through all the rest."""
        taken: list[Ticket] = []
        while True:
            count = sum(1 for ticket in self._left if ticket_id is None or ticket.ticket_id <= ticket_id)
            taken += self._left[:count]
            self._left = self._left[count:]
            if len(taken) >= COMPARED_AT_ONCE:
                yield taken
                taken = []
            if self._left or (page := await anext(self._pages, None)) is None:
                break
            self._left = page
        if taken:
            yield taken
