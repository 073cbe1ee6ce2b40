"""Records by which a renamed instance is recognised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from shared.connections.model import Connection
from shared.service import service
from shared.tickets.model import Delivery, Phase
from shared.tickets.ports import TicketFilter, TicketStore

NEWEST: Final = 20
LOOKED_THROUGH: Final = 500
"""The newest tickets may belong to other instances."""


@service
class TicketsKnownRecords:
    """Implements :class:`shared.connections.ports.KnownRecords`."""

    tickets: TicketStore

    async def at(self, connection: Connection, address: str) -> Mapping[str, str]:
        """See the port."""
        there = replace(connection, instance=address)
        wanted = TicketFilter(delivery=Delivery.DELIVERED)
        tickets = await self.tickets.list_tickets([connection.connection_id], wanted, limit=LOOKED_THROUGH)
        known = [
            (ticket.record.sys_id, ticket.record.number)
            for ticket in tickets
            if ticket.record is not None and ticket.is_of(there) and ticket.phase is not Phase.DELETED
        ]
        return dict(known[:NEWEST])
