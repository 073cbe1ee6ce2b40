"""The directory of connections in memory."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from shared.connections.customers import Customer, Figures, ListedCustomer
from shared.connections.directory import AT_ONCE, DirectoryEntry, SyncState
from shared.connections.ports import RowChanged
from tests.memory.steps import Step, at_once


class MemoryDirectory:
    """Implements :class:`shared.connections.ports.ConnectionDirectory`."""

    def __init__(self, step: Step = at_once) -> None:
        self._step = step
        self._etags = (f'W/"{number}"' for number in itertools.count(1))
        self.entries: dict[str, DirectoryEntry] = {}

    async def list_entries(self) -> Sequence[DirectoryEntry]:
        """See the port."""
        await self._step("list_entries")
        return [self.entries[connection_id] for connection_id in sorted(self.entries)]

    async def list_customers(self) -> Sequence[ListedCustomer]:
        """See the port."""
        await self._step("list_customers")
        return [
            ListedCustomer(connection_id, entry.customer, entry.figures or Figures())
            for connection_id, entry in sorted(self.entries.items())
            if entry.customer is not None
        ]

    async def get_entry(self, connection_id: str) -> DirectoryEntry:
        """See the port."""
        await self._step("get_entry")
        return self.entries.get(connection_id, DirectoryEntry(connection_id))

    async def save_entry(self, entry: DirectoryEntry) -> DirectoryEntry:
        """See the port."""
        await self._step("save_entry")
        stored = self.entries.get(entry.connection_id)
        if (None if stored is None else stored.etag) != entry.etag:
            raise RowChanged(entry.connection_id)
        saved = self._put(entry)
        await self._step("save_entry answers")
        return saved

    async def wake(
        self,
        connection_id: str,
        *,
        requested_at: datetime | None = None,
        reminders: bool = False,
        customer: Customer | None = None,
    ) -> None:
        """See the port."""
        await self._step("wake")
        entry = self.entries.get(connection_id, DirectoryEntry(connection_id))
        reminder_due_at = AT_ONCE if reminders else entry.reminder_due_at
        requested_at = requested_at or entry.requested_at
        self._put(
            replace(
                entry,
                due_at=AT_ONCE,
                requested_at=requested_at,
                reminder_due_at=reminder_due_at,
                customer=customer or entry.customer,
            )
        )

    def state(self, connection_id: str) -> SyncState:
        """The stored progress of a connection's synchronisation."""
        entry = self.entries[connection_id]
        return replace(entry.sync or SyncState(), requested_at=entry.requested_at)

    def _put(self, entry: DirectoryEntry) -> DirectoryEntry:
        self.entries[entry.connection_id] = saved = replace(entry, etag=next(self._etags))
        return saved
