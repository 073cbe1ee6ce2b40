"""Recommendations in table ``recommendations``: improvement actions, texts, snapshots, claims and batches.

One partition for each tenant; :mod:`shared.storage.recommendation_rows` says what is in it. Only claims are guarded by
their etags. Everything else is what a source said last, so writing it again does no harm.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date
from typing import Final

from azure.core.exceptions import ResourceExistsError
from azure.data.tables import TableTransactionError, TransactionOperation
from azure.data.tables.aio import TableClient

from shared.clock import Clock
from shared.recommendations.model import ImprovementAction, Snapshot
from shared.recommendations.ports import Batch, Claim
from shared.storage.entity_transactions import MOST_ROWS, EntityTransactions, RowOperation
from shared.storage.members import Row
from shared.storage.recommendation_rows import (
    ACTION_PREFIX,
    BATCH_PREFIX,
    CLAIM_PREFIX,
    SNAPSHOT_PREFIX,
    UNNAMED_SINCE,
    action_of,
    action_row,
    batch_of,
    batch_row,
    claim_of,
    claim_row,
    snapshot_of,
    snapshot_row,
    text_row,
    texts_named_by,
)
from shared.storage.recommendation_texts import UNNAMED_MOST, StoredTexts
from shared.storage.rows import RowReader
from shared.storage.tables import get_row, insert_row, list_rows, save_row, storage_errors

TRANSACTION_BYTES: Final = 900_000
"""Table Storage takes 4 MiB; a body of more than 1 MiB would hold up the event loop."""
ROW_BYTES: Final = 1_000
"""What a row takes in a transaction besides its texts."""
_END: Final = "~"
"""Sorts after everything that follows a prefix."""


class AzureRecommendationStore:
    """Implements :class:`shared.recommendations.ports.RecommendationStore`."""

    def __init__(
        self, table: TableClient, transactions: EntityTransactions, clock: Clock, reader: RowReader | None = None
    ) -> None:
        self._table = table
        self._transactions = transactions
        self._reader = reader or RowReader()
        self._texts = StoredTexts(table, transactions, clock, self._reader)

    async def list_actions(self, tenant_id: str) -> Sequence[ImprovementAction]:
        """Return all of a tenant's improvement actions; those that cannot be read are left out."""
        rows = await list_rows(self._table, tenant_id, ACTION_PREFIX, ACTION_PREFIX + _END)
        return self._reader.readable(self._table.table_name, rows, action_of)

    async def get_action(self, tenant_id: str, key: str) -> ImprovementAction | None:
        """Return one, or None. Raises RowUnreadable."""
        row = await get_row(self._table, tenant_id, f"{ACTION_PREFIX}{key}")
        return None if row is None else self._reader.read(self._table.table_name, row, action_of)

    async def save_reading(
        self,
        tenant_id: str,
        changed: Sequence[ImprovementAction],
        texts: Mapping[str, str],
        snapshots: Sequence[Snapshot],
    ) -> None:
        """Store texts that are not stored yet, snapshots, and then the changed improvement actions.

        Afterwards, texts that nothing names any more are cleaned up now and then.
        """
        stored = await self._texts.rows(tenant_id) if texts else {}
        kept = {text_hash for text_hash, row in stored.items() if not row.get(UNNAMED_SINCE)}
        new = [text_row(tenant_id, text_hash, html) for text_hash, html in texts.items() if text_hash not in kept]
        await self._upsert([*new, *(snapshot_row(tenant_id, snapshot) for snapshot in snapshots)])
        await self._upsert([action_row(action) for action in changed])
        if new and len(stored.keys() - texts.keys()) > UNNAMED_MOST:
            await self._clean_texts(tenant_id)

    async def _clean_texts(self, tenant_id: str) -> None:
        stored = await self._texts.rows(tenant_id)
        rows = await list_rows(self._table, tenant_id, ACTION_PREFIX, ACTION_PREFIX + _END)
        actions = self._reader.readable(self._table.table_name, rows, action_of)
        if len(actions) < len(rows):
            return  # Nobody knows which texts an unreadable one names.
        await self._texts.clean(stored, {text_hash for action in actions for text_hash in texts_named_by(action)})

    async def _upsert(self, rows: Iterable[Row]) -> None:
        """Write rows of one partition in transactions; some of them may be written when it fails."""
        with storage_errors():
            for part in _transactions(rows):
                operations = [RowOperation(TransactionOperation.UPSERT, row) for row in part]
                await self._transactions.submit(self._table.table_name, operations)

    async def get_texts(self, tenant_id: str, hashes: Collection[str]) -> Mapping[str, str]:
        """Return raw HTML by hash; unknown hashes are left out."""
        return await self._texts.get(tenant_id, hashes)

    async def list_snapshots(self, tenant_id: str, *, since: date | None = None) -> Sequence[Snapshot]:
        """Return snapshots, oldest first; those that cannot be read are left out."""
        first = f"{SNAPSHOT_PREFIX}{'' if since is None else since.isoformat()}"
        rows = await list_rows(self._table, tenant_id, first, SNAPSHOT_PREFIX + _END)
        return self._reader.readable(self._table.table_name, rows, snapshot_of)

    async def delete_all(self, tenant_id: str) -> None:
        """Delete everything about a tenant except its claims."""
        while rows := [
            *await list_rows(self._table, tenant_id, "", CLAIM_PREFIX, columns=["RowKey"]),
            *await list_rows(self._table, tenant_id, CLAIM_PREFIX + _END, _END, columns=["RowKey"]),
        ]:
            for start in range(0, len(rows), MOST_ROWS):
                operations = [
                    RowOperation(TransactionOperation.DELETE, {"PartitionKey": tenant_id, "RowKey": row["RowKey"]})
                    for row in rows[start : start + MOST_ROWS]
                ]
                try:
                    with storage_errors():
                        await self._transactions.submit(self._table.table_name, operations)
                except TableTransactionError as error:
                    # A row is gone, perhaps by our own transaction whose answer was lost: look again.
                    if error.status_code != 404:
                        raise
                    break


