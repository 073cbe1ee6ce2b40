"""How tickets were closed, which the synchronisation does not read: ServiceNow's own time, and the close code.

Only the table of a kind has these columns. So a ticket that was resolved, closed or canceled is in an index until its
record was asked for them. What ServiceNow does not show is replaced by what is known, so that nothing is asked forever.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import batched
from typing import Final

from shared.clock import Clock
from shared.connections.model import Connection
from shared.errors import AccessRefused, InstanceClosed
from shared.service import service
from shared.tickets.kinds import KINDS, TicketTable
from shared.tickets.model import OPEN_PHASES, EventKind, Phase, Ticket, time_of
from shared.tickets.outcome_events import with_verification
from shared.tickets.outcomes import Closing, with_closing
from shared.tickets.policies import claims_fix
from shared.tickets.ports import SYS_IDS_PER_REQUEST, RecordClosing, TicketRecords, TicketStore

PAGE_TICKETS: Final = 500
PATIENCE: Final = timedelta(days=1)
"""How long to ask while ServiceNow refuses the whole table: people grant the rights, and a refusal can be a passing
one."""

_DONE: Final = frozenset({Phase.RESOLVED, Phase.CLOSED, Phase.CANCELED})
_TABLES: Final[Mapping[str, TicketTable]] = {kind.table: kind.table for kind in KINDS.values()}


def closing_of(ticket: Ticket, now: datetime) -> Closing | None:
    """Return how a ticket was closed, as far as its timeline shows it; None if it is open."""
    if ticket.phase not in _DONE:
        return None
    return Closing(noticed_at=_last_change(ticket, _DONE) or now, claims_fix=ticket.phase is not Phase.CANCELED)


def with_read_closing(ticket: Ticket, shown: RecordClosing | None, connection: Connection, now: datetime) -> Ticket:
    """Return the ticket once its record was asked how it was closed.

    Args:
        shown: What ServiceNow shows; None if it shows nothing.
    """
    verification = ticket.verification
    if verification is None or verification.closing is None:
        return ticket
    closing, code = verification.closing, None if shown is None else shown.close_code
    kind = ticket.content.kind
    settings = connection.kinds.get(kind)
    is_claimed = settings is None or claims_fix(kind, code, settings)
    read = replace(
        closing,
        closed_at=_closed_at(ticket, shown),
        close_code=code,
        is_read=True,
        claims_fix=closing.claims_fix and is_claimed,
    )
    return with_verification(ticket, with_closing(verification, read, now), now)


def _closed_at(ticket: Ticket, shown: RecordClosing | None) -> datetime | None:
    """Return ServiceNow's time of the closing; if it shows none, that of the record's last change.

    What is older than the last reopening is about an earlier closing: not every instance clears these columns then.
    """
    times = [] if shown is None else [at for at in (shown.resolved_at, shown.closed_at) if at is not None]
    reopened_at = _last_change(ticket, OPEN_PHASES)
    valid = [at for at in times if reopened_at is None or at > reopened_at]
    changed_at = None if ticket.record is None else time_of(ticket.record.updated_at_text)
    return min(valid, default=changed_at)


def _last_change(ticket: Ticket, phases: Iterable[Phase]) -> datetime | None:
    """Return when the state last became one of these, as far as the timeline shows it."""
    names = {phase.value for phase in phases}
    changes = (event for event in ticket.timeline if event.kind is EventKind.STATE_CHANGED)
    return max((event.at for event in changes if event.details.get("phase") in names), default=None)


@service
class ClosingReading:
    """Asks how tickets were closed; see the module's description."""

    store: TicketStore
    records: TicketRecords
    clock: Clock

    async def run(self, connection: Connection, *, deadline: datetime) -> int:
        """Ask about every ticket that has not been asked about, until the deadline, and return how many.

        The caller has the connection's turn.

        Raises:
            TryLater, Reauthorize, FixConfiguration: ServiceNow failed; what was read is stored.
        """
        read = 0
        while self.clock() < deadline:
            tickets = await self.store.list_unread_closings(connection.connection_id, limit=PAGE_TICKETS)
            changes: list[tuple[Ticket, Ticket]] = []
            for table, some in _by_table(tickets, connection).items():
                for part in batched(some, SYS_IDS_PER_REQUEST, strict=False):
                    changes += await self._asked(connection, table, part)
            conflicts = await self.store.update_tickets(changes)
            read += len(changes) - len(conflicts)
            # Of a page that is not full, only those are left that somebody is changing, or that wait for rights.
            if len(tickets) < PAGE_TICKETS or len(conflicts) == len(changes):
                break
        return read

    async def _asked(
        self, connection: Connection, table: TicketTable | None, tickets: Sequence[Ticket]
    ) -> Sequence[tuple[Ticket, Ticket]]:
        """Return tickets of one table with what ServiceNow shows; those that have to wait are left out."""
        now = self.clock()
        shown: Mapping[str, RecordClosing] = {}
        if table is not None:
            sys_ids = [ticket.record.sys_id for ticket in tickets if ticket.record is not None]
            try:
                found = await self.records.list_closings(connection, table, sys_ids)
            except InstanceClosed:
                raise
            except AccessRefused:
                tickets = [ticket for ticket in tickets if _has_waited(ticket, now)]
            else:
                shown = {each.sys_id: each for each in found}
        after = (
            with_read_closing(ticket, shown.get(ticket.record.sys_id if ticket.record else ""), connection, now)
            for ticket in tickets
        )
        return [(before, read) for before, read in zip(tickets, after, strict=True) if read is not before]


def _by_table(tickets: Iterable[Ticket], connection: Connection) -> Mapping[TicketTable | None, Sequence[Ticket]]:
    """Return the tickets by the table to ask; None for those whose record nobody can ask."""
    found: dict[TicketTable | None, list[Ticket]] = {}
    for ticket in tickets:
        can_be_asked = ticket.record is not None and ticket.is_of(connection)
        table = _TABLES.get(ticket.record.table) if ticket.record is not None and can_be_asked else None
        found.setdefault(table, []).append(ticket)
    return found


def _has_waited(ticket: Ticket, now: datetime) -> bool:
    closing = None if ticket.verification is None else ticket.verification.closing
    return closing is not None and now >= closing.noticed_at + PATIENCE
