"""The customers that are there, for a page about all of them: exactly while they are few, from the directory beyond.

A page that asks for each connection, or for the tickets of each, takes longer with each of them. So beyond
:data:`EXACT_UP_TO` a page shows what the connections' last turns and changes have left in the directory: one read,
however many there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from shared.access.sight import Sight
from shared.connections.customers import Figures, ListedCustomer, customer_of
from shared.connections.directory import DirectoryEntry
from shared.connections.lookup import list_present_connections
from shared.connections.model import Connection, ConnectionStatus
from shared.connections.ports import ConnectionDirectory, ConnectionStore
from shared.service import service
from shared.value_object import value_object

EXACT_UP_TO: Final = 40
"""The home page takes about 3 ms for each connection with a hundred tickets, and is to take less than 150 ms."""


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

    async def present(self) -> PresentCustomers:
        """Return the customers, with one request, or with two more while they are few. Raises StorageUnavailable."""
        every = await self.directory.list_customers()
        listed = [each for each in every if each.customer.status is not ConnectionStatus.DISCONNECTED]
        if len(listed) > EXACT_UP_TO and all(each.customer.is_complete for each in listed):
            return PresentCustomers(listed, None)
        present, entries = await asyncio.gather(self._connections(listed), self.directory.list_entries())
        figures = {each.connection_id: each.figures for each in every}
        by_id = {each.connection_id: each for each in entries}
        exact = [
            listed_customer(each, by_id.get(each.connection_id), figures.get(each.connection_id, Figures()))
            for each in present
        ]
        is_few = len(exact) <= EXACT_UP_TO
        return PresentCustomers(exact, {each.connection_id: each for each in present} if is_few else None)

    async def _connections(self, listed: Sequence[ListedCustomer]) -> Sequence[Connection]:
        """Return the connections themselves.

        Somebody who sees a few of many gets them one by one: all of them would be read to find these.
        """
        hidden = await self.sight.hidden()
        if not hidden or len(listed) + len(hidden) <= EXACT_UP_TO or len(listed) > EXACT_UP_TO:
            return await list_present_connections(self.connections)
        found = await asyncio.gather(*(self.connections.get_connection(each.connection_id) for each in listed))
        return [each for each in found if each is not None and not each.is_removed]


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
