"""Finding tickets by their ids alone.

An id holds a hash of its connection, so one read finds the ticket, however many connections there are. The ids of
release 0.1 do not, so the search for such a ticket reads every connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field

from shared.connections.model import Connection
from shared.connections.ports import ConnectionStore
from shared.errors import FixRequest
from shared.service import service
from shared.tickets.identity import connection_digits, connection_digits_of, is_ticket_id
from shared.tickets.model import Ticket
from shared.tickets.ports import TicketStore


@service
class TicketSearch:
    """Finds tickets. It remembers which connection a hash belongs to, because connection ids never change."""

    connections: ConnectionStore
    store: TicketStore
    _owners: dict[str, str] = field(default_factory=dict)

    async def find(self, ticket_id: str) -> tuple[Ticket, Connection] | None:
        """Return the ticket and its connection, or None. Raises StorageUnavailable or RowUnreadable."""
        digits = connection_digits_of(ticket_id)
        if (found := await self._of_owner(ticket_id, self._owners.get(digits))) is not None:
            return found
        tried = self._owners.get(digits)
        connections = await self.connections.list_connections()
        self._owners.update(_owners(connections))
        owner = self._owners.get(digits)
        if owner != tried and (found := await self._of_owner(ticket_id, owner)) is not None:
            return found
        tickets = await asyncio.gather(*(self.store.get_ticket(each.connection_id, ticket_id) for each in connections))
        pairs = zip(tickets, connections, strict=True)
        return next(((ticket, connection) for ticket, connection in pairs if ticket is not None), None)

    async def get_known(self, ticket_id: str) -> tuple[Ticket, Connection]:
        """Return the ticket and its connection.

        Args:
            ticket_id: As the caller sent it: any text, in upper or lower case.

        Raises:
            FixRequest: 404 ``ticket_not_found``.
            StorageUnavailable, RowUnreadable: As :meth:`find`.
        """
        wanted = ticket_id.lower()
        found = await self.find(wanted) if is_ticket_id(wanted) else None
        if found is None:
            raise FixRequest("ticket_not_found", status=404)
        return found

    async def find_all(self, connections: Mapping[str, Connection], ticket_ids: Sequence[str]) -> Mapping[str, Ticket]:
        """Return the tickets that belong to these connections, by id. Raises StorageUnavailable."""
        owners = _owners(connections.values())
        by_owner: dict[str, list[str]] = {}
        for ticket_id in ticket_ids:
            if (owner := owners.get(connection_digits_of(ticket_id))) is not None:
                by_owner.setdefault(owner, []).append(ticket_id)
        found = await self._tickets(by_owner)
        missing = [ticket_id for ticket_id in ticket_ids if ticket_id not in found]
        return found | (await self._tickets(dict.fromkeys(connections, missing)) if missing else {})

    async def _of_owner(self, ticket_id: str, owner: str | None) -> tuple[Ticket, Connection] | None:
        if owner is None:
            return None
        ticket, connection = await asyncio.gather(
            self.store.get_ticket(owner, ticket_id), self.connections.get_connection(owner)
        )
        return None if ticket is None or connection is None else (ticket, connection)

    async def _tickets(self, wanted: Mapping[str, Sequence[str]]) -> dict[str, Ticket]:
        parts = await asyncio.gather(*(self.store.get_tickets(owner, ids) for owner, ids in wanted.items()))
        return {ticket_id: ticket for part in parts for ticket_id, ticket in part.items()}


def _owners(connections: Iterable[Connection]) -> dict[str, str]:
    """Return the connection ids by their hashes; if two share a hash, the search in all connections decides."""
    return {connection_digits(each.connection_id): each.connection_id for each in connections}
