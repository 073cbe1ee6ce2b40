"""Fires a timer on its schedule, on one of the hosts that share a storage (Functions host §5)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo

from sandbox.functions_host.clock import Clock
from sandbox.functions_host.functions import TimerFunction
from sandbox.functions_host.messages import TimerInput
from sandbox.functions_host.storage import (
    Storage,
    read,
    release_lease,
    take_lease,
    timer_lock_name,
    timer_status_name,
)

log = logging.getLogger("Host.Triggers.Timer")

LEASE = timedelta(seconds=60)
"""How long a lock outlives its holder, and how often the others look for it (Functions host §T14, §T15)."""

NEVER = datetime.min.replace(tzinfo=UTC)
"""``Last`` of a timer that has never run (Functions host §T8)."""

_AFTER_A_LONG_RUN = timedelta(milliseconds=10)


class _LockLostError(Exception):
    """Another host holds the lock."""


class TimerListener:
    """One timer of one host: waits for its lock, then fires."""

    def __init__(
        self,
        function: TimerFunction,
        fire: Callable[[TimerInput], Awaitable[object]],
        *,
        storage: Storage,
        host_id: str,
        holder: str,
        clock: Clock,
        zone: tzinfo = UTC,
        lease: timedelta = LEASE,
    ) -> None:
        self._function = function
        self._name = function.metadata.name
        self._fire = fire
        self._storage = storage
        self._lock = timer_lock_name(host_id, function.metadata.name)
        self._status = timer_status_name(host_id, function.metadata.name)
        self._holder = holder
        self._clock = clock
        self._zone = zone
        self._lease = lease

    async def run(self) -> None:
        """Listen until cancelled; of the hosts that share a storage, only the one with the lock fires the timer.

        Without storage the timer does not run, but the host still serves requests (Functions host §T18).
        """
        try:
            while True:
                try:
                    await self._listen_while_locked()
                except* OSError:
                    log.exception("The listener for function '%s' was unable to start", self._name)
                await self._clock.sleep_until(self._clock.now() + self._lease)
        finally:
            with contextlib.suppress(OSError):  # then the lease runs out by itself
                release_lease(self._storage, self._lock, self._holder, self._clock.now())

    def current_status(self) -> Mapping[str, str] | None:
        """Return the stored status; None without a monitor."""
        return read(self._storage, self._status) if self._has_monitor() else None

    async def _listen_while_locked(self) -> None:
        if not self._take_lock():
            return
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen())
                tasks.create_task(self._keep_lock())
        except* _LockLostError:
            log.warning("The lock of function '%s' was lost", self._name)

    async def _keep_lock(self) -> None:
        while True:
            await self._clock.sleep_until(self._clock.now() + self._lease / 2)
            if not self._take_lock():
                raise _LockLostError

    def _take_lock(self) -> bool:
        return take_lease(self._storage, self._lock, self._holder, self._clock.now(), self._lease)

    async def _listen(self) -> None:
        started_at = self._clock.now()
        due_at = self._function.schedule.next_after(started_at, self._zone)
        if self._has_monitor() and self._is_past_due(started_at):
            due_at = await self._run_once(is_past_due=True)
        elif self._function.run_on_startup:
            due_at = await self._run_once(is_past_due=False)
        while due_at is not None:
            await self._clock.sleep_until(due_at)
            due_at = await self._run_once(is_past_due=False)

    async def _run_once(self, *, is_past_due: bool) -> datetime | None:
        """Run, then return when to run again: at once if the run outlasted the schedule. Runs never overlap (§T12)."""
        began_at = self._clock.now()
        status = self.current_status()
        await self._fire(TimerInput(is_past_due, status))
        next_at = self._function.schedule.next_after(began_at, self._zone)
        now = self._clock.now()
        if self._has_monitor():
            self._write_status(began_at, next_at, now)
        return next_at if next_at is None or next_at > now else now + _AFTER_A_LONG_RUN

    def _has_monitor(self) -> bool:
        if not self._function.use_monitor:
            return False
        return not self._function.schedule.is_under_a_minute(self._clock.now(), self._zone)

    def _is_past_due(self, now: datetime) -> bool:
        """Say whether a run was missed; a new timer or a changed schedule has no history (§T8, §T10)."""
        status = self.current_status()
        last = datetime.fromisoformat(status["Last"]) if status else NEVER
        if status is not None and last > NEVER:
            expected = self._function.schedule.next_after(last, self._zone)
            if expected is not None and status["Next"] == expected.isoformat():
                return expected < now
        self._write_status(NEVER, self._function.schedule.next_after(now, self._zone), now)
        return False

    def _write_status(self, last: datetime, next_at: datetime | None, now: datetime) -> None:
        status = {
            "Last": last.isoformat(),
            "Next": (next_at or NEVER).isoformat(),
            "LastUpdated": now.isoformat(),
        }
        self._storage.update(self._status, lambda _old: status)
