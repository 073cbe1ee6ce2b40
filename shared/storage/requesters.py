"""Which ServiceNow user has an e-mail address, remembered in table ``connections``: row ``requester:<hash>``."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any, Final

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableClient

from shared.clock import Clock
from shared.connections.model import Connection
from shared.connections.ports import InstanceAccess, UserDirectory
from shared.storage.tables import is_table_missing, storage_errors

KEEP_FOUND: Final = timedelta(days=1)
KEEP_MISSING: Final = timedelta(hours=1)
"""Shorter: somebody may just be adding the user in ServiceNow."""


class AzureRequesterDirectory:
    """Implements :class:`shared.tickets.ports.RequesterDirectory` over ServiceNow's user directory."""

    def __init__(self, table: TableClient, users: UserDirectory, clock: Clock) -> None:
        self._table = table
        self._users = users
        self._clock = clock

    async def sys_id_of(self, connection: Connection, access: InstanceAccess, email: str) -> str | None:
        """Return the sys_id of the only active user with that address, or None.

        Raises StorageUnavailable, and what :meth:`UserDirectory.find_user_by_email` raises.
        """
        row_key = _row_key(connection.instance, email)
        now = self._clock()
        row = await self._get_row(connection.connection_id, row_key)
        if row is not None and row["until_at"] > now:
            known: str | None = row.get("sys_id")
            return known
        sys_id = await self._users.find_user_by_email(access, email)
        found = {} if sys_id is None else {"sys_id": sys_id}
        keep = KEEP_MISSING if sys_id is None else KEEP_FOUND
        with storage_errors():
            await self._table.upsert_entity(
                {
                    "PartitionKey": connection.connection_id,
                    "RowKey": row_key,
                    "until_at": now + keep,
                    **found,
                },
                mode=UpdateMode.REPLACE,
            )
        return sys_id

    async def _get_row(self, connection_id: str, row_key: str) -> Any | None:
        with storage_errors():
            try:
                return await self._table.get_entity(connection_id, row_key)
            except ResourceNotFoundError as error:
                if is_table_missing(error):
                    raise
                return None


def _row_key(instance: str, email: str) -> str:
    """Return the row key: another instance has other users, and an address is no text to be found in a table."""
    return f"requester:{hashlib.sha256(f'{instance}\n{email.casefold()}'.encode()).hexdigest()}"
