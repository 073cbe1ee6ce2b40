"""Authorizations under way, in table ``authorizations``, spread over 256 partitions by the hash of their state."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any, Final

from azure.core.exceptions import ResourceExistsError
from azure.data.tables import TableTransactionError, TransactionOperation
from azure.data.tables.aio import TableClient

from shared.connections.ports import AuthorizationTarget, PendingAuthorization
from shared.storage.entity_transactions import EntityTransactions, RowOperation
from shared.storage.rows import RowReader, plain_time
from shared.storage.tables import get_row, insert_row, storage_errors

_TAKEN: Final = frozenset({404, 412})


class AzureAuthorizationStore:
    """Implements :class:`shared.connections.ports.AuthorizationStore`; every method can raise StorageUnavailable."""

    def __init__(self, table: TableClient, transactions: EntityTransactions, reader: RowReader | None = None) -> None:
        self._table = table
        self._transactions = transactions
        self._reader = reader or RowReader()

    async def create_authorization(self, authorization: PendingAuthorization) -> None:
        """Store it."""
        row = {
            "PartitionKey": _partition(authorization.state_hash),
            "RowKey": authorization.state_hash,
            "connection_id": authorization.connection_id,
            "code_challenge": authorization.code_challenge,
            "expires_at": authorization.expires_at,
            "started_by": authorization.started_by,
        }
        if authorization.target is not None:
            row |= asdict(authorization.target)
        # A state is random, so an existing row is this one, inserted again after a lost answer.
        with suppress(ResourceExistsError):
            await insert_row(self._table, row)

    async def get_authorization(self, state_hash: str) -> PendingAuthorization | None:
        """Return it unchanged; None if unknown or already taken. Raises RowUnreadable."""
        row = await get_row(self._table, _partition(state_hash), state_hash)
        return None if row is None else self._reader.read(self._table.table_name, row, _authorization)

    async def take_authorization(self, state_hash: str) -> PendingAuthorization | None:
        """Return it and delete it, so that a state works once; None if unknown or already taken.

        Raises RowUnreadable; the row is left as it is.
        """
        row = await get_row(self._table, _partition(state_hash), state_hash)
        if row is None:
            return None
        authorization = self._reader.read(self._table.table_name, row, _authorization)
        with storage_errors():
            # A plain delete_entity hides that somebody else was faster; a one-row transaction shows it.
            deletion = RowOperation(TransactionOperation.DELETE, row, etag=row.metadata["etag"])
            try:
                await self._transactions.submit(self._table.table_name, [deletion])
            except TableTransactionError as error:
                if error.status_code not in _TAKEN:
                    raise
                return None
        return authorization

    async def delete_expired_authorizations(self, now: datetime) -> int:
        """Delete the expired ones; return how many."""
        deleted = 0
        with storage_errors():
            async for row in self._table.query_entities("expires_at le @now", parameters={"now": now}):
                await self._table.delete_entity(row)
                deleted += 1
        return deleted


def _partition(state_hash: str) -> str:
    return state_hash[:2]


def _authorization(row: Any) -> PendingAuthorization:
    target = {field.name: row.get(field.name) for field in fields(AuthorizationTarget)}
    return PendingAuthorization(
        state_hash=row["RowKey"],
        connection_id=row["connection_id"],
        code_challenge=row["code_challenge"],
        expires_at=plain_time(row["expires_at"]),
        started_by=row.get("started_by", ""),
        # A value that is not a text names nothing either.
        target=AuthorizationTarget(**target) if all(isinstance(each, str) for each in target.values()) else None,
    )
