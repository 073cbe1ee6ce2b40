"""Charts: plain numbers for the macros in ``templates/charts.html``, which draw them as SVG on the server.

A template imports a macro and calls it with the words, a chart, and an id that is unique on the page::

    {% from "charts.html" import countdown_bar %}
    {{ countdown_bar(t, consent, "consent") }}

where ``consent`` is what :func:`consent_countdown` returns (None draws nothing). :func:`line` makes what
``line_chart`` draws, and :func:`stacked` what ``stacked_bar`` draws. Each is a ``<figure>`` whose sentence says what it
shows, with its numbers as a table if the sentence does not hold them all.

The page stretches a drawing to its own width. So there is no text in a drawing, and no line gets thicker. A style is
a CSS class, the same for the same meaning on every page: ``phase-…`` for phases, ``tone-…`` for good and bad.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

from shared.connections.customers import Customer
from shared.connections.model import CONSENT_WARNING_DAYS, Connection, consent_days_left
from shared.tickets.model import Phase
from shared.value_object import value_object
from shared.web.html import points
from shared.words.language import Language

WIDTH: Final = 600
HEIGHT: Final = 120
"""Size of the drawing of a line or of columns."""
WHOLE: Final = 100
"""Width of the drawing of a bar."""

PHASES: Final = (
    Phase.NEW,
    Phase.IN_PROGRESS,
    Phase.ON_HOLD,
    Phase.UNMAPPED,
    Phase.RESOLVED,
    Phase.CLOSED,
    Phase.CANCELED,
    Phase.DELETED,
)
"""The order in which phases are shown."""


@value_object
class Mark:
    """Something that happened on a day, such as a ticket.

    Attributes:
        address: Where one reads more about it.
    """

    day: date
    text: str
    address: str


@value_object
class PlacedMark:
    """A mark and its place in the drawing."""

    mark: Mark
    x: float


@value_object
class Line:
    """Values over time.

    Attributes:
        line, area: Corners as SVG writes them, of the line and of the area below it.
        bottom, top: The values at the lower and the upper edge.
        first_day, last_day: The days at the left and the right edge.
        values: What the line shows, oldest first; at least one.
    """

    line: str
    area: str
    marks: Sequence[PlacedMark]
    bottom: Decimal
    top: Decimal
    values: Sequence[tuple[date, Decimal]]
    first_day: date
    last_day: date

    @property
    def changes(self) -> Sequence[tuple[str, str]]:
        """Rows of the table behind the line, the newest first: each value, and the day since which it was the same."""
        begun = [next(group) for _, group in itertools.groupby(self.values, key=lambda each: each[1])]
        return [(day.isoformat(), points(value)) for day, value in reversed(begun)]


def edges_around(values: Iterable[Decimal], *, step: int, highest: int) -> tuple[Decimal, Decimal]:
    """Return a lower and an upper edge between which changes are easy to see: multiples of a step, some steps apart.

    Args:
        highest: No value is above it, and none is below zero.
    """
    found = [*values] or [Decimal(0)]
    bottom = (min(found) / step).to_integral_value(ROUND_FLOOR) * step
    top = (max(found) / step).to_integral_value(ROUND_CEILING) * step
    if top - bottom < 2 * step:
        bottom, top = bottom - step, top + step
    return max(bottom, Decimal(0)), min(top, Decimal(highest))


def line(
    values: Sequence[tuple[date, Decimal]],
    *,
    top: Decimal,
    bottom: Decimal = Decimal(0),
    marks: Sequence[Mark] = (),
) -> Line | None:
    """Return the line through the values, or None without values.

    Days without a value are bridged. A single value is a level line. A mark before the first value is left out; after
    the last value there is room for marks.

    Args:
        values: At most one for each day, in any order.
        top: The value at the upper edge; a higher one that is there raises it.
        bottom: The value at the lower edge; a lower one that is there lowers it.
    """
    if not values:
        return None
    ordered = sorted(values)
    first = ordered[0][0]
    last = max([ordered[-1][0], *(mark.day for mark in marks)])
    top = max(top, *(value for _, value in ordered))
    bottom = min(bottom, *(value for _, value in ordered))

    def x(day: date) -> float:
        days = (last - first).days
        return round(WIDTH * (day - first).days / days, 1) if days else 0.0

    def y(value: Decimal) -> float:
        return round(HEIGHT * float((top - value) / (top - bottom)), 1) if top > bottom else float(HEIGHT)

    corners = [(x(day), y(value)) for day, value in ordered]
    if len(corners) == 1:
        corners.append((float(WIDTH), corners[0][1]))
    drawn = " ".join(f"{at},{height}" for at, height in corners)
    return Line(
        line=drawn,
        area=f"{corners[0][0]},{HEIGHT} {drawn} {corners[-1][0]},{HEIGHT}",
        marks=[PlacedMark(mark, x(mark.day)) for mark in marks if first <= mark.day],
        bottom=bottom,
        top=top,
        values=ordered,
        first_day=first,
        last_day=last,
    )


@value_object
class Part:
    """What a part of a bar counts.

    Attributes:
        name: For people.
        style: CSS class.
        address: The page that lists exactly these; None if there is none.
    """

    name: str
    count: int
    style: str
    address: str | None = None


@value_object
class PlacedPart:
    """A part and its place in the bar, in hundredths of the width."""

    part: Part
    start: float
    width: float

    @property
    def row(self) -> tuple[str, Part]:
        """Row of the table behind the bar: what it counts and how many."""
        return self.part.name, self.part


def stacked(parts: Iterable[Part], *, whole: int | None = None) -> Sequence[PlacedPart]:
    """Return the parts of a bar beside each other, without empty ones.

    Args:
        whole: The count that fills the width; None for the sum of the parts.
    """
    present = [part for part in parts if part.count]
    whole = whole or sum(part.count for part in present)
    placed: list[PlacedPart] = []
    start = 0.0
    for part in present:
        width = WHOLE * part.count / whole
        placed.append(PlacedPart(part, round(start, 3), round(width, 3)))
        start += width
    return placed


def phase_parts(counts: Mapping[Phase, int], tickets: str, t: Language) -> list[Part]:
    """Return what a bar of tickets by phase counts, in the order in which phases are shown.

    Args:
        tickets: Address of the list of these tickets, with a query.
    """
    return [
        Part(t(f"phase.{phase}"), counts.get(phase, 0), f"phase-{phase}", f"{tickets}&phase={phase}")
        for phase in PHASES
    ]


@value_object
class Countdown:
    """How much is left of a time that ends.

    Attributes:
        days_left: Whole days; 0 if it has ended.
        left: What is left, in hundredths of the width.
        tone: ``good``, ``info``, ``warn`` or ``bad``: the sooner it ends, the worse.
    """

    begun_at: datetime
    ends_at: datetime
    days_left: int
    has_ended: bool
    left: float
    tone: str


_TONES: Final = ("info", "warn", "bad")
"""Of the days before its end at which a consent is mentioned."""


def consent_countdown(connection: Connection | Customer, now: datetime) -> Countdown | None:
    """Return how much is left of a connection's consent, or None if it has none that ends."""
    ends_at, days = connection.consent_ends_at, consent_days_left(connection, now)
    if ends_at is None or days is None:
        return None
    begun_at = connection.consented_at or ends_at - timedelta(seconds=connection.consent_lifetime_s)
    whole_s = (ends_at - begun_at).total_seconds()
    left = (ends_at - now).total_seconds() / whole_s if whole_s > 0 else 0.0
    reached = [tone for tone, limit in zip(_TONES, CONSENT_WARNING_DAYS, strict=True) if days <= limit]
    return Countdown(
        begun_at=begun_at,
        ends_at=ends_at,
        days_left=days,
        has_ended=ends_at <= now,
        left=round(WHOLE * min(max(left, 0.0), 1.0), 1),
        tone=reached[-1] if reached else "good",
    )


