"""Steps at which the in-memory implementations wait, so that a test can decide what happens in between.

Each of them waits at one step before it acts, and at another before it returns to the caller. By default a step is over
at once. On a :class:`Stage` it lasts until the test ends it: the test chooses the order in which concurrent actors
continue, lets time pass between two steps, or kills an actor at any step.
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
"""Turns of the event loop that an actor needs to reach its next step; the longest chain takes about six."""


async def at_once(name: str) -> None:
    """Give others a turn, without waiting."""
    await asyncio.sleep(0)


@dataclass(frozen=True, eq=False)
class Waiting:
    """An actor that waits at a step."""

    actor: int
    name: str
    go_on: asyncio.Future[None]


@dataclass(eq=False)
class Actor:
    """A started actor and its result."""

    number: int
    name: str
    task: asyncio.Task[Any]


class Stage:
    """Runs actors on its own event loop and stops each of them at every step."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._waiting: list[Waiting] = []
        self._actors: list[Actor] = []
        self._dead: set[int] = set()
        self._closing = False

    async def step(self, name: str) -> None:
        """Wait until the test lets this actor continue."""
        if self._closing:
            raise asyncio.CancelledError
        waiting = Waiting(_actor.get(), name, self._loop.create_future())
        self._waiting.append(waiting)
        await waiting.go_on

    @property
    def waiting(self) -> list[Waiting]:
        """The actors that wait at a step, in order of arrival."""
        return [each for each in self._waiting if each.actor not in self._dead]

    @property
    def living(self) -> list[Actor]:
        """The actors that have neither ended nor been killed."""
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
        """Let an actor continue for some steps, or to its end."""
        for _ in range(steps):
            mine = [each for each in self.waiting if each.actor == actor]
            if not mine:
                return
            self._waiting.remove(mine[0])
            mine[0].go_on.set_result(None)
            self._settle(self._actors[actor])

    def kill(self, actor: Actor) -> None:
        """End an actor as SIGKILL does: it never runs again, not even its handlers or clean-up."""
        self._dead.add(actor.number)

    def cancel(self, actor: Actor) -> None:
        """Cancel an actor as a time limit does: its handlers run."""
        actor.task.cancel()
        self._waiting = [each for each in self._waiting if each.actor != actor.number]
        self._settle(actor)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run something from beginning to end through all its steps."""
        actor = self.start("run", coroutine)
        while not actor.task.done():
            self.go_on(actor.number, 1)
        return actor.task.result()

    def raise_unless(self, expected: tuple[type[BaseException], ...]) -> None:
        """Raise the error that ended an actor, unless it is one of these."""
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
        """Run the loop until the actor waits at a step or has ended."""

        async def turns() -> None:
            for _ in range(_SETTLED_AFTER):
                if actor.task.done() or any(each.actor == actor.number for each in self._waiting):
                    return
                await asyncio.sleep(0)

        self._loop.run_until_complete(turns())
