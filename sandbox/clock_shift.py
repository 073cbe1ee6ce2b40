"""Lets a Functions host's product live at another time than the machine: leases, back-off and days pass at once.

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
"""The app setting that names a host's file."""
START_UP = f"{__name__}:install"
"""What the host's option ``--start-up`` takes."""

_NUMBERS = struct.Struct("dd")


@dataclass(frozen=True)
class ClockShift:
    """How far a host's product is from the machine's time: two numbers in a file, which both sides look at."""

    file: Path

    @classmethod
    def create(cls, file: Path, *, ahead_s: float = 0.0) -> Self:
        """Begin with a clock that is this many seconds ahead; the file is changed in place when it is there."""
        shift = cls(file)
        shift._write(ahead_s, 0.0)
        return shift

    def set_ahead(self, seconds: float) -> None:
        """Set the clock forward, or back when negative, as whoever corrects a clock does."""
        ahead_s, passed_s = _read(self.file.read_bytes())
        self._write(ahead_s + seconds, passed_s)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, by the clock that can be set and by the one that nobody sets."""
        ahead_s, passed_s = _read(self.file.read_bytes())
        self._write(ahead_s + seconds, passed_s + seconds)

    def _write(self, ahead_s: float, passed_s: float) -> None:
        descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(descriptor, _NUMBERS.pack(ahead_s, passed_s), 0)
        finally:
            os.close(descriptor)


def install() -> None:
    """Shift the clocks of the product that is about to be imported by what the file of this host says."""
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
