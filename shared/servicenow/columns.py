"""What an instance says about its columns, and the records that they can refer to (ServiceNow §13).

The user interface's own endpoint is asked first, because it answers ordinary users; then the dictionary, which most
instances close to them. Nothing here is trusted: names, types and counts are checked; what does not fit is left out.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Mapping, Sequence
from typing import Final

from shared.connections.columns import MOST_SUGGESTIONS, Column
from shared.connections.fixed_fields import COLUMN
from shared.connections.model import Connection, TicketKind
from shared.connections.options import Choice
from shared.errors import (
    AccessRefused,
    AnswerIncomplete,
    AnswerTooLarge,
    FixConfiguration,
    InstanceClosed,
    NotTheApi,
    QueryRefused,
    ServiceNowUnavailable,
)
from shared.outbound.answers import Answer, whole_number
from shared.secret import Secret
from shared.service import service
from shared.servicenow.answers import result_of
from shared.servicenow.queries import all_of, condition, either, one_of, ordered, safe_parts
from shared.servicenow.records import ALL_CLASSES
from shared.servicenow.table_api import LINE_MAX_LENGTH, Page, Row, TableApi
from shared.servicenow.transport import ServiceNowRequest, Subject
from shared.texts import one_line
from shared.tickets.kinds import KINDS

COLUMNS_S: Final = 8.0
"""Limit for all requests together: a person waits for what depends on them."""
MOST_COLUMNS: Final = 1000
MOST_CHOICES_OF_COLUMN: Final = 200
"""A longer list is not shown, and a value that it seems to lack is not reported."""
MOST_CHOICES: Final = 3000
SEARCHED_MAX_LENGTH: Final = 100
_ROWS_SEARCHED: Final = 100
"""Some rows are dropped here, because the query can lose conditions on the way (ServiceNow §2.3)."""
_LANGUAGE: Final = "en"
_COLUMN: Final = re.compile(COLUMN)
_TYPE: Final = re.compile(r"[A-Za-z0-9_]{1,80}")
_NOT_SAID: Final = (FixConfiguration, NotTheApi, AnswerIncomplete, AnswerTooLarge)
"""What an instance answers that does not have the user interface's endpoint, or has a useless one."""
_USERS: Final = "sys_user"
_NAMES: Final[Mapping[str, Sequence[str]]] = {
    _USERS: ("name", "user_name", "email"),
    **dict.fromkeys(
        ("task", "incident", "problem", "change_request", "change_task", "sc_task", "sc_request", "sc_req_item"),
        ("number", "short_description"),
    ),
}
"""The columns by which people know a record, the display value first; in other tables it is ``name``."""
_WITH_ACTIVE: Final = frozenset({_USERS, "sys_user_group"})
"""Tables that certainly have a column ``active``, so that a query may use it."""
_IN_BRACKETS: Final = re.compile(r" \([^()]*\)$")


