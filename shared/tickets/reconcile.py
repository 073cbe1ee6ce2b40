"""Reconciliation, once a night: what the synchronisation by time cannot see.

Both sides are walked in the same order, that of the ticket id: our table by its row key, ServiceNow by
``correlation_id``. Where one side has a ticket that the other has not, or ServiceNow has two, that is what is found:
deleted, never seen here, doubled. Every difference in state is applied as well.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from functools import partial
from typing import Final

from shared.clock import Clock
from shared.connections.changes import change_sync_state
from shared.connections.model import Connection, SyncState
from shared.connections.ports import ConnectionStore
from shared.errors import AccessRefused, FixConfiguration
from shared.tickets.access import with_access
from shared.tickets.apply import (
    adopted,
    archived,
    deleted,
    doubled,
    is_known_to_be_gone,
    is_outdated,
    own_first,
    with_record,
)
from shared.tickets.identity import ticket_id_of
from shared.tickets.model import CORRELATION_PREFIX, Delivery, Record, Ticket
from shared.tickets.ports import InstanceDoor, TicketRecords, TicketStore

PAGE_SIZE: Final = 1000
GRACE: Final = timedelta(minutes=10)
"""Tickets younger than this are left alone: their delivery may be under way while both sides are read."""

PATIENCE: Final = timedelta(hours=1)
"""After a refusal, which somebody has to mend, it is tried again so much later."""
BEFORE_ANY_SYS_ID: Final = "0"
"""Every sys_id sorts behind it, in whatever collation."""
MANY: Final = 20
"""More open tickets than this missing at once, and more than half of all, mean lost rights rather than deleted records.

Closed ones do not count: they are what an archive takes away."""


@dataclass(slots=True)
class ReconciliationCounts:
    """What one run found.

    Attributes:
        compared: Tickets whose record was looked for, and how many of them are open.
        corrected: Tickets that differed from their record.
        deleted: Open tickets whose record is gone.
        archived: Closed tickets whose record is gone; they stay as they are.
        doubled: Tickets with more than one record.
        adopted: Tickets that failed here and have a record there, and such whose record is gone and that have a copy.
        never_seen: Records with our correlation id that no ticket here belongs to.
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
        """Count a comparison that found the ticket's record; return what to store."""
        if after is before:
            return []
        if len(shown) > 1:
            self.doubled += 1
        else:
            self.corrected += 1
        return [(before, after)]


def is_reconciliation_due(state: SyncState, now: datetime, at: time) -> bool:
    """Whether the time of day ``at`` (UTC) has passed since the last complete reconciliation, or one is unfinished.

    After a refusal it is not, for an hour.
    """
    if state.reconcile_again_at is not None and now < state.reconcile_again_at:
        return False
    if state.reconcile_after is not None:
        return True
    planned = datetime.combine(now.date(), at, tzinfo=now.tzinfo)
    if planned > now:
        planned -= timedelta(days=1)
    return state.reconciled_at is None or state.reconciled_at < planned


