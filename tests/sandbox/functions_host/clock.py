"""A clock that moves only when a test moves it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

_TURNS = 200
"""Turns of the event loop in which everything happens that needs no time to pass."""


class ManualClock:
    """A clock for timers; see `sandbox.functions_host.clock.Clock`."""

    pace = 1.0

    def __init__(self, now: datetime = datetime(2026, 1, 5, 12, 0, 30, tzinfo=UTC)) -> None:
        self._now = now
        self._sleepers: list[tuple[datetime, asyncio.Event]] = []

    def now(self) -> datetime:
        """Return the time."""
        return self._now

    async def sleep_until(self, at: datetime) -> None:
        """Wait until that time."""
        if at <= self._now:
            return
        woken = asyncio.Event()
        self._sleepers.append((at, woken))
        await woken.wait()

    async def settle(self) -> None:
        """Let everything happen that is due."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    async def advance(self, by_s: float) -> None:
        """Move on, stopping at each time that something waits for."""
        end = self._now + timedelta(seconds=by_s)
        await self.settle()
        while due := sorted(
            (sleeper for sleeper in self._sleepers if sleeper[0] <= end), key=lambda sleeper: sleeper[0]
        ):
            self._now = max(self._now, due[0][0])
            self._sleepers.remove(due[0])
            due[0][1].set()
            await self.settle()
        self._now = end
        await self.settle()