@service
class ServiceNowColumns:
    """Implements :class:`shared.connections.columns.InstanceColumns`."""

    table_api: TableApi

    def with_token(self, token: Secret) -> ServiceNowColumns:
        """See the port."""
        return ServiceNowColumns(self.table_api.with_token(token))

    async def columns(self, connection: Connection, kind: TicketKind) -> Mapping[str, Column] | None:
        """See the port."""
        return await _in_time(self._columns(connection, KINDS[kind].table))

    async def search(
        self, connection: Connection, table: str, text: str, *, exact: bool = False
    ) -> Sequence[Choice] | None:
        """See the port. A text that a query cannot contain is searched for by its longest part that fits."""
        wanted = one_line(text).strip()[:SEARCHED_MAX_LENGTH]
        asked = max(safe_parts(_IN_BRACKETS.sub("", wanted)), key=len, default="")
        if not asked or not _COLUMN.fullmatch(table):
            return []
        names = _NAMES.get(table, ("name",))
        operator = "=" if exact and asked == _IN_BRACKETS.sub("", wanted) else "LIKE"
        page = await _in_time(self._rows_named(connection, table, names, operator, asked))
        if page is None or (not page.rows and page.total_count):
            return None
        found = [
            Choice(row.sys_id, _label(table, row))
            for row in page.rows
            if row.sys_id
            and row.value("active") != "false"
            and row.line(names[0])
            and _fits(wanted, [row.line(name) for name in names], _label(table, row), exact=exact)
        ]
        return found[:MOST_SUGGESTIONS]

    async def _columns(self, connection: Connection, table: str) -> Mapping[str, Column] | None:
        return await self._by_interface(connection, table) or await self._by_dictionary(connection, table)

    async def _by_interface(self, connection: Connection, table: str) -> Mapping[str, Column] | None:
        request = ServiceNowRequest(
            method="GET", url=f"{connection.instance}/api/now/ui/meta/{table}", subject="ui_meta"
        )
        try:
            return await self.table_api.transport.read(connection, request, self._described)
        except _NOT_SAID:
            return None

    def _described(self, answer: Answer) -> Mapping[str, Column] | None:
        result = result_of(answer, writing=False, now=self.table_api.transport.clock())
        described = result.get("columns") if isinstance(result, dict) else None
        if not isinstance(described, dict) or len(described) > MOST_COLUMNS:
            return None
        return {
            name: _column(name, cells, _choices_in(cells.get("choices")))
            for name, cells in described.items()
            if _COLUMN.fullmatch(name) and isinstance(cells, dict)
        }

    async def _by_dictionary(self, connection: Connection, table: str) -> Mapping[str, Column] | None:
        """Return the columns of a table and its parent. An empty dictionary means that it is closed to us."""
        tables = (table, ALL_CLASSES)
        page = await self._page(
            connection,
            "sys_dictionary",
            all_of(one_of("name", tables), "elementISNOTEMPTY", "active=true"),
            ("name", "element", "column_label", "internal_type", "mandatory", "read_only", "max_length", "reference"),
            MOST_COLUMNS,
        )
        if page is None or not page.rows or len(page.rows) > MOST_COLUMNS:
            return None
        choices = await self._choices(connection, tables)
        found: dict[str, Column] = {}
        # The parent's first: a table's own entry for a column replaces the inherited one.
        for name in reversed(tables):
            for row in page.rows:
                element = row.value("element")
                if row.value("name") == name and _COLUMN.fullmatch(element):
                    found[element] = _column(element, _cells_of(row), choices.get(element))
        return found or None

    async def _choices(self, connection: Connection, tables: Sequence[str]) -> Mapping[str, Sequence[Choice]]:
        """Return the lists of choices by column; a table's own list replaces its parent's."""
        page = await self._page(
            connection,
            "sys_choice",
            ordered(all_of(one_of("name", tables), condition("inactive", "=", "false")), "sequence", "label"),
            ("name", "element", "value", "label", "language", "inactive"),
            MOST_CHOICES,
        )
        if page is None or len(page.rows) > MOST_CHOICES:
            return {}
        lists: dict[str, Sequence[Choice]] = {}
        for name in reversed(tables):
            own: dict[str, dict[str, Choice]] = {}
            for row in page.rows:
                if row.value("name") == name and _is_offered(row):
                    value = row.value("value")
                    own.setdefault(row.value("element"), {})[value] = Choice(value, row.line("label"))
            lists |= {element: list(choices.values()) for element, choices in own.items()}
        return {element: choices for element, choices in lists.items() if len(choices) <= MOST_CHOICES_OF_COLUMN}

    async def _page(
        self, connection: Connection, table: Subject, query: str, fields: Sequence[str], most: int
    ) -> Page | None:
        try:
            return await self.table_api.list_rows(
                connection, table, query=query, fields=fields, limit=most + 1, counted=False
            )
        except InstanceClosed:
            raise
        except AccessRefused:
            return None

    async def _rows_named(
        self, connection: Connection, table: str, names: Sequence[str], operator: str, text: str
    ) -> Page | None:
        """Return rows that people may call this, by as many of the names as the integration user may query."""
        for asked in dict.fromkeys((tuple(names), tuple(names[:1]))):
            # Some instances distinguish case (ServiceNow §2.3).
            spellings = dict.fromkeys((text, text.lower(), text.title()))
            wanted = either(*(condition(name, operator, spelling) for name in asked for spelling in spellings))
            active = (condition("active", "=", "true"),) if table in _WITH_ACTIVE else ()
            try:
                return await self.table_api.list_records(
                    connection,
                    table,
                    subject="reference_records",
                    query=ordered(all_of(wanted, *active), names[0]),
                    fields=("sys_id", "active", *names),
                    limit=_ROWS_SEARCHED,
                )
            except InstanceClosed:
                raise
            except QueryRefused:
                continue
            except AccessRefused:
                return None
        return None


async def _in_time[Found](look: Awaitable[Found]) -> Found:
    try:
        async with asyncio.timeout(COLUMNS_S):
            return await look
    except TimeoutError:
        raise ServiceNowUnavailable(variant="too_slow") from None


def _column(name: str, cells: Mapping[str, object], choices: Sequence[Choice] | None) -> Column:
    """Return a column from what either source says about it."""
    label = one_line(_text(cells.get("label")), LINE_MAX_LENGTH)
    internal_type, reference = _text(cells.get("type")), _text(cells.get("reference"))
    max_length = whole_number(_text(cells.get("max_length")))
    return Column(
        name=name,
        label=label or name,
        type=internal_type if _TYPE.fullmatch(internal_type) else None,
        mandatory=_boolean(cells.get("mandatory")),
        read_only=_boolean(cells.get("read_only")),
        max_length=max_length or None,
        reference=reference if _COLUMN.fullmatch(reference) else None,
        choices=choices,
    )


def _cells_of(row: Row) -> Mapping[str, object]:
    return {
        "label": row.value("column_label"),
        "type": row.value("internal_type"),
        **{name: row.value(name) for name in ("mandatory", "read_only", "max_length", "reference")},
    }


def _choices_in(listed: object) -> Sequence[Choice] | None:
    """Return the choices of a column, without the one for no value; None if there are none, or too many."""
    if not isinstance(listed, list) or len(listed) > MOST_CHOICES_OF_COLUMN:
        return None
    choices = {
        value: Choice(value, one_line(_text(each.get("label")), LINE_MAX_LENGTH) or value)
        for each in listed
        if isinstance(each, dict) and (value := _text(each.get("value")))
    }
    return list(choices.values()) or None


def _is_offered(row: Row) -> bool:
    return (
        row.value("language") in {"", _LANGUAGE}
        and row.value("inactive") != "true"
        and bool(row.value("value") and row.value("label"))
    )


def _label(table: str, row: Row) -> str:
    """Return what people call a record; names of people are not unique, so theirs has the user name with it."""
    name, user_name = row.line(_NAMES.get(table, ("name",))[0]), row.line("user_name")
    return f"{name} ({user_name})" if table == _USERS and user_name else name


def _fits(wanted: str, names: Sequence[str], label: str, *, exact: bool) -> bool:
    sought = wanted.casefold()
    known = [name.casefold() for name in (*names, label)]
    return sought in known if exact else any(sought in name for name in known)


def _text(value: object) -> str:
    """Return a text, or a whole number as one; an empty text for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value.encode(errors="replace").decode() if isinstance(value, str) else ""


def _boolean(value: object) -> bool | None:
    return value if isinstance(value, bool) else {"true": True, "false": False}.get(_text(value))