class AzureClaimStore:
    """Implements :class:`shared.recommendations.ports.ClaimStore`; every method can raise StorageUnavailable."""

    def __init__(self, table: TableClient, reader: RowReader | None = None) -> None:
        self._table = table
        self._reader = reader or RowReader()

    async def get_claim(self, tenant_id: str, key: str) -> Claim:
        """Return the claim; a new one if there is none. Raises RowUnreadable: no ticket may be made then."""
        row = await get_row(self._table, tenant_id, f"{CLAIM_PREFIX}{key}")
        return Claim(tenant_id, key) if row is None else self._reader.read(self._table.table_name, row, claim_of)

    async def list_claims(self, tenant_id: str) -> Sequence[Claim]:
        """Return all claims of a tenant; those that cannot be read are left out."""
        rows = await list_rows(self._table, tenant_id, CLAIM_PREFIX, CLAIM_PREFIX + _END)
        return self._reader.readable(self._table.table_name, rows, claim_of)

    async def save_claim(self, claim: Claim) -> Claim:
        """Store the claim if its etag is still the stored one. Raises RowChanged otherwise."""
        return replace(claim, etag=await save_row(self._table, claim_row(claim), claim.etag))

    async def create_batch(self, batch: Batch) -> Batch:
        """Store a batch; return the stored one if there is already one with this id. Raises RowUnreadable."""
        with storage_errors(), suppress(ResourceExistsError):
            await insert_row(self._table, batch_row(batch))
            return batch
        return await self.get_batch(batch.tenant_id, batch.batch_id) or batch

    async def get_batch(self, tenant_id: str, batch_id: str) -> Batch | None:
        """Return the batch, or None. Raises RowUnreadable."""
        row = await get_row(self._table, tenant_id, f"{BATCH_PREFIX}{batch_id}")
        return None if row is None else self._reader.read(self._table.table_name, row, batch_of)


def _transactions(rows: Iterable[Row]) -> list[list[Row]]:
    """Divide the rows into transactions that are not too large."""
    parts: list[list[Row]] = []
    bytes_left = 0
    for row in rows:
        # In base64, four characters are three bytes.
        size = ROW_BYTES + sum(2 * len(value) for value in row.values() if isinstance(value, str | bytes))
        if not parts or len(parts[-1]) == MOST_ROWS or size > bytes_left:
            parts.append([])
            bytes_left = TRANSACTION_BYTES
        parts[-1].append(row)
        bytes_left -= size
    return parts
