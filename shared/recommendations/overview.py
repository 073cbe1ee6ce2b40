"""A tenant's Secure Score at a glance: where it is, how it moved, and what to do next."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from shared.recommendations.model import ImprovementAction, Snapshot, SourceName
from shared.recommendations.statuses import OPEN_STATUSES, hidden_reason, points_to_gain, status_of
from shared.value_object import value_object

SHOWN_DAYS: Final = 90
"""Microsoft keeps as many days (Microsoft Graph §1.4)."""
BEST: Final = 5
NO_RANK: Final = 1_000_000
"""Later than every rank of Microsoft's."""


@value_object
class Overview:
    """A tenant's Secure Score.

    Attributes:
        newest: The newest snapshot; None before there is one.
        percent_by_day: What part of the maximum the tenant had on each day, oldest first.
        waiting_points: Points to gain of the actions that have an open ticket.
        waiting_actions: How many those are.
        best: The actions without an open ticket that promise most, best first.
    """

    newest: Snapshot | None
    percent_by_day: Sequence[tuple[date, Decimal]]
    waiting_points: Decimal
    waiting_actions: int
    best: Sequence[ImprovementAction]

    @property
    def percent(self) -> Decimal | None:
        """What part of the maximum the tenant now has; None before there is a snapshot."""
        return self.percent_by_day[-1][1] if self.percent_by_day else None

    @property
    def change(self) -> Decimal | None:
        """By how many percentage points that has changed since the first of the days; None without an earlier day."""
        if len(self.percent_by_day) < 2:
            return None
        return self.percent_by_day[-1][1] - self.percent_by_day[0][1]


def overview_of(
    snapshots: Sequence[Snapshot], actions: Sequence[ImprovementAction], with_open_ticket: Collection[str]
) -> Overview:
    """Return the overview of a tenant.

    Args:
        snapshots: In any order.
        actions: All that are stored; those of other sources do not count.
        with_open_ticket: Keys of the actions that have an open ticket.
    """
    actions = [action for action in actions if action.source is SourceName.SECURE_SCORE]
    newest = max(snapshots, key=lambda snapshot: snapshot.day, default=None)
    first_day = date.min if newest is None else newest.day - timedelta(days=SHOWN_DAYS - 1)
    shown = sorted((each for each in snapshots if each.day >= first_day), key=lambda snapshot: snapshot.day)
    waiting = [action for action in actions if action.key in with_open_ticket]
    return Overview(
        newest=newest,
        percent_by_day=[(each.day, percent_of(each.score, each.max_score)) for each in shown],
        waiting_points=sum((points_to_gain(action) or Decimal(0) for action in waiting), Decimal(0)),
        waiting_actions=len(waiting),
        best=best_actions([action for action in actions if action.key not in with_open_ticket]),
    )


def best_actions(actions: Sequence[ImprovementAction]) -> Sequence[ImprovementAction]:
    """Return the actions to do next: most points to gain first, then Microsoft's own order."""
    promising = promising_actions(actions)
    promising.sort(key=lambda pair: (-pair[0], pair[1].rank or NO_RANK, pair[1].title.casefold(), pair[1].key))
    return [action for _, action in promising[:BEST]]


def promising_actions(actions: Iterable[ImprovementAction]) -> list[tuple[Decimal, ImprovementAction]]:
    """Return the open actions that promise points, each after the points."""
    return [
        (missing, action)
        for action in actions
        if hidden_reason(action) is None
        and status_of(action) in OPEN_STATUSES
        and (missing := points_to_gain(action)) is not None
        and missing > 0
    ]


def percent_of(score: Decimal, max_score: Decimal) -> Decimal:
    """Return a score in percent of its maximum, with one decimal; 0 of 0 is 0."""
    return (score * 100 / max_score if max_score > 0 else Decimal(0)).quantize(Decimal("0.1"))
