"""Whatever somebody sends, it is read or refused with the reason, within bounds of time and memory."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import ConnectorError, FixRequest
from shared.recommendations.files.compliance_workbook import read_compliance_workbook
from shared.recommendations.files.formats import FileFormat, format_of
from shared.recommendations.files.secure_score_list import read_secure_score_list
from tests.hostile_files import HOSTILE, SHEET, SMALL, edited, parts_of, with_parts

NOW = datetime(2026, 11, 25, tzinfo=UTC)


def read(content: bytes) -> None:
    if format_of(content) is FileFormat.COMPLIANCE_WORKBOOK:
        read_compliance_workbook(content, "t", NOW)
    else:
        read_secure_score_list(content)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_with_the_reason(name: str) -> None:
    content, variant = HOSTILE[name]
    with pytest.raises(FixRequest) as refused:
        read(content)
    assert (refused.value.code, refused.value.status) == ("file_unreadable", 422)
    assert refused.value.values["variant"] == variant


def test_a_small_file_cannot_take_much_memory() -> None:
    """A cell in the last column of the last row, in a sheet that says that it is as large as it can be."""
    far = edited(SHEET, b"<sheetData>", b'<dimension ref="A1:XFD1048576"/><sheetData>')
    sheet = parts_of(far)[SHEET].replace(b"</sheetData>", b'<row r="900"><c r="XFD900"><v>1</v></c></row></sheetData>')
    tracemalloc.start()
    read(with_parts({SHEET: sheet}))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 20_000_000


@given(place=st.integers(0, len(SMALL) - 1), value=st.integers(0, 255))
@settings(max_examples=40)
def test_any_damage_to_the_archive_is_met(place: int, value: int) -> None:
    changed = bytearray(SMALL)
    changed[place] = value
    try:
        read(bytes(changed))
    except ConnectorError as error:
        assert error.code.startswith("file_")


@given(
    part=st.sampled_from(sorted(parts_of())),
    place=st.floats(0, 1, exclude_max=True),
    length=st.integers(0, 40),
    value=st.binary(max_size=8)
    | st.sampled_from([b"<", b'"', b"&x;", b"-1", b"1e999", b"<!--", b"99999999999999999999"]),
)
@settings(max_examples=40)
def test_any_damage_to_a_part_is_met(part: str, place: float, length: int, value: bytes) -> None:
    content = parts_of()[part]
    start = int(place * len(content))
    try:
        read(with_parts({part: content[:start] + value + content[start + length :]}))
    except ConnectorError as error:
        assert error.code.startswith("file_")


@given(
    st.text(alphabet=st.characters(codec="utf-8")) | st.text(alphabet='a",;\t\r\n/0123456789'), st.sampled_from(",;\t")
)
@settings(max_examples=50)
def test_any_text_is_met(text: str, delimiter: str) -> None:
    headings = delimiter.join(("Recommended action", "Points achieved", "Status"))
    for content in (text, f"{headings}\r\n{text}"):
        try:
            read(content.encode())
        except ConnectorError as error:
            assert error.code.startswith("file_")
