"""Changes of ServiceNow's records, their journals and markers, with everything that can happen on the way."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.connections.model import Connection
from shared.errors import (
    AccessRefused,
    ConnectorError,
    FixConfiguration,
    InstanceClosed,
    OutcomeUnknown,
    ServiceNowUnavailable,
)
from shared.tickets.model import OPEN_PHASES, Phase, Ticket
from shared.tickets.updates.model import Update, UpdateKind
from shared.tickets.updates.ports import FollowUp, Seen
from shared.tickets.updates.progress import NOTES
from shared.tickets.updates.record_details import RecordDetails
from shared.tickets.updates.texts import is_in_journal, is_marker_of, marker_of, record_text, trial_marker_of
from tests.memory.servicenow import WRITE_MAY_TAKE_S, MemoryServiceNow, WriteFault, as_shown
from tests.memory.steps import Step, at_once

WANTED = {
    UpdateKind.RESOLVE: ("6", frozenset({Phase.RESOLVED, Phase.CLOSED})),
    UpdateKind.CANCEL: ("8", frozenset({Phase.CANCELED})),
    UpdateKind.REOPEN: ("2", OPEN_PHASES),
}
NOTHING_WRITTEN = {WriteFault.LOST_ON_THE_WAY, WriteFault.PAGE_INSTEAD}


def as_written(update: Update) -> str:
    """Return an update's text of a connection that shares names and writes English."""
    return record_text(update, shares_requester=True, language="en")


@dataclass(frozen=True)
class Written:
    """A value from the time when its transaction is committed."""

    committed_at: datetime
    text: str


