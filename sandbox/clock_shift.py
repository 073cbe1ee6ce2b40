"""Lets a Functions host's product live at another time than the machine: leases, back-off and days pass at once.

The product is unchanged: :func:`install` runs in the worker before the app is imported, and replaces the one clock that
the product reads. Sleeping, time limits and other programs' clocks stay as they are.
"""

from __future__ import annotations

import importlib
import os
import struct
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

SETTING = "SANDBOX_CLOCK_SHIFT_FILE"
"""The app setting that names a host's file."""
START_UP = f"{__name__}:install"
"""What the host's option ``--start-up`` takes."""

_SECONDS = struct.Struct("d")


@dataclass(frozen=True)
class ClockShift:
    """How far a host's product is ahead of the machine: a number in a file, which both sides look at."""

    file: Path

    def read_s(self) -> float:
        """Return the seconds that the product is ahead."""
        seconds: float = _SECONDS.unpack(self.file.read_bytes())[0]
        return seconds

    def write_s(self, seconds: float) -> None:
        """Put the product so many seconds ahead, or behind when negative; a file that is there is changed in place."""
        descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(descriptor, _SECONDS.pack(seconds), 0)
        finally:
            os.close(descriptor)


def install() -> None:
    """Shift the clock of the product that is about to be imported by what the file of this host says."""
    clock = importlib.import_module("shared.clock")
    machine_clock = clock.system_clock
    # Open for the life of the worker: the product asks for the time dozens of times in a request.
    descriptor = os.open(os.environ[SETTING], os.O_RDONLY)

    def shifted_clock() -> datetime:
        now: datetime = machine_clock()
        return now + timedelta(seconds=_SECONDS.unpack(os.pread(descriptor, _SECONDS.size, 0))[0])

    setattr(clock, "system_clock", shifted_clock)  # noqa: B010 - mypy takes an assignment for a mistake