@value_object
class Column:
    """One column and its place in the drawing."""

    part: Part
    x: float
    y: float
    width: float
    height: float
    title: str


@value_object
class Columns:
    """Columns side by side for each step of time.

    Attributes:
        top: The count at the upper edge.
        first, last: Names of the steps at the left and the right edge.
    """

    columns: Sequence[Column]
    top: int
    first: str
    last: str


SLOT: Final = 0.8
"""How much of a step's width its columns take; the rest keeps the steps apart."""


def columns(steps: Sequence[tuple[str, Sequence[Part]]]) -> Columns:
    """Return columns that begin at the lower edge.

    Args:
        steps: Name and counts of each step, oldest first; at least one.
    """
    top = max([part.count for _, parts in steps for part in parts], default=0)
    step = WIDTH / len(steps)
    drawn = []
    for number, (name, parts) in enumerate(steps):
        width = step * SLOT / len(parts)
        for place, part in enumerate(parts):
            height = HEIGHT * part.count / top if top else 0.0
            drawn.append(
                Column(
                    part,
                    x=round(step * (number + (1 - SLOT) / 2) + place * width, 2),
                    y=round(HEIGHT - height, 2),
                    width=round(width, 2),
                    height=round(height, 2),
                    title=f"{name} · {part.name}: {part.count}",
                )
            )
    return Columns(drawn, top, steps[0][0], steps[-1][0])


@value_object
class Row:
    """One bar of several below each other, whose widths can be compared.

    Attributes:
        whole: Name and count of all its parts together.
    """

    whole: Part
    parts: Sequence[PlacedPart]


def rows(bars: Sequence[tuple[Part, Sequence[Part]]]) -> Sequence[Row]:
    """Return bars below each other; the longest one fills the width.

    Args:
        bars: What each counts, and the parts of that.
    """
    longest = max((whole.count for whole, _ in bars), default=0)
    return [Row(whole, stacked(parts, whole=longest)) for whole, parts in bars]
