"""What became of the recommendations that a ticket is for, as it is kept with the ticket.

The ticket only carries this. The rules that decide it are in :mod:`shared.recommendations.verification`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from shared.value_object import value_object


class Outcome(StrEnum):
    """What the measurements say about a recommendation since its ticket was made, or about a whole ticket."""

    OPEN = "open"
    """Somebody still has to work, and nothing shows that the work is already done."""
    WAITING = "waiting"
    """The ticket is closed; no later measurement has shown yet whether the fix happened."""
    VERIFIED = "verified"
    """It had less than full points before the ticket, and a later measurement shows full points."""
    PARTLY = "partly"
    """The waiting time is over, and the points rose, but not to the maximum."""
    NOT_FIXED = "not_fixed"
    """The waiting time is over, and a newer measurement shows less than full points."""
    NOT_DONE = "not_done"
    """The ticket was closed without claiming a fix."""
    DISPOSED = "disposed"
    """Somebody decided in Microsoft's portal not to have it measured; the reason says how."""
    DILUTED = "diluted"
    """It was verified and has fewer points now, because there are more users or devices."""
    MAXIMUM_CHANGED = "maximum_changed"
    """It was verified and no longer has full points, because Microsoft changed the maximum."""
    REGRESSED = "regressed"
    """It was verified and has lost points since."""
    UNKNOWN = "unknown"
    """Nobody can say; the reason says why."""


class OutcomeReason(StrEnum):
    """Why an outcome is what it is, where the outcome alone does not say it."""

    THIRD_PARTY = "third_party"
    REVIEWED = "reviewed"
    RISK_ACCEPTED = "risk_accepted"
    GONE = "gone"
    """Microsoft no longer recommends it."""
    NOT_MEASURED = "not_measured"
    """No licence any more, or nothing to measure."""
    TENANT_UNREADABLE = "tenant_unreadable"
    TENANT_REMOVED = "tenant_removed"
    FULL_BEFORE = "full_before"
    """It had full points before the ticket, so that nothing could be proved."""
    NO_MEASUREMENT_BEFORE = "no_measurement_before"
    NOT_VERIFIABLE = "not_verifiable"
    """Its source has no measurements over time, such as a file."""


@value_object
class Measurement:
    """What Microsoft measured for a recommendation at one time.

    Attributes:
        measured_at: When Microsoft measured it, by its own clock (``lastSynced``); None if it did not say.
        day: Day of the snapshot that the points come from; None if unknown.
        snapshot_id: Microsoft's id of that snapshot.
        count, total: How many objects comply, of how many; None if it does not count objects.
    """

    points: Decimal | None = None
    max_points: Decimal | None = None
    count: int | None = None
    total: int | None = None
    measured_at: datetime | None = None
    day: date | None = None
    snapshot_id: str | None = None


@value_object
class RecommendationOutcome:
    """What became of one recommendation of a ticket.

    Attributes:
        tenant_id, key: Which recommendation it is.
        before: The last measurement before the ticket; None if there was none.
        deciding: The measurement that decided the outcome; None if none did.
        proof: The first measurement with full points after the ticket; None until there is one.
        lower: After a proof, the first measurement that shows fewer points again; None if the newest shows full points.
        decided_at: Since when the outcome is what it is, by our clock.
        trusted_from: First day whose points are measured again after somebody decided about it in the portal; the last
            day of all as long as the decision holds, and None if nobody decided anything.
        kept: Values in the stored row that only another release knows; they are written back unchanged.
    """

    tenant_id: str
    key: str
    before: Measurement | None = None
    outcome: Outcome = Outcome.OPEN
    reason: OutcomeReason | None = None
    deciding: Measurement | None = None
    proof: Measurement | None = None
    lower: Measurement | None = None
    decided_at: datetime | None = None
    trusted_from: date | None = None
    kept: Mapping[str, object] = field(default_factory=dict, compare=False, repr=False)


@value_object
class Closing:
    """How a ticket was resolved, closed or canceled; a reopened ticket has none.

    Attributes:
        noticed_at: When the connector saw it, by our clock.
        closed_at: ServiceNow's own time: the earlier one of ``resolved_at`` and ``closed_at``; None until it is read,
            or if the record does not show it.
        close_code: As ServiceNow has it; None until it is read, or if the record does not show it.
        is_read: Whether the record was asked for these two.
        claims_fix: False if the ticket was canceled, or its close code means "not solved".
    """

    noticed_at: datetime
    closed_at: datetime | None = None
    close_code: str | None = None
    is_read: bool = False
    claims_fix: bool = True

    @property
    def at(self) -> datetime:
        """When the ticket was closed, as well as we know."""
        return self.closed_at or self.noticed_at


