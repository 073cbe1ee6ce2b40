"""What a note in ServiceNow says about the recommendations of its record: pure.

The texts are English, like the descriptions of tickets (:mod:`shared.recommendations.ticketing.descriptions`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from shared.texts import one_line, utf16_length
from shared.tickets.outcome_events import OutcomeChange, figure
from shared.tickets.outcomes import Measurement, Outcome, OutcomeReason, RecommendationOutcome
from shared.tickets.updates.model import TEXT_MAX_LENGTH

_NAME_MAX_LENGTH: Final = 100
_MORE_MAX_LENGTH: Final = 100
_QUIET_REASONS: Final = frozenset({OutcomeReason.TENANT_UNREADABLE, OutcomeReason.TENANT_REMOVED})
"""They are about the connector: nobody who works on the record can do anything about them."""
_BY_REASON: Final[Mapping[OutcomeReason, str]] = {
    OutcomeReason.THIRD_PARTY: "Not measured: marked in Microsoft's portal as resolved through a third party.",
    OutcomeReason.REVIEWED: "Not measured: marked in Microsoft's portal as resolved through an alternate mitigation.",
    OutcomeReason.RISK_ACCEPTED: "Not fixed: the risk was accepted in Microsoft's portal.",
    OutcomeReason.GONE: "Cannot be verified: Microsoft no longer recommends it.",
    OutcomeReason.NOT_MEASURED: "Cannot be verified: Microsoft no longer measures it; a licence may be missing.",
    OutcomeReason.FULL_BEFORE: "Cannot be verified: it had full points before this ticket, and still has.",
    OutcomeReason.NO_MEASUREMENT_BEFORE: "Full points, but cannot be verified: it was not measured before this ticket.",
    OutcomeReason.NOT_VERIFIABLE: "Cannot be verified: it comes from a file, and Microsoft does not measure it.",
}


def note_about(changes: Sequence[OutcomeChange], names: Mapping[str, str], *, is_only_one: bool) -> str:
    """Return the note about changed outcomes of a ticket; empty if there is nothing to say.

    Args:
        names: The recommendations' names, by key.
        is_only_one: Whether the ticket is for one recommendation, which then needs no name.
    """
    lines = []
    for change in changes:
        sentence = sentence_about(change.after)
        if sentence:
            name = one_line(names.get(change.after.key, ""), _NAME_MAX_LENGTH)
            lines.append(sentence if is_only_one or not name else f"{name}: {sentence}")
    return _bounded(lines)


def _bounded(lines: Sequence[str]) -> str:
    """Return the lines that fit into a note, and how many there are besides."""
    text, left = "", len(lines)
    for line in lines:
        with_line = f"{text}{line}\n"
        if utf16_length(with_line) > TEXT_MAX_LENGTH - _MORE_MAX_LENGTH:
            return f"{text}And {left} more, which the connector shows."
        text, left = with_line, left - 1
    return text.rstrip("\n")


def sentence_about(item: RecommendationOutcome) -> str:
    """Return what a record says about an outcome; empty where there is nothing to say yet."""
    measured, points = item.deciding or Measurement(), _points(item.deciding)
    match item.outcome:
        case Outcome.VERIFIED:
            return f"Verified: {points}."
        case Outcome.NOT_FIXED:
            return f"Not fixed: {points}."
        case Outcome.PARTLY:
            return f"Partly fixed: {points}; {figure((item.before or measured).points)} before this ticket."
        case Outcome.REGRESSED:
            return f"The fix was verified, but points have been lost since: {points}."
        case Outcome.DILUTED:
            return f"The fix was verified. There are more users or devices now, so that points are missing: {points}."
        case Outcome.MAXIMUM_CHANGED:
            return f"The fix was verified. Microsoft has changed the maximum since: {points}."
        case Outcome.DISPOSED | Outcome.UNKNOWN if item.reason is not None and item.reason not in _QUIET_REASONS:
            return _BY_REASON.get(item.reason, "")
    return ""


def _points(measurement: Measurement | None) -> str:
    """Return the points and when they were measured, such as ``10 of 10 points, measured 3 Dec 2026``."""
    if measurement is None:
        return "points not known"
    points = f"{figure(measurement.points)} of {figure(measurement.max_points)} points"
    at = measurement.measured_at or measurement.day
    return points if at is None else f"{points}, measured {at.day} {at:%b %Y}"
