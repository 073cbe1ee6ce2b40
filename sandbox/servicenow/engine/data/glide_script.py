"""The server-side functions that an encoded query may call after `javascript:` (ServiceNow §2.3)."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sandbox.servicenow.engine.glide_time import to_glide

PREFIX = "javascript:"
_CALL = re.compile(r"\s*(?:gs\.)(?P<name>\w+)\((?P<arguments>[^()]*)\)\s*;?\s*")
_END_OF_UNIT = timedelta(seconds=1)


class UnknownScriptError(ValueError):
    """The text does not call a known function."""


@dataclass(frozen=True, slots=True)
class ScriptContext:
    """What the functions see: the user, the time, and the time zone in which the user's days begin."""

    now: datetime
    time_zone: ZoneInfo
    user_sys_id: str = ""
    user_name: str = ""

    @classmethod
    def in_utc(cls, now: datetime) -> "ScriptContext":
        """Return the context of the system itself."""
        return cls(now, ZoneInfo("UTC"))

    def evaluate(self, value: str) -> str:
        """Return `value`, or its result if it begins with `javascript:`.

        Date-times come out as stored: UTC text. Raises UnknownScriptError.
        """
        if not value.startswith(PREFIX):
            return value
        call = _CALL.fullmatch(value.removeprefix(PREFIX))
        if call is None:
            raise UnknownScriptError(value)
        try:
            return self._called(call["name"], [argument.strip().strip("'\"") for argument in _split(call["arguments"])])
        except OverflowError as error:
            raise UnknownScriptError(value) from error

    def moment(self, unit: str, count: int) -> str:
        """Return the time that is `count` units (`minutes` to `years`) from now, as stored: UTC text.

        Hours and minutes are elapsed time; days and longer units follow the user's calendar. Raises OverflowError.
        """
        return to_glide(_moved(self.now.astimezone(self.time_zone), unit, count))

    def period(self, unit: str, count: int) -> tuple[str, str]:
        """Return the first and the last second of the unit that is `count` units from now. Raises OverflowError."""
        return self._edge(unit, count, at_end=False), self._edge(unit, count, at_end=True)

    def _called(self, name: str, arguments: list[str]) -> str:
        if name == "getUserID":
            return self.user_sys_id
        if name == "getUserName":
            return self.user_name
        if name == "dateGenerate":
            return self._date_generate(arguments)
        if name in ("now", "nowDateTime", "nowNoTZ"):
            return to_glide(self.now)
        return self._moment(name, arguments)

    def _date_generate(self, arguments: list[str]) -> str:
        if len(arguments) != 2:
            raise UnknownScriptError("dateGenerate takes a date and a time")
        date, time = arguments
        time = {"start": "00:00:00", "end": "23:59:59"}.get(time, time)
        try:
            local = datetime.strptime(f"{date} {time}", "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007  (the zone follows)
        except ValueError as error:
            raise UnknownScriptError(f"{date} {time} is not a date-time") from error
        return to_glide(local.replace(tzinfo=self.time_zone))

    def _moment(self, name: str, arguments: list[str]) -> str:
        if match := re.fullmatch(r"(beginning|end)Of(Yesterday|Today|Tomorrow|(?:This|Last|Next)\w+)", name):
            edge, which = match.groups()
            unit, offset = _NAMED_PERIODS.get(which, (None, 0))
            if unit is not None:
                return self._edge(unit, offset, at_end=edge == "end")
        if match := re.fullmatch(r"(minutes|hours|days|months|quarters|years)Ago(Start|End)?", name):
            unit, edge = match.groups()
            if len(arguments) != 1 or not arguments[0].lstrip("-").isdecimal():
                raise UnknownScriptError(f"{name} takes a number")
            count = int(arguments[0])
            if edge is None:
                return self.moment(unit, -count)
            return self._edge(unit, -count, at_end=edge == "End")
        raise UnknownScriptError(name)

    def _edge(self, unit: str, offset: int, *, at_end: bool) -> str:
        start = _truncated(self.now.astimezone(self.time_zone), unit)
        if at_end:
            return to_glide(_moved(start, unit, offset + 1).astimezone(UTC) - _END_OF_UNIT)
        return to_glide(_moved(start, unit, offset))


_NAMED_PERIODS: dict[str, tuple[str, int]] = {"Yesterday": ("days", -1), "Today": ("days", 0), "Tomorrow": ("days", 1)}
_NAMED_PERIODS |= {
    f"{which}{period}": (f"{period.lower()}s", offset)
    for period in ("Minute", "Hour", "Week", "Month", "Quarter", "Year")
    for which, offset in (("Last", -1), ("This", 0), ("Next", 1))
}

_TRUNCATIONS: Mapping[str, Callable[[datetime], datetime]] = {
    "minutes": lambda at: at.replace(second=0),
    "hours": lambda at: at.replace(minute=0, second=0),
    "days": lambda at: at.replace(hour=0, minute=0, second=0),
    "weeks": lambda at: at.replace(hour=0, minute=0, second=0) - timedelta(days=at.weekday()),
    "months": lambda at: at.replace(day=1, hour=0, minute=0, second=0),
    "quarters": lambda at: at.replace(month=(at.month - 1) // 3 * 3 + 1, day=1, hour=0, minute=0, second=0),
    "years": lambda at: at.replace(month=1, day=1, hour=0, minute=0, second=0),
}
_MONTHS = {"months": 1, "quarters": 3, "years": 12}


def _truncated(local: datetime, unit: str) -> datetime:
    return _TRUNCATIONS[unit](local.replace(microsecond=0))


def _moved(local: datetime, unit: str, count: int) -> datetime:
    """Move a zoned time. Hours and minutes are elapsed time; days and longer units follow the calendar."""
    if unit in ("minutes", "hours"):
        return (local.astimezone(UTC) + timedelta(**{unit: count})).astimezone(local.tzinfo)
    if unit in ("days", "weeks"):
        return local + timedelta(**{unit: count})
    month = local.year * 12 + local.month - 1 + count * _MONTHS[unit]
    if not 12 <= month < 12 * 9999:
        raise OverflowError("outside the calendar")
    first = local.replace(year=month // 12, month=month % 12 + 1, day=1)
    last_day = (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    return first.replace(day=min(local.day, last_day.day))


def _split(arguments: str) -> list[str]:
    return [argument for argument in arguments.split(",") if argument.strip()]
