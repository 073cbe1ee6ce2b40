"""The documentation and the queries use the code's names for statuses, phases and the like."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

import pytest

from shared.connections.model import ConnectionStatus, Portal, TicketKind
from shared.tickets.lists import Order, Show, SortColumn
from shared.tickets.model import Phase, Priority
from tests.docs.test_docs import API, EVERYTHING, ROOT

QUERIES = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "infra" / "queries").rglob("*.kql"))
NAMED_STATUS = re.compile(
    r"\bstatus (?:is |becomes |says )?`([a-z_]+)`"  # the status becomes `connected`
    r"|\bconnection (?:is|becomes) `([a-z_]+)`"
    r"|\bstatus\W{1,4}(?:==|!=|in) *\(?\"([a-z_]+)\""  # tostring(entry.status) == "connected"
)


def tables_of(page: Path) -> list[set[str]]:
    """Return the names in the first column of each table of statuses."""
    tables = re.findall(r"^\| status \|.*\n\|[-|]+\n((?:\|.*\n)+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    return [set(re.findall(r"^\| `([a-z_]+)`", table, re.MULTILINE)) for table in tables]


def named_statuses(text: str) -> set[str]:
    return {name for groups in NAMED_STATUS.findall(text) for name in groups if name}


@pytest.mark.parametrize("page", ["api.md", "operations.md"])
def test_each_table_of_statuses_has_every_status_and_no_other(page: str) -> None:
    assert tables_of(ROOT / "docs" / page) == [set(ConnectionStatus)]


def test_every_status_that_a_sentence_or_a_query_names_exists() -> None:
    named = named_statuses(EVERYTHING + QUERIES)
    assert {"connected", "unavailable", "reauthorization_required"} <= named  # they are found
    assert named <= set(ConnectionStatus)


@pytest.mark.parametrize(
    "text",
    [
        "the status is `authorized`",
        "the connection is `ready`",
        'countif(status != "up")',
        'tostring(e.status) == "up"',
    ],
)
def test_a_status_that_does_not_exist_is_found(text: str) -> None:
    assert not named_statuses(text) <= set(ConnectionStatus)


def test_the_api_page_lists_every_phase() -> None:
    sentence = re.search(r"^\*\*Phases\*\*.*?: ((?:`[a-z_]+`,? ?)+)\.", API, re.MULTILINE)
    assert sentence is not None
    assert re.findall(r"`([a-z_]+)`", sentence[1]) == list(Phase)


def test_the_operations_page_names_phases_as_the_pages_do() -> None:
    operations = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    sentence = re.search(r"\*\*The phase\*\* \(([a-z, ]+)\)", operations)
    assert sentence is not None
    assert {name.replace(" ", "_") for name in sentence[1].split(", ")} < set(Phase)


@pytest.mark.parametrize(
    ("parameter", "values"),
    [("kind", TicketKind), ("portal", Portal), ("priority", Priority)],
    ids=lambda each: str(each),
)
def test_the_links_to_the_form_name_every_value(parameter: str, values: type[StrEnum]) -> None:
    row = re.search(rf"^\| `{parameter}` \| (.*?) \|", API, re.MULTILINE)
    assert row is not None
    assert set(re.findall(r"(?:^|, )`([a-z_]+)`", re.sub(r"\([^)]*\)", "", row[1]).replace(" ,", ","))) == set(values)


@pytest.mark.parametrize(("parameter", "values"), [("show", Show), ("sort", SortColumn), ("order", Order)])
def test_the_addresses_of_the_list_name_every_value(parameter: str, values: type[StrEnum]) -> None:
    row = re.search(rf"^\| `{parameter}` \| (.*) \|$", API, re.MULTILINE)
    assert row is not None
    assert set(re.findall(r"`([a-z_]+)`", row[1])) == set(values)
