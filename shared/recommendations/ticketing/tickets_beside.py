"""The tickets beside recommendations: which ones each of them has, and which one to show."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import field

from shared.connections.lookup import connections_by_id
from shared.connections.model import Connection
from shared.connections.ports import ConnectionStore
from shared.recommendations.ports import Claim, ClaimStore
from shared.recommendations.ticketing.claims import is_busy, ticket_beside, tickets_of
from shared.service import service
from shared.tickets.model import Ticket
from shared.tickets.ports import TicketStore
from shared.value_object import value_object


@value_object
class TicketsBeside:
    """The tickets of a tenant's recommendations.

    Attributes:
        tickets: By the recommendation's key, the last claimed first.
        connections: By id.
    """

    tickets: Mapping[str, Sequence[Ticket]] = field(default_factory=dict)
    connections: Mapping[str, Connection] = field(default_factory=dict)

    def ticket(self, key: str) -> Ticket | None:
        """Return the ticket to show beside a recommendation: the last claimed open one, or else the last claimed."""
        return ticket_beside(self.tickets.get(key, ()), self.connections)

    def is_open(self, ticket: Ticket) -> bool:
        """Whether somebody is working on the ticket or will."""
        return is_busy(ticket, self.connections.get(ticket.connection_id))

    @property
    def keys_with_ticket(self) -> frozenset[str]:
        """Keys of the recommendations that have a ticket."""
        return frozenset(key for key, tickets in self.tickets.items() if tickets)

    @property
    def keys_with_open_ticket(self) -> frozenset[str]:
        """Keys of the recommendations that have an open ticket."""
        return frozenset(key for key, tickets in self.tickets.items() if any(map(self.is_open, tickets)))


@service
class RecommendationTickets:
    """Finds the tickets of recommendations. Every method can raise StorageUnavailable."""

    claims: ClaimStore
    tickets: TicketStore
    connections: ConnectionStore

    async def of_tenant(self, tenant_id: str) -> TicketsBeside:
        """Return the tickets of all recommendations of a tenant, with few reads; they are not whole."""
        return await self._beside(await self.claims.list_claims(tenant_id), whole=False)

    async def of_one(self, tenant_id: str, key: str) -> TicketsBeside:
        """Return the tickets of one recommendation, whole."""
        return await self._beside([await self.claims.get_claim(tenant_id, key)], whole=True)

    async def _beside(self, claims: Sequence[Claim], *, whole: bool) -> TicketsBeside:
        wanted: dict[str, set[str]] = {}
        for claim in claims:
            for each in claim.tickets:
                wanted.setdefault(each.connection_id, set()).add(each.ticket_id)
        connections, parts = await asyncio.gather(
            connections_by_id(self.connections),
            asyncio.gather(
                *(self.tickets.get_tickets(owner, sorted(ids), whole=whole) for owner, ids in wanted.items())
            ),
        )
        stored = {ticket_id: ticket for part in parts for ticket_id, ticket in part.items()}
        return TicketsBeside({claim.key: tickets_of(claim, stored) for claim in claims}, connections)
