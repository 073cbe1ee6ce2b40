"""An app in memory whose tickets are for recommendations that it has read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.connections.turns import Turns
from shared.errors import FixRequest
from shared.recommendations.lists import RecommendationLists
from shared.recommendations.model import ImprovementAction
from shared.recommendations.ticketing.bulk import TicketBatches
from shared.recommendations.ticketing.claims import HELD_WITHOUT_TICKET, is_busy
from shared.recommendations.ticketing.create import RecommendationTicketing
from shared.recommendations.ticketing.linking import TicketLinks
from shared.recommendations.ticketing.ticket_claims import TicketClaims
from shared.recommendations.ticketing.tickets_beside import RecommendationTickets
from shared.recommendations.verification import new_verification
from shared.recommendations.verifying.baselines import known_of
from shared.tenants.companies import TenantCompanies
from shared.tenants.model import Tenant
from shared.tickets.create import Creation, Recommended, TicketCreation
from shared.tickets.deliver import TicketDelivery
from shared.tickets.model import Delivery, Phase, RecommendationReference, Ticket
from shared.tickets.requests import read_ticket_request
from shared.tickets.resend import TicketResending
from shared.tickets.search import TicketSearch
from shared.tickets.updates.people import TicketUpdates
from shared.tickets.updates.ports import FollowUps, RecordUpdates
from shared.tickets.updates.send import UpdateDelivery
from tests.memory.clock import ManualClock
from tests.memory.connection_store import MemoryConnectionStore
from tests.memory.directory import MemoryDirectory
from tests.memory.idempotency_store import MemoryIdempotencyStore
from tests.memory.instance import MemoryInstanceHealth, MemoryRequesterDirectory
from tests.memory.recommendation_store import MemoryClaimStore, MemoryRecommendationStore
from tests.memory.record_updates import MemoryFollowUps
from tests.memory.servicenow import MemoryServiceNow
from tests.memory.steps import Stage, Step, at_once
from tests.memory.tenant_store import MemoryTenantStore
from tests.memory.ticket_store import MemoryTicketStore
from tests.unit.recommendations.strategies import TENANT
from tests.unit.tickets.examples import CONNECTION_ID, REQUESTER, a_connection

PORTAL = "https://security.microsoft.com"
BODY = {
    "kind": "incident",
    "portal": "security",
    "name": "Turn on Safe Attachments in block mode",
    "priority": "high",
    "recommendation": {"source": "microsoft", "category": "apps"},
}
ONE = RecommendationReference(TENANT, "secure_score", "mdo_safeattachments")
TWO = RecommendationReference(TENANT, "secure_score", "AdminMFAV2")
GRACE_S = HELD_WITHOUT_TICKET.total_seconds()


class World:
    """An app whose tickets are for stored recommendations."""

    def __init__(self, step: Step = at_once) -> None:
        self.clock = ManualClock()
        self.store = MemoryTicketStore(step)
        self.claim_store = MemoryClaimStore(step)
        self.servicenow = MemoryServiceNow(self.clock, step=step)
        self.connections = MemoryConnectionStore(a_connection(), step=step)
        self.tenants = MemoryTenantStore(Tenant(TENANT, "Contoso", CONNECTION_ID, company="c" * 32), step=step)
        self.claims = TicketClaims(self.claim_store, self.store, self.connections, self.clock)
        self.search = TicketSearch(self.connections, self.store)
        self.delivery = TicketDelivery(
            store=self.store,
            records=self.servicenow,
            requesters=MemoryRequesterDirectory(step=step),
            health=MemoryInstanceHealth(step),
            clock=self.clock,
            random=lambda: 0.5,
        )
        self.directory = MemoryDirectory(step)
        turns = Turns(self.directory, self.connections, self.clock)
        self.companies = TenantCompanies(self.tenants, self.clock)
        self.creation = TicketCreation(
            connections=self.connections,
            store=self.store,
            reservations=MemoryIdempotencyStore(step),
            search=self.search,
            claims=self.claims,
            turns=turns,
            delivery=self.delivery,
            companies=self.companies,
            clock=self.clock,
            sleep=lambda seconds: step("sleep"),
        )
        self.resending = TicketResending(self.store, self.delivery, self.claims, turns, self.clock)
        self.recommendations = MemoryRecommendationStore(self.claim_store, step=step)
        self.links = TicketLinks(self.claims, self.store, self.search, self.tenants, self.recommendations, self.clock)
        self.beside = RecommendationTickets(self.claim_store, self.store, self.connections)
        self.lists = RecommendationLists(self.recommendations, self.beside)
        self.ticketing = RecommendationTicketing(
            self.tenants, self.recommendations, self.connections, self.creation, self.clock, PORTAL
        )
        self.batches = TicketBatches(
            tenants=self.tenants,
            recommendations=self.recommendations,
            beside=self.beside,
            batches=self.claim_store,
            claims=self.claims,
            connections=self.connections,
            creation=self.creation,
            store=self.store,
            delivery=self.delivery,
            turns=turns,
            clock=self.clock,
            portal_url=PORTAL,
        )

    def sender(self, records: RecordUpdates, follow_ups: FollowUps) -> UpdateDelivery:
        """Return what sends changes of these records."""
        notes = self.delivery.notes
        return UpdateDelivery(self.store, records, follow_ups, self.claims, notes, self.clock, random=lambda: 0.5)

    def updates(self, records: RecordUpdates) -> TicketUpdates:
        """Return what takes people's requests for changes of these records."""
        delivery = self.sender(records, MemoryFollowUps())
        return TicketUpdates(self.store, delivery, self.creation.reservations, self.creation.turns, self.clock)

    def add(self, *actions: ImprovementAction) -> None:
        """Store improvement actions."""
        for action in actions:
            self.recommendations.actions[action.tenant_id][action.key] = action

    @property
    def tickets(self) -> list[Ticket]:
        return list(self.store.tickets[CONNECTION_ID].values())

    @property
    def connection(self) -> Any:
        return self.connections.connections[CONNECTION_ID]

    def open_tickets(self, reference: RecommendationReference = ONE) -> list[Ticket]:
        return [
            each for each in self.tickets if reference in each.content.references and is_busy(each, self.connection)
        ]

    async def create(
        self, *references: RecommendationReference, key: str | None = None, another: bool = False
    ) -> Creation:
        asked: Mapping[str, object] = {"references": [each.source_id for each in references], "another": another}
        references = references or (ONE,)
        tenant, stored = self.tenants.tenants[TENANT], self.recommendations.actions[TENANT]
        known = known_of(tenant, [stored[each.key] for each in references if each.key in stored])
        verification = new_verification(references, [known], self.clock())
        recommended = Recommended(references, "c" * 32, another, asked, verification)
        return await self.creation.create(
            read_ticket_request(BODY), REQUESTER, caller="caller", idempotency_key=key, recommended=recommended
        )

    async def refused(self, *references: RecommendationReference, **options: Any) -> FixRequest:
        count = len(self.tickets)
        with pytest.raises(FixRequest) as caught:
            await self.create(*references, **options)
        assert len(self.tickets) == count
        return caught.value

    def put(self, ticket: Ticket) -> Ticket:
        """Store a ticket as it is, without steps."""
        return self.store._put([(self.store.tickets[CONNECTION_ID].get(ticket.ticket_id), ticket)])[0]

    def close(self, ticket: Ticket) -> None:
        """Let the synchronisation see that somebody has closed a ticket's record."""
        self.put(replace(ticket, phase=Phase.CLOSED))

    def finish(self, stage: Stage) -> None:
        """Let time pass until all tickets are delivered, then close them."""
        while any(ticket.delivery.status is Delivery.PENDING for ticket in self.tickets):
            self.clock.advance(3601)
            deadline = self.clock() + timedelta(seconds=50)
            stage.run(self.delivery.deliver_pending(self.connection, deadline=deadline))
        for ticket in self.open_tickets(ONE) + self.open_tickets(TWO):
            self.close(self.store.tickets[CONNECTION_ID][ticket.ticket_id])
        self.clock.advance(GRACE_S + 1)

    def claimed(self, reference: RecommendationReference = ONE) -> list[str]:
        claim = self.claim_store.claims.get((TENANT, reference.key))
        return [] if claim is None else [each.ticket_id for each in claim.tickets]
