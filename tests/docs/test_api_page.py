"""``docs/api.md`` agrees with the operations: it has exactly their codes and statuses, and mentions every page."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

import function_app  # noqa: F401 - declares every operation
from sandbox.openapi_file import FILE, openapi_text
from shared.triggers.answers import ProblemView
from shared.triggers.openapi import problems_of
from shared.triggers.routes import operations
from shared.words.language import languages
from tests.docs.test_docs import API, ERROR_CODES, EVERYTHING, PAGES
from tests.registered import functions

ROW = re.compile(r"^\| (?P<codes>`[a-z_`, ]+`) \| (?P<status>[0-9, ]+) \|", re.MULTILINE)
CODES = re.compile(r"^\| (`[a-z_`, ]+`) \|", re.MULTILINE)
FAULTS = API[API.index("### Faults") : API.index("### The request")]
PROBLEMS = API[API.index("## Problems") : API.index("## Pages")].replace(FAULTS, "")


def declared() -> dict[str, set[int]]:
    """Return the statuses that operations declare for each code."""
    found: dict[str, set[int]] = defaultdict(set)
    for operation in operations():
        for status, codes in problems_of(operation).items():
            for code in codes:
                found[code].add(status)
    return found


def told() -> dict[str, set[int]]:
    """Return the statuses that the page gives for each code, if any."""
    return {
        code: {int(status) for status in row["status"].split(", ")}
        for row in ROW.finditer(PROBLEMS)
        for code in re.findall(r"`([a-z_]+)`", row["codes"])
    }


def test_no_code_that_is_not_there() -> None:
    listed = {code for codes in CODES.findall(PROBLEMS) for code in re.findall(r"`([a-z_]+)`", codes)}
    assert listed - ERROR_CODES == set()


def test_every_fault_is_listed() -> None:
    told_of = set(re.findall(r"`([a-z_]+)`", FAULTS[FAULTS.index("|---|") :]))
    worded = {key.removeprefix("fault.code.") for key in languages()["en"].texts if key.startswith("fault.code.")}
    assert worded <= told_of
    assert told_of - worded == {"ticket_ids", "filter"}, "members of a request"


def test_every_declared_code_is_listed() -> None:
    assert set(declared()) - set(re.findall(r"`([a-z_]+)`", PROBLEMS)) == set()


def test_every_declared_code_is_one_that_the_source_gives() -> None:
    assert set(declared()) - ERROR_CODES == set()


@pytest.mark.parametrize("code", sorted(told().keys() & declared().keys()))
def test_each_status(code: str) -> None:
    assert told()[code] == declared()[code]


def test_statuses_are_found() -> None:
    assert {"invalid_json", "delivery_refused", "authorization_wrong_user"} <= told().keys()


def test_every_page_is_mentioned() -> None:
    routes = {
        "/" + route.strip("/")
        for function in functions()
        if (route := getattr(function.get_trigger(), "route", None)) is not None and not route.startswith("api/")
    }
    missing = {route for route in routes if f"`{route}`" not in EVERYTHING and f"`GET {route}`" not in EVERYTHING}
    assert not missing, f"name these pages in docs/: {sorted(missing)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_anchors_exist(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        text = (page.parent / target if target else page).read_text(encoding="utf-8")
        headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        anchors = {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
        assert anchor in anchors, f"{target}#{anchor}"


def test_the_openapi_file_is_current() -> None:
    assert FILE.read_text(encoding="utf-8") == openapi_text(), "run `make openapi` (python -m sandbox.openapi_file)"


@pytest.mark.parametrize("member", sorted(ProblemView.__required_keys__ | ProblemView.__optional_keys__))
def test_every_member_of_a_problem_is_mentioned(member: str) -> None:
    assert f"`{member}`" in PROBLEMS