@dataclass(frozen=True, slots=True)
class TicketReconciliation:
    """Compares both sides completely; see the module's description."""

    connections: ConnectionStore
    store: TicketStore
    records: TicketRecords
    door: InstanceDoor
    clock: Clock
    page_size: int = PAGE_SIZE

    async def run(self, connection: Connection, *, deadline: datetime) -> ReconciliationCounts:
        """Compare page by page; when the deadline comes first, keep the place and go on from there next time.

        The caller holds the connection's ``sync`` lease.

        Raises:
            TryLater, Reauthorize, FixConfiguration: ServiceNow did not let us; what was corrected stays corrected.
        """
        try:
            return await self._run(connection, deadline)
        except FixConfiguration:
            again_at = self.clock() + PATIENCE
            await change_sync_state(
                self.connections, connection.connection_id, lambda state: replace(state, reconcile_again_at=again_at)
            )
            raise

    async def _run(self, connection: Connection, deadline: datetime) -> ReconciliationCounts:
        state = await self.connections.get_sync_state(connection.connection_id)
        counts = ReconciliationCounts()
        place = state.reconcile_after
        ours = _Walk(self.store.scan_tickets(connection.connection_id, after=place))
        # The records of the last ticket are asked for again: the end of the page may have parted two of them.
        position = (f"{CORRELATION_PREFIX}{place}", BEFORE_ANY_SYS_ID) if place is not None else None
        while not counts.complete and self.clock() < deadline:
            page, more = await with_access(
                self.door,
                connection,
                partial(self.records.list_by_correlation, after=position, page_size=self.page_size),
            )
            if page:
                # Foreign records may have a correlation id that begins like ours and cannot be asked for.
                last = next((each for each in reversed(page) if ticket_id_of(each.correlation_id or "")), page[-1])
                position = (last.correlation_id or "", last.sys_id)
            until = position[0].removeprefix(CORRELATION_PREFIX).lower() if more and position is not None else None
            tickets = await ours.up_to(until)
            await self._compare_page(connection, tickets, page, counts)
            place = until or place
            counts.complete = not more
        ended_at = self.clock()

        def ended(stored: SyncState) -> SyncState:
            if (stored.reconciled_at, stored.reconcile_after) != (state.reconciled_at, state.reconcile_after):
                return stored  # reset meanwhile: the connection points to another instance
            if counts.complete:
                return replace(stored, reconcile_after=None, reconcile_again_at=None, reconciled_at=ended_at)
            return replace(stored, reconcile_after=place, reconcile_again_at=None)

        await change_sync_state(self.connections, connection.connection_id, ended)
        return counts

    async def _compare_page(
        self, connection: Connection, tickets: Sequence[Ticket], page: Sequence[Record], counts: ReconciliationCounts
    ) -> None:
        by_ticket: dict[str, list[Record]] = {}
        for record in page:
            if (ticket_id := ticket_id_of(record.correlation_id or "")) is not None:
                by_ticket.setdefault(ticket_id, []).append(record)
        known = {ticket.ticket_id for ticket in tickets}
        stragglers = await self.store.get_tickets(
            connection.connection_id, [ticket_id for ticket_id in by_ticket if ticket_id not in known]
        )
        counts.never_seen += sum(1 for ticket_id in by_ticket if ticket_id not in known and ticket_id not in stragglers)
        await self._compare(connection, (*tickets, *stragglers.values()), by_ticket, counts)

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
            raise AccessRefused(
                f"{len(gone)} of {counts.compared_open} open tickets can no longer be found in ServiceNow; none of "
                "them was marked as deleted.",
                code="records_not_visible",
                next_step="Check that the integration user may still read incidents and change requests: roles, access "
                "controls, domain.",
            )

    async def _ask_for_themselves(
        self,
        connection: Connection,
        doubtful: Sequence[tuple[Ticket, Record]],
        records: Mapping[str, Sequence[Record]],
        changes: list[tuple[Ticket, Ticket]],
        counts: ReconciliationCounts,
    ) -> list[Ticket]:
        """Ask for records by their sys_id before anything is concluded; return the open tickets whose record is gone.

        A record may have lost its correlation id. And a page may be older than what the synchronisation has applied
        since: what is read now, after the ticket itself was read, is not.
        """
        if not doubtful:
            return []
        sys_ids = [known.sys_id for _, known in doubtful]
        seen = await with_access(self.door, connection, lambda access: self.records.list_by_sys_id(access, sys_ids))
        by_sys_id = {record.sys_id: record for record in seen}
        gone: list[Ticket] = []
        now = self.clock()
        for ticket, known in doubtful:
            shown = own_first(ticket, records.get(ticket.ticket_id, ()))
            if (record := by_sys_id.get(known.sys_id)) is not None:
                own = replace(record, correlation_id=ticket.correlation_id)
                changes += counts.change(ticket, _compared(ticket, own, shown, now), shown)
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
    """Return the ticket with what its own record says, and a note for every other record that claims to be it."""
    ticket = with_record(ticket, own, now)
    for record in shown:
        if record.sys_id != own.sys_id:
            ticket = doubled(ticket, record, now)
    return ticket


class _Walk:
    """Hands out a sorted sequence of pages piece by piece."""

    def __init__(self, pages: AsyncIterator[Sequence[Ticket]]) -> None:
        self._pages = pages
        self._left: list[Ticket] = []
        self._ended = False

    async def up_to(self, ticket_id: str | None) -> list[Ticket]:
        """Return the tickets up to and including this id, or all the rest."""
        while not self._ended and (ticket_id is None or not self._left or self._left[-1].ticket_id <= ticket_id):
            page = await anext(self._pages, None)
            if page is None:
                self._ended = True
            else:
                self._left.extend(page)
        if ticket_id is None:
            taken, self._left = self._left, []
            return taken
        count = sum(1 for ticket in self._left if ticket.ticket_id <= ticket_id)
        taken, self._left = self._left[:count], self._left[count:]
        return taken
