"""Dates, durations and time zones as a user sees and types them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from sandbox.servicenow.engine.glide_time import from_glide, to_glide

_PATTERN_LETTERS: Mapping[str, str] = {
    "yyyy": "%Y",
    "yy": "%y",
    "MMM": "%b",
    "MM": "%m",
    "dd": "%d",
    "HH": "%H",
    "hh": "%I",
    "mm": "%M",
    "ss": "%S",
    "a": "%p",
}
_PATTERN_LETTER = re.compile("|".join(_PATTERN_LETTERS))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class UserFormat:
    """How a user reads and types: a time zone, patterns of date and time (`dd/MM/yyyy`, `HH:mm:ss`), a language."""

    time_zone: ZoneInfo
    date_pattern: str = "yyyy-MM-dd"
    time_pattern: str = "HH:mm:ss"
    language: str = "en"

    def show_date_time(self, stored: str) -> str:
        """Return a stored date-time (UTC) in the user's zone and format; return other text unchanged."""
        try:
            local = from_glide(stored).astimezone(self.time_zone)
        except (ValueError, OverflowError):
            return stored
        return local.strftime(f"{_strftime(self.date_pattern)} {_strftime(self.time_pattern)}")

    def show_date(self, stored: str) -> str:
        """Return a stored date in the user's format; dates have no zone."""
        try:
            return datetime.strptime(stored, "%Y-%m-%d").strftime(_strftime(self.date_pattern))  # noqa: DTZ007
        except ValueError:
            return stored

    def read_date_time(self, typed: str) -> str:
        """Return the stored form of a date-time that the user typed; a date alone means its first second there.

        Raises ValueError for other text.
        """
        date_format, time_format = _strftime(self.date_pattern), _strftime(self.time_pattern)
        for pattern in (f"{date_format} {time_format}", date_format):
            try:
                return to_glide(datetime.strptime(typed, pattern).replace(tzinfo=self.time_zone))
            except ValueError:
                continue
        raise ValueError(f"{typed!r} is not a date-time in {self.date_pattern} {self.time_pattern}")


def show_integer(stored: str) -> str:
    """Return a whole number with grouped thousands, and anything else unchanged (ServiceNow §2.4)."""
    return f"{int(stored):,}" if stored.removeprefix("-").isdecimal() else stored


def show_duration(stored: str) -> str:
    """Return a stored duration (a time since 1970) in words; return other text unchanged."""
    try:
        seconds = int((from_glide(stored) - _EPOCH).total_seconds())
    except ValueError:
        return stored
    parts = []
    for name, length in (("Day", 86400), ("Hour", 3600), ("Minute", 60), ("Second", 1)):
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count} {name}{'' if count == 1 else 's'}")
    return " ".join(parts) or "0 Seconds"


def _strftime(pattern: str) -> str:
    return _PATTERN_LETTER.sub(lambda letters: _PATTERN_LETTERS[letters[0]], pattern)
