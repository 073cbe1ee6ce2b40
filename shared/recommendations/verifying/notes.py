"""What a note in ServiceNow says about the recommendations of its record: pure.

The texts are in the connection's language, like the descriptions of tickets
(:mod:`shared.recommendations.ticketing.descriptions`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from shared.texts import one_line, utf16_length
from shared.tickets.outcome_events import OutcomeChange, figure
from shared.tickets.outcomes import Measurement, Outcome, OutcomeReason, RecommendationOutcome
from shared.tickets.updates.model import TEXT_MAX_LENGTH
from shared.words.language import Language, language_of

_NAME_MAX_LENGTH: Final = 100
_MORE_MAX_LENGTH: Final = 100
_QUIET_REASONS: Final = frozenset({OutcomeReason.TENANT_UNREADABLE, OutcomeReason.TENANT_REMOVED})
"""They are about the connector: nobody who works on the record can do anything about them."""


def note_about(changes: Sequence[OutcomeChange], names: Mapping[str, str], language: str, *, is_only_one: bool) -> str:
    """Return the note about changed outcomes of a ticket; empty if there is nothing to say.

    Args:
        names: The recommendations' names, by key.
        language: Code of the connection's language.
        is_only_one: Whether the ticket is for one recommendation, which then needs no name.
    """
    t = language_of(language)
    lines = []
    for change in changes:
        sentence = sentence_about(change.after, t)
        if sentence:
            name = one_line(names.get(change.after.key, ""), _NAME_MAX_LENGTH)
            is_named = not is_only_one and bool(name)
            lines.append(t.plain("record.line", label=name, value=sentence) if is_named else sentence)
    return _bounded(lines, t)


def _bounded(lines: Sequence[str], t: Language) -> str:
    """Return the lines that fit into a note, and how many there are besides."""
    text, left = "", len(lines)
    for line in lines:
        with_line = f"{text}{line}\n"
        if utf16_length(with_line) > TEXT_MAX_LENGTH - _MORE_MAX_LENGTH:
            return text + t.plain("record.outcome.more", count=left)
        text, left = with_line, left - 1
    return text.rstrip("\n")


def sentence_about(item: RecommendationOutcome, t: Language) -> str:
    """Return what a record says about an outcome; empty where there is nothing to say yet."""
    measured, points = item.deciding or Measurement(), _points(item.deciding, t)
    match item.outcome:
        case Outcome.VERIFIED | Outcome.NOT_FIXED | Outcome.REGRESSED | Outcome.DILUTED | Outcome.MAXIMUM_CHANGED:
            return t.plain(f"record.outcome.{item.outcome}", points=points)
        case Outcome.PARTLY:
            before = figure((item.before or measured).points)
            return t.plain("record.outcome.partly", points=points, before=before)
        case Outcome.DISPOSED | Outcome.UNKNOWN if item.reason is not None and item.reason not in _QUIET_REASONS:
            return t.texts.get(f"record.reason.{item.reason}", "")
    return ""


def _points(measurement: Measurement | None, t: Language) -> str:
    """Return the points and when they were measured, such as ``10 of 10 points, measured 2026-12-03``."""
    if measurement is None:
        return t.plain("record.points_unknown")
    points = t.plain("record.points_of", points=figure(measurement.points), max=figure(measurement.max_points))
    at = measurement.measured_at or measurement.day
    return points if at is None else t.plain("record.measured", points=points, day=f"{at:%Y-%m-%d}")
