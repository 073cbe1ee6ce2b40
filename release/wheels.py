"""The wheels that the package holds: for Linux x86-64 and Python 3.13, each with its hash in ``wheels.txt``.

``python -m release.wheels`` renews ``wheels.txt`` after a change of ``requirements.txt``. Review the difference: from
then on nothing but these very files gets into a package.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from release.checksum import sha256

ROOT: Final = Path(__file__).parent.parent
REQUIREMENTS: Final = ROOT / "requirements.txt"
LOCK: Final = Path(__file__).with_name("wheels.txt")
KEPT: Final = ROOT / ".sandbox" / "wheels"
"""Downloaded wheels, for the next build."""
NEWEST_GLIBC: Final = 28
"""Minor version of the newest C library that a wheel may need: 2.28. The system below the app in Azure has 2.36."""

_PLATFORMS: Final = (
    *(f"manylinux_2_{minor}_x86_64" for minor in range(NEWEST_GLIBC, 4, -1)),
    *(f"manylinux{name}_x86_64" for name in ("2014", "2010", "1")),
)
_TARGET: Final = (
    *("--only-binary", ":all:", "--no-deps", "--python-version", "3.13", "--implementation", "cp"),
    *(option for abi in ("cp313", "abi3", "none") for option in ("--abi", abi)),
    *(option for platform in _PLATFORMS for option in ("--platform", platform)),
)


class WheelsMissingError(Exception):
    """pip could not get the wheels; the text is pip's."""


def locked() -> dict[str, str]:
    """Return the digest of each locked wheel by its requirement, such as ``httpx==0.28.1``."""
    return dict(re.findall(r"^(\S+==\S+) --hash=sha256:([0-9a-f]{64})$", LOCK.read_text(), re.MULTILINE))


def kept_wheels() -> list[Path]:
    """Return the locked wheels from the folder where they are kept for the next build.

    Raises:
        WheelsMissingError: pip could not get one, or got one with another hash.
    """
    KEPT.mkdir(parents=True, exist_ok=True)
    return wheels(KEPT)


def wheels(folder: Path) -> list[Path]:
    """Return the locked wheels, sorted by name; pip downloads them unless the folder has them all.

    Raises:
        WheelsMissingError: pip could not get one, or got one with another hash.
    """
    digests = set(locked().values())
    if not digests <= _by_digest(folder).keys():
        _download(folder, "--require-hashes", "--requirement", str(LOCK))
    kept = _by_digest(folder)
    return sorted(kept[digest] for digest in digests)


def renew() -> None:
    """Write ``wheels.txt`` from ``requirements.txt``.

    Raises:
        WheelsMissingError: pip could not get a wheel.
    """
    with tempfile.TemporaryDirectory() as folder:
        _download(Path(folder), "--requirement", str(REQUIREMENTS))
        lines = sorted(_requirement(digest, wheel) for digest, wheel in _by_digest(Path(folder)).items())
    LOCK.write_text(
        '# The wheels of the package, for Linux x86-64 and Python 3.13. Made from requirements.txt by "make lock".\n'
        + "".join(f"{line}\n" for line in lines)
    )


def _by_digest(folder: Path) -> dict[str, Path]:
    return {sha256(wheel): wheel for wheel in folder.glob("*.whl")}


def _requirement(digest: str, wheel: Path) -> str:
    name, version, *_ = wheel.name.split("-")
    return f"{re.sub(r'[-_.]+', '-', name).lower()}=={version} --hash=sha256:{digest}"


def _download(folder: Path, *what: str) -> None:
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet")
    outcome = subprocess.run([*pip, *_TARGET, *what, "--dest", folder], capture_output=True, text=True, check=False)
    if outcome.returncode != 0:
        raise WheelsMissingError(outcome.stderr)


if __name__ == "__main__":
    renew()
