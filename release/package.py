"""Build the package that Azure installs as it is, without a build there: ``python -m release.package``.

It holds what any other way of publishing takes (``.funcignore`` says what), the dependencies where the Functions host
looks for them (Flex Consumption §D6), and byte code. The same commit, Python release and zlib always give the same
bytes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from release.checksum import write_checksum
from release.core_tools import published_files
from release.wheels import ROOT, WheelsMissingError, kept_wheels

NAME: Final = "released-package.zip"
"""The name that Azure's documentation asks for, though others are known to work (Flex Consumption §D5)."""
SITE_PACKAGES: Final = Path(".python_packages", "lib", "site-packages")
PYTHON: Final = (3, 13)
"""The app's version in Azure: byte code of another is of no use there."""

_BYTE_CODE: Final = Path(__file__).with_name("byte_code.py")
_LONG_AGO: Final = (1980, 1, 1, 0, 0, 0)
_UNIX: Final = 3
_READABLE_FILE: Final = 0o100644 << 16


def build(product: Path, dependencies: Sequence[Path], package: Path) -> None:
    """Write a package.

    Args:
        product: The folder with ``function_app.py`` and ``.funcignore``.
        dependencies: Wheels.
        package: The ZIP to write.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for path in published_files(product):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes((product / path).read_bytes())
        for wheel in dependencies:
            _unpack(wheel, folder / SITE_PACKAGES)
        subprocess.run([sys.executable, "-I", "-S", _BYTE_CODE, folder], check=True)
        _zip(folder, package)


def _unpack(wheel: Path, site_packages: Path) -> None:
    """Unpack a wheel whose files all belong into the folder for packages, as pip would install it."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if ".data/" in name:
                raise SystemExit(f"{wheel.name} installs {name} outside the folder for packages: handle it here.")
            if (site_packages / name).is_file():
                raise SystemExit(f"{wheel.name} replaces {name} of another wheel.")
        archive.extractall(site_packages)


def _zip(folder: Path, package: Path) -> None:
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), _LONG_AGO)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = _UNIX
            entry.external_attr = _READABLE_FILE
            archive.writestr(entry, file.read_bytes())


def main() -> None:
    """Build the package of this folder and write its checksum beside it."""
    parser = argparse.ArgumentParser(prog="python -m release.package", description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "build", help="folder for the package")
    output: Path = parser.parse_args().output
    if sys.version_info[:2] != PYTHON:
        raise SystemExit(f"The package needs byte code of Python {PYTHON[0]}.{PYTHON[1]}: build it with that version.")
    output.mkdir(parents=True, exist_ok=True)
    try:
        dependencies = kept_wheels()
    except WheelsMissingError as error:
        raise SystemExit(f"The wheels of the package could not be downloaded.\n{error}") from None
    package = output / NAME
    build(ROOT, dependencies, package)
    checksum = write_checksum(package)
    print(f"{package} ({package.stat().st_size / 1e6:.1f} MB), {checksum}")


if __name__ == "__main__":
    main()
