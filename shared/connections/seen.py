"""Connections as the present caller may see them: what is hidden is as if it were not there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from shared.access.sight import Sight
from shared.connections.customers import Customer, ListedCustomer
from shared.connections.directory import DirectoryEntry, SyncState
from shared.connections.model import Connection
from shared.connections.ports import ConnectionDirectory, ConnectionStore
from shared.errors import FixRequest
from shared.service import service


@service
class SeenConnectionStore:
    """Implements :class:`shared.connections.ports.ConnectionStore`.

    A hidden connection cannot be changed: FixRequest (404 ``connection_not_found``). A new one cannot have its id: 409
    ``connection_id_taken``.
    """

    store: ConnectionStore
    sight: Sight

    async def get_connection(self, connection_id: str) -> Connection | None:
        """See the port."""
        return None if await self.sight.is_hidden(connection_id) else await self.store.get_connection(connection_id)

    async def list_connections(self) -> Sequence[Connection]:
        """See the port."""
        hidden = await self.sight.hidden()
        return [each for each in await self.store.list_connections() if each.connection_id not in hidden]

    async def create_connection(self, connection: Connection) -> Connection:
        """See the port."""
        if await self.sight.is_hidden(connection.connection_id):
            raise FixRequest("connection_id_taken", status=409)
        return await self.store.create_connection(connection)

    async def update_connection(self, connection: Connection) -> Connection:
        """See the port."""
        await self.sight.require(connection.connection_id)
        return await self.store.update_connection(connection)

    async def get_sync_state(self, connection_id: str) -> SyncState:
        """See the port."""
        await self.sight.require(connection_id)
        return await self.store.get_sync_state(connection_id)

    async def save_sync_state(self, connection_id: str, state: SyncState) -> SyncState:
        """See the port."""
        await self.sight.require(connection_id)
        return await self.store.save_sync_state(connection_id, state)

    async def list_sync_requests(self) -> Mapping[str, datetime]:
        """See the port."""
        hidden = await self.sight.hidden()
        return {key: at for key, at in (await self.store.list_sync_requests()).items() if key not in hidden}


@service
class SeenConnectionDirectory:
    """Implements :class:`shared.connections.ports.ConnectionDirectory`.

    A hidden connection has no row, and none can be written: FixRequest (404 ``connection_not_found``).
    """

    directory: ConnectionDirectory
    sight: Sight

    async def list_entries(self) -> Sequence[DirectoryEntry]:
        """See the port."""
        hidden = await self.sight.hidden()
        return [each for each in await self.directory.list_entries() if each.connection_id not in hidden]

    async def list_customers(self) -> Sequence[ListedCustomer]:
        """See the port."""
        hidden = await self.sight.hidden()
        return [each for each in await self.directory.list_customers() if each.connection_id not in hidden]

    async def get_entry(self, connection_id: str) -> DirectoryEntry:
        """See the port."""
        await self.sight.require(connection_id)
        return await self.directory.get_entry(connection_id)

    async def save_entry(self, entry: DirectoryEntry) -> DirectoryEntry:
        """See the port."""
        await self.sight.require(entry.connection_id)
        return await self.directory.save_entry(entry)

    async def wake(
        self,
        connection_id: str,
        *,
        requested_at: datetime | None = None,
        reminders: bool = False,
        customer: Customer | None = None,
    ) -> None:
        """See the port."""
        await self.sight.require(connection_id)
        await self.directory.wake(connection_id, requested_at=requested_at, reminders=reminders, customer=customer)
