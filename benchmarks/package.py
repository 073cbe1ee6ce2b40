"""The size of the package of a release."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.report import Figure, at_most
from benchmarks.requirements import ROOT
from release.package import NAME, SITE_PACKAGES, build
from release.wheels import kept_wheels

MB: Final = 1_000_000


def measure() -> Iterator[Figure]:
    """Build the package; measure what is in it, its byte code apart, and the archive."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder, NAME)
        build(ROOT, kept_wheels(), package)
        with zipfile.ZipFile(package) as archive:
            sizes = {Path(each.filename): each.file_size for each in archive.infolist()}
        zipped = package.stat().st_size
    byte_code = sum(size for file, size in sizes.items() if file.suffix == ".pyc")
    connector = sum(
        size for file, size in sizes.items() if file.suffix != ".pyc" and not file.is_relative_to(SITE_PACKAGES)
    )
    yield Figure(
        "package, unpacked without byte code", (sum(sizes.values()) - byte_code) / MB, "MB", digits=1, goal=at_most(65)
    )
    yield Figure("  of that, the connector itself", connector / MB, "MB", digits=1)
    yield Figure("  its byte code", byte_code / MB, "MB", digits=1)
    yield Figure("  the ZIP with both", zipped / MB, "MB", digits=1)
