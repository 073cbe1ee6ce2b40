"""The wheels of the package, which two modules install."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from release.wheels import KEPT, WheelsMissingError, kept_wheels
from tests.infra.availability import unavailable


@pytest.fixture(scope="session")
def dependencies() -> list[Path]:
    """The locked wheels; tests in several processes download them once."""
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return kept_wheels()
        except WheelsMissingError as error:
            unavailable(f"the package's wheels are not in {KEPT}, and pip cannot download them: {error}")
