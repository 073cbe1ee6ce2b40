"""The evidence, in table ``evidence``: one row for each batch of events, one partition for each month.

Row keys begin with the time, so a period is a range. The months before the retention are deleted row by row.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import batched, groupby
from typing import Any, Final

from azure.data.tables import TableTransactionError, TransactionOperation
from azure.data.tables.aio import TableClient

from shared.evidence.model import EvidenceBatch, EvidenceEvent
from shared.storage.entity_transactions import MOST_ROWS, EntityTransactions, RowOperation, text_bytes
from shared.storage.members import Members, Row, members_of, members_row
from shared.storage.rows import RowReader
from shared.storage.tables import PAGE_ROWS, storage_errors

TRANSACTION_BYTES: Final = 900_000
"""As for tickets; a transaction with one batch can be larger."""
MOST_DELETED: Final = 5_000
"""Rows that one call deletes; the next night goes on."""
STORED_LATER: Final = timedelta(days=1)
"""How much older than its batch an event can be: a batch has the time of its newest event."""

_BATCH: Final = Members(EvidenceBatch, apart=["batch_id"])


class AzureEvidenceStore:
    """Implements :class:`shared.evidence.ports.EvidenceStore`; every method can raise StorageUnavailable."""

    def __init__(self, table: TableClient, transactions: EntityTransactions, reader: RowReader | None = None) -> None:
        self._table = table
        self._transactions = transactions
        self._reader = reader or RowReader()

    async def record(self, batches: Sequence[EvidenceBatch]) -> None:
        """Add batches; one that is already there is written again as it is."""
        rows = sorted(map(_batch_row, batches), key=lambda row: (row["PartitionKey"], row["RowKey"]))
        for _, of_month in groupby(rows, key=lambda row: row["PartitionKey"]):
            for part in _transactions(of_month):
                operations = [RowOperation(TransactionOperation.UPSERT, row) for row in part]
                with storage_errors():
                    await self._transactions.submit(self._table.table_name, operations)

    async def list_events(self, since: datetime, until: datetime) -> AsyncIterator[Sequence[EvidenceEvent]]:
        """Go through the events of a period in the order in which they were stored."""
        seen: set[str] = set()
        query = "PartitionKey ge @month and PartitionKey le @last_month and RowKey ge @first and RowKey lt @end"
        end_at = until + STORED_LATER
        parameters = {
            "month": _month(since),
            "last_month": _month(end_at),
            "first": _time_key(since),
            "end": _time_key(end_at),
        }
        with storage_errors():
            found = self._table.query_entities(query, parameters=parameters, results_per_page=PAGE_ROWS)
            async for page in found.by_page():
                rows = [row async for row in page]
                batches = self._reader.readable(self._table.table_name, rows, _batch_of)
                events = (event for batch in batches for event in batch.events if since <= event.at < until)
                yield [event for event in events if _is_first(event, seen)]

    async def delete_before(self, before: datetime) -> int:
        """Delete the batches stored before this time, at most :data:`MOST_DELETED`, and return how many."""
        rows: list[Any] = []
        with storage_errors():
            found = self._table.query_entities(
                "PartitionKey le @month and RowKey lt @end",
                parameters={"month": _month(before), "end": _time_key(before)},
                select=["PartitionKey", "RowKey"],
                results_per_page=PAGE_ROWS,
            )
            async for row in found:
                rows.append({"PartitionKey": row["PartitionKey"], "RowKey": row["RowKey"]})
                if len(rows) == MOST_DELETED:
                    break
        for _, of_month in groupby(rows, key=lambda row: row["PartitionKey"]):
            for part in batched(of_month, MOST_ROWS, strict=False):
                await self._delete(part)
        return len(rows)

    async def _delete(self, rows: Iterable[Row]) -> None:
        operations = [RowOperation(TransactionOperation.DELETE, row) for row in rows]
        try:
            with storage_errors():
                await self._transactions.submit(self._table.table_name, operations)
        except TableTransactionError as error:
            # Another host deletes, too, or our own answer was lost: the next night looks again.
            if error.status_code != 404:
                raise


def _transactions(rows: Iterable[Row]) -> Sequence[Sequence[Row]]:
    """Divide rows into transactions that are not too large."""
    parts: list[list[Row]] = []
    rows_left = bytes_left = 0
    for row in rows:
        size = sum(text_bytes(value) for value in row.values() if isinstance(value, str))
        if not rows_left or size > bytes_left:
            parts.append([])
            rows_left, bytes_left = MOST_ROWS, TRANSACTION_BYTES
        parts[-1].append(row)
        rows_left -= 1
        bytes_left -= size
    return parts


def _is_first(event: EvidenceEvent, seen: set[str]) -> bool:
    """Whether an event was not seen before. Only a reading can store one twice; a ticket's batch has one key."""
    if event.ticket_id is not None:
        return True
    event_id = event.event_id
    if event_id in seen:
        return False
    seen.add(event_id)
    return True


def _batch_row(batch: EvidenceBatch) -> Row:
    return members_row(_month(batch.at), f"{_time_key(batch.at)}:{batch.batch_id}", _BATCH.written(batch))


def _batch_of(row: Mapping[str, Any]) -> EvidenceBatch:
    return _BATCH.read(members_of(row), batch_id=row["RowKey"].rpartition(":")[2])


def _month(at: datetime) -> str:
    return _time_key(at)[: len("yyyy-mm")]


def _time_key(at: datetime) -> str:
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
