"""Which ServiceNow user has an e-mail address: remembered in table ``directory``, partition ``requesters:<id>``."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Final

from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableClient

from shared.clock import Clock, believed
from shared.connections.model import Connection
from shared.connections.ports import UserDirectory
from shared.storage.rows import plain_time
from shared.storage.tables import get_row, storage_errors
from shared.texts import ascii_lower

KEEP_FOUND: Final = timedelta(days=1)
KEEP_MISSING: Final = timedelta(hours=1)
"""Shorter: somebody may just be adding the user in ServiceNow."""
KNOWN_MOST: Final = 10_000
"""How many people are also kept in memory; this saves a request in most creations."""


class AzureRequesterDirectory:
    """Implements :class:`shared.tickets.ports.RequesterDirectory` over ServiceNow's user directory."""

    def __init__(self, table: TableClient, users: UserDirectory, clock: Clock) -> None:
        self._table = table
        self._users = users
        self._clock = clock
        self._known: dict[tuple[str, str], tuple[datetime, str | None]] = {}

    async def sys_id_of(self, connection: Connection, email: str, *, afresh: bool = False) -> str | None:
        """Return the sys_id of the only active user with that address, or None.

        Args:
            afresh: Ask ServiceNow even if the user is remembered.

        Raises StorageUnavailable, and what :meth:`UserDirectory.find_user_by_email` raises.
        """
        key = connection.connection_id, _row_key(connection.instance, email)
        now = self._clock()
        remembered = None if afresh else self._known.get(key) or await self._stored(*key)
        until_at, sys_id = remembered or (now, None)
        longest = KEEP_MISSING if sys_id is None else KEEP_FOUND
        if until_at <= now or believed(until_at, now, ahead=longest) is None:
            sys_id = await self._users.find_user_by_email(connection, email)
            until_at = now + (KEEP_MISSING if sys_id is None else KEEP_FOUND)
            await self._store(*key, until_at, sys_id)
        if len(self._known) >= KNOWN_MOST:
            self._known.clear()
        self._known[key] = until_at, sys_id
        return sys_id

    async def _stored(self, connection_id: str, row_key: str) -> tuple[datetime, str | None] | None:
        row = await get_row(self._table, _partition(connection_id), row_key)
        until_at = None if row is None else row.get("until_at")
        return None if row is None or until_at is None else (plain_time(until_at), row.get("sys_id"))

    async def _store(self, connection_id: str, row_key: str, until_at: datetime, sys_id: str | None) -> None:
        row = {"PartitionKey": _partition(connection_id), "RowKey": row_key, "until_at": until_at}
        found = {} if sys_id is None else {"sys_id": sys_id}
        with storage_errors():
            await self._table.upsert_entity(row | found, mode=UpdateMode.REPLACE)


def _partition(connection_id: str) -> str:
    return f"requesters:{connection_id}"


def _row_key(instance: str, email: str) -> str:
    """Return the row key: another instance has other users, and no table may contain a plain e-mail address."""
    return hashlib.sha256(f"{instance}\n{ascii_lower(email)}".encode()).hexdigest()
