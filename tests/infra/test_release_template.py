"""The compiled template of a release."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path

from release.bicep import TEMPLATES
from tests.infra.compiler import REPOSITORY


def make(output: Path, compiler: Path) -> subprocess.CompletedProcess[str]:
    """Run the command with a stand-in for the compiler."""
    return subprocess.run(
        [sys.executable, "-m", "release.template", "--output", str(output)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "BICEP": str(compiler)},
    )


def program(place: Path, command: str) -> Path:
    """Write a program of one command."""
    place.write_text(f"#!/bin/sh\n{command}\n")
    place.chmod(stat.S_IRWXU)
    return place


def test_it_is_made_from_the_main_template_with_a_checksum(tmp_path: Path) -> None:
    """The other tests look at what the same function makes with the real compiler."""
    made = make(tmp_path / "build", program(tmp_path / "bicep", '[ "$1 $3" = "build --outfile" ] && cp "$2" "$4"'))
    assert made.returncode == 0, made.stderr
    template = (tmp_path / "build" / "azuredeploy.json").read_bytes()
    assert template == (TEMPLATES / "main.bicep").read_bytes()
    checksum = (tmp_path / "build" / "azuredeploy.json.sha256").read_text()
    assert checksum == f"{hashlib.sha256(template).hexdigest()}  azuredeploy.json\n"


def test_what_does_not_compile_is_no_release(tmp_path: Path) -> None:
    made = make(tmp_path / "build", program(tmp_path / "bicep", "echo 'Error BCP018' >&2; exit 1"))
    assert (made.returncode, made.stderr) == (1, "Error BCP018\n\n")
    assert list((tmp_path / "build").iterdir()) == []
