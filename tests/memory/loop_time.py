"""The time of an event loop, which passes without anybody waiting for it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest


class LoopTime:
    """Moves the clock of the running event loop, by which sleeps and timeouts end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ahead_s = 0.0
        self._monkeypatch = monkeypatch
        self._loop: Any = asyncio.get_running_loop()
        self._real_time = self._loop.time
        monkeypatch.setattr(self._loop, "time", lambda: self._real_time() + self._ahead_s)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._ahead_s += seconds

    def pass_while_all_wait(self) -> None:
        """From now on, let time pass to the next timer at once whenever nothing else can happen.

        So a limit of a minute ends in no time, and however slow the machine is, only what really hangs reaches it.
        Work takes no time at all, so what begins together has its limit together.
        Only for tests without sockets and threads: whoever waits for those seems to hang.
        """
        began_s = self._real_time()
        self._real_time = lambda: began_s
        select = self._loop._selector.select

        def select_at_once(timeout: float | None = None) -> Any:
            if timeout is None or timeout <= 0:
                return select(timeout)
            ready = select(0)
            if not ready:
                self.advance(timeout)
            return ready

        self._monkeypatch.setattr(self._loop._selector, "select", select_at_once)
