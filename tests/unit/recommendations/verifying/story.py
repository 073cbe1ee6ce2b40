"""An app in memory whose tickets are measured day by day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from shared.connections.model import KindSettings, OutcomeNotes, OutcomePolicy, TicketKind
from shared.connections.turns import Turns
from shared.recommendations.model import ImprovementAction, SourceName
from shared.recommendations.verifying.observations import Reach, observed_tenant
from shared.recommendations.verifying.tenant import TenantVerification
from shared.tickets.model import EventKind, RecommendationReference, Ticket
from shared.tickets.outcomes import Outcome, OutcomeReason
from shared.tickets.record_effects import with_record
from shared.tickets.updates.model import Update
from tests.memory.servicenow import as_shown
from tests.memory.steps import Step, at_once
from tests.memory.verification import memory_verification
from tests.unit.recommendations.strategies import TENANT
from tests.unit.recommendations.world import ONE, TWO, World
from tests.unit.tickets.examples import CONNECTION_ID, a_connection

DAY_S = timedelta(days=1).total_seconds()
TITLES = {ONE: "Turn on Safe Attachments in block mode", TWO: "Require MFA for administrative roles"}


class Story:
    """Tickets for recommendations of one tenant, of which each has up to 10 points."""

    def __init__(
        self,
        step: Step = at_once,
        *,
        policy: OutcomePolicy = OutcomePolicy.NOTE_ONLY,
        notes: OutcomeNotes = OutcomeNotes.WORK_NOTE,
    ) -> None:
        self.world = World(step)
        settings = KindSettings(not_fixed=policy, regressed=policy)
        connection = a_connection(kinds=dict.fromkeys(TicketKind, settings), outcome_notes=notes)
        self.world.connections.connections[CONNECTION_ID] = replace(connection, etag=self.world.connection.etag)
        self.set(0)

    @property
    def verification(self) -> TenantVerification:
        """The step of another host each time."""
        world = self.world
        return memory_verification(
            world.clock,
            claims=world.claim_store,
            recommendations=world.recommendations,
            tickets=world.store,
            connections=world.connections,
            turns=Turns(world.directory, world.connections, world.clock),
        )

    def set(self, points: int, two: int | None = None, **changes: Any) -> None:
        """Let Microsoft measure both recommendations now."""
        for reference, own in ((ONE, points), (TWO, points if two is None else two)):
            action = ImprovementAction(
                TENANT,
                SourceName.SECURE_SCORE,
                reference.source_id,
                TITLES[reference],
                service="MDO",
                points=Decimal(own),
                max_points=Decimal(10),
                measured_at=self.world.clock(),
            )
            self.world.add(replace(action, **changes))

    async def check(self, *, reach: Reach = Reach.READABLE) -> None:
        """What a reading does once its rows are stored."""
        actions = list(self.world.recommendations.actions[TENANT].values())
        day = self.world.clock().date()
        observed = observed_tenant(TENANT, actions, f"{TENANT}_{day}", day, reach=reach)
        await self.verification.run(self.world.tenants.tenants[TENANT], observed, actions)

    async def read(self, points: int, two: int | None = None, *, days: float = 1, **changes: Any) -> None:
        """Read the tenant after some days."""
        self.world.clock.advance(days * DAY_S)
        self.set(points, two, **changes)
        await self.check()

    async def ticket(self, *references: RecommendationReference, another: bool = False) -> Ticket:
        """Make a ticket."""
        self.world.clock.advance(60)
        return (await self.world.create(*references, another=another)).ticket

    def change_state(self, ticket: Ticket, state: str = "7") -> None:
        """Let the synchronisation see that somebody has changed a record's state."""
        record = self.world.servicenow.change(ticket.ticket_id, state=state, active=state not in {"7", "8"})
        self.world.put(with_record(self.stored(ticket), as_shown(record), self.world.clock()))

    def stored(self, ticket: Ticket) -> Ticket:
        """The ticket as stored."""
        return self.world.store.tickets[CONNECTION_ID][ticket.ticket_id]

    def outcomes(self, ticket: Ticket) -> list[Outcome]:
        """What became of the ticket's recommendations."""
        verification = self.stored(ticket).verification
        assert verification is not None
        return [item.outcome for item in verification.items]

    def reason(self, ticket: Ticket) -> OutcomeReason | None:
        """Why the first outcome is what it is."""
        verification = self.stored(ticket).verification
        assert verification is not None
        return verification.items[0].reason

    def events(self, ticket: Ticket) -> Sequence[Mapping[str, str]]:
        """The details of the ticket's outcomes, oldest first."""
        return [event.details for event in self.stored(ticket).timeline if event.kind is EventKind.OUTCOME]

    @property
    def updates(self) -> list[Update]:
        """What waits for ServiceNow, in the order in which it is sent."""
        return [update for _, update in sorted(self.world.store.updates[CONNECTION_ID].items())]

    def asked(self) -> list[tuple[str, str]]:
        """Kind and requester of what waits for ServiceNow."""
        return [(update.kind.value, update.asked_by_id) for update in self.updates]
