"""What the timer does each minute: whatever is due, on every connection, within a bounded time.

Everything is safe to run twice at once: tokens are refreshed and tickets synchronised under a lease, deliveries take a
lease of their own, counts are folded under an etag. A connection that fails or hangs holds up no other.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from shared.clock import Clock
from shared.connections.changes import change_sync_state
from shared.connections.grant.lease import Lease
from shared.connections.grant.secret_renewal import SecretRenewal
from shared.connections.grant.tokens import AccessTokens, is_refresh_due
from shared.connections.model import Connection, ConnectionStatus, Operation, consent_days_left
from shared.connections.ports import AuthorizationStore, ConnectionStore
from shared.connections.status import ConnectionHealth
from shared.errors import ConnectorError, FixConfiguration, FixRequest
from shared.log import log_bug, log_context, log_event
from shared.settings import Settings
from shared.telemetry import CONSENT_DAYS_LEFT, SYNC_LAG, Span, span
from shared.tickets.deliver import DeliveryCounts, TicketDelivery
from shared.tickets.model import Delivery
from shared.tickets.ports import IdempotencyStore, TicketStore
from shared.tickets.reconcile import TicketReconciliation, is_reconciliation_due
from shared.tickets.sync import SyncCounts, TicketSync, is_sync_due

RUN_S: Final = 45.0
"""A run begins nothing new after this; the next one comes a minute after this one began."""
CONNECTION_LIMIT_S: Final = 90.0
"""A connection's part is cut off after this, below the host's function timeout of two minutes."""
ON_DEMAND_S: Final = 20.0
"""A synchronisation that somebody waits for ends after this; the timer goes on with the rest."""
CONCURRENT_CONNECTIONS: Final = 8
NOT_SERVED_AFTER: Final = timedelta(minutes=15)
"""A connection that has waited this long for its turn is reported; the alert ``connection-not-served`` reads it."""
KEEP_AUTHORIZATIONS: Final = timedelta(days=2)
"""Authorizations are kept for so long after their time, so that a wrong clock does not delete those under way."""
KEEP_RESERVATIONS: Final = timedelta(days=30)
"""Idempotency keys are remembered for so long."""


@dataclass(frozen=True, slots=True)
class Maintenance:
    """Does what is due; see the module's description."""

    settings: Settings
    connections: ConnectionStore
    sync_lease: Lease
    authorizations: AuthorizationStore
    reservations: IdempotencyStore
    store: TicketStore
    tokens: AccessTokens
    renewal: SecretRenewal
    health: ConnectionHealth
    delivery: TicketDelivery
    sync: TicketSync
    reconciliation: TicketReconciliation
    clock: Clock
    _served_at: dict[str, datetime] = field(default_factory=dict)

    async def run(self) -> None:
        """Do what is due on every connection, and tidy up. Raises StorageUnavailable when nothing could be done.

        Whoever was served longest ago comes first, and nothing begins after the deadline.
        """
        started_at = self.clock()
        deadline = started_at + timedelta(seconds=RUN_S)
        turn = asyncio.Semaphore(CONCURRENT_CONNECTIONS)

        async def maintain(connection: Connection) -> None:
            async with turn:
                if self.clock() >= deadline:
                    self._report_not_served(connection)
                    return
                await self._isolated(connection, deadline)
                self._served_at[connection.connection_id] = self.clock()

        present = [each for each in await self.connections.list_connections() if not each.is_removed]
        for connection in present:
            self._served_at.setdefault(connection.connection_id, started_at)
        await asyncio.gather(*(maintain(connection) for connection in sorted(present, key=self._last_served)))
        await self.authorizations.delete_expired_authorizations(started_at - KEEP_AUTHORIZATIONS)
        if started_at.time().replace(second=0, microsecond=0) == self.settings.reconcile_at:
            await self.reservations.delete_expired_reservations(started_at - KEEP_RESERVATIONS)

    async def sync_now(self, connection: Connection) -> SyncCounts | None:
        """Synchronise at once because somebody asked for it; None when a run is under way, which will be repeated.

        Raises:
            FixRequest: 409 ``connection_not_authorized``.
            TryLater, Reauthorize, FixConfiguration: ServiceNow did not let us; the connection keeps why.
        """
        if not connection.ever_consented:
            raise FixRequest(
                "This connection has not been authorized in ServiceNow; there is nothing to synchronise.",
                code="connection_not_authorized",
                status=409,
                next_step="Authorize the connection first.",
            )
        await change_sync_state(
            self.connections, connection.connection_id, lambda state: replace(state, requested_at=self.clock())
        )
        with log_context(connection_id=connection.connection_id):
            async with self.sync_lease.held_if_free(connection.connection_id) as lease:
                if lease is None:
                    return None
                return await self._sync(connection, self.clock() + timedelta(seconds=ON_DEMAND_S))

    def _last_served(self, connection: Connection) -> datetime:
        """Return when this instance of the app last served a connection, or first heard of it."""
        return self._served_at[connection.connection_id]

    def _report_not_served(self, connection: Connection) -> None:
        """Log a connection whose turn has not come for long; it is served before the others in the next run."""
        waited = self.clock() - self._last_served(connection)
        if waited >= NOT_SERVED_AFTER:
            log_event(
                "connection_not_served",
                level=logging.WARNING,
                connection_id=connection.connection_id,
                waited_s=waited.total_seconds(),
            )

    async def _isolated(self, connection: Connection, deadline: datetime) -> None:
        """Do one connection's part; whatever happens there stays there, and one line of the log says it."""
        with log_context(connection_id=connection.connection_id), span("connection_maintenance") as part:
            await self._maintain(connection, deadline, part)

    async def _maintain(self, connection: Connection, deadline: datetime, part: Span) -> None:
        started = time.perf_counter()
        run = _Run()
        code: str | None = None
        try:
            async with asyncio.timeout(CONNECTION_LIMIT_S):
                await self._connection(connection, deadline, run)
        except ConnectorError as error:
            code = error.code
        except TimeoutError:
            code = "time_limit_reached"
        except Exception as error:  # noqa: BLE001 - one connection never holds up another
            code = "internal_error"
            log_bug("unexpected_error", error)
        days_left = consent_days_left(connection, self.clock())
        if days_left is not None:
            CONSENT_DAYS_LEFT.record(days_left)
        if run.lag_s is not None:
            SYNC_LAG.record(run.lag_s)
        if code is not None:
            part.failed(code)
        log_event(
            "connection_maintained",
            level=logging.INFO if code is None else logging.WARNING,
            status=run.status or connection.status.value,
            code=code,
            consent_days_left=days_left,
            refreshed=run.refreshed,
            **{f"delivery_{name}": count for name, count in asdict(run.deliveries).items()},
            **({f"sync_{name}": count for name, count in asdict(run.sync).items()} if run.sync else {}),
            lag_s=run.lag_s,
            pending=run.pending,
            failed=run.failed,
            oldest_pending_age_s=run.oldest_pending_age_s,
            duration_s=time.perf_counter() - started,
        )

    async def _connection(self, connection: Connection, deadline: datetime, run: _Run) -> None:
        connection_id = connection.connection_id
        try:
            connection = await self.renewal.renew_if_due(connection)
            if connection.ever_consented:
                if is_refresh_due(connection, self.clock()):
                    connection = await self.tokens.refresh(connection)
                    run.refreshed = True
                await self.tokens.access_token(connection)
                run.deliveries = await self.delivery.deliver_pending(connection, deadline=deadline)
                await self._synchronise(connection, deadline, run)
        finally:
            await self.store.compact_summary(connection_id, self.clock())
            await self._measure(connection, run)

    async def _synchronise(self, connection: Connection, deadline: datetime, run: _Run) -> None:
        state = await self.connections.get_sync_state(connection.connection_id)
        now = self.clock()
        look_whether_it_is_back = connection.status is ConnectionStatus.UNAVAILABLE or run.deliveries.postponed > 0
        sync_due = look_whether_it_is_back or is_sync_due(state, now, self.settings.sync_interval_s)
        reconciliation_due = is_reconciliation_due(state, now, self.settings.reconcile_at)
        if not sync_due and not reconciliation_due:
            return
        async with self.sync_lease.held_if_free(connection.connection_id) as lease:
            if lease is None:
                return
            refused: FixConfiguration | None = None
            if sync_due:
                try:
                    run.sync = await self._sync(connection, deadline)
                except FixConfiguration as error:
                    # The comparison may put right what it is refused for, such as tickets whose records were deleted.
                    refused = error
            if reconciliation_due and self.clock() < deadline and not lease.is_lost:
                await self._reconcile(connection, deadline)
            if refused is not None:
                raise refused

    async def _sync(self, connection: Connection, deadline: datetime) -> SyncCounts:
        try:
            counts = await self.sync.run(connection, deadline=deadline)
        except ConnectorError as error:
            await self.health.failed(connection, error)
            raise
        await self.health.succeeded(connection)
        return counts

    async def _reconcile(self, connection: Connection, deadline: datetime) -> None:
        """Compare both sides; a refusal stays the connection's last error until a comparison succeeds."""
        try:
            found = await self.reconciliation.run(connection, deadline=deadline)
        except FixConfiguration as error:
            await self.health.failed(connection, error, Operation.COMPARISON)
            raise
        log_event("connection_reconciled", **asdict(found))
        if found.complete:
            await self.health.settled(connection, Operation.COMPARISON)

    async def _measure(self, connection: Connection, run: _Run) -> None:
        """Note what the alerts look at."""
        now = self.clock()
        current = await self.connections.get_connection(connection.connection_id)
        state = await self.connections.get_sync_state(connection.connection_id)
        summary = await self.store.get_summary(connection.connection_id)
        oldest = await self.store.list_pending(connection.connection_id, limit=1)
        run.status = current.status.value if current is not None else ConnectionStatus.DISCONNECTED.value
        run.pending = summary.total(Delivery.PENDING)
        run.failed = summary.total(Delivery.FAILED)
        run.oldest_pending_age_s = max(((now - ticket.created_at).total_seconds() for ticket in oldest), default=None)
        if state.last_completed_at is not None:
            run.lag_s = max(0.0, (now - state.last_completed_at).total_seconds())


class _Run:
    """What a run did and found on one connection."""

    def __init__(self) -> None:
        self.refreshed = False
        self.deliveries = DeliveryCounts()
        self.sync: SyncCounts | None = None
        self.status: str | None = None
        self.pending = 0
        self.failed = 0
        self.oldest_pending_age_s: float | None = None
        self.lag_s: float | None = None
