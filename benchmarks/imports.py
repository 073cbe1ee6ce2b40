"""Cold start: importing ``function_app`` against importing the libraries it needs, in turn, each in a fresh process."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.report import figure

ROOT: Final = Path(__file__).parent.parent
RUNS: Final = 9
LIBRARIES: Final = (
    "azure.functions",
    "azure.identity.aio",
    "azure.keyvault.secrets.aio",
    "azure.data.tables.aio",
    "aiohttp",
    "httpx",
    "jinja2",
    "oauthlib.oauth2",
    "pydantic",
    "stamina",
)
_PROGRAM: Final = "import time; began = time.perf_counter(); import {}; print(time.perf_counter() - began)"


def measure() -> Iterator[str]:
    """Give the lines of the report."""
    libraries, app = [], []
    for run in range(RUNS + 1):
        times = _seconds(", ".join(LIBRARIES)), _seconds("function_app")
        if run:  # the first warms the disk
            libraries.append(times[0])
            app.append(times[1])
    ratio = statistics.median(one / other for one, other in zip(app, libraries, strict=True))
    yield figure("import function_app", f"{statistics.median(app) * 1000:.0f} ms", "")
    yield figure("import of the libraries it needs", f"{statistics.median(libraries) * 1000:.0f} ms", "")
    yield figure("  ratio (median of pairs)", f"{ratio:.2f}", "at most 1.25")


def _seconds(modules: str) -> float:
    command = [sys.executable, "-c", _PROGRAM.format(modules)]
    answer = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return float(answer.stdout)
