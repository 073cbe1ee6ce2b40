"""Planning: which connections have a turn in this run, and in what order.

One read of the directory is enough to plan for all of them. From time to time the connections themselves are listed as
well, to find what the directory does not know: a new connection, one that a host of release 0.1 has changed or was
asked to synchronise, or a lost hint.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from shared.clock import Clock, believed
from shared.connections.directory import LOOK_EVERY, DirectoryEntry, SyncState
from shared.connections.ports import ConnectionDirectory, ConnectionStore
from shared.maintenance.due import due_at
from shared.settings import Settings

NEVER: Final = datetime.min.replace(tzinfo=UTC)


class Planner:
    """Plans the runs of this instance of the app."""

    def __init__(
        self, directory: ConnectionDirectory, connections: ConnectionStore, settings: Settings, clock: Clock
    ) -> None:
        self._directory = directory
        self._connections = connections
        self._settings = settings
        self._clock = clock
        self._listed_at: datetime | None = None

    async def due_entries(self) -> Sequence[DirectoryEntry]:
        """Return the connections that are due and that nobody is serving, the one served longest ago first.

        Raises StorageUnavailable.
        """
        entries = {entry.connection_id: entry for entry in await self._directory.list_entries()}
        now = self._clock()
        due = {entry.connection_id: entry for entry in entries.values() if entry.is_due(now)}
        listed_at = believed(self._listed_at, now)
        if listed_at is None or now - listed_at >= LOOK_EVERY:
            overlooked = await self._overlooked(entries, now)
            # If there are too many for this run, the next run must not overlook the rest, so it lists them again.
            self._listed_at = None if overlooked.keys() - due.keys() else now
            due |= overlooked
        free = [entry for entry in due.values() if not entry.is_held(now)]
        return sorted(free, key=lambda entry: believed(entry.served_at, now) or NEVER)

    async def free_entry(self, connection_id: str) -> DirectoryEntry | None:
        """Return a connection's entry if it is due and nobody is serving it; None also if there is no such connection.

        Raises StorageUnavailable.
        """
        entry, now = await self._directory.get_entry(connection_id), self._clock()
        if entry.etag is None and await self._connections.get_connection(connection_id) is None:
            return None  # A turn would make a row for whatever a message names.
        return entry if entry.is_due(now) and not entry.is_held(now) else None

    async def _overlooked(self, entries: Mapping[str, DirectoryEntry], now: datetime) -> Mapping[str, DirectoryEntry]:
        """Return the entries that are due according to the connections themselves."""
        connections, requests = await asyncio.gather(
            self._connections.list_connections(), self._connections.list_sync_requests()
        )
        due = {}
        for connection in connections:
            connection_id = connection.connection_id
            entry = entries.get(connection_id) or DirectoryEntry(connection_id)
            entry = replace(entry, requested_at=entry.requested_at or requests.get(connection_id))
            state = replace(entry.sync or SyncState(), requested_at=entry.requested_at)
            at = due_at(connection, state, self._settings, now)
            if at is not None and (at <= now or entry.etag is None):
                due[connection_id] = entry
        return due
