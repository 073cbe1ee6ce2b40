"""Values over time as a line: plain numbers for a template, no drawing library."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
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
        top: The value at the upper edge; the lower edge is zero.
        values: What the line shows, oldest first, for a table.
    """

    line: str
    area: str
    marks: Sequence[PlacedMark]
    top: Decimal
    values: Sequence[tuple[date, Decimal]]

    @property
    def first_day(self) -> date:
        """The day at the left edge."""
        return self.values[0][0]

    @property
    def last_day(self) -> date:
        """The day at the right edge."""
        return self.values[-1][0]


def plot(values: Sequence[tuple[date, Decimal]], *, top: Decimal, marks: Sequence[Mark] = ()) -> Plot | None:
    """Return the line through the values, or None without values.

    Days without a value are bridged. A single value is a level line. A mark outside the days is left out.

    Args:
        values: At most one for each day, in any order.
        top: The highest possible value; a higher one that is there raises the upper edge.
    """
    if not values:
        return None
    ordered = sorted(values)
    first, last = ordered[0][0], ordered[-1][0]
    top = max(top, *(value for _, value in ordered), Decimal(0))

    def x(day: date) -> float:
        days = (last - first).days
        return round(WIDTH * (day - first).days / days, 1) if days else 0.0

    def y(value: Decimal) -> float:
        return round(HEIGHT * (1 - float(value / top)), 1) if top else float(HEIGHT)

    corners = [(x(day), y(value)) for day, value in ordered]
    if len(corners) == 1:
        corners.append((float(WIDTH), corners[0][1]))
    line = " ".join(f"{at},{height}" for at, height in corners)
    return Plot(
        line=line,
        area=f"{corners[0][0]},{HEIGHT} {line} {corners[-1][0]},{HEIGHT}",
        marks=[PlacedMark(mark, x(mark.day)) for mark in marks if first <= mark.day <= last],
        top=top,
        values=ordered,
    )
