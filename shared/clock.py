"""The time, as a thing that can be given to whoever needs it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

type Clock = Callable[[], datetime]
"""Returns the present time as an aware UTC datetime."""


CLOCKS_DIFFER: Final = timedelta(minutes=1)
"""The clocks of the app's instances may differ by so much."""


def believed(stored_at: datetime | None, now: datetime, *, ahead: timedelta = timedelta()) -> datetime | None:
    """Return a stored time, or None when it is further ahead than anybody can have meant.

    An instance of the app whose clock was wrong for a while may have written it. Nobody may wait for such a time to
    come: whoever reads it goes on as if nothing were stored.

    Args:
        stored_at: The time, None when none is stored.
        now: The present time.
        ahead: How far in the future such a time lies at most when it is written; nothing for a time that has passed.
    """
    return None if stored_at is None or stored_at - now > ahead + CLOCKS_DIFFER else stored_at


def system_clock() -> datetime:
    """Return the present time, aware, in UTC."""
    return datetime.now(UTC)


def steady_clock_s() -> float:
    """Return seconds by a clock that nobody sets; only differences between its readings mean anything."""
    return time.monotonic()
