"""Linking: a ticket that is there becomes a recommendation's ticket, and can stop being it again.

Each step may be repeated. The claim comes first, as for a new ticket
(:mod:`shared.recommendations.ticketing.claims`); what is in the ticket's own row counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.clock import Clock
from shared.connections.model import Connection
from shared.errors import FixRequest
from shared.recommendations.ports import RecommendationStore
from shared.recommendations.ticketing.claims import is_busy
from shared.recommendations.ticketing.ticket_claims import TicketClaims, again_if_changed
from shared.recommendations.verification import with_references
from shared.recommendations.verifying.baselines import known_before
from shared.recommendations.verifying.observations import ObservedTenant
from shared.service import service
from shared.tenants.ports import TenantStore
from shared.tickets.closings import closing_of
from shared.tickets.model import MOST_REFERENCES, EventKind, RecommendationReference, Ticket
from shared.tickets.outcomes import Verification
from shared.tickets.ports import TicketStore
from shared.tickets.search import TicketSearch
from shared.tickets.timeline import with_event

LOOKED_BACK: Final = timedelta(days=30)
"""How many days before a ticket are looked through for the last snapshot."""


@service
class TicketLinks:
    """Links tickets to recommendations."""

    claims: TicketClaims
    store: TicketStore
    search: TicketSearch
    tenants: TenantStore
    recommendations: RecommendationStore
    clock: Clock

    async def link(
        self, reference: RecommendationReference, connection: Connection, number: str, *, another: bool = False
    ) -> Ticket:
        """Link the ticket with this number in ServiceNow to a recommendation; return it as stored.

        A ticket may be for several recommendations. A finished ticket can be linked whatever else is open.

        Args:
            another: The caller knows that there may be an open ticket.

        Raises:
            FixRequest: 404 ``ticket_number_not_found``, 409 ``too_many_recommendations``,
                ``recommendation_has_open_ticket`` or ``ticket_being_created``.
            StorageUnavailable: Repeating the request is safe.
        """

        async def link() -> Ticket:
            ticket = await self._by_number(connection, number)
            is_linked = reference in ticket.content.references
            if not is_linked and len(ticket.content.references) == MOST_REFERENCES:
                raise FixRequest("too_many_recommendations", status=409, limit=MOST_REFERENCES)
            is_harmless = another or is_linked or not is_busy(ticket, connection)
            await self.claims.take_one(reference, ticket.connection_id, ticket.ticket_id, another=is_harmless)
            references = (*ticket.content.references, reference)
            return ticket if is_linked else await self._stored(ticket, references, EventKind.RECOMMENDATION_LINKED)

        return await again_if_changed(link)

    async def unlink(self, reference: RecommendationReference, ticket_id: str) -> Ticket:
        """End a ticket's link to a recommendation, whether it was linked or made for it; return it as stored.

        Raises:
            FixRequest: 404 ``ticket_not_found``.
            StorageUnavailable: Repeating the request is safe.
        """

        async def unlink() -> Ticket:
            ticket, _ = await self.search.get_known(ticket_id)
            others = tuple(each for each in ticket.content.references if each != reference)
            if others != ticket.content.references:
                ticket = await self._stored(ticket, others, EventKind.RECOMMENDATION_UNLINKED)
            await self.claims.release(reference, ticket.ticket_id)
            return ticket

        return await again_if_changed(unlink)

    async def _stored(
        self, ticket: Ticket, references: tuple[RecommendationReference, ...], event: EventKind
    ) -> Ticket:
        """Store which recommendations a ticket is for. Raises RowChanged."""
        (changed,) = set(references) ^ set(ticket.content.references)
        now = self.clock()
        verification = await self._verification(ticket, references, changed, now)
        after = replace(ticket, content=replace(ticket.content, references=references), verification=verification)
        return await self.store.update_ticket(ticket, with_event(after, event, now, source_id=changed.source_id))

    async def _verification(
        self,
        ticket: Ticket,
        references: tuple[RecommendationReference, ...],
        changed: RecommendationReference,
        now: datetime,
    ) -> Verification | None:
        """Return what is known of a ticket's recommendations once one is linked or no longer is.

        A ticket for recommendations that a release without verifications has made gets one after the next reading.
        """
        known = ticket.verification
        if not references or (known is None and ticket.content.references):
            return None
        if changed not in references:
            return None if known is None else with_references(known, references, (), now)
        present = known or Verification(ticket.created_at, closing=closing_of(ticket, now))
        before = await self._before(changed, ticket.created_at)
        return with_references(replace(present, is_superseded=False), references, before, now)

    async def _before(self, reference: RecommendationReference, asked_at: datetime) -> Sequence[ObservedTenant]:
        """Return what was known of a recommendation when a ticket was made."""
        tenant = await self.tenants.get_tenant(reference.tenant_id)
        action = await self.recommendations.get_action(reference.tenant_id, reference.key)
        if tenant is None or action is None:
            return ()
        snapshots = await self.recommendations.list_snapshots(
            reference.tenant_id, since=(asked_at - LOOKED_BACK).date()
        )
        return [known_before(tenant, [action], snapshots, asked_at)]

    async def _by_number(self, connection: Connection, number: str) -> Ticket:
        """Return the ticket with this number. Raises FixRequest."""
        ticket = await self.store.find_by_number(connection.connection_id, number)
        if ticket is None:
            raise FixRequest("ticket_number_not_found", status=404, connection_id=connection.connection_id)
        return ticket
