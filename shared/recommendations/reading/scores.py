"""A tenant's Secure Score after a reading, as lists of tenants and customers show it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Final

from shared.recommendations.model import ImprovementAction, Snapshot, SourceName
from shared.recommendations.overview import percent_of, promising_actions
from shared.tenants.model import TenantScore

TREND: Final = timedelta(days=30)
FORMER_FROM: Final = timedelta(days=37)
"""How old the snapshot that counts for 30 days ago may be."""


def score_of(snapshot: Snapshot, snapshots: Sequence[Snapshot], actions: Iterable[ImprovementAction]) -> TenantScore:
    """Return the score of the newest snapshot.

    Args:
        snapshots: Those of the last days, oldest first, as far as they are stored.
        actions: All improvement actions; those of other sources do not count.
    """
    former = [each for each in snapshots if snapshot.day - FORMER_FROM <= each.day <= snapshot.day - TREND]
    promised = promising_actions(each for each in actions if each.source is SourceName.SECURE_SCORE)
    return TenantScore(
        points=snapshot.score,
        max_points=snapshot.max_score,
        points_to_gain=sum((points for points, _ in promised), Decimal(0)),
        former_percent=percent_of(former[-1].score, former[-1].max_score) if former else None,
    )
