"""The rules that say what became of one recommendation of a ticket. They believe measurements only.

A recommendation is **verified** when it had less than full points before the ticket and a later measurement shows full
points; whether the ticket is closed does not matter. After the closing and the service's waiting time, a measurement
that is newer than the closing and shows less means **not fixed**, or **partly** if points rose. Once proved, a loss in
two newer measurements of different snapshots means **regressed**, **diluted** or **maximum changed**, but not before
the quiet period is over.

What the sources leave open is decided here:

* Points show nothing while a decision in the portal may give or take them, nor as long as they may linger after it has
  been withdrawn (:data:`DECISION_LINGERS`). A control that has left the catalogue keeps its last disposition.
* A control that had full points before proves nothing, and neither does one that was not measured before. If it has
  full points now, that is said at once, because an open ticket is then of no use; otherwise the normal rules hold.
* A disposition overrides everything but *not done*, a retired control everything but *not done* and *verified*. When
  either ends, the outcome is open, waiting or not done again, as the ticket is, until a measurement decides.
* *Not done* ends only with full points measured before the closing, or again after an earlier proof.
* A missing licence, a missing recommendation and an unreadable tenant are reasons only to stop waiting, once the
  waiting time is over. A source without measurements is never waited for.
* *Not fixed* and *partly* follow the newest measurement.
* A second loss counts from the measurement that decided last: what is *diluted* can regress, too. Both measurements
  have to say the same of the loss. As long as it is verified, it is compared with its newest maximum and counts.
* An outcome that only another release knows is left to it: otherwise two hosts would change it in turns.
* No rule trusts a time in the future, and ServiceNow's time of the closing counts only between the ticket's creation
  and when the connector saw the closing.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Final

from shared.clock import believed
from shared.recommendations.model import Disposition
from shared.recommendations.verifying.measurements import (
    as_believed,
    is_after,
    is_full,
    is_measured,
    is_newer,
    is_of_another_snapshot,
    loss,
    rose,
)
from shared.recommendations.verifying.observations import Observation, Reach
from shared.recommendations.verifying.waiting_times import WaitingTimes
from shared.tickets.outcomes import (
    Closing,
    Measurement,
    Outcome,
    OutcomeReason,
    RecommendationOutcome,
    Verification,
)
from shared.value_object import value_object

DECISION_LINGERS: Final = timedelta(days=8)
"""A disposition changes points after a day as a rule, but up to a week was seen (Microsoft Graph §1.6)."""

_REASONS: Final = {
    Disposition.THIRD_PARTY: OutcomeReason.THIRD_PARTY,
    Disposition.REVIEWED: OutcomeReason.REVIEWED,
    Disposition.IGNORED: OutcomeReason.RISK_ACCEPTED,
}
_PASSING: Final = frozenset({Outcome.DISPOSED, Outcome.UNKNOWN})
"""Outcomes that end when what they say is no longer so."""


@value_object
class Case:
    """All that a recommendation of a ticket is judged by.

    Attributes:
        verification: The ticket's.
        seen: What is known of the recommendation; None if the tenant does not have it.
    """

    verification: Verification
    seen: Observation | None
    reach: Reach
    now: datetime
    waits: WaitingTimes

    @property
    def measurement(self) -> Measurement:
        """What was measured last, without what is unknown and times that nobody can believe."""
        return Measurement() if self.seen is None else as_believed(self.seen.measurement, self.now)

    @property
    def closing(self) -> Closing | None:
        """How the ticket was closed; None while it is open."""
        return self.verification.closing

    @property
    def closed_at(self) -> datetime | None:
        """When the ticket was closed; None while it is open."""
        if self.closing is None:
            return None
        noticed_at = believed(self.closing.noticed_at, self.now) or self.now
        closed_at = self.closing.closed_at or noticed_at
        return min(max(closed_at, self.verification.asked_at), noticed_at)

    @property
    def is_wait_over(self) -> bool:
        """Whether the ticket is closed and the waiting time of the service is over."""
        service = "" if self.seen is None else self.seen.service
        return self.closed_at is not None and self.now >= self.closed_at + self.waits.after_closing(service)

    @property
    def reason_not_to_wait(self) -> OutcomeReason | None:
        """Why nothing more can be expected; None if a measurement may still decide."""
        if self.seen is not None and not self.seen.is_verifiable:
            return OutcomeReason.NOT_VERIFIABLE
        if not self.is_wait_over:
            return None
        if self.reach is Reach.UNREADABLE:
            return OutcomeReason.TENANT_UNREADABLE
        if self.seen is None:
            return OutcomeReason.GONE
        return None if is_measured(self.seen.measurement) else OutcomeReason.NOT_MEASURED


def new_item(
    tenant_id: str, key: str, seen: Observation | None, closing: Closing | None, now: datetime
) -> RecommendationOutcome:
    """Return a recommendation of a ticket for which nothing is decided yet.

    Args:
        seen: What is known of it now, which is what was measured before; None if nothing is.
        closing: How the ticket was closed; None while it is open.
    """
    before = None if seen is None else as_believed(seen.measurement, now)
    item = RecommendationOutcome(
        tenant_id,
        key,
        before=before if is_measured(before) else None,
        outcome=_of_ticket(closing),
        decided_at=now,
    )
    return _with_trust(item, seen, now)


def judged(item: RecommendationOutcome, case: Case) -> RecommendationOutcome:
    """Return a recommendation of a ticket after what is known of it; an equal one if nothing changes."""
    if item.outcome not in set(Outcome) or (case.seen is not None and not case.seen.is_conclusive):
        return item
    item = _with_trust(item, case.seen, case.now)
    if item.outcome is Outcome.NOT_DONE:
        return _full(item, case) if _ends_not_done(item, case) else item
    if case.reach is Reach.REMOVED:
        return _removed(item, case)
    if case.seen is not None and case.seen.is_gone:
        if item.outcome is Outcome.VERIFIED:
            return item
        return _with_outcome(item, case, Outcome.UNKNOWN, OutcomeReason.GONE)
    reason = _disposition(item, case.seen)
    if reason is not None:
        return replace(_with_outcome(item, case, Outcome.DISPOSED, reason), lower=None)
    if not is_measured(case.measurement) or not _is_trusted(item, case):
        return _undecided(item, case)
    if is_full(case.measurement):
        # Only a reading shows that nobody has decided about it in the portal since.
        return _undecided(item, case) if case.reach is Reach.UNREADABLE else _full(item, case)
    return _less(item, case) if item.proof is None else _lost(item, item.proof, case)


def _of_ticket(closing: Closing | None) -> Outcome:
    """Return the outcome while no measurement decides."""
    if closing is None:
        return Outcome.OPEN
    return Outcome.WAITING if closing.claims_fix else Outcome.NOT_DONE


def _with_trust(item: RecommendationOutcome, seen: Observation | None, now: datetime) -> RecommendationOutcome:
    """Remember whether somebody decided about it in the portal, or did so lately."""
    if seen is None or seen.is_gone or seen.disposition is None:
        return item
    if seen.disposition in _REASONS:
        return replace(item, trusted_from=date.max)
    return replace(item, trusted_from=(now + DECISION_LINGERS).date()) if item.trusted_from == date.max else item


def _is_trusted(item: RecommendationOutcome, case: Case) -> bool:
    """Whether its points are measured ones.

    A decision can be made and withdrawn between two readings; then only Microsoft's time of the withdrawal shows it.
    """
    decided_at = None if case.seen is None else case.seen.decided_at
    lingers_until = None if decided_at is None else (decided_at + DECISION_LINGERS).date()
    trusted_from = max(filter(None, (item.trusted_from, lingers_until)), default=None)
    day = case.measurement.day or (case.measurement.measured_at and case.measurement.measured_at.date())
    return trusted_from is None or (day is not None and day >= trusted_from)


def _ends_not_done(item: RecommendationOutcome, case: Case) -> bool:
    if (
        case.reach is Reach.UNREADABLE
        or not is_full(case.measurement)
        or _disposition(item, case.seen) is not None
        or not _is_trusted(item, case)
    ):
        return False
    if not is_measured(item.before) or is_full(item.before):
        return False
    measured_at, closed_at = case.measurement.measured_at, case.closed_at
    is_before_closing = measured_at is not None and closed_at is not None and measured_at <= closed_at
    return item.proof is not None or is_before_closing


def _disposition(item: RecommendationOutcome, seen: Observation | None) -> OutcomeReason | None:
    if seen is None or seen.disposition is None:
        return item.reason if item.outcome is Outcome.DISPOSED else None
    return _REASONS.get(seen.disposition)


def _removed(item: RecommendationOutcome, case: Case) -> RecommendationOutcome:
    if item.outcome in _PASSING or item.outcome in (Outcome.OPEN, Outcome.WAITING):
        return _with_outcome(item, case, Outcome.UNKNOWN, OutcomeReason.TENANT_REMOVED)
    return item


def _full(item: RecommendationOutcome, case: Case) -> RecommendationOutcome:
    """Return an item that has full points now."""
    measurement = case.measurement
    if item.deciding is not None and not is_newer(measurement, item.deciding):
        return _undecided(item, case)
    if item.outcome is Outcome.VERIFIED:
        return _still_verified(item, measurement)
    if item.before is None or not is_measured(item.before):
        return _with_outcome(item, case, Outcome.UNKNOWN, OutcomeReason.NO_MEASUREMENT_BEFORE)
    if is_full(item.before):
        return _with_outcome(item, case, Outcome.UNKNOWN, OutcomeReason.FULL_BEFORE)
    if not is_after(measurement, case.verification.asked_at) or not is_newer(measurement, item.before):
        return _undecided(item, case)
    proved = replace(item, proof=item.proof or measurement, lower=None)
    return _with_outcome(proved, case, Outcome.VERIFIED, deciding=measurement)


def _still_verified(item: RecommendationOutcome, measurement: Measurement) -> RecommendationOutcome:
    """Return a verified item whose newest measurement shows full points, too."""
    if item.lower is not None and not is_newer(measurement, item.lower):
        return item
    deciding = item.deciding
    if deciding is None or _figures(measurement) != _figures(deciding):
        deciding = measurement
    return replace(item, deciding=deciding, lower=None)


def _figures(measurement: Measurement) -> tuple[object, ...]:
    return measurement.max_points, measurement.count, measurement.total


def _less(item: RecommendationOutcome, case: Case) -> RecommendationOutcome:
    """Return an item that was never verified and has less than full points now."""
    measurement, closing = case.measurement, case.closing
    is_newest = item.deciding is None or is_newer(measurement, item.deciding)
    if closing is None or not closing.claims_fix or not case.is_wait_over or not is_newest:
        return _undecided(item, case)
    assert case.closed_at is not None
    if not is_after(measurement, case.closed_at):
        return _undecided(item, case)
    outcome = Outcome.PARTLY if rose(measurement, item.before) else Outcome.NOT_FIXED
    return _with_outcome(item, case, outcome, deciding=measurement)


def _lost(item: RecommendationOutcome, proof: Measurement, case: Case) -> RecommendationOutcome:
    """Return an item that was verified and has less than full points now."""
    item, measurement = _undecided(item, case), case.measurement
    reference = item.deciding or proof
    if item.outcome is Outcome.REGRESSED or not is_newer(measurement, reference):
        return item
    first = item.lower if item.lower is not None and is_newer(item.lower, reference) else None
    if first is not None and not is_newer(measurement, first):
        return item
    kind = loss(measurement, reference)
    if kind is None or kind is item.outcome:
        return item if first is None else replace(item, lower=None)
    if first is None or loss(first, reference) is not kind:
        return replace(item, lower=measurement)
    if not is_of_another_snapshot(measurement, first) or _is_quiet(item, case):
        return item
    return _with_outcome(item, case, kind, deciding=measurement)


def _is_quiet(item: RecommendationOutcome, case: Case) -> bool:
    decided_at = believed(item.decided_at, case.now)
    return decided_at is not None and case.now < decided_at + case.waits.quiet


def _undecided(item: RecommendationOutcome, case: Case) -> RecommendationOutcome:
    """Return an item about which nothing new is known; it may end to wait."""
    outcome = _of_ticket(case.closing) if item.outcome in _PASSING else item.outcome
    if outcome is Outcome.WAITING and case.reason_not_to_wait is not None:
        return _with_outcome(item, case, Outcome.UNKNOWN, case.reason_not_to_wait)
    return item if outcome is item.outcome else _with_outcome(item, case, outcome)


def _with_outcome(
    item: RecommendationOutcome,
    case: Case,
    outcome: Outcome,
    reason: OutcomeReason | None = None,
    deciding: Measurement | None = None,
) -> RecommendationOutcome:
    """Return an item with another outcome; the same one if it is none."""
    if (item.outcome, item.reason) == (outcome, reason):
        return item
    return replace(item, outcome=outcome, reason=reason, deciding=deciding, decided_at=case.now)
