"""A ticket for one recommendation, and what is measured of it day by day."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from shared.recommendations.verification import assessed, new_verification
from shared.recommendations.verifying.observations import Observation, ObservedTenant, Reach
from shared.recommendations.verifying.waiting_times import WaitingTimes
from shared.tickets.model import RecommendationReference
from shared.tickets.outcomes import (
    Measurement,
    Outcome,
    OutcomeReason,
    RecommendationOutcome,
    closed,
    reopened,
)
from tests.unit.recommendations.strategies import TENANT

ONE = RecommendationReference(TENANT, "secure_score", "mdo_safeattachments")
ASKED_AT = datetime(2026, 11, 2, 10, tzinfo=UTC)
WAITS = WaitingTimes()
TEN = Decimal(10)


def at(day: float) -> datetime:
    """Return the time some days after the ticket was made."""
    return ASKED_AT + timedelta(days=day)


def measured(points: str | int, made: float, maximum: str | int = 10, **more: Any) -> Measurement:
    """Return a measurement that was made on a day, and is in the snapshot of that day."""
    moment = at(made)
    dated = {"measured_at": moment, "day": moment.date(), "snapshot_id": f"{TENANT}_{moment.date()}"}
    return Measurement(Decimal(points), Decimal(maximum), **{**dated, **more})


def undated(points: str | int, made: float, maximum: str | int = 10) -> Measurement:
    """Return a measurement of which Microsoft does not say when it was made."""
    return measured(points, made, maximum, measured_at=None)


class Case:
    """A ticket for one recommendation."""

    def __init__(self, before: Measurement | None = None, *, service: str = "MDO") -> None:
        self.service = service
        before = measured(0, -1) if before is None else before
        self.verification = new_verification([ONE], [self._tenant(self._seen(before))], ASKED_AT)

    @property
    def item(self) -> RecommendationOutcome:
        (item,) = self.verification.items
        return item

    @property
    def outcome(self) -> tuple[Outcome, OutcomeReason | None]:
        return self.item.outcome, self.item.reason

    def see(self, measurement: Measurement, *, now: float | None = None, **more: Any) -> Outcome:
        """Read the tenant an hour after the measurement, or when ``now`` says."""
        read_at = (measurement.measured_at or at(0)) + timedelta(hours=1) if now is None else at(now)
        return self.observe(self._seen(measurement, **more), read_at)

    def observe(
        self, seen: Observation | None, now: datetime, *, reach: Reach = Reach.READABLE, waits: WaitingTimes = WAITS
    ) -> Outcome:
        """Assess the ticket after a reading, twice: to repeat it changes nothing."""
        tenant = self._tenant(seen, reach)
        self.verification = assessed(self.verification, tenant, now, waits)
        assert assessed(self.verification, tenant, now, waits) is self.verification
        return self.item.outcome

    def close(self, day: float, *, claims_fix: bool = True) -> None:
        self.verification = closed(self.verification, at(day), claims_fix=claims_fix)

    def reopen(self, day: float) -> None:
        self.verification = reopened(self.verification, at(day))

    def with_closing(self, **changes: Any) -> None:
        """Change what is known of the closing."""
        assert self.verification.closing is not None
        self.verification = replace(self.verification, closing=replace(self.verification.closing, **changes))

    def _seen(self, measurement: Measurement, **more: Any) -> Observation:
        return Observation(measurement, service=self.service, **more)

    @staticmethod
    def _tenant(seen: Observation | None, reach: Reach = Reach.READABLE) -> ObservedTenant:
        return ObservedTenant(TENANT, {} if seen is None else {ONE.key: seen}, reach)


def verified_case(*, day: float = 1, **more: Any) -> Case:
    """Return a ticket whose recommendation was verified on a day."""
    case = Case(**more)
    assert case.see(measured(10, day)) is Outcome.VERIFIED
    return case
