"""The page about the host names only existing tests."""

from __future__ import annotations

import re
from pathlib import Path

from sandbox.functions_host.__main__ import arguments
from tests.sandbox.functions_host.apps import write_app

PAGE = Path(__file__).parents[3] / "docs" / "functions-host.md"
LINES_OF_THE_LIST = 21


def test_every_line_of_the_list_names_its_tests() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| .+ \| (`test_\w+`(?:, `test_\w+`)*) \|$", text, re.MULTILINE)
    assert len(rows) == LINES_OF_THE_LIST
    known = {
        name
        for file in Path(__file__).parent.glob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    named = {name for row in rows for name in re.findall(r"\w+", row)}
    assert named <= known


def test_every_option_is_explained(tmp_path: Path) -> None:
    options = vars(arguments(["--app", str(write_app(tmp_path, ""))]))
    explained = set(re.findall(r"^\| `--([a-z-]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert explained == {name.replace("_", "-") for name in options}
