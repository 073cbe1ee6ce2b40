"""What a connection check wants to know of our own tickets."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from shared.connections.model import Connection, TicketKind
from shared.connections.observations import Delivered, TicketFacts
from shared.connections.ports import ConnectionStore
from shared.tickets.model import Delivery, EventKind, Phase
from shared.tickets.ports import TicketFilter, TicketStore

NEWEST: Final = 10
"""So many delivered tickets of each kind are looked for in ServiceNow."""


@dataclass(frozen=True, slots=True)
class CheckFacts:
    """Implements :class:`shared.connections.observations.TicketFactsSource`."""

    tickets: TicketStore
    connections: ConnectionStore

    async def read(self, connection: Connection) -> TicketFacts:
        """See the port."""
        connection_id = connection.connection_id
        summary, sync_state, oldest_pending, newest = await asyncio.gather(
            self.tickets.get_summary(connection_id),
            self.connections.get_sync_state(connection_id),
            self.tickets.list_pending(connection_id, limit=1),
            asyncio.gather(*(self._delivered(connection, kind) for kind in TicketKind)),
        )
        return TicketFacts(
            pending=summary.total(Delivery.PENDING),
            pending_since_at=oldest_pending[0].created_at if oldest_pending else None,
            failed=summary.total(Delivery.FAILED),
            delivered=[each for some in newest for each in some],
            last_sync_at=sync_state.last_completed_at,
        )

    async def _delivered(self, connection: Connection, kind: TicketKind) -> list[Delivered]:
        wanted = TicketFilter(kind=kind, delivery=Delivery.DELIVERED)
        tickets = await self.tickets.list_tickets([connection.connection_id], wanted, limit=NEWEST)
        return [
            Delivered(
                kind,
                ticket.ticket_id,
                ticket.record.sys_id,
                texts_kept=all(event.kind is not EventKind.SHORTENED for event in ticket.timeline),
            )
            for ticket in tickets
            if ticket.record is not None and ticket.is_of(connection) and ticket.phase is not Phase.DELETED
        ]
