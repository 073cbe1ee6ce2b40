"""A reading: what a source now says about one tenant is compared with what is stored, and stored.

One conditional write takes the tenant, so that nobody else reads it at the same time; another ends the reading and says
what it showed. In between, improvement actions, texts and snapshots are stored, each row for itself: a reading that
breaks off has concluded nothing, and the next one does the rest.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Final

from shared.clock import Clock, steady_clock_s
from shared.connections.directory import AT_ONCE
from shared.connections.ports import RowChanged
from shared.errors import ConnectorError, FixConfiguration, FixRequest, GraphTimeout, OurBug, StorageUnavailable
from shared.evidence.ports import EvidenceStore
from shared.log import log_bug, log_context, log_event
from shared.recommendations.model import ImprovementAction
from shared.recommendations.ports import Reading, RecommendationStore, Source
from shared.recommendations.reading.changes import Changes, changes_of
from shared.recommendations.reading.evidence import evidence_of
from shared.recommendations.reading.scores import FORMER_FROM, score_of
from shared.recommendations.verifying.observations import Reach, observed_after, observed_tenant
from shared.recommendations.verifying.tenant import TenantVerification
from shared.service import service
from shared.telemetry import span
from shared.tenants.changes import change_tenant
from shared.tenants.lookup import get_known_tenant
from shared.tenants.model import HOLD, Tenant, TenantScore
from shared.tenants.ports import TenantStore
from shared.tenants.status import after_failure, after_success

READING_S: Final = 60.0
"""A reading is cut off after this: one that begins at the end of a run ends within the host's function timeout."""
ON_DEMAND_S: Final = 20.0
"""A reading that somebody waits for is cut off after this; the timer does it again."""
ROLES_S: Final = 5.0
"""After a refusal, nobody waits longer than this for what the token holds."""
TRIES: Final = 5
UNREADABLE_AFTER: Final = timedelta(days=2)
"""A tenant that was not read for so long counts as unreadable: a short failure says nothing about its tickets."""
ONE_DAY: Final = timedelta(days=1)


