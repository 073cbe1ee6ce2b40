"""The files and folders that documents name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
TOP = "shared|sandbox|tests|benchmarks|infra|release|docs"
NAMED = re.compile(rf"`((?:(?:{TOP})/[\w./-]*)|[\w-]+\.(?:py|json|txt|toml|md|yaml))`")
MADE_LATER = {"local.settings.json", "my-role.json", "azuredeploy.json"}
"""Files that the reader or a release creates."""


def is_there(page: Path, name: str) -> bool:
    """Say whether a file exists: from the top, beside the page, or, without a folder, anywhere in the code."""
    if (ROOT / name).exists() or (page.parent / name).exists():
        return True
    return "/" not in name and any(
        any((ROOT / folder).rglob(name)) for folder in ("shared", "sandbox", "tests", "infra")
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_named_file_exists(page: Path) -> None:
    named = set(NAMED.findall(page.read_text(encoding="utf-8"))) - MADE_LATER
    assert {name for name in named if not is_there(page, name)} == set()


def test_names_are_found() -> None:
    found = set(NAMED.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")))
    assert {"shared/settings.py", "shared/web/templates/", "function_app.py"} <= found


@pytest.mark.parametrize("name", ["shared/nothing.py", "docs/nothing/", "nothing.py"])
def test_a_file_that_is_not_there_is_found(name: str) -> None:
    assert NAMED.findall(f"`{name}`") == [name]
    assert not is_there(ROOT / "README.md", name)


def test_each_recipe_has_few_steps() -> None:
    recipes = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Recipes")[2].partition("\n## ")[0]
    steps = [len(re.findall(r"^\d\. ", recipe, re.MULTILINE)) for recipe in recipes.split("\n### ")[1:]]
    assert len(steps) >= 7
    assert all(1 < number <= 5 for number in steps)
