"""Claims: the way to one open ticket for each recommendation (:mod:`shared.recommendations.ticketing.claims`)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from shared.access.current import sees_everything
from shared.clock import Clock
from shared.connections.ports import ConnectionStore, RowChanged
from shared.errors import FixRequest, StorageUnavailable, Values
from shared.recommendations.ports import Claim, ClaimedTicket, ClaimStore
from shared.recommendations.ticketing.claims import Standing, standing_of, with_ticket
from shared.service import service
from shared.tickets.model import RecommendationReference, Ticket
from shared.tickets.ports import TicketStore
from shared.tickets.updates.progress import is_reopening

AT_ONCE: Final = 8
"""How many claims are taken at the same time."""
TRIES: Final = 2 * AT_ONCE
"""All that are taken at once may pass over the same ticket."""


@service
class TicketClaims:
    """Implements :class:`shared.tickets.ports.RecommendationClaims`.

    The promise holds across customers, so it sees every ticket. After a tenant has moved, the open ticket can be
    another customer's: a refusal names only a ticket of the connection for which another one is asked.
    """

    store: ClaimStore
    tickets: TicketStore
    connections: ConnectionStore
    clock: Clock

    @sees_everything
    async def take(self, ticket: Ticket, *, another: bool = False) -> None:
        """See the port."""
        references = ticket.content.references
        owner, ticket_id = ticket.connection_id, ticket.ticket_id
        if len(references) > 1 and not another:
            # A claim cannot be taken back: if one of several is refused, none should have been taken.
            await for_each(references, lambda each: self._require_free(each, owner, ticket_id))
        await for_each(references, lambda each: self.take_one(each, owner, ticket_id, another=another))

    @sees_everything
    async def take_one(
        self, reference: RecommendationReference, connection_id: str, ticket_id: str, *, another: bool = False
    ) -> None:
        """Claim one recommendation for a ticket, as :meth:`take` does, whether or not it is for it yet."""

        async def take() -> None:
            claim: Claim
            dropped: Sequence[str]
            if another:
                claim, dropped = await self.store.get_claim(reference.tenant_id, reference.key), ()
            else:
                claim, dropped = await self._look_at(reference, connection_id, ticket_id)
            # A ticket that has the claim already takes it again: whoever passes over it then has to look again.
            claimed = ClaimedTicket(connection_id, ticket_id, self.clock())
            await self.store.save_claim(replace(claim, tickets=with_ticket(claim, claimed, dropped)))

        await again_if_changed(take)

    async def _require_free(self, reference: RecommendationReference, connection_id: str, ticket_id: str) -> None:
        await again_if_changed(lambda: self._look_at(reference, connection_id, ticket_id))

    @sees_everything
    async def release(self, reference: RecommendationReference, ticket_id: str) -> None:
        """Remove a ticket that is not for a recommendation from its claim. Raises StorageUnavailable."""

        async def release() -> None:
            claim = await self.store.get_claim(reference.tenant_id, reference.key)
            others = tuple(each for each in claim.tickets if each.ticket_id != ticket_id)
            if others != claim.tickets:
                await self.store.save_claim(replace(claim, tickets=others))

        await again_if_changed(release)

    async def _look_at(
        self, reference: RecommendationReference, wanted_by: str, wanted_id: str
    ) -> tuple[Claim, Sequence[str]]:
        """Ensure that no other ticket of a recommendation is open or can become open unnoticed.

        Returns the claim and the ids of its tickets that are not for this recommendation. Raises FixRequest if a ticket
        is open or being made, and RowChanged if somebody has just changed one.
        """
        claim = await self.store.get_claim(reference.tenant_id, reference.key)
        others = [each for each in claim.tickets if each.ticket_id != wanted_id]
        dropped = []
        found = await self._tickets(others)
        for each in others:
            ticket = found.get(each.ticket_id)
            connection = await self.connections.get_connection(each.connection_id)
            standing = standing_of(each, ticket, reference, connection, self.clock())
            if standing is Standing.NEVER_MADE:
                ticket = await self.tickets.give_up(each.connection_id, each.ticket_id)
                standing = standing_of(each, ticket, reference, connection, self.clock())
            match standing:
                case Standing.BEING_MADE:
                    values: Values = {"recommendation_id": reference.key}
                    if each.connection_id == wanted_by:
                        values["ticket_id"] = each.ticket_id
                    raise FixRequest("ticket_being_created", status=409, **values)
                case Standing.OPEN:
                    assert ticket is not None, "only a stored ticket has this standing"
                    raise open_ticket_refusal(reference.key, ticket, wanted_by)
                case Standing.NEVER_MADE:
                    dropped.append(each.ticket_id)
                case Standing.NOT_LINKED | Standing.FAILED | Standing.RESOLVED:
                    assert ticket is not None, "only a stored ticket has this standing"
                    if standing is Standing.RESOLVED and await self._is_being_reopened(ticket):
                        raise open_ticket_refusal(reference.key, ticket, wanted_by)
                    # Whoever is about to link it, to send it again or to reopen it has to look again.
                    await self.tickets.update_ticket(ticket, ticket)
                    if standing is Standing.NOT_LINKED:
                        dropped.append(each.ticket_id)
        return claim, dropped

    async def _is_being_reopened(self, ticket: Ticket) -> bool:
        return any(map(is_reopening, await self.tickets.list_updates_of(ticket.connection_id, ticket.ticket_id)))

    async def _tickets(self, claimed: Iterable[ClaimedTicket]) -> Mapping[str, Ticket]:
        by_connection: dict[str, list[str]] = {}
        for each in claimed:
            by_connection.setdefault(each.connection_id, []).append(each.ticket_id)
        parts = await asyncio.gather(
            *(self.tickets.get_tickets(owner, ids, whole=False) for owner, ids in by_connection.items())
        )
        return {ticket_id: ticket for part in parts for ticket_id, ticket in part.items()}


async def again_if_changed[Value](act: Callable[[], Awaitable[Value]]) -> Value:
    """Do something that begins with a read again while somebody else changes the row before it is written.

    Raises StorageUnavailable if that does not end.
    """
    for _ in range(TRIES):
        try:
            return await act()
        except RowChanged:
            continue
    raise StorageUnavailable()


async def for_each[Value](values: Iterable[Value], act: Callable[[Value], Awaitable[object]]) -> None:
    """Do the same for several values, a few at a time; raise the first error when all have ended."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def in_turn(value: Value) -> None:
        async with turn:
            await act(value)

    for outcome in await asyncio.gather(*map(in_turn, values), return_exceptions=True):
        if outcome is not None:
            raise outcome


def open_ticket_refusal(recommendation_id: str, ticket: Ticket, connection_id: str) -> FixRequest:
    """Return the error of a recommendation that has this open ticket.

    Args:
        connection_id: The connection for which another one is asked; a ticket of another connection is not named.
    """
    if ticket.connection_id != connection_id:
        return FixRequest(
            "recommendation_has_open_ticket", status=409, variant="elsewhere", recommendation_id=recommendation_id
        )
    if ticket.record is None:
        return FixRequest(
            "recommendation_has_open_ticket",
            status=409,
            variant="waiting",
            recommendation_id=recommendation_id,
            ticket_id=ticket.ticket_id,
        )
    return FixRequest(
        "recommendation_has_open_ticket",
        status=409,
        number=ticket.record.number,
        recommendation_id=recommendation_id,
        ticket_id=ticket.ticket_id,
    )
