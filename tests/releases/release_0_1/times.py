"""How release 0.1 (commit fdf9399) read stored times. A frozen copy: never change it."""

from __future__ import annotations

from datetime import datetime


def plain_time(value: datetime) -> datetime:
    """Return a stored time as a plain ``datetime``: the SDK's own subclass carries the service's text along."""
    return datetime.combine(value.date(), value.timetz())


def plain_time_or_none(value: datetime | None) -> datetime | None:
    """Return a stored time as a plain ``datetime``, or None."""
    return None if value is None else plain_time(value)
