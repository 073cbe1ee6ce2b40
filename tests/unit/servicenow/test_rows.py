from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.servicenow.table_api import Row


@given(st.text())
def test_half_characters_do_not_come_in(text: str) -> None:
    """ServiceNow cuts texts at a length in UTF-16 units, which can leave half of an emoji."""
    row = Row({"assigned_to": {"value": "x", "display_value": f"{text}\ud83d"}, "number": text})
    assert row.label("assigned_to") == f"{text}?"
    assert row.value("number") == text
    assert row.value("missing") == ""
