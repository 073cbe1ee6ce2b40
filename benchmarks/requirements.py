"""The installed packages of ``requirements.txt``: those that run in Azure, without the tools."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent


def runtime_packages() -> list[Distribution]:
    """Return the installed packages that ``requirements.txt`` names."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    found = (re.match(r"[A-Za-z0-9._-]+", line) for line in lines)
    return [distribution(name[0]) for name in found if name is not None]


def files_of(package: Distribution) -> Iterator[tuple[str, Path]]:
    """Yield each file of a package, except bytecode and scripts: its path in the packages' folder and its location."""
    for file in package.files or ():
        if file.parts[0] != ".." and file.suffix != ".pyc":
            yield file.as_posix(), Path(str(file.locate()))


@contextmanager
def folder_of(packages: Iterable[Distribution]) -> Iterator[Path]:
    """Yield a folder from which only these packages can be imported, for the duration of the block."""
    with tempfile.TemporaryDirectory(prefix="packages-") as name:
        folder = Path(name)
        for package in packages:
            for top in {place.partition("/")[0] for place, _ in files_of(package)}:
                if not (folder / top).exists():
                    (folder / top).symlink_to(Path(str(package.locate_file(top))).resolve())
        yield folder
