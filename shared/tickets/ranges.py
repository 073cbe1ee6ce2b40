"""Ranges of days, by which lists of tickets are filtered. Pure."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from shared.value_object import value_object


@value_object
class Range[Value: (int, date, datetime)]:
    """Values from the lowest to the highest, both included; None has no end."""

    lowest: Value | None = None
    highest: Value | None = None

    def __bool__(self) -> bool:
        return self.lowest is not None or self.highest is not None

    def __contains__(self, value: Value) -> bool:
        return (self.lowest is None or self.lowest <= value) and (self.highest is None or value <= self.highest)


def times_of_age(days: Range[int], now: datetime) -> Range[datetime]:
    """Return when something began that is this old now, in whole days; what begins later is 0 days old."""
    return Range(
        None if days.highest is None else now - timedelta(days=days.highest + 1) + timedelta.resolution,
        now - timedelta(days=days.lowest) if days.lowest else None,
    )
