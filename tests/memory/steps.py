"""Where the in-memory implementations wait, so that a test can decide what happens in between.

Each of them awaits a step before it does something and another one before the caller hears of it. By default a step
is over at once. On a :class:`Stage` it lasts until the test lets it go: the test chooses the order in which concurrent
actors go on, lets time pass between two steps, or kills an actor at any of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

type Step = Callable[[str], Awaitable[None]]

_actor: ContextVar[int] = ContextVar("actor")
_SETTLED_AFTER = 10
"""Turns of the event loop after which an actor has come to a step again; the longest chain takes about six."""


async def at_once(name: str) -> None:
    """Do not wait, but let others have a turn."""
    await asyncio.sleep(0)


@dataclass(frozen=True, eq=False)
class Waiting:
    """An actor that waits at a step."""

    actor: int
    name: str
    go_on: asyncio.Future[None]


@dataclass(eq=False)
class Actor:
    """Something that was started, with what became of it."""

    number: int
    name: str
    task: asyncio.Task[Any]


class Stage:
    """Runs actors on an event loop of its own and stops each of them at every step."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._waiting: list[Waiting] = []
        self._actors: list[Actor] = []
        self._dead: set[int] = set()
        self._closing = False

    async def step(self, name: str) -> None:
        """Wait until the test lets this actor go on."""
        if self._closing:
            raise asyncio.CancelledError
        waiting = Waiting(_actor.get(), name, self._loop.create_future())
        self._waiting.append(waiting)
        await waiting.go_on

    @property
    def waiting(self) -> list[Waiting]:
        """Who waits at a step, in the order of arrival."""
        return [each for each in self._waiting if each.actor not in self._dead]

    @property
    def living(self) -> list[Actor]:
        """Actors that have neither come to their end nor been killed."""
        return [each for each in self._actors if each.number not in self._dead and not each.task.done()]

    def start(self, name: str, coroutine: Coroutine[Any, Any, Any]) -> Actor:
        """Start an actor; it runs up to its first step."""
        number = len(self._actors)

        async def act() -> Any:
            _actor.set(number)
            return await coroutine

        actor = Actor(number, name, self._loop.create_task(act()))
        self._actors.append(actor)
        self._settle(actor)
        return actor

    def go_on(self, actor: int, steps: int) -> None:
        """Let an actor go on for a number of steps, or to its end."""
        for _ in range(steps):
            mine = [each for each in self.waiting if each.actor == actor]
            if not mine:
                return
            self._waiting.remove(mine[0])
            mine[0].go_on.set_result(None)
            self._settle(self._actors[actor])

    def kill(self, actor: Actor) -> None:
        """End an actor as SIGKILL does: nothing of it ever runs again, no handler and no clean-up."""
        self._dead.add(actor.number)

    def cancel(self, actor: Actor) -> None:
        """Cut an actor off as a time limit does: its handlers run."""
        actor.task.cancel()
        self._waiting = [each for each in self._waiting if each.actor != actor.number]
        self._settle(actor)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run something from beginning to end, letting go every step it comes to."""
        actor = self.start("run", coroutine)
        while not actor.task.done():
            self.go_on(actor.number, 1)
        return actor.task.result()

    def raise_unless(self, expected: tuple[type[BaseException], ...]) -> None:
        """Raise what an actor came to its end by, unless it is one of these errors."""
        for actor in self._actors:
            if actor.task.done() and not actor.task.cancelled():
                error = actor.task.exception()
                if error is not None and not isinstance(error, expected):
                    raise error

    def close(self) -> None:
        """End everything."""
        self._closing = True
        for actor in self._actors:
            actor.task.cancel()
        self._loop.run_until_complete(asyncio.gather(*(actor.task for actor in self._actors), return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def _settle(self, actor: Actor) -> None:
        """Run the loop until the actor waits at a step or has come to its end."""

        async def turns() -> None:
            for _ in range(_SETTLED_AFTER):
                if actor.task.done() or any(each.actor == actor.number for each in self._waiting):
                    return
                await asyncio.sleep(0)

        self._loop.run_until_complete(turns())
