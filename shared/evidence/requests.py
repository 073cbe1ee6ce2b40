"""What somebody can ask the evidence, and its limits."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final

from shared.errors import FixRequest
from shared.value_object import value_object

DEFAULT_DAYS: Final = 90
"""Length of the period if only its end is known, or nothing."""
MOST_DAYS: Final = 366
"""The longest period that one question can be about."""
MOST_SAMPLE: Final = 1000
SEED_MAX_LENGTH: Final = 100


class Basis(StrEnum):
    """What makes a ticket belong to a period."""

    CREATED = "created"
    """It was created in the period."""
    CLOSED = "closed"
    """It was resolved, closed or canceled in the period, or its record was deleted."""


@value_object
class EvidenceQuestion:
    """A question: which tickets of a period, and which sample of them.

    Attributes:
        first_day, last_day: The period, both days included, in UTC.
        tenant_id: Only tickets for recommendations of this tenant; None for all.
        sample: How many tickets to draw; None for all of them.
        seed: Decides, with the tickets' ids, which ones are drawn.
        excluded_ids: Connections whose tickets are left out, because their customers are excluded.
    """

    first_day: date
    last_day: date
    basis: Basis = Basis.CREATED
    tenant_id: str | None = None
    sample: int | None = None
    seed: str = ""
    excluded_ids: frozenset[str] = frozenset()

    @property
    def begin_at(self) -> datetime:
        """When the period begins."""
        return datetime.combine(self.first_day, time(), UTC)

    @property
    def end_at(self) -> datetime:
        """The first moment after the period."""
        return datetime.combine(self.last_day, time(), UTC) + timedelta(days=1)

    def holds(self, at: datetime) -> bool:
        """Whether a moment is in the period."""
        return self.begin_at <= at < self.end_at


def evidence_question(
    *,
    since: date | None,
    until: date | None,
    basis: Basis | None,
    tenant_id: str | None,
    sample: int | None,
    seed: str | None,
    today: date,
) -> EvidenceQuestion:
    """Return the question that these values ask; the period ends today and has 90 days if nothing else is said.

    Without a seed, the period is the seed.

    Raises:
        FixRequest: 400 ``invalid_period`` if the period ends before it begins, is too long, or lies in the future.
    """
    last_day = until or today
    first_day = since or date.fromordinal(max(1, last_day.toordinal() - DEFAULT_DAYS + 1))
    if first_day > last_day:
        raise FixRequest("invalid_period", variant="order")
    if last_day > today:
        raise FixRequest("invalid_period", variant="future")
    if (last_day - first_day).days >= MOST_DAYS:
        raise FixRequest("invalid_period", variant="length", limit=MOST_DAYS)
    return EvidenceQuestion(
        first_day,
        last_day,
        basis or Basis.CREATED,
        tenant_id,
        sample,
        seed or f"{first_day}/{last_day}",
    )
