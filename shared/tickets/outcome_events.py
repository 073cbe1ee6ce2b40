"""A change of what became of a ticket's recommendations, as its timeline and the evidence have it: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from shared.tickets.model import EventKind, Ticket
from shared.tickets.outcomes import Measurement, RecommendationOutcome, Verification
from shared.tickets.timeline import with_event
from shared.value_object import value_object


@value_object
class OutcomeChange:
    """A recommendation of a ticket whose outcome is another one now.

    Attributes:
        before: What it was; None if the ticket was not for it.
    """

    before: RecommendationOutcome | None
    after: RecommendationOutcome


def changed_items(before: Verification | None, after: Verification) -> Sequence[OutcomeChange]:
    """Return the recommendations whose outcome, or its reason, changed, in the ticket's order.

    A verification can change without any: the rules keep more than the outcome.
    """
    known = {(item.tenant_id, item.key): item for item in (() if before is None else before.items)}
    changes = (OutcomeChange(known.get((item.tenant_id, item.key)), item) for item in after.items)
    return [
        change
        for change in changes
        if change.before is None
        or (change.before.outcome, change.before.reason) != (change.after.outcome, change.after.reason)
    ]


def with_verification(ticket: Ticket, verification: Verification, now: datetime) -> Ticket:
    """Return the ticket with this verification, and an event for each outcome that is another one now.

    A ticket that had none before has no events: nothing happened to it.
    """
    after = replace(ticket, verification=verification)
    if ticket.verification is None:
        return after
    source_ids = {(each.tenant_id, each.key): each.source_id for each in ticket.content.references}
    for change in changed_items(ticket.verification, verification):
        item = change.after
        measured, before = item.deciding or Measurement(), item.before or Measurement()
        after = with_event(
            after,
            EventKind.OUTCOME,
            now,
            tenant_id=item.tenant_id,
            source_id=source_ids.get((item.tenant_id, item.key)),
            key=item.key,
            outcome=str(item.outcome),
            reason=None if item.reason is None else str(item.reason),
            points=figure(measured.points),
            max_points=figure(measured.max_points),
            measured_at=_time_of(measured),
            points_before=figure(before.points),
            max_points_before=figure(before.max_points),
        )
    return after


def figure(number: Decimal | None) -> str | None:
    """Return a figure without zeros at its end."""
    return None if number is None else f"{number.normalize():f}"


def _time_of(measurement: Measurement) -> str | None:
    """Return when it was measured, or the day of its snapshot."""
    at = measurement.measured_at or measurement.day
    return None if at is None else at.isoformat()
