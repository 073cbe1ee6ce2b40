"""Connections in memory, with their synchronisation state as release 0.1 keeps it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from shared.connections.directory import SyncState
from shared.connections.model import Connection
from shared.connections.ports import RowChanged
from tests.memory.steps import Step, at_once


class MemoryConnectionStore:
    """Implements :class:`shared.connections.ports.ConnectionStore`."""

    def __init__(self, *connections: Connection, step: Step = at_once) -> None:
        self._step = step
        self._etags = (f'W/"{number}"' for number in itertools.count(1))
        self.connections = {each.connection_id: replace(each, etag=next(self._etags)) for each in connections}
        self.sync_states: dict[str, SyncState] = {}

    async def get_connection(self, connection_id: str) -> Connection | None:
        """See the port."""
        await self._step("get_connection")
        return self.connections.get(connection_id)

    async def list_connections(self) -> Sequence[Connection]:
        """See the port."""
        await self._step("list_connections")
        return [self.connections[connection_id] for connection_id in sorted(self.connections)]

    async def create_connection(self, connection: Connection) -> Connection:
        """See the port."""
        await self._step("create_connection")
        if connection.connection_id in self.connections:
            raise RowChanged(connection.connection_id)
        return self._put(connection)

    async def update_connection(self, connection: Connection) -> Connection:
        """See the port."""
        await self._step("update_connection")
        stored = self.connections.get(connection.connection_id)
        if stored is None or stored.etag != connection.etag:
            raise RowChanged(connection.connection_id)
        return self._put(connection)

    def _put(self, connection: Connection) -> Connection:
        stored = replace(connection, etag=next(self._etags))
        self.connections[connection.connection_id] = stored
        return stored

    async def get_sync_state(self, connection_id: str) -> SyncState:
        """See the port."""
        await self._step("get_sync_state")
        return self.sync_states.get(connection_id, SyncState())

    async def list_sync_requests(self) -> Mapping[str, datetime]:
        """See the port."""
        await self._step("list_sync_requests")
        states = self.sync_states.items()
        return {connection_id: state.requested_at for connection_id, state in states if state.requested_at}

    async def save_sync_state(self, connection_id: str, state: SyncState) -> SyncState:
        """See the port."""
        await self._step("save_sync_state")
        if self.sync_states.get(connection_id, SyncState()).etag != state.etag:
            raise RowChanged(connection_id)
        stored = replace(state, etag=next(self._etags))
        self.sync_states[connection_id] = stored
        await self._step("save_sync_state answers")
        return stored
