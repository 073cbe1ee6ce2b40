"""Gives the product in a Functions host a clock of its own: leases, back-off and days can pass at once.

The product is unchanged: :func:`install` runs in the worker before the app is imported, and replaces the clocks that
the product reads. Sleeping, time limits and other programs' clocks stay as they are.
"""

from __future__ import annotations

import importlib
import os
import struct
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

SETTING = "SANDBOX_CLOCK_SHIFT_FILE"
"""The app setting that names the host's clock file."""
START_UP = f"{__name__}:install"
"""The value for the host's option ``--start-up``."""

_NUMBERS = struct.Struct("dd")


@dataclass(frozen=True)
class ClockShift:
    """The difference between the product's clocks and the machine's: two numbers in a file that both sides read."""

    file: Path

    @classmethod
    def create(cls, file: Path, *, ahead_s: float = 0.0) -> Self:
        """Begin with a clock that is this many seconds ahead; an existing file is changed in place."""
        shift = cls(file)
        shift._write(ahead_s, 0.0)
        return shift

    def set_ahead(self, seconds: float) -> None:
        """Set the clock forward, or back if negative, as an administrator or a time service does."""
        ahead_s, passed_s = _read(self.file.read_bytes())
        self._write(ahead_s + seconds, passed_s)

    def pass_time(self, seconds: float) -> None:
        """Let time pass on both clocks: the wall clock and the monotonic one."""
        ahead_s, passed_s = _read(self.file.read_bytes())
        self._write(ahead_s + seconds, passed_s + seconds)

    def _write(self, ahead_s: float, passed_s: float) -> None:
        descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(descriptor, _NUMBERS.pack(ahead_s, passed_s), 0)
        finally:
            os.close(descriptor)


def install() -> None:
    """Shift the clocks by the numbers in this host's file; call it before the product is imported."""
    clock = importlib.import_module("shared.clock")
    system_clock, steady_clock_s = clock.system_clock, clock.steady_clock_s
    # Open for the life of the worker: the product asks for the time dozens of times in a request.
    descriptor = os.open(os.environ[SETTING], os.O_RDONLY)

    def shifts() -> tuple[float, float]:
        return _read(os.pread(descriptor, _NUMBERS.size, 0))

    def shifted_clock() -> datetime:
        now: datetime = system_clock()
        return now + timedelta(seconds=shifts()[0])

    def shifted_steady_clock_s() -> float:
        now_s: float = steady_clock_s()
        return now_s + shifts()[1]

    setattr(clock, "system_clock", shifted_clock)  # noqa: B010 - mypy takes an assignment for a mistake
    setattr(clock, "steady_clock_s", shifted_steady_clock_s)  # noqa: B010


def _read(content: bytes) -> tuple[float, float]:
    ahead_s, passed_s = _NUMBERS.unpack(content)
    return ahead_s, passed_s
