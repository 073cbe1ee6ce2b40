"""A connection's turn: everything that is due on it, within a bounded time.

A failure stays within its turn, and one line of the log reports it. So a connection that fails or hangs does not hold
up the others.

An idle turn needs four requests to storage: take the turn, read the connection, read what its tickets need, and end the
turn. Whether reminders are due is known from these.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Final

from shared.attention.needs import figures_of, needs_of_summary
from shared.clock import Clock, believed
from shared.connections.customers import customer_of
from shared.connections.directory import AT_ONCE, DirectoryEntry
from shared.connections.grant.secret_renewal import SecretRenewal, is_renewal_due
from shared.connections.grant.tokens import AccessTokens, is_refresh_due
from shared.connections.model import Connection, ConnectionStatus, Operation, consent_days_left
from shared.connections.ports import ConnectionStore
from shared.connections.status import ConnectionHealth, is_known_to_work
from shared.connections.turns import Turn, Turns
from shared.errors import ConnectionNotAuthorized, ConnectorError, FixConfiguration
from shared.log import log_bug, log_context, log_event
from shared.maintenance.due import due_at
from shared.reminders.rules import LOOK_EVERY as REMINDERS_EVERY
from shared.reminders.turn import ReminderTurn
from shared.service import service
from shared.settings import Settings
from shared.telemetry import CONSENT_DAYS_LEFT, SYNC_LAG, Span, span
from shared.tickets.closings import ClosingReading
from shared.tickets.deliver import PENDING_PAGE, DeliveryCounts, TicketDelivery, attempt_due_at
from shared.tickets.model import Delivery, Ticket
from shared.tickets.ports import Overview, TicketStore
from shared.tickets.reconcile import TicketReconciliation, is_reconciliation_due
from shared.tickets.recording import EvidenceRecording
from shared.tickets.sync import SyncCounts, TicketSync, is_sync_due
from shared.tickets.updates.send import UpdateCounts, UpdateDelivery, next_update_at

CONNECTION_LIMIT_S: Final = 90.0
"""A turn is cut off after this, below the host's function timeout of two minutes."""
REMINDERS_AGAIN: Final = timedelta(minutes=15)
"""After an unexpected error, reminders are looked at again after this time."""
ON_DEMAND_S: Final = 20.0
"""A synchronisation that somebody waits for stops after this; the timer does the rest."""


