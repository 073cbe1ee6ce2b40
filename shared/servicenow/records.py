"""The records that tickets become, and what changes in them (ServiceNow §2, §5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import batched, pairwise
from typing import Final

from shared.connections.directory import Place
from shared.connections.model import Connection, KindSettings
from shared.errors import (
    AccessRefused,
    InstanceClosed,
    InsufficientRights,
    QueryRefused,
    QuotaExceeded,
    RecordHidden,
    RecordsHidden,
)
from shared.outbound.answers import whole_number
from shared.service import service
from shared.servicenow.fields import date_time_of, record_fields, time_text_of
from shared.servicenow.queries import (
    all_by,
    any_of,
    begins_like_ours,
    changes_since,
    condition,
    is_safe_value,
    next_by,
    one_of,
    ordered,
)
from shared.servicenow.states import builtin_label, phase_of, phases_by_table
from shared.servicenow.table_api import Page, Row, TableApi
from shared.servicenow.transport import Subject
from shared.tickets.identity import ticket_id_of
from shared.tickets.kinds import KINDS, TicketTable
from shared.tickets.model import Record, Ticket
from shared.tickets.ports import SYS_IDS_PER_REQUEST, RecordClosing, RecordPage
from shared.tickets.reach import Reach

ALL_CLASSES: Final[Subject] = "task"
"""The parent table: it returns incidents, changes and any class that a ticket was moved to."""

FIELDS: Final = (
    "sys_id",
    "sys_class_name",
    "number",
    "state",
    "active",
    "sys_updated_on",
    "sys_mod_count",
    "priority",
    "assigned_to",
    "assignment_group",
    "due_date",
    "correlation_id",
)
"""What we read of a record; ServiceNow leaves ``sys_id`` out unless it is named (ServiceNow §2.2)."""
TEXTS: Final = ("short_description", "description")
"""Read once, when the record is written or found, to compare them with what was sent."""

CLOSING_FIELDS: Final[Mapping[TicketTable, Sequence[str]]] = {
    "incident": ("sys_id", "closed_at", "resolved_at", "close_code"),
    "change_request": ("sys_id", "closed_at", "close_code"),
}
"""Read once, when a record was closed (ServiceNow §5.4, §5.6); the parent table has no close codes."""

MOD_COUNT_MAX: Final = 2**31 - 1
"""ServiceNow counts in 32 bits, and so does a number in Table Storage."""
CORRELATION_ID_MAX_LENGTH: Final = 100
"""Length of ServiceNow's ``correlation_id`` (ServiceNow §5.1)."""


