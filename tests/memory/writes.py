"""Writes to the in-memory stores whose real ones recognise their own write when it is repeated."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.errors import StorageUnavailable
from tests.memory.steps import Step
from tests.memory.ticket_store import WriteFault


class Writes:
    """Waits at the steps of each write and lets it meet the faults that a test has planned.

    Attributes:
        faults: Faults for the next writes, one each. :attr:`WriteFault.REPEATED` is noticed by nobody here.
    """

    def __init__(self, step: Step) -> None:
        self._step = step
        self.faults: deque[WriteFault] = deque()

    @asynccontextmanager
    async def write(self, name: str) -> AsyncIterator[None]:
        """Carry out the write in the block, and lose its answer if that is its fault."""
        await self._step(name)
        fault = self.faults.popleft() if self.faults else None
        if fault is WriteFault.NOT_CARRIED_OUT:
            raise StorageUnavailable()
        yield
        await self._step(f"{name} answers")
        if fault is WriteFault.ANSWER_LOST:
            raise StorageUnavailable()
