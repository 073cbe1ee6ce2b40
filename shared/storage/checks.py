"""The newest check of each connection, in table ``connections``: row ``check`` of the connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from azure.data.tables.aio import TableClient

from shared.check.course import CheckRun
from shared.errors import RowUnreadable
from shared.storage.members import Members, members_of, members_row
from shared.storage.rows import RowReader
from shared.storage.tables import get_row, save_row

KEY: Final = "check"
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MEMBERS: Final = Members(CheckRun)


class AzureCheckStore:
    """Implements :class:`shared.check.course.CheckStore`."""

    def __init__(self, table: TableClient, reader: RowReader) -> None:
        self._table = table
        self._reader = reader

    async def get(self, connection_id: str) -> CheckRun | None:
        """See the port."""
        row = await get_row(self._table, connection_id, KEY)
        if row is None:
            return None
        try:
            found = self._reader.read(self._table.table_name, row, run_of)
        except RowUnreadable:
            # It is shown as one that stopped long ago, and the next one replaces it.
            found = CheckRun("", EARLIEST, EARLIEST, is_broken_off=True)
        return replace(found, etag=str(row.metadata["etag"]))

    async def save(self, connection_id: str, run: CheckRun) -> CheckRun:
        """See the port."""
        return replace(run, etag=await save_row(self._table, run_row(connection_id, run), run.etag))


def run_row(connection_id: str, run: CheckRun) -> dict[str, Any]:
    """Return the row of a check."""
    return members_row(connection_id, KEY, _MEMBERS.written(run))


def run_of(row: Mapping[str, Any]) -> CheckRun:
    """Return the check in a row; raises what :meth:`shared.storage.rows.RowReader.read` expects."""
    return _MEMBERS.read(members_of(row))
