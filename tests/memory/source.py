"""A source of recommendations in memory."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import timedelta
from decimal import Decimal

from shared.recommendations.model import ControlPoints, ImprovementAction, Snapshot, SourceName
from shared.recommendations.ports import Reading
from shared.tenants.model import Tenant
from tests.memory.clock import ManualClock
from tests.memory.steps import Step, at_once

ROLE = "SecurityEvents.Read.All"


class MemorySource:
    """Implements :class:`shared.recommendations.ports.Source`.

    Attributes:
        answers: What the next readings meet; when there are no more, all of them succeed. None: no answer comes.
        points: Points of each control.
        max_points: Points that each control can have, as the catalogue says.
        past_days: Days of history.
        is_history_complete: Whether all of them can be read.
        has_score: Whether there is a snapshot; a new tenant has none.
        readings: Tenant and ``with_history`` of each reading that began.
    """

    def __init__(self, clock: ManualClock, *, step: Step = at_once) -> None:
        self._clock = clock
        self._step = step
        self.answers: deque[Exception | None] = deque()
        self.points = {"AdminMFAV2": Decimal("7.5"), "mdo_safeattachments": Decimal(0)}
        self.max_points: Decimal | None = None
        self.is_complete = True
        self.past_days = 3
        self.is_history_complete = True
        self.has_score = True
        self.token_roles: tuple[str, ...] | Exception = (ROLE,)
        self.readings: list[tuple[str, bool]] = []

    async def read(self, tenant: Tenant, *, with_history: bool) -> Reading:
        """See the port."""
        self.readings.append((tenant.tenant_id, with_history))
        await self._step("read")
        if self.answers:
            answer = self.answers.popleft()
            if answer is not None:
                raise answer
            await asyncio.Event().wait()
        snapshots = [self._snapshot(tenant.tenant_id, days) for days in range(self.past_days, -1, -1)]
        return Reading(
            source=SourceName.SECURE_SCORE,
            is_complete=self.is_complete,
            actions=[
                ImprovementAction(
                    tenant.tenant_id, SourceName.SECURE_SCORE, each, each, points=points, max_points=self.max_points
                )
                for each, points in self.points.items()
            ],
            snapshot=snapshots[-1] if self.has_score else None,
            history=snapshots[:-1] if with_history and self.has_score else (),
            is_history_complete=self.is_history_complete,
            roles=await self.roles(tenant),
        )

    async def roles(self, tenant: Tenant) -> tuple[str, ...]:
        """See the port."""
        await self._step("roles")
        if isinstance(self.token_roles, Exception):
            raise self.token_roles
        return self.token_roles

    def _snapshot(self, tenant_id: str, days_ago: int) -> Snapshot:
        day = (self._clock.now - timedelta(days=days_ago)).date()
        controls = {each: ControlPoints(points, Decimal(10)) for each, points in self.points.items()}
        return Snapshot(f"{tenant_id}_{day}", day, sum(self.points.values(), Decimal(0)), Decimal(20), controls)
