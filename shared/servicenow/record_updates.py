"""Changes of the records that tickets have become, each marked in case its answer is lost (ServiceNow §2.5, §14).

The marker is in ``correlation_display`` and is written by the same request as the change. ServiceNow silently leaves a
field as it is that the integration user may not write, so every answer is compared with what was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from shared.connections.model import Connection
from shared.connections.options import Choice, InstanceCatalogue
from shared.connections.suggestions import CHOSEN_FOR_A_TICKET as CHOSEN
from shared.errors import AccessRefused, AnswerIncomplete, AnswerTooLarge, FixConfiguration, ValuesRefused
from shared.outbound.answers import Answer
from shared.service import service
from shared.servicenow.answers import result_of, unusable_answer
from shared.servicenow.fields import date_time_text
from shared.servicenow.kinds import RECORD_KINDS
from shared.servicenow.records import ALL_CLASSES, FIELDS, record_of
from shared.servicenow.resolutions import ways_to_cancel, ways_to_resolve
from shared.servicenow.table_api import Row, TableApi
from shared.servicenow.transport import ServiceNowRequest, Subject
from shared.tickets.kinds import KINDS
from shared.tickets.model import OPEN_PHASES, Phase, Record, Ticket
from shared.tickets.updates.model import Update, UpdateKind
from shared.tickets.updates.ports import Seen
from shared.tickets.updates.record_details import RecordDetails, journal_entries
from shared.tickets.updates.texts import (
    is_in_journal,
    is_marker_of,
    marker_of,
    notes_without_text,
    record_text,
    trial_marker_of,
)

MARKER: Final = "correlation_display"
_JOURNALS: Final[Mapping[UpdateKind, str]] = {UpdateKind.WORK_NOTE: "work_notes", UpdateKind.COMMENT: "comments"}
DETAILS: Final = ("close_code", "close_notes", "comments", "work_notes", *CHOSEN)
"""Read while somebody looks at a ticket's page."""
_RESOLVED: Final = frozenset({Phase.RESOLVED, Phase.CLOSED})
_NOTES_SHOWN: Final = 4000
"""Characters of the close notes: the length of ServiceNow's column (ServiceNow §5.1)."""


@service
class ServiceNowRecordUpdates:
    """Implements :class:`shared.tickets.updates.ports.RecordUpdates`."""

    table_api: TableApi
    catalogue: InstanceCatalogue

    async def change(self, connection: Connection, ticket: Ticket, update: Update, *, send_by: datetime) -> Seen:
        """See the port."""
        match update.kind:
            case UpdateKind.WORK_NOTE | UpdateKind.COMMENT:
                changes = {_JOURNALS[update.kind]: _text(connection, update)}
            case UpdateKind.DUE_DATE:
                changes = {"due_date": "" if update.due_at is None else date_time_text(update.due_at)}
            case _:
                return await self._change_state(connection, ticket, update, send_by)
        return await self._changed(connection, ticket, update, changes, send_by)

    async def look_up(self, connection: Connection, ticket: Ticket, update: Update) -> Seen:
        """See the port. If the journal is too long to be read, only the marker counts."""
        try:
            row = await self._row(connection, ticket, (*FIELDS, MARKER, *_journal_of(update)))
        except AnswerTooLarge:
            row = await self._row(connection, ticket, (*FIELDS, MARKER))
        return _seen(row, ticket, update, writing=False)

    async def can_be_marked(self, connection: Connection, ticket: Ticket, update: Update, *, send_by: datetime) -> bool:
        """See the port."""
        marker = trial_marker_of(update)
        row = await self.table_api.update(
            connection, _table(ticket), _sys_id(ticket), {MARKER: marker}, fields=("sys_id", MARKER), send_by=send_by
        )
        return row.value(MARKER) == marker

    async def details(self, connection: Connection, ticket: Ticket) -> RecordDetails:
        """See the port."""
        row = await self._row(connection, ticket, DETAILS)
        return RecordDetails(
            close_code=row.label("close_code") or None,
            close_notes=row.text("close_notes")[:_NOTES_SHOWN] or None,
            comments=journal_entries(row.text("comments")) if row.shows("comments") else None,
            work_notes=journal_entries(row.text("work_notes")) if row.shows("work_notes") else None,
            assigned={
                column: Choice(row.value(column), row.label(column) or row.value(column))
                for column in CHOSEN
                if row.value(column)
            },
        )

    async def _row(self, connection: Connection, ticket: Ticket, fields: Sequence[str]) -> Row:
        return await self.table_api.get_row(connection, _table(ticket), _sys_id(ticket), fields=fields)

    async def _changed(
        self, connection: Connection, ticket: Ticket, update: Update, changes: Mapping[str, str], send_by: datetime
    ) -> Seen:
        row = await self.table_api.update(
            connection,
            _table(ticket),
            _sys_id(ticket),
            {**changes, MARKER: marker_of(update)},
            fields=(*FIELDS, MARKER, *_journal_of(update)),
            send_by=send_by,
        )
        return _seen(row, ticket, update, writing=True)

    async def _change_state(self, connection: Connection, ticket: Ticket, update: Update, send_by: datetime) -> Seen:
        """Change the state in the first way that the instance accepts, unless it already is as wanted."""
        seen = await self.look_up(connection, ticket, update)
        if seen.is_done:
            return seen
        phase = seen.record.phase
        if update.kind is UpdateKind.REOPEN:
            ways = self._ways_to_reopen(ticket) if phase is Phase.RESOLVED else ()
        elif phase not in OPEN_PHASES:
            raise FixConfiguration("record_already_closed", status=409)
        else:
            ways = await self._ways_to_end(connection, ticket, update)
        refusal: ValuesRefused | None = None
        for changes in ways:
            try:
                seen = await self._changed(connection, ticket, update, changes, send_by)
            except ValuesRefused as error:
                refusal = error
                continue
            if seen.is_done:
                return seen
            refusal = None
        if refusal is not None:
            raise refusal
        return seen

    def _ways_to_reopen(self, ticket: Ticket) -> Sequence[Mapping[str, str]]:
        state = RECORD_KINDS[ticket.content.kind].reopened_state
        return () if state is None else ({"state": state},)

    async def _ways_to_end(self, connection: Connection, ticket: Ticket, update: Update) -> Sequence[Mapping[str, str]]:
        """Return the changes to try, if the record's state model offers the state.

        An incident has no model to ask. If a change's model cannot be read, we try to cancel the change, but not to
        close it: only its people know whether its approvals, tasks and review are complete.
        """
        kind = ticket.content.kind
        closing = update.kind is UpdateKind.RESOLVE
        if _table(ticket) == "change_request":
            offered = await self._next_states(connection, _sys_id(ticket))
            wanted = RECORD_KINDS[kind].resolved_state if closing else RECORD_KINDS[kind].canceled_state
            if closing if offered is None else wanted not in offered:
                raise FixConfiguration("state_not_offered", status=409)
        codes = [choice.value for choice in await self.catalogue.choices(connection, kind, "close_code") or ()]
        notes = _text(connection, update) or notes_without_text(connection.language)
        if closing:
            return ways_to_resolve(kind, codes, notes)
        ways = ways_to_cancel(kind, codes, notes)
        return tuple(reversed(ways)) if update.text else ways

    async def _next_states(self, connection: Connection, sys_id: str) -> frozenset[str] | None:
        """Return the states that a change can be moved to, or None if the instance does not say (ServiceNow §11.6)."""
        request = ServiceNowRequest(
            method="GET",
            url=f"{connection.instance}/api/sn_chg_rest/change/{sys_id}/nextstates",
            subject="change_next_states",
        )
        try:
            return await self.table_api.transport.read(connection, request, self._offered)
        except AccessRefused:
            return None  # The API has access rules of its own, and can be missing.

    def _offered(self, answer: Answer) -> frozenset[str] | None:
        result = result_of(answer, writing=False, now=self.table_api.transport.clock())
        states = result.get("available_states") if isinstance(result, dict) else None
        if not isinstance(states, list):
            return None
        return frozenset(str(state) for state in states)


