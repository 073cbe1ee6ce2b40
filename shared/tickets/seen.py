"""Tickets as the present caller may see them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime

from shared.access.sight import Sight
from shared.evidence.model import EvidenceBatch
from shared.service import service
from shared.tickets.listed import CurrentTickets, ListedTicket
from shared.tickets.model import Ticket
from shared.tickets.ports import Overview, TicketFilter, TicketStore, UpdateChange, WatchedTicket
from shared.tickets.summary import Summary
from shared.tickets.updates.model import Update


@service
class SeenTicketStore:
    """Implements :class:`shared.tickets.ports.TicketStore`.

    Lists of several connections leave the hidden ones out, and their tickets are as if not there. Every other method
    raises FixRequest (404 ``connection_not_found``) for a hidden connection.
    """

    store: TicketStore
    sight: Sight

    async def create_ticket(self, ticket: Ticket) -> Ticket:
        """See the port."""
        await self.sight.require(ticket.connection_id)
        return await self.store.create_ticket(ticket)

    async def create_tickets(self, tickets: Sequence[Ticket]) -> Sequence[Ticket]:
        """See the port."""
        for connection_id in {each.connection_id for each in tickets}:
            await self.sight.require(connection_id)
        return await self.store.create_tickets(tickets)

    async def give_up(self, connection_id: str, ticket_id: str) -> Ticket | None:
        """See the port."""
        await self.sight.require(connection_id)
        return await self.store.give_up(connection_id, ticket_id)

    async def get_ticket(self, connection_id: str, ticket_id: str) -> Ticket | None:
        """See the port."""
        hidden = await self.sight.is_hidden(connection_id)
        return None if hidden else await self.store.get_ticket(connection_id, ticket_id)

    async def find_by_number(self, connection_id: str, number: str) -> Ticket | None:
        """See the port."""
        hidden = await self.sight.is_hidden(connection_id)
        return None if hidden else await self.store.find_by_number(connection_id, number)

    async def update_ticket(self, before: Ticket, after: Ticket, updates: Sequence[UpdateChange] = ()) -> Ticket:
        """See the port."""
        await self.sight.require(before.connection_id)
        return await self.store.update_ticket(before, after, updates)

    async def update_tickets(self, changes: Sequence[tuple[Ticket, Ticket]]) -> Sequence[tuple[Ticket, Ticket]]:
        """See the port."""
        for connection_id in {before.connection_id for before, _ in changes}:
            await self.sight.require(connection_id)
        return await self.store.update_tickets(changes)

    async def get_tickets(
        self, connection_id: str, ticket_ids: Sequence[str], *, whole: bool = True
    ) -> Mapping[str, Ticket]:
        """See the port."""
        hidden = await self.sight.is_hidden(connection_id)
        return {} if hidden else await self.store.get_tickets(connection_id, ticket_ids, whole=whole)

    async def list_tickets(
        self, connection_ids: Sequence[str], wanted: TicketFilter, *, limit: int, after: str | None = None
    ) -> Sequence[Ticket]:
        """See the port."""
        return await self.store.list_tickets(await self._seen(connection_ids), wanted, limit=limit, after=after)

    async def list_current(self, connection_ids: Sequence[str]) -> Sequence[CurrentTickets]:
        """See the port."""
        return await self.store.list_current(await self._seen(connection_ids))

    async def list_every(self, connection_ids: Sequence[str]) -> Sequence[ListedTicket]:
        """See the port."""
        return await self.store.list_every(await self._seen(connection_ids))

    async def scan_tickets(self, connection_id: str, *, after: str | None = None) -> AsyncIterator[Sequence[Ticket]]:
        """See the port."""
        await self.sight.require(connection_id)
        async for tickets in self.store.scan_tickets(connection_id, after=after):
            yield tickets

    async def list_pending(self, connection_id: str, *, limit: int, after: str | None = None) -> Sequence[Ticket]:
        """See the port."""
        await self.sight.require(connection_id)
        return await self.store.list_pending(connection_id, limit=limit, after=after)

    async def list_unlinked(self, connection_id: str, *, limit: int, after: str | None = None) -> Sequence[Ticket]:
        """See the port."""
        await self.sight.require(connection_id)
        return await self.store.list_unlinked(connection_id, limit=limit, after=after)

    async def list_watched(self, connection_id: str, tenant_id: str) -> Sequence[WatchedTicket]:
        """See the port."""
        await self.sight.require(connection_id)
        return await self.store.list_watched(connection_id, tenant_id)

    async def list_unread_closings(self, connection_id: str, *, limit: int) -> Sequence[Ticket]:
        """See the port."""
        await self.sight.require(connection_id)
        return await self.store.list_unread_closings(connection_id, limit=limit)

    async def list_updates(self, connection_id: str, *, limit: int, after: Update | None = None) -> Sequence[Update]:
        """See the port."""
        await self.sight.require(connection_id)
        return await self.store.list_updates(connection_id, limit=limit, after=after)

    async def list_updates_of(self, connection_id: str, ticket_id: str) -> Sequence[Update]:
        """See the port."""
        await self.sight.require(connection_id)
        return await self.store.list_updates_of(connection_id, ticket_id)

    async def save_update(self, before: Update, after: Update) -> Update:
        """See the port."""
        await self.sight.require(before.connection_id)
        return await self.store.save_update(before, after)

    async def list_unrecorded(self, connection_id: str, *, limit: int) -> Sequence[EvidenceBatch]:
        """See the port."""
        await self.sight.require(connection_id)
        return await self.store.list_unrecorded(connection_id, limit=limit)

    async def delete_unrecorded(self, connection_id: str, batches: Sequence[EvidenceBatch]) -> None:
        """See the port."""
        await self.sight.require(connection_id)
        await self.store.delete_unrecorded(connection_id, batches)

    async def list_of_recommendation(self, ticket: Ticket, *, limit: int) -> Sequence[Ticket]:
        """See the port."""
        await self.sight.require(ticket.connection_id)
        return await self.store.list_of_recommendation(ticket, limit=limit)

    async def get_summary(self, connection_id: str) -> Summary:
        """See the port."""
        await self.sight.require(connection_id)
        return await self.store.get_summary(connection_id)

    async def get_overview(self, connection_id: str) -> Overview:
        """See the port."""
        await self.sight.require(connection_id)
        return await self.store.get_overview(connection_id)

    async def compact_summary(self, connection_id: str, now: datetime) -> None:
        """See the port."""
        await self.sight.require(connection_id)
        await self.store.compact_summary(connection_id, now)

    async def check_lists(self, connection_id: str, now: datetime) -> bool:
        """See the port."""
        await self.sight.require(connection_id)
        return await self.store.check_lists(connection_id, now)

    async def _seen(self, connection_ids: Sequence[str]) -> Sequence[str]:
        hidden = await self.sight.hidden()
        return [each for each in connection_ids if each not in hidden]
