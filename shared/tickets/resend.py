"""Sending many failed tickets again at a person's request: all go into the outbox, and a few are sent at once.

Asking twice does no harm: a ticket that is waiting or being sent is not sent a second time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from shared.clock import Clock
from shared.connections.model import Connection, ConnectionStatus
from shared.connections.turns import Turns
from shared.errors import Failure, FixRequest, RowUnreadable
from shared.service import service
from shared.tickets.deliver import DeliveryCounts, TicketDelivery, put_back
from shared.tickets.model import Delivery, Ticket
from shared.tickets.ports import RecommendationClaims, TicketFilter, TicketStore
from shared.tickets.requests import MAX_RETRIED
from shared.value_object import value_object

AT_ONCE: Final = 10
"""How many tickets of each connection are sent before the answer; the timer sends the rest."""
AT_ONCE_S: Final = 15.0
"""No attempt begins after this, because a person is waiting for the answer."""


class Resent(StrEnum):
    """The result for one ticket."""

    DELIVERED = "delivered"
    WAITING = "waiting"
    """It is in the outbox; the timer sends it."""
    REFUSED = "refused"
    """ServiceNow refused it again."""
    NOT_SENT = "not_sent"
    """It was left as it is."""


@value_object
class ResentTicket:
    """The result for one ticket, and the reason.

    Attributes:
        failure: Why it is not delivered, or None.
    """

    ticket_id: str
    outcome: Resent
    failure: Failure | None = None


@service
class TicketResending:
    """Sends failed tickets again; see the module's description."""

    store: TicketStore
    delivery: TicketDelivery
    claims: RecommendationClaims
    turns: Turns
    clock: Clock

    async def retry(self, connection: Connection, ticket: Ticket, *, although_outcome_unknown: bool = False) -> Ticket:
        """Attempt a failed or waiting ticket now, as :meth:`TicketDelivery.retry` does; return it as stored.

        Raises what :meth:`RecommendationClaims.take` raises, too: another ticket may be open for its recommendation.
        """
        await self._claim(ticket)
        retried = await self.delivery.retry(connection, ticket, although_outcome_unknown=although_outcome_unknown)
        if retried.delivery.status is Delivery.PENDING:
            await self.turns.wake(connection.connection_id)
        return retried

    async def _claim(self, ticket: Ticket) -> None:
        """Claim the recommendations of a failed ticket; one that waits has its claims."""
        if ticket.delivery.status is Delivery.FAILED:
            await self.claims.take(ticket)

    async def failed_tickets(
        self, connection_ids: Sequence[str], wanted: TicketFilter
    ) -> tuple[Sequence[Ticket], bool]:
        """Return the newest failed tickets for a filter, up to ``MAX_RETRIED``, and whether there are more."""
        found = await self.store.list_tickets(connection_ids, wanted, limit=MAX_RETRIED + 1)
        failed = [ticket for ticket in found if ticket.delivery.status is Delivery.FAILED]
        return failed[:MAX_RETRIED], len(found) > MAX_RETRIED

    async def resend(self, connections: Mapping[str, Connection], tickets: Sequence[Ticket]) -> Sequence[ResentTicket]:
        """Put the tickets into the outbox, send a few of them, and return the result for each, in the same order.

        Args:
            connections: The tickets' connections, by id.

        Raises:
            StorageUnavailable: Some of them may be in the outbox; asking again is safe.
        """
        deadline = self.clock() + timedelta(seconds=AT_ONCE_S)
        by_connection: dict[str, list[Ticket]] = {}
        for ticket in tickets:
            by_connection.setdefault(ticket.connection_id, []).append(ticket)
        parts = await asyncio.gather(
            *(self._resend(connections[each], some, deadline) for each, some in by_connection.items())
        )
        outcomes = {outcome.ticket_id: outcome for part in parts for outcome in part}
        return [outcomes[ticket.ticket_id] for ticket in tickets]

    async def _resend(
        self, connection: Connection, tickets: Sequence[Ticket], deadline: datetime
    ) -> Sequence[ResentTicket]:
        left: list[ResentTicket] = []
        changes: list[tuple[Ticket, Ticket]] = []
        for ticket in tickets:
            try:
                self.delivery.raise_unless_retriable(connection, ticket)
                await self._claim(ticket)
            except (FixRequest, RowUnreadable) as error:
                left.append(ResentTicket(ticket.ticket_id, Resent.NOT_SENT, error.failure))
            else:
                if ticket.delivery.status is Delivery.FAILED:
                    changes.append((ticket, put_back(ticket, connection, self.clock())))
        await self.store.update_tickets(changes)
        others = [ticket.ticket_id for ticket in tickets if ticket.ticket_id not in {each.ticket_id for each in left}]
        if connection.status is ConnectionStatus.CONNECTED:
            first = await self.store.get_tickets(connection.connection_id, others[:AT_ONCE])
            await self.delivery.deliver_due(connection, list(first.values()), DeliveryCounts(), deadline=deadline)
        # If somebody else has changed a ticket, its row says the result as well.
        present = await self.store.get_tickets(connection.connection_id, others)
        if any(ticket.delivery.status is Delivery.PENDING for ticket in present.values()):
            await self.turns.wake(connection.connection_id)
        return [*left, *(_outcome(ticket) for ticket in present.values())]


def _outcome(ticket: Ticket) -> ResentTicket:
    progress = ticket.delivery
    match progress.status:
        case Delivery.DELIVERED:
            return ResentTicket(ticket.ticket_id, Resent.DELIVERED)
        case Delivery.FAILED:
            outcome = Resent.REFUSED
        case _:
            outcome = Resent.WAITING
    return ResentTicket(ticket.ticket_id, outcome, progress.failure)
