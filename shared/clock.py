"""The time, as a function that can be passed to the code that needs it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

type Clock = Callable[[], datetime]
"""Returns the present time as an aware UTC datetime."""


CLOCKS_DIFFER: Final = timedelta(minutes=1)
"""How much the clocks of the app's instances may differ."""


def believed(stored_at: datetime | None, now: datetime, *, ahead: timedelta = timedelta()) -> datetime | None:
    """Return a stored time, or None if it is too far in the future to be right.

    An instance of the app whose clock was wrong for a while may have written it. The reader must not wait for such a
    time, but continue as if nothing were stored.

    Args:
        stored_at: The stored time, or None.
        now: The present time.
        ahead: How far in the future this time can be when it is written; zero for the time of a past event.
    """
    return None if stored_at is None or stored_at - now > ahead + CLOCKS_DIFFER else stored_at


def system_clock() -> datetime:
    """Return the present time as an aware UTC datetime."""
    return datetime.now(UTC)


def steady_clock_s() -> float:
    """Return the seconds of a monotonic clock; only differences between two readings have a meaning."""
    return time.monotonic()
