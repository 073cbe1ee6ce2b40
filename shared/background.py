"""Work that continues although whoever asked for it no longer waits."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Final

_unfinished: Final[set[asyncio.Task[object]]] = set()
"""An event loop keeps no strong reference to its tasks."""


def begun[Value](work: Coroutine[object, object, Value]) -> asyncio.Task[Value]:
    """Begin work that nothing but the end of the app interrupts. Wait for it with a shield, or not at all."""
    task = asyncio.create_task(work)
    _unfinished.add(task)
    task.add_done_callback(_ended)
    return task


def _ended(task: asyncio.Task[object]) -> None:
    _unfinished.discard(task)
    if not task.cancelled():
        task.exception()  # If nobody waits any more, nobody else asks for it.
