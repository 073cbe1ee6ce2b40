"""Queues: how many requests, and how many large answers, there are at once.

Each queue has its own limit, so that an instance or tenant that hangs holds up only itself. All queues share memory,
and each gets only a part of it.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Final
from weakref import WeakValueDictionary

from shared.outbound.bodies import ANSWER_LIMIT

LARGE_ANSWERS_PER_QUEUE: Final = 2
MEMORY_FOR_ANSWERS: Final = 32 * 1024 * 1024
"""Bytes for large answers that are read and parsed at once, in all queues together."""


class Queues:
    """The limit on how much each queue does at once."""

    def __init__(self) -> None:
        # An entry lives as long as somebody is waiting in it or has a turn.
        self._of_queue: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def of(self, queue: str, at_once: int) -> asyncio.Semaphore:
        """Return what to wait for in a queue in which ``at_once`` have their turn at the same time."""
        turn = self._of_queue.get(queue)
        if turn is None:
            turn = self._of_queue[queue] = asyncio.Semaphore(at_once)
        return turn


class RoomForAnswers:
    """Memory for large answers: each of them may grow to the limit."""

    def __init__(self) -> None:
        self._all = asyncio.Semaphore(MEMORY_FOR_ANSWERS // ANSWER_LIMIT)
        self._queues = Queues()

    async def take(self, held: AsyncExitStack, queue: str, wait_s: float) -> bool:
        """Take room for an answer until ``held`` closes; False when there was none within the time.

        It takes the queue's own part first, so that the queue's answers do not hold what others wait for.
        """
        own = self._queues.of(queue, LARGE_ANSWERS_PER_QUEUE)
        return await take(held, own, wait_s) and await take(held, self._all, wait_s)


async def take(held: AsyncExitStack, turn: asyncio.Semaphore, wait_s: float) -> bool:
    """Take a turn until ``held`` closes; False when none was free within the time."""
    try:
        async with asyncio.timeout(wait_s):
            await held.enter_async_context(turn)
    except TimeoutError:
        return False
    return True
