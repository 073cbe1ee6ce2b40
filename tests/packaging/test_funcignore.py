"""Every publishing program publishes exactly the product."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from release.core_tools import FuncIgnore, published_files
from tests.packaging.azd import packaged_files

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(
    ("pattern", "path", "taken"),
    [
        pytest.param("tests", "tests/unit/test_a.py", False, id="a folder at the top"),
        pytest.param("tests", "tests-data/a.json", False, id="a prefix ends at any word boundary"),
        pytest.param("test", "tests/a.py", True, id="but not within a word"),
        pytest.param("tests", "shared/tests/a.py", True, id="only at the top"),
        pytest.param("/docs", "docs/a.md", False, id="a leading slash means nothing"),
        pytest.param("docs/", "docs/.a", True, id="a slash at the end needs a word after it"),
        pytest.param("*.md", "README.md", False, id="a star at the top"),
        pytest.param("*.md", "shared/notes.md", True, id="a star does not cross a slash"),
        pytest.param("__pycache__", "shared/__pycache__/a.pyc", True, id="not caches below the top"),
        pytest.param("**/__pycache__", "shared/a/__pycache__/a.pyc", False, id="two stars cross slashes"),
        pytest.param("**/__pycache__", "__pycache__/a.pyc", True, id="but need something before"),
        pytest.param("local.settings", "local.settings.sample.json", False, id="a dot is a boundary"),
        pytest.param("# tests", "tests/a.py", True, id="comment"),
        pytest.param("shared\n!shared/keep", "shared/keep/a.py", True, id="taken back"),
        pytest.param("!shared/keep\nshared", "shared/keep/a.py", True, id="included again, wherever the line is"),
        pytest.param("", "anything", True, id="no pattern"),
    ],
)
def test_patterns_mean_what_core_tools_makes_of_them(pattern: str, path: str, taken: bool) -> None:
    assert FuncIgnore(pattern).takes(path) is taken


@pytest.mark.parametrize(
    ("pattern", "folder", "is_passed_over"),
    [
        pytest.param("/docs", "docs", True, id="its name is the pattern"),
        pytest.param("/docs", "docs/images", True, id="it is in such a folder"),
        pytest.param("/docs", "docs-old", True, id="the pattern ends at a word boundary"),
        pytest.param("*.md", "shared", False, id="only some files in it"),
        pytest.param("/docs/images", "docs", False, id="only a folder in it"),
        pytest.param("docs/", "docs", False, id="files whose names begin with a dot are taken"),
        pytest.param("**/__pycache__", "shared/__pycache__", True, id="anywhere"),
        pytest.param("/docs\n!docs/kept", "docs", False, id="something in it may be included again"),
    ],
)
def test_only_folders_with_nothing_to_publish_are_passed_over(pattern: str, folder: str, is_passed_over: bool) -> None:
    ignore = FuncIgnore(pattern)
    assert ignore.takes_nothing_in(folder) is is_passed_over
    if is_passed_over:
        assert not any(ignore.takes(f"{folder}/{name}") for name in ("a.py", ".a", "-", "deeper/.a"))


@pytest.fixture(scope="module", params=[published_files, packaged_files], ids=["core-tools", "azd"])
def publisher(request: pytest.FixtureRequest) -> Callable[[Path], Iterator[str]]:
    """Says what a program would publish from a folder."""
    files: Callable[[Path], Iterator[str]] = request.param
    return files


@pytest.fixture(scope="module")
def published(publisher: Callable[[Path], Iterator[str]]) -> list[str]:
    """The files that a publish from this folder would include."""
    return list(publisher(ROOT))


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


NEVER_PUBLISHED = (
    ".azure/production/.env",
    ".azure/config.json",
    ".env",
    ".env.local",
    ".env-production",
    ".envrc",
    ".git/config",
    ".vscode/settings.json",
    "authority.pem",
    "local.settings.json",
    "node_modules/left/index.js",
    "shared/.env",
    "shared/.env.local",
    "shared/servicenow/client.pem",
    "shared/web/node_modules/left/index.js",
    "shared/web/__pycache__/pages.pyc",
)


def test_secrets_and_what_tools_leave_are_not_published(
    publisher: Callable[[Path], Iterator[str]], tmp_path: Path
) -> None:
    """Files that an operator's folder may have and this one does not."""
    shutil.copy(ROOT / ".funcignore", tmp_path)
    for path in (*NEVER_PUBLISHED, "function_app.py", "shared/environment.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert list(publisher(tmp_path)) == ["function_app.py", "shared/environment.py"]


def test_azd_lets_azure_install_the_requirements() -> None:
    """Packages built on a person's machine are not the ones that Azure runs."""
    (service,) = yaml.safe_load((ROOT / "azure.yaml").read_text())["services"].values()
    assert service["remoteBuild"] is True
