"""What callers see of what became of a ticket's recommendations."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import Field

from shared.tickets.model import Ticket
from shared.tickets.outcomes import Measurement, Outcome, OutcomeReason, RecommendationOutcome, Verification
from shared.views import View


class MeasurementView(View):
    """What Microsoft measured for a recommendation at one time."""

    points: float | None
    max_points: float | None
    measured_at: datetime | None = Field(description="By Microsoft's own clock; null if it did not say.")
    day: date | None = Field(description="Day of the snapshot that the points come from.")


class ClosingView(View):
    """How a ticket was resolved, closed or canceled."""

    noticed_at: datetime = Field(description="When the connector saw it.")
    closed_at: datetime | None = Field(description="ServiceNow's own time; null until it is known.")
    close_code: str | None
    claims_fix: bool = Field(description="False if it was canceled, or its close code means that nothing was fixed.")


class RecommendationOutcomeView(View):
    """What became of one recommendation of a ticket."""

    tenant_id: str
    id: str = Field(description="As in `/api/recommendations/{id}`.")
    outcome: Outcome
    reason: OutcomeReason | None = Field(description="Why, where the outcome alone does not say it.")
    since: datetime | None = Field(description="Since when the outcome is what it is.")
    before: MeasurementView | None = Field(description="The last measurement before the ticket.")
    after: MeasurementView | None = Field(description="The measurement that decided the outcome; null if none did.")


class VerificationView(View):
    """What became of the recommendations that a ticket is for, by Microsoft's measurements."""

    outcome: Outcome = Field(
        description="Of the whole ticket: `verified` when all of its recommendations are, otherwise the outcome that "
        "most needs somebody."
    )
    no_longer_needed: bool = Field(
        description="The ticket is open, although everything that it asks for is fixed, retired or accepted."
    )
    closing: ClosingView | None = Field(description="Null while it is open.")
    recommendations: tuple[RecommendationOutcomeView, ...]


def verification_view(ticket: Ticket) -> VerificationView | None:
    """Return what callers see of a ticket's verification; None if it is for no stored recommendation."""
    verification = ticket.verification
    if verification is None:
        return None
    return VerificationView(
        outcome=verification.outcome,
        no_longer_needed=is_no_longer_needed(ticket),
        closing=_closing(verification),
        recommendations=tuple(map(_recommendation, verification.items)),
    )


def is_no_longer_needed(ticket: Ticket) -> bool:
    """Whether the ticket is open, although everything that it asks for is fixed, retired or accepted."""
    return ticket.is_open and ticket.verification is not None and ticket.verification.needs_no_work


def _recommendation(item: RecommendationOutcome) -> RecommendationOutcomeView:
    return RecommendationOutcomeView(
        tenant_id=item.tenant_id,
        id=item.key,
        outcome=item.outcome,
        reason=item.reason,
        since=item.decided_at,
        before=_measurement(item.before),
        after=_measurement(item.deciding),
    )


def _measurement(measurement: Measurement | None) -> MeasurementView | None:
    if measurement is None:
        return None
    return MeasurementView(
        points=None if measurement.points is None else float(measurement.points),
        max_points=None if measurement.max_points is None else float(measurement.max_points),
        measured_at=measurement.measured_at,
        day=measurement.day,
    )


def _closing(verification: Verification) -> ClosingView | None:
    closing = verification.closing
    if closing is None:
        return None
    return ClosingView(
        noticed_at=closing.noticed_at,
        closed_at=closing.closed_at,
        close_code=closing.close_code,
        claims_fix=closing.claims_fix,
    )
