"""A tenant's recommendations with the tickets beside them, as lists show them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal

from shared.recommendations.model import ImprovementAction, Snapshot
from shared.recommendations.ports import RecommendationStore
from shared.recommendations.ticketing.tickets_beside import RecommendationTickets, TicketsBeside
from shared.service import service
from shared.tenants.model import Tenant
from shared.value_object import value_object


@value_object
class TenantRecommendations:
    """Everything that a list of a tenant's recommendations shows.

    Attributes:
        newest: The tenant's newest snapshot; None before there is one.
    """

    actions: Sequence[ImprovementAction]
    beside: TicketsBeside
    newest: Snapshot | None

    @property
    def max_score(self) -> Decimal | None:
        """The tenant's maximum; None before there is a snapshot."""
        return None if self.newest is None else self.newest.max_score

    @property
    def ticket_numbers(self) -> Mapping[str, str]:
        """The number of the ticket beside each recommendation, by the recommendation's key; empty while it waits."""
        shown = ((key, self.beside.ticket(key)) for key in self.beside.keys_with_ticket)
        return {key: ticket.record.number if ticket and ticket.record else "" for key, ticket in shown}


@service
class RecommendationLists:
    """Reads what lists show, with a handful of requests to storage."""

    recommendations: RecommendationStore
    tickets: RecommendationTickets

    async def of_tenant(self, tenant: Tenant) -> TenantRecommendations:
        """Return all recommendations of a tenant, hidden ones included. Raises StorageUnavailable."""
        newest_day = None if tenant.snapshot_at is None else tenant.snapshot_at.date()
        actions, beside, snapshots = await asyncio.gather(
            self.recommendations.list_actions(tenant.tenant_id),
            self.tickets.of_tenant(tenant.tenant_id),
            self.recommendations.list_snapshots(tenant.tenant_id, since=newest_day),
        )
        return TenantRecommendations(actions, beside, snapshots[-1] if snapshots else None)
