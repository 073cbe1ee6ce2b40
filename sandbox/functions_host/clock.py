"""The host's clock, by which timers fire and queues are polled."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """A clock that tests can replace, so that they need not wait.

    Attributes:
        pace: How many of its seconds pass in one second of the machine.
    """

    pace: float

    def now(self) -> datetime:
        """Return the aware time in UTC."""

    async def sleep_until(self, at: datetime) -> None:
        """Return at that time or just after it."""


class SystemClock:
    """The machine's clock, or one that runs faster."""

    def __init__(self, pace: float = 1.0) -> None:
        self.pace = pace
        self._began_at = datetime.now(UTC)

    def now(self) -> datetime:
        """See `Clock.now`."""
        return self._began_at + (datetime.now(UTC) - self._began_at) * self.pace

    async def sleep_until(self, at: datetime) -> None:
        """See `Clock.sleep_until`."""
        while (left_s := (at - self.now()).total_seconds()) > 0:  # noqa: ASYNC110 - the loop's own clock may run ahead
            await asyncio.sleep(left_s / self.pace)


async def sleep(clock: Clock, seconds: float) -> None:
    """Wait for some of the clock's seconds."""
    await clock.sleep_until(clock.now() + timedelta(seconds=seconds))
