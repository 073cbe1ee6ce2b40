"""Taking turns: how many requests, and how many large answers, there are at once.

Each instance has a limit of its own, so that one that hangs holds up nobody but itself. What all instances share is
memory, and of that an instance gets a part only.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Final
from weakref import WeakValueDictionary

from shared.servicenow.bodies import ANSWER_LIMIT

REQUESTS_PER_INSTANCE: Final = 8
LARGE_ANSWERS_PER_INSTANCE: Final = 2
MEMORY_FOR_ANSWERS: Final = 32 * 1024 * 1024
"""Bytes for the large answers that are read and parsed at once, of all instances together."""


class Turns:
    """The limit on requests at once for each instance."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        # An entry lives as long as somebody waits for it or has a turn.
        self._of_instance: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def of(self, origin: str) -> asyncio.Semaphore:
        """Return what to wait for at an instance."""
        turn = self._of_instance.get(origin)
        if turn is None:
            turn = self._of_instance[origin] = asyncio.Semaphore(self._at_once)
        return turn


class RoomForAnswers:
    """Memory for large answers: every one of them may grow to the limit."""

    def __init__(self) -> None:
        self._all = asyncio.Semaphore(MEMORY_FOR_ANSWERS // ANSWER_LIMIT)
        self._turns = Turns(LARGE_ANSWERS_PER_INSTANCE)

    async def take(self, held: AsyncExitStack, origin: str, wait_s: float) -> bool:
        """Take room for an answer until ``held`` closes; False when there was none within the time.

        The instance's own part comes first, so that its answers do not hold what others wait for.
        """
        return await take(held, self._turns.of(origin), wait_s) and await take(held, self._all, wait_s)


async def take(held: AsyncExitStack, turn: asyncio.Semaphore, wait_s: float) -> bool:
    """Take a turn until ``held`` closes; False when none was free within the time."""
    try:
        async with asyncio.timeout(wait_s):
            await held.enter_async_context(turn)
    except TimeoutError:
        return False
    return True
