"""What became of a ticket's recommendations, as pages show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from shared.recommendations.model import ImprovementAction
from shared.recommendations.statuses import points_to_gain
from shared.recommendations.verifying.observations import Reach
from shared.recommendations.verifying.rules import Case
from shared.recommendations.verifying.waiting_times import WaitingTimes
from shared.tickets.model import Ticket
from shared.tickets.outcome_views import is_no_longer_needed
from shared.tickets.outcomes import Measurement, Outcome, OutcomeReason, RecommendationOutcome, Verification
from shared.value_object import value_object
from shared.web.days_ago import days_ago
from shared.web.html import moment, points
from shared.words.language import Language

type Actions = Mapping[tuple[str, str], ImprovementAction]
"""Stored recommendations by tenant and key."""


class NextStep(StrEnum):
    """What a person does next about a ticket's outcome: the one button beside it."""

    RESOLVE = "resolve"
    """The ticket is open, but nothing is left to do."""
    NEW_TICKET = "new_ticket"
    TENANT = "tenant"
    """An administrator looks why the tenant cannot be read."""
    LOOK = "look"
    """Look at the recommendation: what is to do, and its points over time."""


@value_object
class OutcomeRow:
    """What became of one recommendation of a ticket.

    Attributes:
        title: The recommendation's title; its id if the connector no longer has it.
        address: Its page; None if the connector no longer has it.
        gain: Points that it would still add; None if nobody knows.
        outcome: For the badge.
        text: The outcome in a sentence.
        before, now: Points of the possible points; empty if unknown.
        measured_at: When ``now`` was measured; None if Microsoft did not say.
        age: The same, as seen from today; empty if unknown.
        since: Since when the outcome is what it is.
    """

    title: str
    address: str | None
    gain: Decimal | None
    outcome: Outcome
    text: str
    before: str
    now: str
    measured_at: datetime | None
    age: str
    since: datetime | None


@value_object
class OutcomeCard:
    """What became of a ticket.

    Attributes:
        next_step: The one button.
        next_address: Where the button leads; None if it leads to a form of the ticket's own page.
    """

    rows: Sequence[OutcomeRow]
    next_step: NextStep | None
    next_address: str | None


def outcome_card(
    ticket: Ticket, actions: Actions, now: datetime, waits: WaitingTimes, t: Language, *, creates: bool, manages: bool
) -> OutcomeCard | None:
    """Return what became of a ticket; None if it is for no stored recommendation.

    Args:
        actions: Those of the ticket's recommendations that the connector has.
        waits: How long a closed ticket waits for its proof.
        creates: Whether the person may create and change tickets.
        manages: Whether the person may manage tenants.
    """
    verification = ticket.verification
    if verification is None or not verification.items:
        return None
    ids = {(each.tenant_id, each.key): each.source_id for each in ticket.content.references}
    rows = [
        _row(item, ids.get((item.tenant_id, item.key), item.key), verification, actions, now, waits, t)
        for item in verification.items
    ]
    step, address = _next_step(ticket, verification, actions, creates=creates, manages=manages)
    return OutcomeCard(rows, step, address)


def outcome_text(
    item: RecommendationOutcome,
    verification: Verification,
    service: str,
    now: datetime,
    waits: WaitingTimes,
    t: Language,
) -> str:
    """Return the outcome of one recommendation in a sentence, with its reason and with what is awaited until when.

    Args:
        service: Microsoft's code of the recommendation's product; empty if unknown.
    """
    key = f"outcome_text.{item.outcome}"
    closing = verification.closing
    if item.outcome is Outcome.WAITING:
        closed_at = Case(verification, None, Reach.READABLE, now, waits).closed_at
        if closed_at is None:
            return t("outcome_text.waiting.undated")
        until = closed_at + waits.after_closing(service)
        words = "outcome_text.waiting.late" if until < now else "outcome_text.waiting"
        return t(words, closed=moment(closed_at), until=moment(until))
    if item.outcome is Outcome.NOT_DONE and closing is not None and closing.close_code:
        return t("outcome_text.not_done.code", code=closing.close_code)
    return t.filled(f"{key}.{item.reason}", {}) or t.filled(key, {}) or t("outcome_text.unknown")


def _row(
    item: RecommendationOutcome,
    source_id: str,
    verification: Verification,
    actions: Actions,
    now: datetime,
    waits: WaitingTimes,
    t: Language,
) -> OutcomeRow:
    action = actions.get((item.tenant_id, item.key))
    newest = item.deciding or Measurement()
    if action is not None and action.points is not None:
        newest = Measurement(points=action.points, max_points=action.max_points, measured_at=action.measured_at)
    return OutcomeRow(
        title=source_id if action is None else action.shown_title,
        address=None if action is None else f"/recommendations/{item.key}?tenant_id={item.tenant_id}",
        gain=None if action is None else points_to_gain(action),
        outcome=item.outcome,
        text=outcome_text(item, verification, "" if action is None else action.service, now, waits, t),
        before=_points(item.before),
        now=_points(newest),
        measured_at=newest.measured_at,
        age="" if newest.measured_at is None else days_ago(newest.measured_at, now, t),
        since=item.decided_at,
    )


def _points(measurement: Measurement | None) -> str:
    if measurement is None or measurement.points is None or measurement.max_points is None:
        return ""
    return f"{points(measurement.points)}/{points(measurement.max_points)}"


_NEEDS_WORK: Final = frozenset(
    {
        Outcome.PARTLY,
        Outcome.NOT_FIXED,
        Outcome.NOT_DONE,
        Outcome.REGRESSED,
        Outcome.DILUTED,
        Outcome.MAXIMUM_CHANGED,
    }
)


def _next_step(
    ticket: Ticket, verification: Verification, actions: Actions, *, creates: bool, manages: bool
) -> tuple[NextStep | None, str | None]:
    """Return the one next step and where it leads, by the recommendation that most needs somebody."""
    if is_no_longer_needed(ticket) and creates:
        return NextStep.RESOLVE, None
    decisive = next(
        (item for item in verification.items if item.outcome is verification.outcome), verification.items[0]
    )
    if manages and decisive.reason is OutcomeReason.TENANT_UNREADABLE:
        return NextStep.TENANT, f"/tenants/{decisive.tenant_id}"
    if (decisive.tenant_id, decisive.key) not in actions:
        return None, None
    is_left = not ticket.is_open and not verification.is_superseded
    if creates and is_left and verification.outcome in _NEEDS_WORK:
        return NextStep.NEW_TICKET, f"/tickets/new?tenant_id={decisive.tenant_id}&recommendation={decisive.key}"
    return NextStep.LOOK, f"/recommendations/{decisive.key}?tenant_id={decisive.tenant_id}"
