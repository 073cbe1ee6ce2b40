"""Keeps one worker alive, replaces it after it dies, and enforces function timeouts (Functions host §C5 to §C8)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from sandbox.functions_host.messages import Failed, Index, Invocation, Outcome, WorkerDiedError

log = logging.getLogger("Host.Worker")


class WorkerHandle(Protocol):
    """A worker, in this process or in its own."""

    index: Index

    @property
    def process_id(self) -> int:
        """The process in which the functions run."""

    @property
    def is_dead(self) -> bool:
        """Whether a new worker is needed."""

    async def invoke(self, invocation: Invocation) -> Outcome:
        """Call a function; raise WorkerDiedError if the worker ends first."""

    async def kill(self) -> None:
        """End it; its calls in flight raise WorkerDiedError at once."""

    async def abandon(self) -> None:
        """End it; its calls in flight hang."""

    async def close(self) -> None:
        """End it and release everything."""


@dataclass(frozen=True, slots=True)
class Delays:
    """How long the host takes to deal with a worker; tests shorten these times."""

    kill_after_timeout_s: float = 2.0
    """From ``functionTimeout`` until the host ends the worker."""
    answer_after_kill_s: float = 10.0
    """From then until the caller gets a 500."""
    unnoticed_death_s: float = 0.010
    """How long calls still go to a dead worker and fail."""


class Supervisor:
    """The worker of one host."""

    def __init__(self, start_worker: Callable[[], Awaitable[WorkerHandle]], delays: Delays) -> None:
        self._start_worker = start_worker
        self._function_timeout_s: float | None = None
        self._delays = delays
        self._worker: WorkerHandle | None = None
        self._finished_with: list[WorkerHandle] = []
        self._replacing = asyncio.Lock()
        self._died_at: float | None = None
        self._restart: asyncio.Task[WorkerHandle] | None = None

    async def start(self, function_timeout_s: float | None) -> Index:
        """Start the first worker and return what it indexed."""
        self._function_timeout_s = function_timeout_s
        self._worker = await self._start_worker()
        return self._worker.index

    @property
    def process_id(self) -> int | None:
        """The worker's process."""
        return self._worker.process_id if self._worker is not None else None

    async def invoke(self, invocation: Invocation) -> Outcome:
        """Call a function; a lost worker or a timeout is an outcome, not an exception."""
        if self._is_unnoticed_death():
            return Failed("The worker process has ended.")
        worker = await self._living_worker()
        limit_s = self._function_timeout_s and self._function_timeout_s + self._delays.kill_after_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                return await worker.invoke(invocation)
        except WorkerDiedError:
            self._notice_death()
            return Failed("The worker process ended during the call.")
        except TimeoutError:
            return await self._timed_out(worker)

    async def kill_worker(self) -> None:
        """Make the worker die as in a crash (Functions host §C8)."""
        worker = self._worker
        if worker is not None:
            await worker.kill()
            self._notice_death()

    async def close(self) -> None:
        """End the worker."""
        if self._restart is not None:
            await asyncio.gather(self._restart, return_exceptions=True)
        for worker in (*self._finished_with, self._worker):
            if worker is not None:
                await worker.close()
        self._worker = None

    def _notice_death(self) -> None:
        if self._died_at is None:
            self._died_at = asyncio.get_running_loop().time()
            self._restart = asyncio.create_task(self._living_worker())

    def _is_unnoticed_death(self) -> bool:
        if self._died_at is None:
            return False
        return asyncio.get_running_loop().time() - self._died_at < self._delays.unnoticed_death_s

    async def _living_worker(self) -> WorkerHandle:
        async with self._replacing:
            worker = self._worker
            if worker is None:
                raise RuntimeError("the host has no worker before start or after close")
            if worker.is_dead:
                log.info("Restarting worker process")
                self._finished_with.append(worker)
                self._worker = worker = await self._start_worker()
                self._died_at = None
            return worker

    async def _timed_out(self, worker: WorkerHandle) -> Failed:
        """Replace the worker unless another call's timeout already has; only the first call waits (§C7)."""
        if not worker.is_dead:
            log.error("Timeout value of %s s exceeded by function", self._function_timeout_s)
            await worker.abandon()
            self._restart = asyncio.create_task(self._living_worker())
            await asyncio.sleep(self._delays.answer_after_kill_s)
        return Failed(f"Timeout value of {self._function_timeout_s} s exceeded by function.")
