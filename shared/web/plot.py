"""Values over time as a line: plain numbers for a template, no drawing library."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

from shared.value_object import value_object

WIDTH: Final = 600
HEIGHT: Final = 120
"""Size of the drawing; the page stretches it, so lines keep their width and there is no text in it."""


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
class Plot:
    """A line and what is beside it.

    Attributes:
        line, area: Corners as SVG writes them, of the line and of the area below it.
        bottom, top: The values at the lower and the upper edge.
        first_day, last_day: The days at the left and the right edge.
        values: What the line shows, oldest first, for a table.
    """

    line: str
    area: str
    marks: Sequence[PlacedMark]
    bottom: Decimal
    top: Decimal
    values: Sequence[tuple[date, Decimal]]
    first_day: date
    last_day: date


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


def plot(
    values: Sequence[tuple[date, Decimal]],
    *,
    top: Decimal,
    bottom: Decimal = Decimal(0),
    marks: Sequence[Mark] = (),
) -> Plot | None:
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
    line = " ".join(f"{at},{height}" for at, height in corners)
    return Plot(
        line=line,
        area=f"{corners[0][0]},{HEIGHT} {line} {corners[-1][0]},{HEIGHT}",
        marks=[PlacedMark(mark, x(mark.day)) for mark in marks if first <= mark.day],
        bottom=bottom,
        top=top,
        values=ordered,
        first_day=first,
        last_day=last,
    )
