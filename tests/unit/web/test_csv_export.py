"""The list of tickets as a file for spreadsheets in every language."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.tickets.views import ticket_view
from shared.web.csv_export import COLUMNS, RECOMMENDATION_COLUMNS, headings, safe_cell, tickets_csv
from shared.web.evidence_csv import EVIDENCE_COLUMNS
from shared.words.language import languages
from tests.english import ENGLISH
from tests.memory.clock import START
from tests.unit.tickets.examples import new_ticket

BLANKS = ' \t\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029\xa0\u3000\u200b\u2066\ufeff\x00"'
STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "﹦", "﹢", "﹣", "﹫")
READERS: list[dict[str, Any]] = [
    {"delimiter": delimiter, "quoting": quoting}
    for delimiter in ",;\t|"
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE)
]
TEXTS = st.text(alphabet=st.sampled_from([*BLANKS, *STARTS, *";,|'ab1"]), max_size=20) | st.text(max_size=20)


def cells_of(content: bytes, reader: dict[str, Any]) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), **reader))


@given(TEXTS, TEXTS)
@example("=cmd|' /C calc'!A0", "+1")
@example('harmless;=HYPERLINK("https://evil.example")', "-1")
@example("harmless\t=1", "harmless|@SUM(1)")
@example('harmless;"=1"', 'x, "y;""=1"""')
@example("line\n=1", 'line\r\n"＝1')
@example("\ufeff=1", "; \u200b+1")
def test_no_spreadsheet_finds_a_formula_wherever_it_splits(name: str, requester: str) -> None:
    view = ticket_view(new_ticket(START), None, START, ENGLISH)
    planted = view.model_copy(update={"name": name, "requester": replace(view.requester, name=requester)})
    content = tickets_csv([planted, planted], {planted.connection_id: requester}, ENGLISH)
    for reader in READERS:
        for row in cells_of(content, reader):
            for cell in row:
                assert not cell.lstrip(BLANKS).startswith(STARTS), (reader, row)
    rows = cells_of(content, READERS[0])
    assert rows[0] == list(COLUMNS)
    assert [len(row) for row in rows] == [len(COLUMNS)] * 3
    shown = rows[1][COLUMNS.index("name")]
    assert shown.replace("'", "") == name.replace("'", "")


@pytest.mark.parametrize(
    "text",
    ["Block legacy authentication", "1 + 1 = 2", "a - b; c", "x@contoso.com", "Ende; nächstes", "'=1", "a;'=1"],
)
def test_an_ordinary_text_stays_as_it_is(text: str) -> None:
    assert safe_cell(text) == text


@given(TEXTS)
def test_a_text_that_was_made_safe_is_left_alone(text: str) -> None:
    assert safe_cell(safe_cell(text)) == safe_cell(text)


@pytest.mark.parametrize("columns", [COLUMNS, RECOMMENDATION_COLUMNS, EVIDENCE_COLUMNS])
def test_english_headings_are_the_names_by_which_programs_read_a_file(columns: tuple[str, ...]) -> None:
    assert tuple(headings(columns, ENGLISH)) == columns


@pytest.mark.parametrize("columns", [COLUMNS, RECOMMENDATION_COLUMNS, EVIDENCE_COLUMNS])
@pytest.mark.parametrize("code", languages())
def test_no_two_columns_have_the_same_heading(columns: tuple[str, ...], code: str) -> None:
    assert len(set(headings(columns, languages()[code]))) == len(columns)
