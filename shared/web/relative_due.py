"""How far away a due date is, in whole days of the connection's time zone."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from shared.words.bidirectional import Words
from shared.words.language import Language


def relative_due(due_at: datetime, now: datetime, time_zone: str, t: Language) -> Words:
    """Return the words for a due date as seen from now, for example "9 days late" or "due tomorrow".

    A ticket is late as soon as its due date is over, on whichever day that is.

    Args:
        time_zone: The connection's, in which a due date ends with its day.
    """
    days = (_day(due_at, time_zone) - _day(now, time_zone)).days
    if due_at < now:
        key = {0: "late_today", -1: "late_day"}.get(days, "late_days")
    else:
        key = {0: "today", 1: "tomorrow"}.get(days, "days")
    return t(f"relative_due.{key}", days=abs(days))


def _day(at: datetime, time_zone: str) -> date:
    try:
        return at.astimezone(ZoneInfo(time_zone)).date()
    except OverflowError:
        return at.astimezone(UTC).date()  # The last day of the calendar may be over sooner in that zone.
