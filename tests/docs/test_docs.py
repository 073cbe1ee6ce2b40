"""The documentation describes everything that exists, and nothing else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

import function_app  # noqa: F401 - declares every operation
from shared.error_codes import Code
from shared.settings import SETTING_NAMES
from shared.triggers.routes import operations

ROOT = Path(__file__).parent.parent.parent
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
EVERYTHING = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
API = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
ERROR_CODES = frozenset(get_args(Code.__value__))


def source_trees() -> Iterator[ast.Module]:
    for file in (ROOT / "shared").rglob("*.py"):
        yield ast.parse(file.read_text(encoding="utf-8"))


def log_events() -> set[str]:
    """Return every event name that the source logs."""
    return {
        node.args[0].value
        for tree in source_trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"log_event", "log_bug"}
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    }


@pytest.mark.parametrize("name", SETTING_NAMES)
def test_every_setting(name: str) -> None:
    assert f"`{name}`" in EVERYTHING


@pytest.mark.parametrize("operation", [f"{each.method} /{each.path}" for each in operations()])
def test_every_operation(operation: str) -> None:
    assert f"`{operation}`" in API


def test_no_operation_that_is_not_there() -> None:
    told = set(re.findall(r"^\| `((?:GET|PUT|POST|DELETE) /\S+)`", API, re.MULTILINE))
    assert told == {f"{each.method} /{each.path}" for each in operations()}


@pytest.mark.parametrize("code", sorted(ERROR_CODES))
def test_every_error_code(code: str) -> None:
    assert f"`{code}`" in API


def test_every_log_event() -> None:
    """One test for all: with one for each, every process would parse the whole source before its first test."""
    operations_page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert [event for event in sorted(log_events()) if f"`{event}`" not in operations_page] == []


def test_every_make_target() -> None:
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"run", "test", "check", "bench", "help"} <= set(targets)
    for target in targets:
        assert f"`{target}`" in EVERYTHING or f"make {target}" in EVERYTHING, target


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for path, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8")):
        if "://" not in path:
            target = page.parent / path if path else page
            assert target.exists(), path
            if anchor:
                assert anchor in anchors(target), f"{path}#{anchor}"


def test_the_readme_begins_with_what_it_is_a_picture_and_the_two_commands() -> None:
    beginning = README.read_text(encoding="utf-8")[:1500]
    places = [beginning.find(text) for text in ("recommendations", "![", "make run", "make test")]
    assert -1 not in places
    assert places == sorted(places)