@service
class TenantReading:
    """Reads tenants; see the module's description.

    Attributes:
        seconds: A monotonic clock, in seconds.
    """

    tenants: TenantStore
    store: RecommendationStore
    source: Source
    evidence: EvidenceStore
    verification: TenantVerification
    clock: Clock
    seconds: Callable[[], float] = steady_clock_s

    async def read_due(self, tenant: Tenant) -> None:
        """Read a tenant if it is still due and nobody is reading it. No failure leaves this method."""
        with log_context(tenant_id=tenant.tenant_id), span("tenant_reading") as part:
            try:
                held = await self._take(tenant, is_wanted=lambda current: current.is_due(self.clock()))
                if held is None:
                    return
                try:
                    await self._read(held, READING_S)
                except TimeoutError:
                    await self._failed(held, GraphTimeout())
            except FixRequest:
                return  # It was removed in the meantime.
            except ConnectorError as error:
                part.failed(error.code)
                log_not_read(tenant, error.code, self.clock())
            except Exception as error:  # noqa: BLE001 - one tenant never holds up another
                part.failed(OurBug().code)
                log_bug("unexpected_error", error)

    async def read_now(self, tenant: Tenant) -> Tenant | None:
        """Read a tenant at a person's request, and return it with what the reading showed.

        Returns None if somebody else is reading it or it takes longer than a person waits: it is read next.

        Raises:
            FixRequest: 409 ``tenant_files_only`` or 404 ``tenant_not_found``.
            TryLater: Storage does not answer, or others are changing the tenant.
        """
        with log_context(tenant_id=tenant.tenant_id):
            held = await self._take(tenant, is_wanted=_is_read_from_microsoft)
            if held is None:
                await change_tenant(self.tenants, tenant, self._asked_for)
                return None
            try:
                return await self._read(held, ON_DEMAND_S)
            except TimeoutError:
                await self._end(held, self._asked_for)
                return None

    def _asked_for(self, tenant: Tenant) -> Tenant:
        """Return the tenant when somebody has asked for a reading. Raises FixRequest (409 ``tenant_files_only``)."""
        if not _is_read_from_microsoft(tenant):
            raise FixRequest("tenant_files_only", status=409)
        return replace(tenant, due_at=AT_ONCE, requested_at=self.clock())

    async def _take(self, tenant: Tenant, *, is_wanted: Callable[[Tenant], bool]) -> Tenant | None:
        """Hold the tenant; returns None if somebody else does, or the reading is no longer wanted.

        Raises FixRequest (404 ``tenant_not_found``) if it has been removed.
        """
        holder, current = secrets.token_hex(16), tenant
        for _ in range(TRIES):
            now = self.clock()
            if current.is_held(now) or not is_wanted(current):
                return None
            try:
                return await self.tenants.save_tenant(replace(current, holder=holder, held_until_at=now + HOLD))
            except RowChanged:
                current = await get_known_tenant(self.tenants, tenant.tenant_id)
            if current.holder == holder:
                return current  # The answer to our own write was lost, and the write was repeated.
        return None

    async def _read(self, held: Tenant, limit_s: float) -> Tenant:
        """Read the tenant and store what the reading showed, even that it failed; return the tenant as stored.

        Raises TimeoutError if it took too long; then nothing is stored about this reading. Raises TryLater, and
        FixRequest (404 ``tenant_not_found``).
        """
        began_s = self.seconds()
        try:
            async with asyncio.timeout(limit_s):
                reading = await self.source.read(held, with_history=held.history_read_at is None)
                self._require_time(began_s, limit_s)
                found, actions, score = await self._store(held, reading)
        except ConnectorError as error:
            return await self._failed(held, error)
        except TimeoutError:
            raise
        except Exception as error:  # noqa: BLE001 - one tenant never holds up another
            log_bug("unexpected_error", error)
            return await self._failed(held, OurBug())
        # The tickets may take a quarter of the reading's time; they are done before others may read the tenant.
        await self.verification.run(
            held, observed_after(held.tenant_id, reading, actions), actions, within_s=limit_s / 4
        )
        read = await self._end(held, lambda current: self._succeeded(current, reading, score))
        log_event(
            "tenant_read",
            status=read.status,
            snapshot_id=read.snapshot_id,
            complete=reading.is_complete,
            actions=len(reading.actions),
            stored=len(found.rows),
            past_days=len(reading.history),
            **{kind.value: count for kind, count in found.counts.items()},
            duration_s=self.seconds() - began_s,
        )
        return read

    def _require_time(self, began_s: float, limit_s: float) -> None:
        """Raise TimeoutError if this process was paused for so long that somebody else may be reading the tenant."""
        if self.seconds() - began_s >= limit_s:
            raise TimeoutError

    async def _store(
        self, tenant: Tenant, reading: Reading
    ) -> tuple[Changes, Sequence[ImprovementAction], TenantScore | None]:
        """Store what was read; return what changed, all improvement actions as they are stored now, and the score."""
        stored, now = await self.store.list_actions(tenant.tenant_id), self.clock()
        found = changes_of(stored, reading, now)
        # Once the rows are stored, nothing shows any more what they were before.
        await self.evidence.record(evidence_of(found, reading, stored, now))
        snapshots = [*reading.history, *([] if reading.snapshot is None else [reading.snapshot])]
        await self.store.save_reading(tenant.tenant_id, found.rows, reading.texts, snapshots)
        actions = list(({each.key: each for each in stored} | {each.key: each for each in found.rows}).values())
        if reading.snapshot is None:
            return found, actions, tenant.score
        former = await self.store.list_snapshots(tenant.tenant_id, since=reading.snapshot.day - FORMER_FROM)
        return found, actions, score_of(reading.snapshot, former, actions)

    def _succeeded(self, current: Tenant, reading: Reading, score: TenantScore | None) -> Tenant:
        now, snapshot = self.clock(), reading.snapshot
        after = replace(after_success(current, now, is_complete=reading.is_complete), score=score)
        if reading.roles is not None:
            after = replace(after, roles=reading.roles, roles_seen_at=now)
        if snapshot is None:
            return after
        day = datetime.combine(snapshot.day, time(), UTC)
        history_read_at = current.history_read_at
        if history_read_at is None and reading.is_complete and reading.is_history_complete:
            history_read_at = now
        elif current.snapshot_at is not None and day - current.snapshot_at > ONE_DAY:
            # There was no reading on the days between, so the next one asks for them.
            history_read_at = None
        return replace(after, snapshot_id=snapshot.snapshot_id, snapshot_at=day, history_read_at=history_read_at)

    async def _failed(self, held: Tenant, error: ConnectorError) -> Tenant:
        """Store why the reading failed; where somebody has to change something, what the token holds helps them."""
        roles = await self._roles(held) if isinstance(error, FixConfiguration) else None

        def failed(current: Tenant) -> Tenant:
            now = self.clock()
            after = after_failure(current, error, now)
            return after if roles is None else replace(after, roles=roles, roles_seen_at=now)

        log_not_read(held, error.code, self.clock())
        await self._verify_unread(held)
        return await self._end(held, failed)

    async def _verify_unread(self, held: Tenant) -> None:
        """Stop waiting for measurements of a tenant that cannot be read."""
        now = self.clock()
        since_at = held.unread_since_at(now)
        if since_at is None or now - since_at < UNREADABLE_AFTER:
            return
        try:
            actions = await self.store.list_actions(held.tenant_id)
        except StorageUnavailable as error:
            log_event("outcomes_not_checked", level=logging.WARNING, code=error.code)
            return
        observed = observed_tenant(held.tenant_id, actions, None, None, reach=Reach.UNREADABLE)
        await self.verification.run(held, observed, actions)

    async def _roles(self, tenant: Tenant) -> tuple[str, ...] | None:
        try:
            async with asyncio.timeout(ROLES_S):
                return await self.source.roles(tenant)
        except (ConnectorError, TimeoutError):
            return None
        except Exception as error:  # noqa: BLE001 - why the reading failed has to be stored
            log_bug("unexpected_error", error)
            return None

    async def _end(self, held: Tenant, change: Callable[[Tenant], Tenant]) -> Tenant:
        """Store what the reading showed and end the hold; return the tenant as stored.

        If somebody has asked for a reading in the meantime, the tenant is due at once. If somebody else holds it by
        now, the result is theirs to store. Raises TryLater, and FixRequest (404 ``tenant_not_found``).
        """

        def ended(current: Tenant) -> Tenant:
            if current.holder != held.holder:
                log_event("lease_lost", level=logging.WARNING, purpose="reading")
                return current
            after = replace(change(current), holder=None, held_until_at=None)
            if current.requested_at != held.requested_at:
                return replace(after, due_at=after.due_at and AT_ONCE)
            return replace(after, requested_at=None) if after.requested_at == held.requested_at else after

        stored = await change_tenant(self.tenants, held, ended)
        if stored is None:
            # It was removed during the reading, perhaps before the reading stored anything.
            await self.store.delete_all(held.tenant_id)
            raise FixRequest("tenant_not_found", status=404)
        return stored


def _is_read_from_microsoft(tenant: Tenant) -> bool:
    return tenant.due_at is not None


def log_not_read(tenant: Tenant, code: str, now: datetime) -> None:
    """Log that a tenant was not read; the alert ``tenant-not-read`` looks at how long that has been so."""
    since_at = tenant.unread_since_at(now)
    log_event(
        "tenant_not_read",
        level=logging.WARNING,
        tenant_id=tenant.tenant_id,
        code=code,
        unread_s=None if since_at is None else (now - since_at).total_seconds(),
    )
