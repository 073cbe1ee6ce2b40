"""Who may see limited customers, in table ``directory``: one partition, a row for each that was ever limited."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableClient

from shared.access.model import AllowedCaller, CustomerLimit
from shared.errors import RowUnreadable
from shared.storage.rows import RowReader
from shared.storage.tables import PAGE_ROWS, REPEATED, storage_errors

PARTITION: Final = "access"


class AzureCustomerLimits:
    """Implements :class:`shared.access.sight.CustomerLimits`."""

    def __init__(self, table: TableClient, reader: RowReader | None = None) -> None:
        self._table = table
        self._reader = reader or RowReader()

    async def list(self) -> Mapping[str, CustomerLimit]:
        """See the port."""
        with storage_errors():
            found = self._table.query_entities(
                "PartitionKey eq @partition", parameters={"partition": PARTITION}, results_per_page=PAGE_ROWS
            )
            rows = [row async for row in found]
        limits = {row["RowKey"]: self._limit(row) for row in rows}
        return {connection_id: limit for connection_id, limit in limits.items() if limit is not None}

    async def save(self, connection_id: str, limit: CustomerLimit | None) -> None:
        """See the port."""
        with storage_errors():
            await self._table.upsert_entity(limit_row(connection_id, limit), mode=UpdateMode.MERGE, **REPEATED)

    def _limit(self, row: Any) -> CustomerLimit | None:
        try:
            return self._reader.read(self._table.table_name, row, limit_of)
        except RowUnreadable:
            return ()


def limit_row(connection_id: str, limit: CustomerLimit | None) -> dict[str, str]:
    """Return the row of a limit."""
    return {
        "PartitionKey": PARTITION,
        "RowKey": connection_id,
        "limited_to": json.dumps([each.object_id for each in limit or ()]),
        "notes": json.dumps({each.object_id: each.note for each in limit or () if each.note}),
    }


def limit_of(row: Any) -> CustomerLimit | None:
    """Return the limit in a row; raises what :meth:`shared.storage.rows.RowReader.read` expects.

    Somebody may have written the ids by hand, without notes.
    """
    object_ids, notes = json.loads(row["limited_to"]), json.loads(row.get("notes") or "{}")
    if not isinstance(object_ids, list):
        raise TypeError("a list of object ids is expected")
    return tuple(AllowedCaller(str(each).lower(), str(notes.get(each, ""))) for each in object_ids) or None