def _text(connection: Connection, update: Update) -> str:
    return record_text(update, shares_requester=connection.shares_requester, language=connection.language)


def _seen(row: Row, ticket: Ticket, update: Update, *, writing: bool) -> Seen:
    record = record_of(row, _table(ticket))
    if record is None:
        raise unusable_answer(AnswerIncomplete(), writing=writing)
    assert ticket.record is not None, "only a delivered ticket has updates"
    record = record.in_table(ticket.record.table)
    is_marked = is_marker_of(update, row.value(MARKER))
    if update.kind in _JOURNALS:
        return Seen(record, is_marked, _is_in_journal(row, update, is_marked=is_marked))
    return Seen(record, is_marked, _is_done(record, update))


def _is_in_journal(row: Row, update: Update, *, is_marked: bool) -> bool | None:
    """Whether the journal shows the note; None if nobody can know.

    Some instances leave out a field that we may not read, others show it empty (ServiceNow §2.6). So an empty journal
    says something only if the marker is missing, too: then the instance ignored the whole request.
    """
    field = _JOURNALS[update.kind]
    if not row.shows(field) or (is_marked and not row.text(field)):
        return None
    return is_in_journal(update, row.text(field))


def _is_done(record: Record, update: Update) -> bool:
    match update.kind:
        case UpdateKind.DUE_DATE:
            return record.due_at == update.due_at
        case UpdateKind.RESOLVE:
            return record.phase in _RESOLVED
        case UpdateKind.CANCEL:
            return record.phase is Phase.CANCELED
        case _:
            return record.phase in OPEN_PHASES


def _journal_of(update: Update) -> tuple[str, ...]:
    return (_JOURNALS[update.kind],) if update.kind in _JOURNALS else ()


def _table(ticket: Ticket) -> Subject:
    """Return the table of the ticket's kind.

    It is the parent table for a record that was moved to another one, and for a kind that only another release knows.
    """
    kind = KINDS.get(ticket.content.kind)
    if kind is None or (ticket.record is not None and ticket.record.table != kind.table):
        return ALL_CLASSES
    return kind.table


def _sys_id(ticket: Ticket) -> str:
    assert ticket.record is not None, "only a delivered ticket has updates"
    return ticket.record.sys_id
