"""The step after a reading, with stores in memory."""

from __future__ import annotations

from shared.clock import Clock
from shared.connections.ports import ConnectionStore
from shared.connections.turns import Turns
from shared.recommendations.ports import ClaimStore, RecommendationStore
from shared.recommendations.verifying.tenant import TenantVerification
from shared.recommendations.verifying.waiting_times import WaitingTimes
from shared.tickets.ports import TicketStore
from tests.memory.connection_store import MemoryConnectionStore
from tests.memory.directory import MemoryDirectory
from tests.memory.recommendation_store import MemoryClaimStore, MemoryRecommendationStore
from tests.memory.ticket_store import MemoryTicketStore


def memory_verification(
    clock: Clock,
    *,
    claims: ClaimStore | None = None,
    recommendations: RecommendationStore | None = None,
    tickets: TicketStore | None = None,
    connections: ConnectionStore | None = None,
    turns: Turns | None = None,
) -> TenantVerification:
    """Return the step of an app; what is not given is empty."""
    connections = connections or MemoryConnectionStore()
    return TenantVerification(
        claims=claims or MemoryClaimStore(),
        recommendations=recommendations or MemoryRecommendationStore(),
        tickets=tickets or MemoryTicketStore(),
        connections=connections,
        turns=turns or Turns(MemoryDirectory(), connections, clock),
        waits=WaitingTimes(),
        clock=clock,
    )