@service
class ServiceNowRecords:
    """Implements :class:`shared.tickets.ports.TicketRecords`."""

    table_api: TableApi

    async def create_record(
        self,
        connection: Connection,
        ticket: Ticket,
        kind_settings: KindSettings,
        requester_sys_id: str | None,
        *,
        send_by: datetime,
    ) -> Record:
        """See the port."""
        table = KINDS[ticket.content.kind].table
        row = await self.table_api.insert(
            connection,
            table,
            record_fields(ticket, kind_settings, requester_sys_id),
            fields=(*FIELDS, *TEXTS),
            send_by=send_by,
        )
        record = record_of(row, table)
        if record is None:
            raise RecordHidden(correlation_id=ticket.correlation_id)
        return record

    async def find_records(
        self, connection: Connection, table: TicketTable, *, sys_id: str, correlation_id: str
    ) -> Sequence[Record]:
        """See the port.

        One request asks for both ids. ServiceNow counts rows before access controls remove some, so an empty answer
        with a count shows that a record is hidden (ServiceNow §2.7). If ``task`` does not settle it, the table of the
        kind is asked, too: some instances let the integration user read only that.
        """
        query = ordered(
            any_of(condition("sys_id", "=", sys_id), condition("correlation_id", "=", correlation_id)),
            "sys_created_on",
            "sys_id",
        )
        doubt: AccessRefused | None = None
        tables: tuple[Subject, ...] = (ALL_CLASSES, table)
        for asked in tables:
            try:
                page = await self._few_rows(connection, asked, query)
            except InstanceClosed:
                raise
            except AccessRefused as error:
                if asked == table:
                    raise doubt or error from None
                doubt = error
                continue
            records = _records(page.rows, table)
            if not all(_is_one_of(record, sys_id, correlation_id) for record in records):
                raise _not_honoured()
            ours = [each for each in records if each.sys_id == sys_id or each.correlation_id == correlation_id]
            if ours:
                return ours
            if page.total_count is not None and page.total_count > len(page.rows):
                doubt = _not_visible()
            elif page.total_count is not None and asked == ALL_CLASSES:
                return []
        if isinstance(doubt, RecordsHidden):
            raise doubt
        return []

    async def _few_rows(self, connection: Connection, table: Subject, query: str) -> Page:
        """Return up to ten rows with their count, or without it if counting is too expensive for ServiceNow."""
        ask = partial(self.table_api.list_rows, connection, table, query=query, fields=(*FIELDS, *TEXTS), limit=10)
        try:
            return await ask()
        except QuotaExceeded:
            return await ask(counted=False)

    async def list_changes(
        self,
        connection: Connection,
        *,
        since: str | None,
        inclusive: bool,
        until: str | None,
        place: Place,
        reach: Reach,
    ) -> RecordPage:
        """See the port."""
        key = "sys_updated_on"
        if place.after is None:
            query = changes_since(since, inclusive=inclusive, until=until)
        else:
            query = next_by(key, place.after, until=until)
        return await self._keyset_page(connection, query, key, place, reach)

    async def list_by_correlation(
        self, connection: Connection, *, until: str | None, place: Place, reach: Reach
    ) -> RecordPage:
        """See the port."""
        key = "correlation_id"
        query = all_by(key, until=until) if place.after is None else next_by(key, place.after, until=until)
        return await self._keyset_page(connection, query, key, place, reach)

    async def list_by_sys_id(self, connection: Connection, sys_ids: Sequence[str]) -> Sequence[Record]:
        """See the port."""
        found: list[Record] = []
        for some in batched(dict.fromkeys(sys_ids), SYS_IDS_PER_REQUEST, strict=False):
            page = await self.table_api.list_rows(
                connection,
                ALL_CLASSES,
                query=one_of("sys_id", some),
                fields=FIELDS,
                limit=SYS_IDS_PER_REQUEST,
                counted=False,
            )
            records = _records(page.rows, ALL_CLASSES)
            if not {record.sys_id for record in records} <= set(some):
                raise _not_honoured()
            found += records
        return found

    async def list_closings(
        self, connection: Connection, table: TicketTable, sys_ids: Sequence[str]
    ) -> Sequence[RecordClosing]:
        """See the port."""
        found: list[RecordClosing] = []
        for some in batched(dict.fromkeys(sys_ids), SYS_IDS_PER_REQUEST, strict=False):
            page = await self.table_api.list_rows(
                connection,
                table,
                query=one_of("sys_id", some),
                fields=CLOSING_FIELDS[table],
                limit=SYS_IDS_PER_REQUEST,
                counted=False,
            )
            rows = [row for row in page.rows if row.sys_id]
            if not {row.sys_id for row in rows} <= set(some):
                raise _not_honoured()
            found += map(_closing_of, rows)
        return found

    async def _keyset_page(
        self, connection: Connection, query: str, key: str, place: Place, reach: Reach
    ) -> RecordPage:
        """Return one page in the order of ``key, sys_id``; one request.

        It asks for one row more than the page, so that a full last page needs no empty page after it. ServiceNow
        applies the limit before access controls, so an answer can hold fewer rows than asked for although more exist.
        Reading continues from a row that a query can name. If a whole page has none, the next page is asked for by
        offset and begins a little earlier: rows that change in the meantime leave, and the rows after them move up.
        """
        page = await self.table_api.list_rows(
            connection,
            ALL_CLASSES,
            query=query,
            fields=FIELDS,
            limit=reach.page_size + 1,
            offset=place.offset,
            counted=reach.counted,
        )
        _check_readable(page, key)
        rows = [row for row in page.rows[: reach.page_size] if row.sys_id]
        placed = [number for number, row in enumerate(rows) if _place_value(row, key)]
        _check_answers_query(rows, [rows[number] for number in placed], key, place)
        if not _more_follow(page, place, reach):
            following = None
        elif placed:
            last = rows[placed[-1]]
            following = Place((_place_value(last, key), last.sys_id), len(rows) - 1 - placed[-1])
        else:
            following = replace(place, offset=place.offset + reach.page_size - reach.page_size // 10)
        return RecordPage(_records(rows, ALL_CLASSES), following)


def _more_follow(page: Page, place: Place, reach: Reach) -> bool:
    """Whether there are rows after a page (ServiceNow §2.7).

    The count covers the whole query, with or without hidden rows (NOT FOUND). Without a count, only an empty page is
    certain to be the last.
    """
    if len(page.rows) > reach.page_size:
        return True
    if page.total_count is None:
        return bool(page.rows)
    return page.total_count > place.offset + (len(page.rows) or reach.page_size + 1)


def record_of(row: Row, table: str) -> Record | None:
    """Return what a row says, in values that a ticket's row can hold; None if the row does not identify its record.

    Args:
        table: The table asked, for instances that hide ``sys_class_name``.
    """
    if not row.sys_id:
        return None
    state = row.line("state")
    shown_table = row.line("sys_class_name")
    record_table = shown_table or table
    label = row.label("state")
    active = row.value("active") != "false"
    return Record(
        sys_id=row.sys_id,
        table=record_table,
        number=row.line("number"),
        state=state,
        # An instance without a readable label shows the number itself.
        state_label=label if label and label != state else builtin_label(record_table, state),
        active=active,
        updated_at_text=time_text_of(row.value("sys_updated_on")),
        mod_count=min(whole_number(row.value("sys_mod_count")) or 0, MOD_COUNT_MAX),
        priority=row.line("priority") or None,
        assigned_to=row.label("assigned_to") or None,
        assignment_group=row.label("assignment_group") or None,
        due_at=date_time_of(row.value("due_date")),
        correlation_id=row.value("correlation_id") or None,
        phase=phase_of(record_table, state, active=active),
        phase_by_table=None if shown_table else phases_by_table(state, active=active),
        texts={field: row.value(field) for field in TEXTS} if any(row.value(field) for field in TEXTS) else None,
    )


def _closing_of(row: Row) -> RecordClosing:
    return RecordClosing(
        row.sys_id,
        closed_at=date_time_of(row.value("closed_at")),
        resolved_at=date_time_of(row.value("resolved_at")),
        close_code=row.line("close_code") or None,
    )


def _records(rows: Iterable[Row], table: str) -> list[Record]:
    """Return the records in rows; rows that do not identify their record are left out."""
    return [record for row in rows if (record := record_of(row, table)) is not None]


def _is_one_of(record: Record, sys_id: str, correlation_id: str) -> bool:
    """Whether ServiceNow may answer a query for these ids with the record: most instances ignore case."""
    return record.sys_id == sys_id or (record.correlation_id or "").lower() == correlation_id.lower()


def _place_value(row: Row, key: str) -> str:
    """Return a row's value in the order of ``key``; empty if no query can continue from it."""
    value = row.value(key)
    if key == "sys_updated_on":
        return time_text_of(value)
    return value if is_safe_value(value) and len(value) <= CORRELATION_ID_MAX_LENGTH else ""


def _check_readable(page: Page, key: str) -> None:
    """Refuse a page on which no row shows its ``sys_id`` or no row shows its ``key``."""
    if page.rows and not all(any(row.value(field) for row in page.rows) for field in ("sys_id", key)):
        raise InsufficientRights(variant="fields")


def _check_answers_query(rows: Sequence[Row], placed: Sequence[Row], key: str, place: Place) -> None:
    """Refuse rows that cannot be ours, do not come after the place asked for, or are not in order.

    ServiceNow silently drops parts of a query that it does not accept (ServiceNow §2.3). Continuing from such a page
    would loop for ever or skip rows. Databases order other people's correlation ids differently (letter case,
    punctuation), so only times and our own ids, whose order is the same everywhere, are compared.
    """
    ours = all(begins_like_ours(row.value("correlation_id")) for row in rows)
    order = _comparable(key, ((row.value(key), row.sys_id) for row in placed))
    after = _comparable(key, () if place.after is None else (place.after,))
    behind = not after or not order or order[0] > after[0]
    if not ours or not behind or any(second[0] < first[0] for first, second in pairwise(order)):
        raise _not_honoured()


def _not_visible() -> RecordsHidden:
    return RecordsHidden()


def _comparable(key: str, places: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return those of the places whose order is the same in every database."""
    return [
        (value.lower(), sys_id.lower()) for value, sys_id in places if key != "correlation_id" or ticket_id_of(value)
    ]


def _not_honoured() -> QueryRefused:
    return QueryRefused(variant="not_honoured")
