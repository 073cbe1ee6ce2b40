"""azure-functions-doctor, an independent check of Functions projects, finds nothing wrong before a deployment."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
LOOKED_AT = (".funcignore", "function_app.py", "host.json", "requirements.txt", "shared/triggers")
"""No other file has a function; the doctor takes a second for thirty files."""


def test_functions_are_where_the_doctor_looks() -> None:
    with_functions = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "shared").rglob("*.py")
        if "azure.functions" in path.read_text()
    ]
    assert with_functions
    assert {path for path in with_functions if not path.startswith("shared/triggers/")} == set()


def test_the_doctor_finds_nothing_wrong(tmp_path: Path) -> None:
    for name in LOOKED_AT:  # a copy, because the doctor reads every file it finds, even in .venv
        (tmp_path / name).parent.mkdir(exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name)
        else:
            shutil.copyfile(ROOT / name, tmp_path / name)
    doctor = str(Path(sys.executable).with_name("azure-functions-doctor"))
    command = [doctor, "doctor", "--profile", "deploy", "--format", "json", "--path", str(tmp_path)]
    completed = subprocess.run(command, capture_output=True, text=True, check=False)
    sections = json.loads(completed.stdout)["results"]
    statuses = {item["label"]: item["status"] for section in sections for item in section["items"]}
    assert [label for label, status in statuses.items() if status == "fail"] == []
    assert statuses["Blueprint registration"] == "pass"
    assert statuses["Pinned requirements"] == "pass"
    assert completed.returncode == 0
