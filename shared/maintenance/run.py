"""What the timer does each minute: all work that is due, on every connection and tenant, within a bounded time.

It is safe to run twice at once: a connection has one turn at a time, tokens are refreshed under a lease, deliveries
have their own lease, and counts are folded under an etag.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from typing import Final

from shared.clock import Clock, believed
from shared.connections.directory import DirectoryEntry
from shared.connections.ports import AuthorizationStore
from shared.evidence.ports import EvidenceStore
from shared.log import log_event
from shared.maintenance.plan import Planner
from shared.maintenance.serve import ConnectionWork
from shared.maintenance.tenants import TenantWork
from shared.service import service
from shared.settings import Settings
from shared.tickets.ports import IdempotencyStore

RUN_S: Final = 45.0
"""A run begins nothing new after this time; the next run starts a minute after this one."""
CONCURRENT_CONNECTIONS: Final = 8
NOT_SERVED_AFTER: Final = timedelta(minutes=15)
"""If a connection has waited this long for its turn, log it; the alert ``connection-not-served`` reads that."""
KEEP_AUTHORIZATIONS: Final = timedelta(days=2)
"""Keep authorizations this long after they expire, so that a wrong clock does not delete ones that are under way."""
KEEP_RESERVATIONS: Final = timedelta(days=30)
"""Remember idempotency keys this long."""


@service
class Maintenance:
    """Does what is due; see the module's description."""

    settings: Settings
    planner: Planner
    work: ConnectionWork
    tenants: TenantWork
    authorizations: AuthorizationStore
    reservations: IdempotencyStore
    evidence: EvidenceStore
    clock: Clock

    async def run(self) -> None:
        """Do what is due on every connection and tenant, and tidy up. Raises StorageUnavailable if that fails.

        Nothing begins after the deadline.
        """
        started_at = self.clock()
        deadline = started_at + timedelta(seconds=RUN_S)
        failures = await asyncio.gather(
            self._serve_connections(deadline), self.tenants.read_due(deadline), return_exceptions=True
        )
        for failure in filter(None, failures):
            raise failure
        await self.authorizations.delete_expired_authorizations(started_at - KEEP_AUTHORIZATIONS)
        if started_at.time().replace(second=0, microsecond=0) == self.settings.reconcile_at:
            await self.reservations.delete_expired_reservations(started_at - KEEP_RESERVATIONS)
            await self.evidence.delete_before(started_at - self.settings.evidence_retention)

    async def _serve_connections(self, deadline: datetime) -> None:
        """Serve every connection that is due, the one that was served longest ago first. Raises StorageUnavailable."""
        turn = asyncio.Semaphore(CONCURRENT_CONNECTIONS)

        async def serve(entry: DirectoryEntry) -> None:
            async with turn:
                if self.clock() >= deadline:
                    self._report_not_served(entry)
                else:
                    await self.work.serve(entry, deadline)

        await asyncio.gather(*(serve(entry) for entry in await self.planner.due_entries()))

    def _report_not_served(self, entry: DirectoryEntry) -> None:
        """Log a connection that has waited long for its turn; the next run serves it before the others."""
        now = self.clock()
        served_at = believed(entry.served_at, now)
        if served_at is not None and now - served_at >= NOT_SERVED_AFTER:
            log_event(
                "connection_not_served",
                level=logging.WARNING,
                connection_id=entry.connection_id,
                waited_s=(now - served_at).total_seconds(),
            )
