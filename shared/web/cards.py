"""The picture of tickets by phase on a card: plain numbers for a template, no drawing library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shared.tickets.model import Phase
from shared.tickets.outcomes import Outcome
from shared.value_object import value_object

SHOWN: Final = (
    Phase.NEW,
    Phase.IN_PROGRESS,
    Phase.ON_HOLD,
    Phase.UNMAPPED,
    Phase.RESOLVED,
    Phase.CLOSED,
    Phase.CANCELED,
    Phase.DELETED,
)


SHOWN_OUTCOMES: Final = (Outcome.WAITING, Outcome.VERIFIED, Outcome.NOT_FIXED, Outcome.REGRESSED)


@value_object
class Segment:
    """One part of the bar.

    Attributes:
        start, width: In hundredths of the bar's width.
    """

    phase: Phase
    count: int
    start: float
    width: float


def segments(counts: Mapping[Phase, int]) -> tuple[Segment, ...]:
    """Return the parts of a bar that shows the tickets in each phase, without empty parts."""
    total = sum(counts.get(phase, 0) for phase in SHOWN)
    parts: list[Segment] = []
    start = 0.0
    for phase in SHOWN:
        count = counts.get(phase, 0)
        if count:
            width = 100 * count / total
            parts.append(Segment(phase, count, round(start, 3), round(width, 3)))
            start += width
    return tuple(parts)
