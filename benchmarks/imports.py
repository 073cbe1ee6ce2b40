"""Cold start: compares importing ``function_app`` with importing its libraries, and these with earlier ones.

Each import runs in a fresh process that sees only the packages of ``requirements.txt``: with tools installed, some
libraries load more. The kinds of import take turns. Their processor time is compared, because other work on the machine
affects it least. Everything has its bytecode, and the settings of the sample are set.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution, packages_distributions
from pathlib import Path
from typing import Final

from benchmarks.report import Figure, at_most
from benchmarks.requirements import ROOT, folder_of, runtime_packages

EARLIER_LIBRARIES: Final = Path(__file__).with_name("libraries-of-fdf9399.txt")
_FIND_PACKAGES: Final = "import sys, time; sys.path[:0] = {}; began = time.perf_counter(), time.process_time()"
_TIMED: Final = "import {}; print(time.perf_counter() - began[0], time.process_time() - began[1])"
_LOADED: Final = (
    "import function_app, json; print(json.dumps([name for name, module in sys.modules.items() "
    "if (getattr(module, '__file__', None) or '').startswith({!r})]))"
)


@dataclass(frozen=True, slots=True)
class _Import:
    wall_s: float
    processor_s: float


def measure(runs: int) -> Iterator[Figure]:
    """Import each set of modules a number of times."""
    given_up = _given_up_packages()
    with (
        folder_of([*runtime_packages(), *given_up]) as packages,
        tempfile.TemporaryDirectory(prefix="bytecode-") as bytecode,
    ):
        gone = {top for top in map(_top, earlier_libraries()) if not (packages / top).exists()}
        earlier = [name for name in earlier_libraries() if _top(name) not in gone]
        sets = {"app": ["function_app"], "libraries": _loaded_libraries(packages), "earlier": earlier}
        found: dict[str, list[_Import]] = {name: [] for name in sets}
        for run in range(runs + 1):
            for name, modules in sets.items():
                measured = _import(modules, packages, Path(bytecode))
                if run:  # the first run writes the bytecode
                    found[name].append(measured)
    app, libraries = found["app"], found["libraries"]
    against_libraries, against_earlier = _ratio(app, libraries), _ratio(libraries, found["earlier"])
    yield Figure("import of function_app: time", _wall_ms(app), "ms")
    yield Figure("  processor time", _processor_ms(app), "ms")
    yield Figure("  processor time of the libraries it loads", _processor_ms(libraries), "ms")
    yield Figure("function_app against its libraries", against_libraries, "times", digits=2, goal=at_most(1.25))
    without = f" (without {', '.join(sorted(gone))}, not installed)" if gone else ""
    yield Figure(f"libraries against those of fdf9399{without}", against_earlier, "times", digits=2, goal=at_most(1.15))


def earlier_libraries() -> list[str]:
    """Return the modules that load the libraries of the earlier commit."""
    return [line for line in EARLIER_LIBRARIES.read_text().splitlines() if not line.startswith("#")]


def _given_up_packages() -> list[Distribution]:
    """Return the still installed packages of the earlier commit that are no longer required."""
    installed, required = packages_distributions(), {package.name for package in runtime_packages()}
    names = {name for top in map(_top, earlier_libraries()) for name in installed.get(top, ())}
    return [distribution(name) for name in sorted(names - required)]


def _top(module: str) -> str:
    return module.partition(".")[0]


def _loaded_libraries(packages: Path) -> Sequence[str]:
    loaded: list[str] = json.loads(_run(_LOADED.format(str(packages)), packages, {}))
    return loaded


def _import(modules: Sequence[str], packages: Path, bytecode: Path) -> _Import:
    answer = _run(_TIMED.format(", ".join(modules)), packages, {"PYTHONPYCACHEPREFIX": str(bytecode)})
    return _Import(*map(float, answer.split()))


def _run(program: str, packages: Path, environment: dict[str, str]) -> str:
    settings = json.loads((ROOT / "local.settings.sample.json").read_text())["Values"]
    own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    paths = _FIND_PACKAGES.format([str(ROOT), str(packages)])
    command = [sys.executable, "-S", "-P", "-c", f"{paths}\n{program}"]
    return subprocess.run(command, env=own | settings | environment, check=True, capture_output=True, text=True).stdout


def _wall_ms(imports: Sequence[_Import]) -> float:
    return statistics.median(each.wall_s for each in imports) * 1000


def _processor_ms(imports: Sequence[_Import]) -> float:
    return statistics.median(each.processor_s for each in imports) * 1000


def _ratio(some: Sequence[_Import], others: Sequence[_Import]) -> float:
    """Return the median ratio of imports that ran one after another."""
    return statistics.median(one.processor_s / other.processor_s for one, other in zip(some, others, strict=True))
