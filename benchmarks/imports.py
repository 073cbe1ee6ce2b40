"""Cold start: importing ``function_app`` against importing the libraries it needs, in turn, each in a fresh process.

All have their bytecode, as libraries always have once they are installed; what the app takes longer where its own
cannot be kept is told besides.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.report import figure

ROOT: Final = Path(__file__).parent.parent
RUNS: Final = 15
LIBRARIES: Final = (
    "azure.functions",
    "azure.identity.aio",
    "azure.keyvault.secrets.aio",
    "azure.data.tables.aio",
    "aiohttp",
    "httpx",
    "jinja2",
    "pydantic.main",  # pydantic itself loads its parts when they are first used
    "pydantic.json_schema",
    "stamina",
)
_PROGRAM: Final = "import time; began = time.perf_counter(); import {}; print(time.perf_counter() - began)"


def measure() -> Iterator[str]:
    """Give the lines of the report."""
    libraries, app, app_from_source = [], [], []
    with tempfile.TemporaryDirectory(prefix="bytecode-") as bytecode:
        for run in range(RUNS + 1):
            times = _seconds(", ".join(LIBRARIES), bytecode), _seconds("function_app", bytecode)
            for folder in ("shared", "function_app*"):
                for place in Path(bytecode, *ROOT.parts[1:]).glob(folder):
                    shutil.rmtree(place) if place.is_dir() else place.unlink()
            time_from_source = _seconds("function_app", bytecode)
            if run:  # the first warms the disk
                libraries.append(times[0])
                app.append(times[1])
                app_from_source.append(time_from_source)
    ratio = statistics.median(one / other for one, other in zip(app, libraries, strict=True))
    yield figure("import function_app", f"{statistics.median(app) * 1000:.0f} ms", "")
    yield figure("import of the libraries it needs", f"{statistics.median(libraries) * 1000:.0f} ms", "")
    yield figure("  ratio (median of pairs)", f"{ratio:.2f}", "at most 1.25")
    from_source = f"{statistics.median(app_from_source) * 1000:.0f} ms"
    yield figure("import function_app without its own bytecode", from_source, "")


def _seconds(modules: str, bytecode: str) -> float:
    command = [sys.executable, "-c", _PROGRAM.format(modules)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = bytecode
    answer = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    return float(answer.stdout)
