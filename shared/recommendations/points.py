"""Points of the tenants whose tickets go to one connection."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from shared.recommendations.model import Snapshot
from shared.recommendations.ports import RecommendationStore
from shared.service import service
from shared.tenants.ports import TenantStore

WEEK: Final = timedelta(days=7)
LONGEST_WITHOUT: Final = timedelta(days=7)
"""How much older than a week the snapshot may be that stands for a week ago."""


@service
class ConnectionPoints:
    """Implements :class:`shared.reminders.turn.PointsOf`."""

    tenants: TenantStore
    recommendations: RecommendationStore

    async def __call__(self, connection_id: str, now: datetime) -> tuple[Decimal | None, Decimal | None]:
        """Return the sums now and a week ago; None if they are not known for every tenant."""
        week_ago = (now - WEEK).date()
        pairs: list[tuple[Decimal | None, Decimal | None]] = []
        for tenant in await self.tenants.list_tenants():
            if tenant.connection_id != connection_id:
                continue
            snapshots = await self.recommendations.list_snapshots(tenant.tenant_id, since=week_ago - LONGEST_WITHOUT)
            former = [each for each in snapshots if each.day <= week_ago]
            pairs.append((_score(snapshots), _score(former)))
        return _sum([present for present, _ in pairs]), _sum([former for _, former in pairs])


def _sum(scores: Sequence[Decimal | None]) -> Decimal | None:
    known = [each for each in scores if each is not None]
    return sum(known, Decimal(0)) if known and len(known) == len(scores) else None


def _score(snapshots: Sequence[Snapshot]) -> Decimal | None:
    return snapshots[-1].score if snapshots else None
