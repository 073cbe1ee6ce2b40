"""The size of the package: the published files, and the packages that the remote build installs."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.report import Figure, at_most
from benchmarks.requirements import ROOT, files_of, runtime_packages
from release.core_tools import published_files

INSTALLED_IN: Final = ".python_packages/lib/site-packages"
MB: Final = 1_000_000


def measure() -> Iterator[Figure]:
    """Measure the unpacked package without bytecode, and as an archive."""
    files = {place: ROOT / place for place in published_files(ROOT)}
    app = sum(file.stat().st_size for file in files.values())
    for package in runtime_packages():
        files |= {f"{INSTALLED_IN}/{place}": file for place, file in files_of(package)}
    yield Figure(
        "package, unpacked", sum(file.stat().st_size for file in files.values()) / MB, "MB", digits=1, goal=at_most(65)
    )
    yield Figure("  of that, the connector itself", app / MB, "MB", digits=1)
    yield Figure("  as a zip archive", _zipped_size(files) / MB, "MB", digits=1)


def _zipped_size(files: dict[str, Path]) -> int:
    with tempfile.TemporaryFile() as archive:
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:
            for place, file in files.items():
                writer.write(file, place)
        return archive.tell()