@service
class ConnectionWork:
    """Does what is due on a connection; see the module's description."""

    settings: Settings
    connections: ConnectionStore
    turns: Turns
    store: TicketStore
    tokens: AccessTokens
    renewal: SecretRenewal
    health: ConnectionHealth
    delivery: TicketDelivery
    updates: UpdateDelivery
    sync: TicketSync
    reconciliation: TicketReconciliation
    closings: ClosingReading
    recording: EvidenceRecording
    reminders: ReminderTurn
    clock: Clock

    async def serve(self, entry: DirectoryEntry, deadline: datetime) -> None:
        """Take the connection's turn and do its work, unless somebody else has the turn."""
        with log_context(connection_id=entry.connection_id), span("connection_maintenance") as part:
            run = _Run()
            try:
                async with self.turns.taken(entry) as turn:
                    if turn is None:
                        return
                    await self._in_turn(turn, deadline, run)
            except ConnectorError as error:
                run.code = error.code
            self._log(run, part)

    async def sync_now(self, connection: Connection) -> SyncCounts | None:
        """Synchronise at once at a person's request; return None if somebody else has the turn: it is done next.

        Raises:
            FixRequest: 409 ``connection_not_authorized``.
            TryLater, Reauthorize, FixConfiguration: ServiceNow failed or refused; the connection keeps the reason.
        """
        connection_id = connection.connection_id
        if not connection.ever_consented:
            raise ConnectionNotAuthorized()
        with log_context(connection_id=connection_id):
            async with self.turns.taken(await self.turns.directory.get_entry(connection_id)) as turn:
                if turn is not None:
                    return await self._sync_asked_for(connection, turn)
            await self.turns.directory.wake(connection_id, requested_at=self.clock())
            return None

    async def _sync_asked_for(self, connection: Connection, turn: Turn) -> SyncCounts:
        before = turn.begin(connection)
        turn.sync.state = replace(before, requested_at=self.clock())
        try:
            return await self._sync(connection, turn, self.clock() + timedelta(seconds=ON_DEMAND_S))
        finally:
            if is_sync_due(turn.sync.state, self.clock(), self.settings.sync_interval_s):
                turn.due_at = AT_ONCE
            await self.turns.copy_for_release_0_1(turn, before)

    async def _in_turn(self, turn: Turn, deadline: datetime, run: _Run) -> None:
        """Do what is due, and note in the turn the result and when the connection is due again."""
        connection_id, code = turn.entry.connection_id, None
        try:
            async with asyncio.timeout(CONNECTION_LIMIT_S):
                connection, run.overview = await asyncio.gather(
                    self.connections.get_connection(connection_id), self.store.get_overview(connection_id)
                )
                if connection is None or connection.is_removed:
                    turn.due_at = None
                    turn.customer = None if connection is None else customer_of(connection)
                    run.status = ConnectionStatus.DISCONNECTED
                    if run.overview is not None and run.overview.has_unrecorded:
                        # Once nothing is left, the next turn is the last.
                        turn.due_at = AT_ONCE
                        await self.recording.run(connection_id, deadline=deadline)
                    await self._check_lists(turn, deadline, run)
                    return
                before = turn.begin(connection)
                try:
                    await self._work(connection, turn, deadline, run)
                finally:
                    await self.turns.copy_for_release_0_1(turn, before)
        except ConnectorError as error:
            code = error.code
        except TimeoutError:
            code = "time_limit_reached"
        except Exception as error:  # noqa: BLE001 - one connection never holds up another
            code = "internal_error"
            log_bug("unexpected_error", error)
        run.code = code
        if run.overview is not None and (run.overview.has_unrecorded or not run.is_idle):
            await self.recording.run(connection_id, deadline=deadline)
        await self._measure(turn, run)
        await self._remind(turn, run, deadline)
        await self._check_lists(turn, deadline, run)

    async def _check_lists(self, turn: Turn, deadline: datetime, run: _Run) -> None:
        """Go on comparing the tickets with the lists if that is due; the next turn continues at once."""
        if run.overview is None or not run.overview.is_check_due(self.clock()):
            return
        try:
            while not await self.store.check_lists(turn.entry.connection_id, self.clock()):
                if self.clock() >= deadline:
                    turn.due_at = AT_ONCE
                    return
        except ConnectorError as error:
            run.code = run.code or error.code

    async def _work(self, connection: Connection, turn: Turn, deadline: datetime, run: _Run) -> None:
        run.connection = connection
        if is_renewal_due(connection, self.clock(), self.settings.secret_lifetime):
            run.is_idle = False
            run.connection = connection = await self.renewal.renew_if_due(connection)
        if not connection.ever_consented:
            return
        if is_refresh_due(connection, self.clock()):
            run.connection = connection = await self.tokens.refresh(connection)
            run.refreshed, run.is_idle = True, False
        await self.tokens.access_token(connection)
        if self._has_to_look_at_the_outbox(connection, run):
            run.is_idle = False
            run.deliveries = await self.delivery.deliver_pending(connection, deadline=deadline)
            run.connection = connection = await self.connections.get_connection(connection.connection_id) or connection
        if (run.overview is None or run.overview.has_updates) and self.clock() < deadline:
            run.updates = await self.updates.send_due(connection, deadline=deadline)
            run.is_idle = run.is_idle and not run.updates.total
        await self._synchronise(connection, turn, deadline, run)

    def _has_to_look_at_the_outbox(self, connection: Connection, run: _Run) -> bool:
        """Whether a ticket is pending, or the last error is about a delivery and may be over because no ticket waits.

        The counts are exact, but each new token is a reason to look, too, so that deliveries do not depend on the
        counts alone.
        """
        error = connection.last_error
        about_deliveries = error is not None and error.operation is Operation.DELIVERY
        return run.overview is None or run.overview.may_have_pending or about_deliveries or run.refreshed

    async def _synchronise(self, connection: Connection, turn: Turn, deadline: datetime, run: _Run) -> None:
        state, now = turn.sync.state, self.clock()
        look_whether_it_is_back = connection.status is ConnectionStatus.UNAVAILABLE or run.deliveries.postponed > 0
        sync_due = look_whether_it_is_back or is_sync_due(state, now, self.settings.sync_interval_s)
        reconciliation_due = is_reconciliation_due(state, now, self.settings.reconcile_at)
        refused: FixConfiguration | None = None
        if sync_due:
            try:
                run.sync = await self._sync(connection, turn, deadline, run)
            except FixConfiguration as error:
                # The comparison may fix the cause of the refusal, such as tickets whose records were deleted.
                refused = error
        if reconciliation_due and self.clock() < deadline and not turn.lease.is_lost:
            run.is_idle = False
            await self._reconcile(connection, turn, deadline)
        if run.overview is None or run.overview.has_unread_closings or not run.is_idle:
            await self._read_closings(connection, deadline)
        if refused is not None:
            raise refused

    async def _read_closings(self, connection: Connection, deadline: datetime) -> None:
        try:
            read = await self.closings.run(connection, deadline=deadline)
        except ConnectorError as error:
            await self.health.failed(connection, error)
            raise
        if read:
            log_event("closings_read", tickets=read)

    async def _sync(
        self, connection: Connection, turn: Turn, deadline: datetime, run: _Run | None = None
    ) -> SyncCounts:
        may_have_unlinked = run is None or run.overview is None or run.overview.has_unlinked
        try:
            counts = await self.sync.run(connection, turn.sync, deadline=deadline, follow_unlinked=may_have_unlinked)
        except ConnectorError as error:
            await self.health.failed(connection, error)
            raise
        if not is_known_to_work(connection, self.clock()):
            connection = await self.health.succeeded(connection)
        if run is not None:
            run.connection = connection
            run.is_idle = run.is_idle and not counts.applied
        return counts

    async def _reconcile(self, connection: Connection, turn: Turn, deadline: datetime) -> None:
        """Compare both sides; a refusal stays the connection's last error until a comparison succeeds."""
        try:
            found = await self.reconciliation.run(connection, turn.sync, deadline=deadline)
        except FixConfiguration as error:
            await self.health.failed(connection, error, Operation.COMPARISON)
            raise
        log_event("connection_reconciled", **asdict(found))
        if found.complete:
            await self.health.settled(connection, Operation.COMPARISON)

    async def _measure(self, turn: Turn, run: _Run) -> None:
        """Note in the turn when the connection is due again, and in the run the figures for the alerts.

        After an idle turn, what it has read is still true. If storage does not answer here, the connection stays due.
        """
        connection_id = turn.entry.connection_id
        try:
            is_idle = run.is_idle and run.code is None
            if not is_idle:
                run.connection = await self.connections.get_connection(connection_id)
            connection, overview = run.connection, run.overview
            if overview is None or not is_idle or not overview.is_folded:
                await self.store.compact_summary(connection_id, self.clock())
                overview = await self.store.get_overview(connection_id)
            pending = (
                await self.store.list_pending(connection_id, limit=PENDING_PAGE) if overview.may_have_pending else ()
            )
            updates = await self.updates.all_updates(connection_id) if overview.has_updates else ()
        except ConnectorError as error:
            run.code = run.code or error.code
            return
        now, state = self.clock(), turn.sync.state
        if connection is not None:
            times = (_next_attempt_at(connection, pending, now), next_update_at(updates, now))
            next_attempt_at = min((at for at in times if at is not None), default=None)
            turn.due_at = due_at(connection, state, self.settings, now, next_attempt_at=next_attempt_at)
        run.status = connection.status if connection is not None else ConnectionStatus.DISCONNECTED
        run.pending, run.failed = (overview.summary.total(each) for each in (Delivery.PENDING, Delivery.FAILED))
        turn.customer = None if connection is None else customer_of(connection)
        turn.figures = figures_of(overview.summary, needs_of_summary(overview.summary, now, updates))
        if pending:
            run.oldest_pending_age_s = (now - pending[0].created_at).total_seconds()
        if state.last_completed_at is not None:
            run.lag_s = max(0.0, (now - state.last_completed_at).total_seconds())

    async def _remind(self, turn: Turn, run: _Run, deadline: datetime) -> None:
        """Make and send reminders if they are due, whatever became of the rest of the turn."""
        if run.connection is None or run.overview is None or turn.lease.is_lost:
            return
        connection, summary, now = run.connection, run.overview.summary, self.clock()
        due_at = believed(turn.reminder_due_at, now, ahead=REMINDERS_EVERY)
        if due_at is None or due_at <= now or turn.reminder_seen != self.reminders.seen(connection, summary):
            try:
                look = await self.reminders.look(connection, summary, deadline)
            except ConnectorError as error:
                log_event("reminders_not_looked_at", level=logging.WARNING, code=error.code)
                turn.reminder_due_at = now
            except Exception as error:  # noqa: BLE001 - reminders never hold up anything else
                log_bug("unexpected_error", error)
                turn.reminder_due_at = now + REMINDERS_AGAIN
            else:
                turn.reminder_due_at, turn.reminder_seen = look.due_at, look.seen
                turn.reminder_failed_at = look.failed_at
        if turn.due_at is not None and turn.reminder_due_at is not None:
            turn.due_at = min(turn.due_at, turn.reminder_due_at)

    def _log(self, run: _Run, part: Span) -> None:
        """Log in one line what the turn did."""
        days_left = None if run.connection is None else consent_days_left(run.connection, self.clock())
        if days_left is not None:
            CONSENT_DAYS_LEFT.record(days_left)
        if run.lag_s is not None:
            SYNC_LAG.record(run.lag_s)
        if run.code is not None:
            part.failed(run.code)
        log_event(
            "connection_maintained",
            level=logging.INFO if run.code is None else logging.WARNING,
            status=None if run.status is None else run.status.value,
            code=run.code,
            consent_days_left=days_left,
            refreshed=run.refreshed,
            **{f"delivery_{name}": count for name, count in asdict(run.deliveries).items()},
            **({f"updates_{name}": count for name, count in asdict(run.updates).items()} if run.updates.total else {}),
            **({f"sync_{name}": count for name, count in asdict(run.sync).items()} if run.sync else {}),
            lag_s=run.lag_s,
            pending=run.pending,
            failed=run.failed,
            oldest_pending_age_s=run.oldest_pending_age_s,
            duration_s=time.perf_counter() - run.began_s,
        )


def _next_attempt_at(connection: Connection, pending: Sequence[Ticket], now: datetime) -> datetime | None:
    """Return when the first of the waiting tickets may be delivered; now if there may be more than these."""
    if len(pending) >= PENDING_PAGE:
        return now
    times = (attempt_due_at(ticket, now) for ticket in pending if ticket.is_of(connection))
    return min((at for at in times if at is not None), default=None)


class _Run:
    """What a turn did and found.

    Attributes:
        is_idle: Whether the turn has changed neither the connection nor its tickets.
        connection, overview: As last read.
    """

    def __init__(self) -> None:
        self.began_s = time.perf_counter()
        self.is_idle = True
        self.connection: Connection | None = None
        self.overview: Overview | None = None
        self.code: str | None = None
        self.refreshed = False
        self.deliveries = DeliveryCounts()
        self.updates = UpdateCounts()
        self.sync: SyncCounts | None = None
        self.status: ConnectionStatus | None = None
        self.pending = 0
        self.failed = 0
        self.oldest_pending_age_s: float | None = None
        self.lag_s: float | None = None
