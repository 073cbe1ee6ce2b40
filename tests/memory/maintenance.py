"""The timer, with stores in memory."""

from __future__ import annotations

from datetime import time
from typing import Any

from shared.connections.grant.lease import Lease
from shared.connections.grant.secret_renewal import SecretRenewal
from shared.connections.grant.tokens import AccessTokens
from shared.connections.ports import AuthorizationStore, ConnectionDirectory, ConnectionStore
from shared.connections.status import ConnectionHealth
from shared.connections.turns import Turns
from shared.evidence.ports import EvidenceStore
from shared.maintenance.fan_out import FanOut, WorkQueue
from shared.maintenance.plan import Planner
from shared.maintenance.run import CONNECTIONS, Maintenance
from shared.maintenance.serve import ConnectionWork
from shared.maintenance.tenants import TENANTS, TenantWork
from shared.recommendations.ports import Source
from shared.recommendations.reading.read import TenantReading
from shared.recommendations.ticketing.ticket_claims import TicketClaims
from shared.reminders.configure import REMINDER_SECRETS
from shared.reminders.turn import ReminderTurn
from shared.settings import Settings
from shared.tenants.ports import TenantStore
from shared.tickets.closings import ClosingReading
from shared.tickets.deliver import TicketDelivery
from shared.tickets.failing import ConnectionNotes
from shared.tickets.ports import TicketStore
from shared.tickets.reconcile import TicketReconciliation
from shared.tickets.recording import EvidenceRecording
from shared.tickets.sync import TicketSync
from shared.tickets.updates.send import UpdateDelivery
from tests.memory.clock import ManualClock
from tests.memory.evidence_store import MemoryEvidenceStore
from tests.memory.idempotency_store import MemoryIdempotencyStore
from tests.memory.instance import MemoryRequesterDirectory
from tests.memory.lease_store import MemoryLeaseStore
from tests.memory.message_sender import MemorySender, no_points
from tests.memory.recommendation_store import MemoryClaimStore, MemoryRecommendationStore
from tests.memory.record_updates import MemoryFollowUps, MemoryRecordUpdates
from tests.memory.reminder_store import MemoryReminderStore
from tests.memory.secret_store import MemorySecretStore
from tests.memory.servicenow import MemoryServiceNow
from tests.memory.source import MemorySource
from tests.memory.tenant_store import MemoryTenantStore
from tests.memory.verification import memory_verification


def settings(**changes: Any) -> Settings:
    """The settings of a deployment."""
    given = {
        "PUBLIC_BASE_URL": "https://tickets.contoso.com",
        "KEY_VAULT_URL": "https://vault.example",
        "TABLES_URL": "https://tables.example",
        "RECONCILE_AT": time(2, 0),
    }
    return Settings.model_validate(given | changes)


def memory_maintenance(
    *,
    connections: ConnectionStore,
    directory: ConnectionDirectory,
    authorizations: AuthorizationStore,
    tokens: AccessTokens,
    renewal: SecretRenewal,
    health: ConnectionHealth,
    store: TicketStore,
    servicenow: MemoryServiceNow,
    clock: ManualClock,
    tenants: TenantStore | None = None,
    source: Source | None = None,
    evidence: EvidenceStore | None = None,
    reminders: ReminderTurn | None = None,
    page_size: int = 100,
    queue: WorkQueue | None = None,
    **changes: Any,
) -> Maintenance:
    """Return the timer of an instance of the app.

    Args:
        queue: Receives the connections, if they are many.
        changes: Settings by their names in the environment.
    """
    chosen = settings(**changes)
    requesters = MemoryRequesterDirectory()
    tenants = tenants or MemoryTenantStore()
    evidence = evidence or MemoryEvidenceStore()
    source = source or MemorySource(clock)
    verification = memory_verification(clock, tickets=store, connections=connections)
    reading = TenantReading(tenants, MemoryRecommendationStore(), source, evidence, verification, clock)
    return Maintenance(
        settings=chosen,
        planner=Planner(directory, connections, chosen, clock),
        fan_out=FanOut(queue, CONNECTIONS, lambda entry: (entry.connection_id, entry.etag), clock),
        work=ConnectionWork(
            settings=chosen,
            connections=connections,
            turns=Turns(directory, connections, clock, seconds=lambda: clock.now.timestamp()),
            store=store,
            tokens=tokens,
            renewal=renewal,
            health=health,
            delivery=TicketDelivery(store, servicenow, requesters, health, clock, random=lambda: 0.0),
            updates=UpdateDelivery(
                store,
                MemoryRecordUpdates(servicenow),
                MemoryFollowUps(),
                TicketClaims(MemoryClaimStore(), store, connections, clock),
                ConnectionNotes(servicenow, health),
                clock,
                random=lambda: 0.0,
            ),
            sync=TicketSync(store, servicenow, clock, page_size),
            reconciliation=TicketReconciliation(store, servicenow, clock, page_size),
            closings=ClosingReading(store, servicenow, clock),
            recording=EvidenceRecording(store, evidence, clock),
            reminders=reminders
            or ReminderTurn(
                store=MemoryReminderStore(),
                secrets=MemorySecretStore(),
                sender=MemorySender(),
                tickets=store,
                points=no_points,
                lease=Lease(MemoryLeaseStore(clock), REMINDER_SECRETS),
                clock=clock,
                secret_lifetime=chosen.secret_lifetime,
            ),
            clock=clock,
        ),
        tenants=TenantWork(
            tenants, FanOut(None, TENANTS, lambda each: (each.tenant_id, each.etag), clock), reading, clock
        ),
        authorizations=authorizations,
        reservations=MemoryIdempotencyStore(),
        evidence=evidence,
        clock=clock,
    )
