"""When a timer is due: NCRONTAB expressions of six or five fields, and time spans. Pure.

Source: Functions host §T1, §T5, §T9.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from sandbox.functions_host.host_json import time_span

_HORIZON_YEARS = 10
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


class ScheduleError(ValueError):
    """A schedule that is neither an expression nor a time span (Functions host §T4)."""


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    names: Sequence[str] = ()

    def parse(self, text: str) -> frozenset[int]:
        return frozenset().union(*(self._part(part) for part in text.split(",")))

    def _part(self, text: str) -> frozenset[int]:
        found = re.fullmatch(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\d+))?", text)
        if found is None:
            raise ScheduleError(f"{text!r} is not a {self.name}")
        first = self._number(found["first"]) if found["first"] else self.low
        open_ended = found["first"] is None or (found["step"] is not None and found["last"] is None)
        last = self.high if open_ended else self._number(found["last"] or found["first"])
        step = int(found["step"] or 1)
        if step < 1 or last < first:
            raise ScheduleError(f"{text!r} is not a {self.name}")
        return frozenset(range(first, last + 1, step))

    def _number(self, text: str) -> int:
        if text[:3].lower() in self.names:
            return self.names.index(text[:3].lower()) + self.low
        if not text.isdecimal() or not self.low <= int(text) <= self.high:
            raise ScheduleError(f"{text!r} is not a {self.name}")
        return int(text)


_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 6, _WEEKDAYS),
)


def _positive(interval: timedelta) -> timedelta:
    if interval <= timedelta():
        raise ScheduleError("an interval must be longer than nothing")
    return interval


@dataclass(frozen=True, slots=True)
class Schedule:
    """A timer's schedule: the values of the six fields, or the interval of a time span."""

    text: str
    fields: tuple[frozenset[int], ...] = ()
    interval: timedelta | None = None

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """Read a schedule; five fields are an expression whose second is 0.

        Raises:
            ScheduleError: It is neither form.
        """
        parts = text.split()
        try:
            if len(parts) == 1:
                return cls(text, interval=_positive(time_span(text)))
            if len(parts) == 5:
                parts = ["0", *parts]
            fields = tuple(field.parse(part) for field, part in zip(_FIELDS, parts, strict=True))
        except ValueError as error:
            raise ScheduleError(
                f"The schedule expression '{text}' was not recognized as a valid cron expression or timespan string."
            ) from error
        return cls(text, fields)

    def next_after(self, at: datetime, zone: tzinfo = UTC) -> datetime | None:
        """Return the first occurrence later than ``at``, in UTC; None if none comes in ten years.

        Args:
            at: An aware time. A time span counts from it.
            zone: The time zone of the fields.
        """
        if self.interval is not None:
            return at + self.interval
        seconds, minutes, hours, days, months, weekdays = self.fields
        there = at.astimezone(zone)
        local = there.replace(microsecond=0, tzinfo=None) + timedelta(seconds=1)
        last_year = local.year + _HORIZON_YEARS
        while local.year <= last_year:
            if local.month not in months:
                local = (local.replace(day=1, hour=0, minute=0, second=0) + timedelta(days=32)).replace(day=1)
            elif local.day not in days or local.isoweekday() % 7 not in weekdays:
                local = local.replace(hour=0, minute=0, second=0) + timedelta(days=1)
            elif local.hour not in hours:
                local = local.replace(minute=0, second=0) + timedelta(hours=1)
            elif local.minute not in minutes:
                local = local.replace(second=0) + timedelta(minutes=1)
            elif local.second not in seconds:
                local += timedelta(seconds=1)
            else:
                return local.replace(tzinfo=zone, fold=there.fold).astimezone(UTC)
        return None

    def is_under_a_minute(self, at: datetime, zone: tzinfo = UTC) -> bool:
        """Say whether the next occurrences are less than a minute apart; such a timer has no monitor (§T9)."""
        if self.interval is not None:
            return self.interval < timedelta(minutes=1)
        first = self.next_after(at, zone)
        second = first and self.next_after(first, zone)
        return first is not None and second is not None and second - first < timedelta(minutes=1)