@value_object
class Verification:
    """What became of all recommendations of a ticket. It holds everything that the rules need to know of the ticket.

    Attributes:
        asked_at: When the ticket was created, by our clock.
        items: One for each recommendation.
        closing: How the ticket was closed; None while it is open, and before it is delivered.
        is_superseded: It is closed, and newer tickets take care of all its recommendations, so that its outcome no
            longer changes.
        kept: As :attr:`RecommendationOutcome.kept`.
    """

    asked_at: datetime
    items: tuple[RecommendationOutcome, ...] = ()
    closing: Closing | None = None
    is_superseded: bool = False
    kept: Mapping[str, object] = field(default_factory=dict, compare=False, repr=False)

    @property
    def outcome(self) -> Outcome:
        """The outcome of the whole ticket: verified when all are, otherwise the one that most needs somebody."""
        outcomes = {item.outcome for item in self.items}
        return next((outcome for outcome in MOST_URGENT_FIRST if outcome in outcomes), Outcome.UNKNOWN)

    @property
    def needs_no_work(self) -> bool:
        """Whether everything that the ticket asks for is fixed, retired or accepted, whether it is closed or not."""
        return bool(self.items) and all(map(_needs_no_work, self.items))

    @property
    def has_unread_closing(self) -> bool:
        """Whether the record still has to be asked how the ticket was closed."""
        return self.closing is not None and not self.closing.is_read

    @property
    def is_watched(self) -> bool:
        """Whether measurements can still change it."""
        return bool(self.items) and not self.is_superseded


MOST_URGENT_FIRST: Final = (
    Outcome.REGRESSED,
    Outcome.NOT_FIXED,
    Outcome.PARTLY,
    Outcome.NOT_DONE,
    Outcome.WAITING,
    Outcome.OPEN,
    Outcome.UNKNOWN,
    Outcome.MAXIMUM_CHANGED,
    Outcome.DILUTED,
    Outcome.DISPOSED,
    Outcome.VERIFIED,
)
"""An outcome that only another release knows is in no list: then the ticket's outcome is unknown."""


def _needs_no_work(item: RecommendationOutcome) -> bool:
    is_over = item.reason in {OutcomeReason.GONE, OutcomeReason.FULL_BEFORE}
    return item.outcome in {Outcome.VERIFIED, Outcome.DISPOSED} or (item.outcome is Outcome.UNKNOWN and is_over)


def closed(verification: Verification, now: datetime, *, claims_fix: bool) -> Verification:
    """Return the verification of a ticket that has just been resolved, closed or canceled.

    What is still open waits from now on, or is not done if the ticket claims no fix. The first closing counts: an
    incident that was resolved is closed automatically some days later.
    """
    closing = verification.closing or Closing(noticed_at=now)
    if not claims_fix:
        closing = replace(closing, claims_fix=False)
    return with_closing(verification, closing, now)


def with_closing(verification: Verification, closing: Closing, now: datetime) -> Verification:
    """Return the verification once more is known about how the ticket was closed."""
    undecided = {Outcome.OPEN, Outcome.WAITING}
    outcome = Outcome.WAITING if closing.claims_fix else Outcome.NOT_DONE
    items = tuple(
        _with_outcome(item, outcome, now) if item.outcome in undecided else item for item in verification.items
    )
    return replace(verification, items=items, closing=closing)


def reopened(verification: Verification, now: datetime) -> Verification:
    """Return the verification of a closed ticket that is open again, whatever newer tickets there are."""
    back_to_work = {Outcome.WAITING, Outcome.NOT_DONE, Outcome.NOT_FIXED, Outcome.PARTLY}
    items = tuple(
        _with_outcome(item, Outcome.OPEN, now) if item.outcome in back_to_work else item for item in verification.items
    )
    return replace(verification, items=items, closing=None, is_superseded=False)


def _with_outcome(item: RecommendationOutcome, outcome: Outcome, now: datetime) -> RecommendationOutcome:
    if item.outcome is outcome:
        return item
    return replace(item, outcome=outcome, reason=None, deciding=None, decided_at=now)
