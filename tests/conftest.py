"""Fixtures for every test; their code is in ``tests/fixtures``."""

from __future__ import annotations

import gc
import os
import sys

from hypothesis import settings

from sandbox.certificates import ensure_certificates

# aiohttp reads the trusted authorities once, when it is imported; a deployed app imports it at its start.
assert "aiohttp" not in sys.modules, "aiohttp was imported before SSL_CERT_FILE could be set"
os.environ["SSL_CERT_FILE"] = str(ensure_certificates().authority)

# Without bytecode, every process that a test starts would compile the whole app again, and every run all tests.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# The time of one example depends more on the machine than on the code; the whole test has its own time limit.
settings.register_profile("project", deadline=None)
settings.load_profile("project")


def pytest_xdist_auto_num_workers() -> int:
    """Return how many workers `-n auto` starts: two more than processors, as tests often wait for other processes."""
    return (os.process_cpu_count() or 1) + 2


def pytest_collection_finish() -> None:
    """Look for garbage among what tests make, seldom, and never again among the modules and the tests themselves."""
    gc.freeze()
    gc.set_threshold(20_000, 10, 50)


pytest_plugins = ["tests.fixtures.azure", "tests.fixtures.world", "tests.fixtures.whole_app"]
