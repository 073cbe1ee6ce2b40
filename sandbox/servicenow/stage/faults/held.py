"""Requests that the instance carries out after their answer was lost."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from sandbox.clock import Clock


class HeldRequests:
    """Waiting requests, by the instance's clock.

    One that is due runs before the next request of any kind: nobody can see that it did not run earlier, except by
    its time stamps.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: list[tuple[datetime, Callable[[], Awaitable[object]]]] = []

    def add(self, after_s: float, run: Callable[[], Awaitable[object]]) -> None:
        """Let `run` wait for `after_s` seconds."""
        self._waiting.append((self._clock.now() + timedelta(seconds=after_s), run))

    async def run_due(self) -> None:
        """Carry out the requests whose time has come, the earliest first."""
        now = self._clock.now()
        due = sorted((held for held in self._waiting if held[0] <= now), key=lambda held: held[0])
        self._waiting = [held for held in self._waiting if held[0] > now]
        for _, run in due:
            await run()

    def clear(self) -> None:
        """Forget the waiting requests: they are never carried out."""
        self._waiting.clear()
