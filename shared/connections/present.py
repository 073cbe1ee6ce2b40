"""The customers that are there, for a page about all of them: exactly while they are few, from the directory beyond.

A page that asks for each connection, or for the tickets of each, takes longer with each of them. So beyond
:data:`EXACT_UP_TO` a page shows what the connections' last turns and changes have left in the directory: one read,
however many there are. After an upgrade, or while storage fails, a connection may have no complete row yet; then the
connections themselves are read until it has one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime, timedelta
from typing import Final

from shared.access.current import sees_everything
from shared.access.sight import Sight
from shared.clock import Clock
from shared.connections.customers import Figures, ListedCustomer, customer_of
from shared.connections.directory import DirectoryEntry
from shared.connections.lookup import list_present_connections
from shared.connections.model import Connection, ConnectionStatus
from shared.connections.ports import ConnectionDirectory, ConnectionStore
from shared.errors import RowUnreadable
from shared.service import service
from shared.value_object import value_object

EXACT_UP_TO: Final = 40
"""The home page takes about 3 ms for each connection with a hundred tickets, and is to take less than 150 ms."""
COMPARED_EVERY: Final = timedelta(minutes=5)
"""How often a process reads all connections to see whether the directory has each of them."""


@value_object
class PresentCustomers:
    """The customers that the caller sees, without removed ones.

    Attributes:
        listed: Ordered by connection id.
        connections: The connections themselves, by id; None if there are too many to ask each of them for anything:
            then what is listed is as of their last turns and changes.
    """

    listed: Sequence[ListedCustomer]
    connections: Mapping[str, Connection] | None


@service
class CustomerReading:
    """Reads the customers; see the module's description."""

    connections: ConnectionStore
    directory: ConnectionDirectory
    sight: Sight
    clock: Clock
    _compared: list[datetime] = field(default_factory=list)

    async def present(self) -> PresentCustomers:
        """Return the customers, with one request, or with two more while they are few. Raises StorageUnavailable.

        Every :data:`COMPARED_EVERY`, somebody's request reads all connections as well.
        """
        every = await self.directory.list_customers()
        listed = [each for each in every if each.customer.status is not ConnectionStatus.DISCONNECTED]
        hidden = await self.sight.hidden()
        has_each = len(listed) + len(hidden) > EXACT_UP_TO and _is_complete(listed) and await self._directory_has_each()
        if has_each and len(listed) > EXACT_UP_TO:
            return PresentCustomers(listed, None)
        # Somebody who sees a few of many gets them one by one: all of them would be read to find these.
        present, entries = await asyncio.gather(
            self._one_by_one(listed) if has_each else list_present_connections(self.connections),
            self.directory.list_entries(),
        )
        figures = {each.connection_id: each.figures for each in every}
        by_id = {each.connection_id: each for each in entries}
        exact = [
            listed_customer(each, by_id.get(each.connection_id), figures.get(each.connection_id, Figures()))
            for each in present
        ]
        is_few = len(exact) <= EXACT_UP_TO
        return PresentCustomers(exact, {each.connection_id: each for each in present} if is_few else None)

    @sees_everything
    async def _directory_has_each(self) -> bool:
        """Whether every present connection had a complete row when that was last looked at."""
        if self._compared and abs(self.clock() - self._compared[-1]) < COMPARED_EVERY:
            return True
        present, every = await asyncio.gather(
            list_present_connections(self.connections), self.directory.list_customers()
        )
        complete = {each.connection_id for each in every if each.customer.is_complete}
        has_each = all(each.connection_id in complete for each in present)
        self._compared[:] = [self.clock()] if has_each else []
        return has_each

    async def _one_by_one(self, listed: Sequence[ListedCustomer]) -> Sequence[Connection]:
        found = await asyncio.gather(*(self._readable(each.connection_id) for each in listed))
        return [each for each in found if each is not None and not each.is_removed]

    async def _readable(self, connection_id: str) -> Connection | None:
        try:
            return await self.connections.get_connection(connection_id)
        except RowUnreadable:
            return None


def _is_complete(listed: Sequence[ListedCustomer]) -> bool:
    return all(each.customer.is_complete for each in listed)


def listed_customer(connection: Connection, entry: DirectoryEntry | None, figures: Figures) -> ListedCustomer:
    """Return a customer as the connection itself and its row say.

    Args:
        entry: The row; None if it has none.
        figures: As the last turn found them.
    """
    if entry is None:
        return ListedCustomer(connection.connection_id, customer_of(connection), figures)
    return ListedCustomer(
        connection.connection_id,
        customer_of(connection),
        replace(
            figures,
            last_sync_at=figures.last_sync_at if entry.sync is None else entry.sync.last_completed_at,
            reminders_failed_at=entry.reminder_failed_at,
        ),
        entry.requested_at,
    )
