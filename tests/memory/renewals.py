"""Renewals of leases and turns that happen when the test lets time pass."""

from __future__ import annotations

import asyncio

from shared.connections.held_lease import RENEW_EVERY_S
from shared.errors import StorageUnavailable
from tests.memory.clock import ManualClock


class Renewals:
    """A clock, and pauses between renewals that end as it moves on.

    Attributes:
        storage_answers: Whether a store that calls :meth:`step` answers.
    """

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.storage_answers = True
        self._paused: list[asyncio.Event] = []

    def seconds(self) -> float:
        """Return the clock's time in seconds."""
        return self.clock.now.timestamp()

    async def step(self, name: str) -> None:
        """Take a step of a store in memory. Raises StorageUnavailable while storage does not answer."""
        if not self.storage_answers:
            raise StorageUnavailable()

    async def pause(self, seconds: float) -> None:
        """Wait until the test lets the time between two renewals pass."""
        assert seconds == RENEW_EVERY_S
        self._paused.append(asyncio.Event())
        await self._paused[-1].wait()

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, with all renewals."""
        for _ in range(int(seconds / RENEW_EVERY_S)):
            self.clock.advance(RENEW_EVERY_S)
            paused, self._paused = self._paused, []
            for each in paused:
                each.set()
            for _ in range(5):
                await asyncio.sleep(0)
