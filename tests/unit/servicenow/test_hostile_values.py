"""Rules, imports and people may put anything into a field of an instance. This must affect only that record."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.connections.directory import Place
from shared.servicenow.records import FIELDS, MOD_COUNT_MAX, record_of
from shared.servicenow.table_api import Row
from shared.storage.ticket_rows import ticket_of, ticket_row
from shared.tickets.reach import Reach
from shared.tickets.record_effects import delivered
from shared.web.html import last_day
from tests.unit.servicenow.support import (
    CONNECTION,
    NOW,
    Reply,
    cell,
    instance,
    json_reply,
    raw_reply,
    record_cells,
    ticket,
)

DIGITS = "9" * 5_000
TEXT_PROPERTY_UTF16_UNITS = 32_768
EARLIEST = datetime(1601, 1, 1, tzinfo=UTC)
"""The limit of Table Storage."""

hostile_texts = st.one_of(
    st.text(),
    st.sampled_from(
        [
            DIGITS,
            "-1",
            "٣",
            "²",
            "x" * 40_000,
            "😀" * 20_000,
            "\ud83d" * 40_000,
            "\x00\x1f",
            "\u202emoorb",
            "2026-02-30 10:00:00",
            "9999-12-31 23:59:59",
            "0001-01-01 00:00:00",
            "1600-01-01 00:00:00",
            "2026-03-01T10:00:00+14:00",
            "２０２６-03-01 10:00:00",
            "2026-03-01 10:00:00\n",
        ]
    ),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | hostile_texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["value", "display_value", "link"]) | st.text(max_size=3), inner)
    ),
    max_leaves=5,
)
cells = st.fixed_dictionaries(
    {},
    optional={
        name: st.one_of(
            json_values,
            st.fixed_dictionaries({"value": hostile_texts, "display_value": hostile_texts}),
            st.just(record_cells()[name]),
        )
        for name in FIELDS
    },
)


def is_storable(value: object) -> bool:
    match value:
        case bool():
            return True
        case int():
            return 0 <= value < 2**31
        case str():
            return len(value.encode("utf-16-le")) // 2 <= TEXT_PROPERTY_UTF16_UNITS
        case datetime():
            return value >= EARLIEST
    return False


@given(cells)
@example({"sys_id": cell("0a" * 16), "sys_mod_count": cell(DIGITS)})
@example({"sys_id": cell("0a" * 16), "sys_updated_on": cell("2026-13-01 00:00:00")})
@example({"sys_id": cell("0a" * 16), "due_date": cell("9999-12-31 23:59:59")})
def test_any_answer_gives_a_record_that_a_row_can_hold_or_none(cells: dict[str, Any]) -> None:
    record = record_of(Row(json.loads(json.dumps(cells))), "task")
    if record is None:
        assert Row(cells).sys_id == ""
        return
    stored = ticket_row(delivered(ticket(), record, NOW))
    assert all(is_storable(value) for value in stored.values()), stored
    assert ticket_of(stored, None).record is not None
    assert record.updated_at_text == "" or re.fullmatch(r"[0-9-]{10} [0-9:]{8}", record.updated_at_text)
    assert len(record.number) <= 200
    assert len(record.state) <= 200


@pytest.mark.parametrize(
    ("text", "count"),
    [("7", 7), ("", 0), (DIGITS, 0), ("-1", 0), ("²", 0), ("3000000000", MOD_COUNT_MAX), ("1,024", 0)],
)
def test_counts(text: str, count: int) -> None:
    record = record_of(Row(record_cells(sys_mod_count=text)), "task")
    assert record is not None
    assert record.mod_count == count


def test_a_last_day_that_is_over_only_after_the_calendar() -> None:
    end = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert last_day(end, "Asia/Tokyo") is None
    assert last_day(end, "UTC") == "9999-12-31"


def page(*rows: object, total: str | None = None) -> Reply:
    return json_reply({"result": list(rows)}, 200, {} if total is None else {"X-Total-Count": total})


async def changes(*replies: Reply, page_size: int = 10) -> tuple[list[str], bool]:
    found = (
        await instance(*replies)
        .client()
        .records.list_changes(
            CONNECTION, since=None, inclusive=True, until=None, place=Place(), reach=Reach(page_size, counted=False)
        )
    )
    return [record.sys_id for record in found.records], found.next is not None


async def test_a_count_of_thousands_of_digits_is_no_count() -> None:
    assert await changes(page(record_cells(1), total=DIGITS)) == ([f"{1:032x}"], True)


async def test_a_number_of_thousands_of_digits_spoils_no_other_record() -> None:
    body = json.dumps({"result": [record_cells(1), record_cells(2)]})
    wrong = body.replace('"display_value": "3", "value": "3"', f'"display_value": {DIGITS}, "value": {DIGITS}', 1)
    assert DIGITS in wrong
    found, _ = await changes(raw_reply(wrong.encode(), content_type="application/json"))
    assert found == [f"{1:032x}", f"{2:032x}"]


async def test_numbers_of_a_typed_answer_are_read() -> None:
    typed = {**record_cells(1), "sys_mod_count": {"display_value": "3", "value": 3}}
    records = await instance(page(typed)).client().records.list_by_sys_id(CONNECTION, [f"{1:032x}"])
    assert [record.mod_count for record in records] == [3]


@pytest.mark.parametrize("reply", ["2026", DIGITS, "Mon, 01 Jan 2020 00:00:00 +99999999999999999999"])
async def test_the_date_of_an_answer_is_not_believed_blindly(reply: str) -> None:
    peer = instance(raw_reply(b"{}", 401, "application/json", {"Date": reply}))
    greeting = await peer.client().probe.greet("https://contoso.service-now.com")
    assert greeting.ahead_s is None


async def test_a_limit_of_thousands_of_digits_is_no_limit() -> None:
    peer = instance(json_reply({"result": []}, 200, {"X-RateLimit-Limit": DIGITS}))
    assert (await peer.client().probe.rate_limit(CONNECTION)).per_hour is None


@pytest.mark.parametrize("wrong", ["2026-02-30 10:00:00", "soon", "1969-12-31 23:59:59", DIGITS, "\x00"])
async def test_a_record_without_a_time_is_shown_but_is_no_place_to_go_on_from(wrong: str) -> None:
    """Wherever the instance's order puts it, the records behind it are reached."""
    bad, good = record_cells(2, sys_updated_on=wrong), record_cells(1)
    for rows in ([bad, good], [good, bad]):
        assert sorted((await changes(page(*rows)))[0]) == [f"{1:032x}", f"{2:032x}"]
    peer = instance(page(bad, total="3"), page(good, record_cells(3), total="3"))
    client = peer.client()
    read = partial(client.records.list_changes, CONNECTION, since=None, inclusive=True, until=None, reach=Reach(1))
    first = await read(place=Place())
    assert ([record.updated_at_text for record in first.records], first.next) == ([""], Place(None, 1))
    assert first.next is not None
    second = await read(place=first.next)
    assert [record.updated_at_text for record in second.records] == ["2026-03-01 10:00:00"]
    assert second.next == Place(("2026-03-01 10:00:00", f"{1:032x}"))
    assert peer.parameters()["sysparm_offset"] == "1"


@pytest.mark.parametrize("wrong", ["x" * 10_000, "a^NQactive=true", "0a\n"])
async def test_a_record_that_does_not_say_which_one_it_is_is_left_out(wrong: str) -> None:
    bad = record_cells(2, sys_id=wrong)
    assert await changes(page(record_cells(1), bad, record_cells(3))) == ([f"{1:032x}", f"{3:032x}"], True)
