"""A figure, its goal, and its line in the report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

_WIDTHS: Final = (66, 16, 20)


class Bound(StrEnum):
    """The side of its limit on which a figure must be."""

    AT_MOST = "at most"
    AT_LEAST = "at least"


@dataclass(frozen=True, slots=True)
class Goal:
    """What the design promises."""

    bound: Bound
    limit: float

    def is_reached(self, value: float) -> bool:
        """Whether a value meets the goal; the limit itself does."""
        return value <= self.limit if self.bound is Bound.AT_MOST else value >= self.limit


def at_most(limit: float) -> Goal:
    """Return the goal of not exceeding a limit."""
    return Goal(Bound.AT_MOST, limit)


def at_least(limit: float) -> Goal:
    """Return the goal of reaching a limit."""
    return Goal(Bound.AT_LEAST, limit)


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value.

    Attributes:
        unit: Printed after the value and the limit, such as ``ms``; empty for a plain count.
        digits: Decimal places shown. The goal is compared with the value itself.
        goal: None for a figure that only explains another one.
    """

    name: str
    value: float
    unit: str = ""
    digits: int = field(default=0, kw_only=True)
    goal: Goal | None = field(default=None, kw_only=True)

    @property
    def is_reached(self) -> bool | None:
        """Whether the goal is reached; None without a goal."""
        return None if self.goal is None else self.goal.is_reached(self.value)

    def line(self) -> str:
        """Return the figure's line of the report."""
        goal = "" if self.goal is None else f"{self.goal.bound} {_text(self.goal.limit, self.unit)}"
        return _line(self.name, _text(self.value, self.unit, self.digits), goal, _REACHED[self.is_reached])


_REACHED: Final = {None: "", True: "yes", False: "NO"}


def heading() -> str:
    """Return the first line of the report."""
    return _line("figure", "measured", "goal", "reached")


def closing(figures: list[Figure]) -> Iterator[str]:
    """Yield the last lines of the report: the number of goals, and each missed goal."""
    missed = [figure for figure in figures if figure.is_reached is False]
    goals = sum(figure.goal is not None for figure in figures)
    yield f"{goals - len(missed)} of {goals} goals reached"
    yield from (f"missed: {figure.name}" for figure in missed)


def _text(value: float, unit: str, digits: int | None = None) -> str:
    number = f"{value:,g}" if digits is None else f"{value:,.{digits}f}"
    return f"{number} {unit}".rstrip()


def _line(name: str, measured: str, goal: str, reached: str) -> str:
    first, second, third = _WIDTHS
    return f"{name:{first}} {measured:>{second}}   {goal:{third}} {reached}".rstrip()
