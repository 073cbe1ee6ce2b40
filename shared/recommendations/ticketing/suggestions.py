"""The priority and due date that the connector suggests for a recommendation's ticket.

docs/recommendations.md has the same tables for people ("Suggested priority and due date").
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from shared.recommendations.model import ImprovementAction, Level, SourceName
from shared.recommendations.statuses import points_to_gain
from shared.tickets.model import Priority
from shared.value_object import value_object

STEPS: Final = (Priority.HIGH, Priority.MODERATE, Priority.LOW, Priority.PLANNING)
"""From the most urgent that we suggest to the least; only people call something critical."""
MANY_AND_SOME: Final[Mapping[SourceName, tuple[Decimal, Decimal]]] = {
    SourceName.SECURE_SCORE: (Decimal(8), Decimal(4)),
    SourceName.COMPLIANCE_MANAGER: (Decimal(27), Decimal(9)),
}
"""From how many points to gain there are many, and some. Secure Score has up to 10 (Microsoft Graph §1.2), Compliance
Manager 27, 9, 3 or 1 (Microsoft Graph §4.2)."""
CORE: Final = "core"
"""The tier that keeps its step; every other tier's actions are a step less urgent. Compliance Manager has no tiers."""

DAYS: Final[Mapping[Priority, int]] = {
    Priority.HIGH: 14,
    Priority.MODERATE: 30,
    Priority.LOW: 60,
    Priority.PLANNING: 90,
}
"""Days until a ticket is due if users hardly notice the change, or nobody knows."""
TIME_FOR_USERS: Final[Mapping[Level, Decimal]] = {
    Level.LOW: Decimal(1),
    Level.UNKNOWN: Decimal(1),
    Level.MODERATE: Decimal("1.5"),
    Level.HIGH: Decimal(2),
}
"""Users have to be prepared for what they notice, so these changes get more time."""


@value_object
class Suggestion:
    """What a form proposes; people can change both.

    Attributes:
        due_on: The last day.
    """

    priority: Priority
    due_on: date


def suggestion_for(action: ImprovementAction, now: datetime) -> Suggestion:
    """Return the priority by points to gain and tier, and the due date by priority and user impact."""
    priority = STEPS[_step(action)]
    days = int(DAYS[priority] * TIME_FOR_USERS.get(action.user_impact, TIME_FOR_USERS[Level.UNKNOWN]))
    return Suggestion(priority, now.date() + timedelta(days=days))


def _step(action: ImprovementAction) -> int:
    """Return the place in :data:`STEPS`; unknown points count as few."""
    missing = points_to_gain(action) or Decimal(0)
    many, some = MANY_AND_SOME.get(action.source, MANY_AND_SOME[SourceName.SECURE_SCORE])
    by_points = 0 if missing >= many else 1 if missing >= some else 2
    has_tiers = action.source is SourceName.SECURE_SCORE
    return by_points + (has_tiers and action.tier.strip().casefold() != CORE)
