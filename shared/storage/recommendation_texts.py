"""Raw HTML of recommendations, stored once by hash, in rows ``text:<hash>`` of the tenant's partition.

A status text such as "40 of 200 users" changes daily, so texts that no improvement action names any more would become
more every day. They are deleted in two steps: a text is marked when nothing names it, and deleted at least a day later
if still nothing does. Whoever stores a reading writes a marked text again, which takes the mark away. So a text that
somebody has found stored, and is about to name, stays: it has no mark, or a new etag that stops the deletion.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from azure.data.tables import TableTransactionError, TransactionOperation
from azure.data.tables.aio import TableClient

from shared.clock import Clock
from shared.storage.entity_transactions import MOST_ROWS, EntityTransactions, RowOperation
from shared.storage.members import Row
from shared.storage.recommendation_rows import TEXT_PREFIX, UNNAMED_SINCE, text_of
from shared.storage.rows import RowReader
from shared.storage.tables import get_row, list_rows, storage_errors

READ_AT_ONCE: Final = 8
UNNAMED_MOST: Final = 200
"""Texts besides those of the present reading from which on unnamed ones are looked for: that reads every action."""
DELETED_AFTER: Final = timedelta(days=1)
"""Much longer than storing a reading, or showing a page, takes."""


class StoredTexts:
    """The texts of all tenants."""

    def __init__(self, table: TableClient, transactions: EntityTransactions, clock: Clock, reader: RowReader) -> None:
        self._table = table
        self._transactions = transactions
        self._clock = clock
        self._reader = reader

    async def rows(self, tenant_id: str) -> Mapping[str, Any]:
        """Return the rows of a tenant's texts by hash, without the texts themselves."""
        columns = ["PartitionKey", "RowKey", UNNAMED_SINCE]
        rows = await list_rows(self._table, tenant_id, TEXT_PREFIX, f"{TEXT_PREFIX}~", columns=columns)
        return {row["RowKey"].removeprefix(TEXT_PREFIX): row for row in rows}

    async def get(self, tenant_id: str, hashes: Collection[str]) -> Mapping[str, str]:
        """Return texts by hash; unknown and unreadable ones are left out."""
        turn = asyncio.Semaphore(READ_AT_ONCE)

        async def read(text_hash: str) -> Any | None:
            async with turn:
                return await get_row(self._table, tenant_id, f"{TEXT_PREFIX}{text_hash}")

        found = await asyncio.gather(*map(read, set(hashes)))
        rows = [row for row in found if row is not None]
        return dict(self._reader.readable(self._table.table_name, rows, text_of))

    async def clean(self, rows: Mapping[str, Any], named: Collection[str]) -> None:
        """Mark the texts that nothing names, and delete those that have been marked for long enough.

        Args:
            rows: As :meth:`rows` returned them before the improvement actions were read.
            named: The hashes that the improvement actions name.
        """
        now = self._clock()
        marked, deleted = [], []
        for text_hash, row in rows.items():
            if text_hash in named:
                continue
            keys: Row = {"PartitionKey": row["PartitionKey"], "RowKey": row["RowKey"]}
            etag = row.metadata["etag"]
            since = row.get(UNNAMED_SINCE)
            if not since:
                mark = keys | {UNNAMED_SINCE: now.isoformat()}
                marked.append(RowOperation(TransactionOperation.UPDATE, mark, etag=etag))
            elif now - datetime.fromisoformat(since) >= DELETED_AFTER:
                deleted.append(RowOperation(TransactionOperation.DELETE, keys, etag=etag))
        await self._submit([*marked, *deleted])

    async def _submit(self, operations: Sequence[RowOperation]) -> None:
        for start in range(0, len(operations), MOST_ROWS):
            try:
                with storage_errors():
                    await self._transactions.submit(self._table.table_name, operations[start : start + MOST_ROWS])
            except TableTransactionError as error:
                # Somebody has written or deleted one of them: another reading does the rest.
                if error.status_code not in {404, 412}:
                    raise
