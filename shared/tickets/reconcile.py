"""Reconciliation, once a night: what the synchronisation by time cannot see.

Both sides are walked in the same order, that of the ticket id: our table by its row key, ServiceNow by
``correlation_id``. Where one side has a ticket that the other has not, or ServiceNow has two, that is what is found:
deleted, never seen here, doubled. Every difference in state is applied as well.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
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
from shared.tickets.apply import deleted, doubled, with_record
from shared.tickets.identity import ticket_id_of
from shared.tickets.model import CORRELATION_PREFIX, Delivery, Phase, Record, Ticket
from shared.tickets.ports import InstanceDoor, TicketRecords, TicketStore

PAGE_SIZE: Final = 1000
GRACE: Final = timedelta(minutes=10)
"""Tickets younger than this are left alone: their delivery may be under way while both sides are read."""

PATIENCE: Final = timedelta(hours=1)
"""After a refusal, which somebody has to mend, it is tried again so much later."""
BEFORE_ANY_SYS_ID: Final = "0"
"""Every sys_id sorts behind it, in whatever collation."""
MANY: Final = 20
"""More tickets than this missing at once, and more than half of all, mean lost rights rather than deleted records."""


@dataclass(slots=True)
class ReconciliationCounts:
    """What one run found.

    Attributes:
        never_seen: Records with our correlation id that no ticket here belongs to.
    """

    compared: int = 0
    corrected: int = 0
    deleted: int = 0
    doubled: int = 0
    never_seen: int = 0
    complete: bool = False


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
            await self._compare(connection, tickets, page, counts)
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

    async def _compare(
        self, connection: Connection, tickets: Sequence[Ticket], page: Sequence[Record], counts: ReconciliationCounts
    ) -> None:
        by_ticket: dict[str, list[Record]] = {}
        for record in page:
            if (ticket_id := ticket_id_of(record.correlation_id or "")) is not None:
                by_ticket.setdefault(ticket_id, []).append(record)
        now = self.clock()
        known = {ticket.ticket_id for ticket in tickets}
        stragglers = await self.store.get_tickets(
            connection.connection_id, [ticket_id for ticket_id in by_ticket if ticket_id not in known]
        )
        counts.never_seen += sum(1 for ticket_id in by_ticket if ticket_id not in known and ticket_id not in stragglers)
        changes: list[tuple[Ticket, Ticket]] = []
        missing: list[Ticket] = []
        for ticket in (*tickets, *stragglers.values()):
            if not _concerns(ticket, connection, now):
                continue
            counts.compared += 1
            records = by_ticket.get(ticket.ticket_id, [])
            if not records:
                if ticket.phase is not Phase.DELETED:
                    missing.append(ticket)
                continue
            after = _compared(ticket, records, now)
            if after is not ticket:
                changes.append((ticket, after))
                counts.doubled += len(records) > 1
                counts.corrected += len(records) == 1
        changes += await self._missing(connection, missing, now, counts)
        await self.store.update_tickets(changes)

    async def _missing(
        self, connection: Connection, missing: Sequence[Ticket], now: datetime, counts: ReconciliationCounts
    ) -> list[tuple[Ticket, Ticket]]:
        """Ask for the records themselves before calling them deleted: somebody may have cleared the correlation id."""
        sys_ids = [ticket.record.sys_id for ticket in missing if ticket.record is not None]
        if not sys_ids:
            return []
        seen = await with_access(self.door, connection, lambda access: self.records.list_by_sys_id(access, sys_ids))
        by_sys_id = {record.sys_id: record for record in seen}
        gone = len(sys_ids) - len(by_sys_id)
        if gone > MANY and gone > counts.compared / 2:
            raise AccessRefused(
                f"{gone} of {counts.compared} tickets can no longer be found in ServiceNow; none of them was marked as "
                "deleted.",
                code="records_not_visible",
                next_step="Check that the integration user may still read incidents and change requests: roles, access "
                "controls, domain.",
            )
        changes: list[tuple[Ticket, Ticket]] = []
        for ticket in missing:
            record = by_sys_id.get(ticket.record.sys_id) if ticket.record is not None else None
            if record is None:
                after = deleted(ticket, now)
                counts.deleted += 1
            else:
                after = with_record(ticket, replace(record, correlation_id=ticket.correlation_id), now)
                counts.corrected += after is not ticket
            if after is not ticket:
                changes.append((ticket, after))
        return changes


def _concerns(ticket: Ticket, connection: Connection, now: datetime) -> bool:
    return ticket.is_of(connection) and ticket.delivery.status is Delivery.DELIVERED and ticket.created_at < now - GRACE


def _compared(ticket: Ticket, records: Sequence[Record], now: datetime) -> Ticket:
    """Return the ticket with what its own record says, and a note for every other record that claims to be it."""
    known = ticket.record
    for record in records:
        if known is None or record.sys_id == known.sys_id:
            ticket = with_record(ticket, record, now)
        else:
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
