"""Groups, companies and choice lists of an instance (ServiceNow §5.3, §6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.connections.model import Connection, TicketKind
from shared.connections.options import Choice
from shared.errors import AccessRefused
from shared.service import service
from shared.servicenow.queries import all_of, condition, one_of, ordered
from shared.servicenow.records import ALL_CLASSES
from shared.servicenow.table_api import Row, TableApi
from shared.servicenow.transport import Subject
from shared.tickets.kinds import KINDS

MOST_CHOICES: Final = 500
"""Nobody chooses from a longer list."""
_LANGUAGE: Final = "en"
"""The API answers values for every language; labels in the base language are there on every instance."""


@service
class ServiceNowCatalogue:
    """Implements :class:`shared.connections.options.InstanceCatalogue`."""

    table_api: TableApi

    async def assignment_groups(self, connection: Connection) -> Sequence[Choice] | None:
        """See the port."""
        rows = await self._rows(
            connection,
            "sys_user_group",
            ordered(condition("active", "=", "true"), "name"),
            ("sys_id", "name", "active"),
        )
        if rows is None:
            return None
        # A condition on a field that may not be read can be dropped silently (ServiceNow §2.3).
        return [
            Choice(row.sys_id, row.line("name"))
            for row in rows
            if row.sys_id and row.value("name") and row.value("active") != "false"
        ]

    async def companies(self, connection: Connection) -> Sequence[Choice] | None:
        """See the port."""
        rows = await self._rows(connection, "core_company", ordered("", "name"), ("sys_id", "name"))
        if rows is None:
            return None
        return [Choice(row.sys_id, row.line("name")) for row in rows if row.sys_id and row.value("name")]

    async def choices(self, connection: Connection, kind: TicketKind, element: str) -> Sequence[Choice] | None:
        """See the port. A table without its own choices shows those of the parent table."""
        query = all_of(
            one_of("name", (KINDS[kind].table, ALL_CLASSES)),
            condition("element", "=", element),
            condition("inactive", "=", "false"),
        )
        rows = await self._rows(
            connection,
            "sys_choice",
            ordered(query, "sequence", "label"),
            ("name", "element", "value", "label", "language", "inactive"),
        )
        if rows is None:
            return None
        for table in (KINDS[kind].table, ALL_CLASSES):
            found = [row for row in rows if _belongs(row, table, element)]
            if found:
                return list(
                    {row.value("value"): Choice(row.value("value"), row.line("label")) for row in found}.values()
                )
        return None

    async def _rows(
        self, connection: Connection, table: Subject, query: str, fields: Sequence[str]
    ) -> Sequence[Row] | None:
        try:
            page = await self.table_api.list_rows(
                connection, table, query=query, fields=fields, limit=MOST_CHOICES + 1, counted=False
            )
        except AccessRefused:
            return None
        return page.rows if 0 < len(page.rows) <= MOST_CHOICES else None


def _belongs(row: Row, table: str, element: str) -> bool:
    return (
        (row.value("name"), row.value("element")) == (table, element)
        and row.value("language") in {"", _LANGUAGE}
        and row.value("inactive") != "true"
        and bool(row.value("value") and row.value("label"))
    )
