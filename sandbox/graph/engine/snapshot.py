"""The Secure Score of one day (Microsoft Graph §1.4)."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime


@dataclass(frozen=True, kw_only=True)
class ControlScore:
    """One control's points on one day.

    Attributes:
        control_id: The control.
        category: Its category.
        service: Its service; it is not on the wire.
        score: Points, rounded to two decimals.
        max_score: Most points on that day; it is not on the wire.
        percentage: 0 to 100.
        status: HTML of the status, with the counts.
        status_template: The same without the counts: all that older snapshots keep.
        description: HTML, or `None`.
        count: Compliant objects, or `None` if the control does not say.
        total: All objects, or `None`.
        is_on: Whether a setting is in place, or `None` for other controls.
        last_synced_at: When Microsoft measured it.
    """

    control_id: str
    category: str
    service: str
    score: float
    max_score: float
    percentage: float
    status: str
    status_template: str
    description: str | None
    count: int | None
    total: int | None
    is_on: bool | None
    last_synced_at: datetime


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A tenant's scores on one day.

    Attributes:
        tenant_id: The tenant.
        day: The day, UTC.
        enabled_services: Flags of the licences.
        scores: Each scored control.
        user_count: Size of the tenant; it chooses the group of `TotalSeats`.
    """

    tenant_id: str
    day: date
    enabled_services: tuple[str, ...]
    scores: tuple[ControlScore, ...]
    user_count: int

    @property
    def id(self) -> str:
        """The snapshot's id on the wire."""
        return f"{self.tenant_id}_{self.day.isoformat()}"

    @property
    def current_score(self) -> float:
        """The sum of the points."""
        return round(sum(score.score for score in self.scores), 2)

    @property
    def max_score(self) -> float:
        """The sum of the scored controls' maxima."""
        return round(sum(score.max_score for score in self.scores), 2)

    def average(self, basis: str, category: str = "") -> float:
        """Return an average among other tenants: of the score in percent, or of a category's points.

        It moves once a week, so it is equal on most consecutive days.
        """
        week = self.day.toordinal() // 7
        noise = random.Random(f"{basis}/{category}/{week}")  # noqa: S311 - a repeatable value, no secret
        return round(noise.uniform(44, 52) if not category else noise.uniform(8, 40), 2)

    def without_service(self, service: str) -> "Snapshot":
        """Return it without a service's controls, as a partial answer has it."""
        return replace(self, scores=_others(self.scores, service))


def _others(scores: Iterable[ControlScore], service: str) -> tuple[ControlScore, ...]:
    return tuple(score for score in scores if score.service != service)
