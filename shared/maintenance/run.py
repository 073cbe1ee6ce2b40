"""What the timer does each minute: all work that is due, on every connection and tenant, within a bounded time.

If more than a few connections or tenants are due, they go to other instances of the app as messages, which do the same
for those that a message names.

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
from shared.errors import ConnectorError
from shared.evidence.ports import EvidenceStore
from shared.log import log_event
from shared.maintenance.fan_out import FanOut, ids_of
from shared.maintenance.plan import Planner
from shared.maintenance.serve import ConnectionWork
from shared.maintenance.tenants import TenantWork
from shared.service import service
from shared.settings import Settings
from shared.tickets.ports import IdempotencyStore

RUN_S: Final = 45.0
"""A run, or the work for a message, begins nothing new after this time; the next run starts a minute after this one."""
CONNECTIONS: Final = "connections"
"""Name of the list in a message."""
CONCURRENT_CONNECTIONS: Final = 8
NOT_SERVED_AFTER: Final = timedelta(minutes=15)
"""If a due connection has had no turn for this long, log it.

A run alone cannot know whether the app was down, so the alert ``connection-not-served`` is raised only if runs log the
same connection for some minutes.
"""
KEEP_AUTHORIZATIONS: Final = timedelta(days=2)
"""Keep authorizations this long after they expire, so that a wrong clock does not delete ones that are under way."""
KEEP_RESERVATIONS: Final = timedelta(days=30)
"""Remember idempotency keys this long."""


@service
class Maintenance:
    """Does what is due; see the module's description."""

    settings: Settings
    planner: Planner
    fan_out: FanOut[DirectoryEntry]
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

    async def serve_message(self, text: bytes) -> None:
        """Serve the connections that a message names, as far as they are due. Raises ValueError if it names none.

        They are served all at once, so that none waits for one that hangs.
        """
        deadline = self.clock() + timedelta(seconds=RUN_S)

        async def serve(connection_id: str) -> None:
            try:
                entry = await self.planner.free_entry(connection_id)
            except ConnectorError as error:
                log_event(
                    "connection_row_not_read", level=logging.WARNING, connection_id=connection_id, code=error.code
                )
                return
            if entry is not None:
                await self.work.serve(entry, deadline)

        await asyncio.gather(*map(serve, ids_of(text, CONNECTIONS)))

    async def read_message(self, text: bytes) -> None:
        """Read the tenants that a message names, as far as they are due. Raises ValueError if it names none."""
        await self.tenants.read_message(text, self.clock() + timedelta(seconds=RUN_S))

    async def _serve_connections(self, deadline: datetime) -> None:
        """Serve every connection that is due, the one that was served longest ago first. Raises StorageUnavailable."""
        due, now = await self.planner.due_entries(), self.clock()
        # Whoever gets a message believes the row; one that does not know that its connection is due stays here.
        here = [entry for entry in due if not entry.is_due(now)]
        here += await self.fan_out.share_out([entry for entry in due if entry.is_due(now)])
        ids = {entry.connection_id for entry in here}
        for entry in due:
            if entry.connection_id not in ids:
                self._report_not_served(entry)

        turn = asyncio.Semaphore(CONCURRENT_CONNECTIONS)

        async def serve(entry: DirectoryEntry) -> None:
            async with turn:
                if self.clock() < deadline:
                    await self.work.serve(entry, deadline)
                else:
                    self._report_not_served(entry)

        await asyncio.gather(*map(serve, here))

    def _report_not_served(self, entry: DirectoryEntry) -> None:
        """Log a due connection that has had no turn for long, or never had one; the next run puts it first.

        Only the row counts: the timer may have been started since the last run, and a turn that dies changes the row.
        """
        now = self.clock()
        served_at = believed(entry.served_at, now)
        if served_at is None or now - served_at >= NOT_SERVED_AFTER:
            log_event(
                "connection_not_served",
                level=logging.WARNING,
                connection_id=entry.connection_id,
                waited_s=None if served_at is None else (now - served_at).total_seconds(),
            )
