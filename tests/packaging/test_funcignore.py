"""Exactly the product is published."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.packaging.core_tools import FuncIgnore, published_files

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(
    ("pattern", "path", "taken"),
    [
        pytest.param("tests", "tests/unit/test_a.py", False, id="a folder at the top"),
        pytest.param("tests", "tests-data/a.json", False, id="a prefix ends at any word boundary"),
        pytest.param("test", "tests/a.py", True, id="but not within a word"),
        pytest.param("tests", "shared/tests/a.py", True, id="only at the top"),
        pytest.param("/docs", "docs/a.md", False, id="a leading slash means nothing"),
        pytest.param("docs/", "docs/.a", True, id="a slash at the end wants a word after it"),
        pytest.param("*.md", "README.md", False, id="a star at the top"),
        pytest.param("*.md", "shared/notes.md", True, id="a star does not cross a slash"),
        pytest.param("__pycache__", "shared/__pycache__/a.pyc", True, id="caches below the top are not meant"),
        pytest.param("**/__pycache__", "shared/a/__pycache__/a.pyc", False, id="two stars cross slashes"),
        pytest.param("**/__pycache__", "__pycache__/a.pyc", True, id="but want something before"),
        pytest.param("local.settings", "local.settings.sample.json", False, id="a dot is a boundary"),
        pytest.param("# tests", "tests/a.py", True, id="comment"),
        pytest.param("shared\n!shared/keep", "shared/keep/a.py", True, id="taken back"),
        pytest.param("!shared/keep\nshared", "shared/keep/a.py", True, id="taken back wherever the line stands"),
        pytest.param("", "anything", True, id="no pattern"),
    ],
)
def test_patterns_mean_what_core_tools_makes_of_them(pattern: str, path: str, taken: bool) -> None:
    assert FuncIgnore(pattern).takes(path) is taken


@pytest.fixture(scope="module")
def published() -> list[str]:
    """The files that a publish from this folder would take."""
    return list(published_files(ROOT))


def test_exactly_the_product_is_published(published: list[str]) -> None:
    top = {path.partition("/")[0] for path in published}
    assert top == {"function_app.py", "host.json", "requirements.txt", "shared"}


def test_all_of_the_product_is_published(published: list[str]) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "--", "shared", "function_app.py", "host.json", "requirements.txt"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert set(tracked) <= set(published)


def test_nothing_made_by_running_the_product_is_published(published: list[str]) -> None:
    assert [path for path in published if "__pycache__" in path or path.endswith((".pyc", ".log"))] == []
