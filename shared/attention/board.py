"""Gathers what needs attention: exactly, where a page shows it, and from memory, where a page only counts it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from typing import Final

from shared.access.current import seen_by
from shared.access.model import EVERYTHING
from shared.access.sight import Sight
from shared.attention.model import AttentionItem, SubjectKind, TicketNeeds
from shared.attention.needs import needs_of_tickets, needs_of_turn, with_refused_changes
from shared.attention.rules import WatchedConnection, attention_items
from shared.clock import Clock
from shared.connections.directory import DirectoryEntry
from shared.connections.lookup import list_present_connections
from shared.connections.model import Connection
from shared.connections.ports import ConnectionDirectory, ConnectionStore
from shared.errors import StorageUnavailable
from shared.service import service
from shared.tenants.model import Tenant
from shared.tenants.ports import TenantStore
from shared.tickets.listed import CurrentTickets
from shared.tickets.ports import TicketStore
from shared.value_object import value_object

REMEMBERED_FOR: Final = timedelta(minutes=1)
MOST_UPDATES: Final = 1000
"""How many changes of a connection's records are looked at for the ones that ServiceNow refused."""


@value_object
class Surroundings:
    """The connections and tenants at one time.

    Attributes:
        connections: Those that are not removed, ordered by id.
        entries: Their rows in the directory, by connection id.
    """

    connections: Sequence[Connection]
    entries: Mapping[str, DirectoryEntry]
    tenants: Sequence[Tenant]
    read_at: datetime

    @property
    def counted(self) -> Sequence[Connection]:
        """The connections without excluded customers."""
        return [each for each in self.connections if not each.is_excluded]

    @property
    def counted_tenants(self) -> Sequence[Tenant]:
        """The tenants without those of excluded customers."""
        excluded = {each.connection_id for each in self.connections if each.is_excluded}
        return [each for each in self.tenants if each.connection_id not in excluded]

    def entry(self, connection_id: str) -> DirectoryEntry:
        """Return a connection's row; a new one if it has none."""
        return self.entries.get(connection_id, DirectoryEntry(connection_id))


@service
class AttentionBoard:
    """What needs attention, except at excluded customers; see the module's description.

    Attributes:
        sight: Says which connections the caller may not see.
        unreadable_rows: Says how many stored rows this release cannot read.
        sync_interval: How often a connection is synchronised.
    """

    connections: ConnectionStore
    directory: ConnectionDirectory
    tenants: TenantStore
    tickets: TicketStore
    sight: Sight
    unreadable_rows: Callable[[], int]
    sync_interval: timedelta
    clock: Clock
    _remembered: list[tuple[datetime, tuple[Surroundings, Sequence[AttentionItem]] | None]] = field(
        default_factory=list
    )
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def surroundings(self) -> Surroundings:
        """Return the connections and tenants, with one request for each of three tables. Raises StorageUnavailable."""
        connections, entries, tenants = await asyncio.gather(
            list_present_connections(self.connections), self.directory.list_entries(), self.tenants.list_tenants()
        )
        return Surroundings(connections, {each.connection_id: each for each in entries}, tenants, self.clock())

    async def items(self, around: Surroundings, current: Sequence[CurrentTickets]) -> Sequence[AttentionItem]:
        """Return what needs attention now, and remember it if the caller sees everything. Raises StorageUnavailable.

        Args:
            current: Of the connections whose tickets have been read; the others' last turns count.
        """
        read = {each.connection_id: each for each in current}
        needs = dict(
            zip(
                read,
                await asyncio.gather(*(self._needs(around, each) for each in current)),
                strict=True,
            )
        )
        found = self._found(
            around,
            [
                _watched(around, each, needs.get(each.connection_id), read.get(each.connection_id))
                for each in around.counted
            ],
        )
        if hidden := await self.sight.hidden():
            return visible_items(around, found, hidden)
        self._remembered[:] = [(around.read_at, (around, found))]
        return found

    async def remembered_items(self) -> Sequence[AttentionItem] | None:
        """Return what needed attention at most :data:`REMEMBERED_FOR` ago, without reading any tickets.

        It is None while storage does not answer; that is remembered as well, so that not every page waits for it.
        Everything is remembered, and the caller gets what they may see.
        """
        async with self._reading:
            remembered = await self._everything()
        if remembered is None:
            return None
        try:
            return visible_items(*remembered, await self.sight.hidden())
        except StorageUnavailable:
            return None

    async def _everything(self) -> tuple[Surroundings, Sequence[AttentionItem]] | None:
        if self._remembered:
            read_at, remembered = self._remembered[-1]
            if abs(self.clock() - read_at) < REMEMBERED_FOR:
                return remembered
        try:
            with seen_by(EVERYTHING):
                around = await self.surroundings()
        except StorageUnavailable:
            self._remembered[:] = [(self.clock(), None)]
            return None
        found = self._found(around, [_watched(around, each, None, None) for each in around.counted])
        self._remembered[:] = [(around.read_at, (around, found))]
        return around, found

    async def _needs(self, around: Surroundings, current: CurrentTickets) -> TicketNeeds:
        entry = around.entry(current.connection_id)
        needs = needs_of_tickets(current, entry, around.read_at)
        if not needs.refused_changes:
            return needs
        updates = await self.tickets.list_updates(current.connection_id, limit=MOST_UPDATES)
        return with_refused_changes(needs, updates)

    def _found(self, around: Surroundings, watched: Sequence[WatchedConnection]) -> Sequence[AttentionItem]:
        return attention_items(
            watched,
            around.counted_tenants,
            around.read_at,
            sync_interval=self.sync_interval,
            unreadable_rows=self.unreadable_rows(),
        )


def visible_items(
    around: Surroundings, items: Sequence[AttentionItem], hidden: Collection[str]
) -> Sequence[AttentionItem]:
    """Return the items that are about nothing hidden; one about the whole service can be about a hidden connection."""
    if not hidden:
        return items
    tenant_ids = {each.tenant_id for each in around.tenants if each.connection_id not in hidden}

    def is_visible(item: AttentionItem) -> bool:
        if item.about is None:
            return False
        return item.about.id in tenant_ids if item.about.kind is SubjectKind.TENANT else item.about.id not in hidden

    return [each for each in items if is_visible(each)]


def _watched(
    around: Surroundings, connection: Connection, needs: TicketNeeds | None, current: CurrentTickets | None
) -> WatchedConnection:
    entry = around.entry(connection.connection_id)
    return WatchedConnection(
        connection,
        needs or needs_of_turn(entry),
        None if entry.sync is None else entry.sync.last_completed_at,
        current is None or current.is_complete,
        entry.reminder_failed_at,
    )
