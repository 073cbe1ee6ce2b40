"""How entries of lists are kept in rows: nothing is lost, whatever fits, and nothing is more than a row holds."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.storage.listed_rows import (
    CHANGE_PREFIX,
    CURRENT_PREFIX,
    FINISHED_PREFIX,
    FORMAT,
    MOST_ENTRIES,
    Entry,
    block_key,
    block_rows,
    change_row,
    entries_of,
    entry_of,
    joined,
    listed_of,
)
from shared.storage.rows import RowReader
from shared.storage.ticket_rows import CHANGING_COLUMNS, ticket_of, ticket_row
from shared.storage.ticket_writes import TicketWrite, transactions_of
from shared.storage.tickets import AzureTicketStore
from shared.tickets.identity import new_ticket_id
from shared.tickets.listed import listed
from shared.tickets.model import Delivery, RecommendationReference, Ticket
from shared.tickets.ports import TicketFilter
from tests.memory.clock import START
from tests.memory.table import MemoryTable
from tests.unit.tickets.examples import CONNECTION_ID, delivered_ticket, new_ticket
from tests.unit.tickets.strategies import tickets


def packed_and_read(entries: list[Entry]) -> list[Entry]:
    return entries_of(change_row(CONNECTION_ID, "0", entries))


@settings(max_examples=20)
@given(st.lists(tickets(), max_size=4))
def test_an_entry_says_what_the_ticket_does(some: list[Ticket]) -> None:
    read = packed_and_read([entry_of(each) for each in some])
    assert [listed_of(each.connection_id, entry) for each, entry in zip(some, read, strict=True)] == list(
        map(listed, some)
    )


@settings(max_examples=40)
@given(tickets().filter(lambda ticket: ticket.record is not None))
def test_a_partly_read_ticket_changes_only_what_can_change(ticket: Ticket) -> None:
    made_id = new_ticket_id(START, CONNECTION_ID)
    ticket = replace(ticket, ticket_id=made_id, delivery=replace(ticket.delivery, status=Delivery.DELIVERED))
    row = {name: value for name, value in ticket_row(ticket).items() if name in CHANGING_COLUMNS}
    part = ticket_of(row, None, is_whole=False)
    old = entry_of(replace(ticket, phase=None, record=None, verification=None))
    new = entry_of(replace(part, revision=1))
    for order in ([old, new], [new, old]):
        [entry] = joined(order).values()
        assert entry == entry_of(replace(ticket_of(ticket_row(ticket), None), revision=1))


entries = st.builds(
    lambda revision, is_whole: (
        entry_of(replace(new_ticket(START, ticket_id="0" * 32), revision=revision))
        if is_whole
        else entry_of(replace(new_ticket(START, ticket_id="0" * 32), revision=revision, is_whole=False))
    ),
    st.integers(0, 5),
    st.booleans(),
)


@given(st.lists(entries, min_size=1, max_size=5), st.randoms())
def test_the_order_and_number_of_joins_do_not_matter(some: list[Entry], randomness: random.Random) -> None:
    expected = joined(some)
    again = [*some, *some]
    randomness.shuffle(again)
    assert joined(again) == joined(expected.values(), some) == expected


def large(number: int) -> Ticket:
    """Return a ticket whose texts are as long as they may be and cannot be compressed well."""
    chosen = random.Random(number)

    def text(length: int) -> str:
        return "".join(chr(chosen.randrange(0x4E00, 0x9FFF)) for _ in range(length))

    references = tuple(RecommendationReference(text(36), "secure_score", text(200)) for _ in range(25))
    ticket = delivered_ticket(START + timedelta(seconds=number), name="😀" * 40 + text(80), references=references)
    assert ticket.record is not None
    record = replace(ticket.record, assigned_to=text(100), assignment_group=text(100), state_label=text(100))
    return replace(ticket, record=record)


def test_the_largest_tickets_fit_into_rows_and_transactions() -> None:
    some = [large(number) for number in range(40)]
    for part in transactions_of(list(map(TicketWrite.of_new, some))):
        assert_fits(change_row(CONNECTION_ID, "0", [write.entry for write in part if write.entry]))
    sorted_entries = sorted(map(entry_of, some))
    rows = block_rows(CONNECTION_ID, CURRENT_PREFIX, "", sorted_entries)
    assert len(rows) > 1
    for row in rows:
        assert_fits(row)
    assert [entry for row in rows for entry in entries_of(row)] == sorted_entries


def assert_fits(row: dict[str, Any]) -> None:
    sizes = [len(value) for value in row.values() if isinstance(value, bytes)]
    assert max(sizes) < 65_536, "what a property can hold"
    assert sum(sizes) < 1_000_000, "what a row can hold"


def test_a_block_is_divided_at_tickets() -> None:
    some = [entry_of(new_ticket(START, ticket_id=f"{number:032x}")) for number in range(MOST_ENTRIES * 3)]
    rows = block_rows(CONNECTION_ID, FINISHED_PREFIX, "", some)
    keys = [row["RowKey"] for row in rows]
    assert keys[0] == FINISHED_PREFIX
    assert all(one < other for one, other in pairwise(keys))
    for row in rows:
        read = entries_of(row)
        assert 0 < len(read) <= MOST_ENTRIES
        assert {block_key(keys, FINISHED_PREFIX, entry.ticket_id) for entry in read} == {row["RowKey"]}
    assert block_key([], FINISHED_PREFIX, "0") == FINISHED_PREFIX


# Rows that cannot be read


@pytest.mark.parametrize("change", [{"format": FORMAT + 1}, {"packed_0": b"nonsense"}, {"chunks": 7}, {"chunks": 0}])
@pytest.mark.parametrize("prefix", [CHANGE_PREFIX, CURRENT_PREFIX, FINISHED_PREFIX])
def test_what_cannot_be_read_is_reported_once_and_made_again(prefix: str, change: dict[str, Any]) -> None:
    asyncio.run(unreadable(prefix, change))


async def unreadable(prefix: str, change: dict[str, Any]) -> None:
    table, reader = MemoryTable(), RowReader()
    store: Any = AzureTicketStore(table, table, reader)  # type: ignore[arg-type]
    states = {CHANGE_PREFIX: "1", CURRENT_PREFIX: "1", FINISHED_PREFIX: "7"}
    made = [await store.create_ticket(delivered_ticket(START, record={"state": states[prefix]})) for _ in range(3)]
    while prefix != CHANGE_PREFIX and not await store.check_lists(CONNECTION_ID, START):
        pass
    await store._lists.fold(CONNECTION_ID) if prefix != CHANGE_PREFIX else None
    for (_, key), row in table.rows.items():
        if key.startswith(prefix):
            row.update(change)
    every = {each.ticket_id: listed(each) for each in made}
    for wanted in (TicketFilter(text="require"), TicketFilter(delivery=Delivery.DELIVERED)):
        found = await store.list_tickets([CONNECTION_ID], wanted, limit=9)
        assert {each.ticket_id for each in found} == set(every), "read from the tickets meanwhile"
    [current] = await store.list_current([CONNECTION_ID])
    assert current.is_complete is (prefix == FINISHED_PREFIX)
    assert {each.ticket_id: each for each in await store.list_every([CONNECTION_ID])} == every
    assert [each.row_key.startswith(prefix) for each in reader.unreadable][:1] == [True]
    for _ in range(2):
        await store.compact_summary(CONNECTION_ID, START)
        while not await store.check_lists(CONNECTION_ID, START):
            pass
    assert {each.ticket_id: each for each in await store.list_every([CONNECTION_ID])} == every
    [current] = await store.list_current([CONNECTION_ID])
    assert current.is_complete
    assert reader.unreadable == ()
