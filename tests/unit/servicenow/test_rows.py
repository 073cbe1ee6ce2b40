from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.servicenow.table_api import LINE_MAX_LENGTH, Row


@given(st.text())
def test_half_characters_do_not_come_in(text: str) -> None:
    """ServiceNow cuts texts at a number of UTF-16 units, which can leave half an emoji."""
    row = Row({"assigned_to": {"value": "x", "display_value": f"x{text[:150]}\ud83d"}, "number": f"{text}\ud83d"})
    assert row.label("assigned_to").endswith("?")
    assert row.value("number") == f"{text}?"


@given(st.text(max_size=3 * LINE_MAX_LENGTH))
def test_a_line_is_one_line_of_bounded_length_whose_direction_nobody_turns(text: str) -> None:
    row = Row({"state": {"value": text, "display_value": text}})
    assert row.line("state") == row.label("state")
    line = row.label("state")
    assert len(line) <= LINE_MAX_LENGTH
    assert len(line.splitlines()) <= 1
    assert not any(unicodedata.bidirectional(character) in DIRECTIONS for character in line)
    assert not any(unicodedata.category(character) == "Cc" for character in line)


DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@pytest.mark.parametrize("sys_id", ["0a" * 16, "glide.maint"[:5], "A-b_9"])
def test_an_identifier(sys_id: str) -> None:
    assert Row({"sys_id": {"value": sys_id}}).sys_id == sys_id


@pytest.mark.parametrize("sys_id", ["", "a" * 33, "a^ORb", "a,b", "a b", "ä", "0a" * 16 + "\n", None, ["a"]])
def test_what_is_no_identifier(sys_id: object) -> None:
    assert Row({"sys_id": {"value": sys_id}}).sys_id == ""