class MemoryRecordUpdates:
    """Implements :class:`shared.tickets.updates.ports.RecordUpdates` for the records of a ``MemoryServiceNow``.

    Its faults happen here as well.

    Attributes:
        journals: Entries by ``sys_id``, those included whose transaction is not committed yet.
        marker_writable, marker_readable: Whether the integration user may write and read ``correlation_display``.
        notes_writable, notes_readable: The same for the journals.
        requests: Number of requests by operation.
    """

    def __init__(self, servicenow: MemoryServiceNow, step: Step = at_once) -> None:
        self.servicenow = servicenow
        self._step = step
        self.journals: dict[str, list[Written]] = {}
        self._markers: dict[str, list[Written]] = {}
        self.marker_writable = True
        self.marker_readable = True
        self.notes_writable = True
        self.notes_readable = True
        self.requests: Counter[str] = Counter()

    async def change(self, connection: Connection, ticket: Ticket, update: Update, *, send_by: datetime) -> Seen:
        """See the port."""
        if update.kind in WANTED:
            seen = await self.look_up(connection, ticket, update)
            if seen.is_done or (update.kind is UpdateKind.REOPEN and seen.record.phase is not Phase.RESOLVED):
                return seen
            if update.kind is not UpdateKind.REOPEN and seen.record.phase not in OPEN_PHASES:
                raise FixConfiguration("record_already_closed", status=409)
        await self._written("change", ticket, update, marker_of(update), send_by)
        return self._seen(ticket, update)

    async def look_up(self, connection: Connection, ticket: Ticket, update: Update) -> Seen:
        """See the port."""
        self.requests["look_up"] += 1
        await self.servicenow.read("look_up")
        return self._seen(ticket, update)

    async def can_be_marked(self, connection: Connection, ticket: Ticket, update: Update, *, send_by: datetime) -> bool:
        """See the port."""
        await self._written("can_be_marked", ticket, None, trial_marker_of(update), send_by)
        return self._marker(ticket.ticket_id) == trial_marker_of(update)

    async def details(self, connection: Connection, ticket: Ticket) -> RecordDetails:
        """See the port."""
        await self.servicenow.read("details")
        return RecordDetails()

    def entries(self, update: Update) -> int:
        """Return how many journal entries an update has made, or will have made."""
        return sum(each.text == as_written(update) for each in self.journals.get(update.ticket_id, []))

    async def _written(
        self, operation: str, ticket: Ticket, update: Update | None, marker: str, send_by: datetime
    ) -> None:
        """Write a marker and an update's own values in one transaction."""
        clock = self.servicenow.clock
        await self._step("access_token")
        if clock() > send_by:
            raise ServiceNowUnavailable()
        self.requests[operation] += 1
        sent_at = clock()
        fault = self.servicenow.write_faults.popleft() if self.servicenow.write_faults else None
        error: ConnectorError | None = self.servicenow.error_of(fault)
        if error is None and self.servicenow.record(ticket.ticket_id) is None:
            error = AccessRefused("record_not_found")
        if error is None and fault not in NOTHING_WRITTEN:
            self._commit(ticket, update, marker, self.servicenow.late_by_s if fault is WriteFault.COMMITTED_LATE else 0)
        await self._step(f"{operation} answers")
        if error is None and fault is WriteFault.COMMITTED_THEN_TOKEN_REFUSED:
            error = self.servicenow.error_of(WriteFault.TOKEN_REFUSED)
        if error is None and fault in {WriteFault.PAGE_IN_FRONT, WriteFault.PAGE_INSTEAD}:
            error = InstanceClosed("servicenow_redirects", writing=True)
        if error is not None:
            raise error
        if fault is not None or clock() > sent_at + timedelta(seconds=WRITE_MAY_TAKE_S):
            raise OutcomeUnknown()

    def _commit(self, ticket: Ticket, update: Update | None, marker: str, after_s: float) -> None:
        at = self.servicenow.clock() + timedelta(seconds=after_s)
        if self.marker_writable:
            self._markers.setdefault(ticket.ticket_id, []).append(Written(at, marker))
        values: dict[str, object] = {}
        if update is not None and update.kind in NOTES and self.notes_writable:
            self.journals.setdefault(ticket.ticket_id, []).append(Written(at, as_written(update)))
        elif update is not None and update.kind is UpdateKind.DUE_DATE:
            values["due_at"] = update.due_at
        elif update is not None and update.kind in WANTED:
            values["state"] = WANTED[update.kind][0]
        self.servicenow.change(ticket.ticket_id, commit_after_s=after_s, **values)

    def _marker(self, sys_id: str) -> str:
        if not self.marker_readable:
            return ""
        visible = [each for each in self._markers.get(sys_id, []) if each.committed_at <= self.servicenow.clock()]
        return sorted(visible, key=lambda each: each.committed_at)[-1].text if visible else ""

    def _seen(self, ticket: Ticket, update: Update) -> Seen:
        record = self.servicenow.record(ticket.ticket_id)
        if record is None:
            raise AccessRefused("record_not_found")
        record = as_shown(record)
        done: bool | None
        if update.kind in NOTES:
            now = self.servicenow.clock()
            journal = [each.text for each in self.journals.get(ticket.ticket_id, []) if each.committed_at <= now]
            done = is_in_journal(update, "\n\n".join(journal)) if self.notes_readable else None
        elif update.kind is UpdateKind.DUE_DATE:
            done = record.due_at == update.due_at
        else:
            done = record.phase in WANTED[update.kind][1]
        return Seen(replace(record), is_marker_of(update, self._marker(ticket.ticket_id)), done)


class MemoryFollowUps:
    """Implements :class:`shared.tickets.updates.ports.FollowUps`: one ticket for each update."""

    def __init__(self, step: Step = at_once) -> None:
        self._step = step
        self.made: dict[str, Ticket] = {}
        self.errors: list[ConnectorError] = []
        self.open_elsewhere = False

    async def make(self, ticket: Ticket, update: Update) -> FollowUp:
        """See the port."""
        await self._step("make")
        if self.errors:
            raise self.errors.pop()
        if self.open_elsewhere:
            return FollowUp(replace(ticket, ticket_id="e" * 32), is_new=False)
        made = self.made.setdefault(
            update.update_id, replace(ticket, ticket_id=update.update_id, record=None, phase=None, timeline=())
        )
        await self._step("make answers")
        return FollowUp(made)
