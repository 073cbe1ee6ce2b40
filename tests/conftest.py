"""What every test can ask for; the fixtures themselves are in ``tests/fixtures``."""

from __future__ import annotations

import os
import sys

from hypothesis import settings

from sandbox.certificates import ensure_certificates

# aiohttp reads the trusted authorities once, when it is imported, as it does in a deployed app at its start.
assert "aiohttp" not in sys.modules, "aiohttp was imported before SSL_CERT_FILE could be set"
os.environ["SSL_CERT_FILE"] = str(ensure_certificates().authority)

# How long one example takes says more about the machine than about the code; a test as a whole has its time limit.
settings.register_profile("project", deadline=None)
settings.load_profile("project")

pytest_plugins = ["tests.fixtures.azure", "tests.fixtures.world", "tests.fixtures.whole_app"]
