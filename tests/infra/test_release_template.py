"""The compiled template of a release."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.infra.compiler import REPOSITORY


def test_it_is_what_the_other_tests_look_at(expanded: Path, tmp_path: Path) -> None:
    made = [sys.executable, "-m", "release.template", "--output", str(tmp_path)]
    subprocess.run(made, cwd=REPOSITORY, check=True, capture_output=True)
    assert (tmp_path / "azuredeploy.json").read_bytes() == (expanded / "main.json").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"azuredeploy.json", "azuredeploy.json.sha256"}
