"""The time, as a thing that can be given to whoever needs it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

type Clock = Callable[[], datetime]
"""Returns the present time as an aware UTC datetime."""


def system_clock() -> datetime:
    """Return the present time, aware, in UTC."""
    return datetime.now(UTC)
