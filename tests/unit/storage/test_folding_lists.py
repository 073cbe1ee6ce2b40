"""Folding the lists: many changes at once, and hosts that die in the middle of it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from azure.data.tables import TransactionOperation

from shared.connections.model import TicketKind
from shared.storage import listed_rows, listed_series, ticket_lists
from shared.storage.entity_transactions import RowOperation
from shared.storage.listed_rows import CHANGE_PREFIX
from shared.storage.ticket_rows import summary_change_row
from shared.storage.tickets import AzureTicketStore
from shared.tickets.counted import OPENED
from shared.tickets.model import Ticket
from shared.tickets.record_effects import delivered, with_record
from shared.tickets.summary import SummaryChange
from tests.memory.clock import START
from tests.memory.servicenow import as_shown
from tests.memory.table import MemoryTable
from tests.unit.tickets.examples import CONNECTION_ID, delivered_ticket, new_ticket, record_for


class HostDied(Exception):
    """Nothing runs after this."""


class Table(MemoryTable):
    """A table whose host dies before a transaction.

    Attributes:
        lives_for: How many transactions it lives for; None for ever.
    """

    lives_for: int | None = None

    async def submit(self, table_name: str, operations: Sequence[RowOperation]) -> Sequence[str | None]:
        """Carry out a transaction."""
        if self.lives_for is not None:
            if not self.lives_for:
                raise HostDied
            self.lives_for -= 1
        return await super().submit(table_name, operations)

    @property
    def changes(self) -> list[str]:
        """The keys of the changes."""
        return [key for _, key in self.rows if key.startswith(CHANGE_PREFIX)]


def store_on(table: MemoryTable) -> AzureTicketStore:
    return AzureTicketStore(table, table)  # type: ignore[arg-type]


def in_state(ticket: Ticket, state: str) -> Ticket:
    assert ticket.record is not None
    record = replace(ticket.record, state=state, mod_count=ticket.record.mod_count + 1)
    return with_record(ticket, as_shown(record), START)


async def current_ids(store: AzureTicketStore) -> list[str]:
    [current] = await store.list_current([CONNECTION_ID])
    return [each.ticket_id for each in current.tickets]


async def with_a_finished_ticket(table: Table, was_current: bool) -> AzureTicketStore:
    """Return a store in which several changes are about a ticket that is closed now."""
    store = store_on(table)
    ticket = await store.create_ticket(new_ticket(START))
    if was_current:
        await store.compact_summary(CONNECTION_ID, START)
    ticket = await store.update_ticket(ticket, delivered(ticket, record_for(ticket), START))
    for state in ("2", "7"):
        ticket = await store.update_ticket(ticket, in_state(ticket, state))
    return store


@pytest.mark.parametrize("was_current", [True, False])
@pytest.mark.parametrize("is_newest_first", [True, False])
async def test_no_finished_ticket_is_current_again_when_hosts_die_while_they_fold(
    was_current: bool, is_newest_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listed_series, "MOST_ROWS", 1)
    for first, second in itertools.product(range(1, 7), range(7)):
        numbers = itertools.count(1000, -1) if is_newest_first else itertools.count(1000)
        monkeypatch.setattr(
            "shared.storage.ticket_writes.secrets.token_hex", lambda size, numbers=numbers: f"{next(numbers):04}"
        )
        table = Table()
        store = await with_a_finished_ticket(table, was_current)
        for table.lives_for in (first, second, None):
            try:
                await store.compact_summary(CONNECTION_ID, START)
            except HostDied:
                pass
            else:
                assert not table.changes
            assert await current_ids(store) == []


async def test_any_number_of_changes_is_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listed_rows, "MOST_ENTRIES", 3)
    monkeypatch.setattr(ticket_lists, "MOVED_TOGETHER", 6)
    table = Table()
    store = store_on(table)
    tickets = [new_ticket(START + timedelta(seconds=number)) for number in range(320)]
    await store.create_tickets(tickets)
    await store.compact_summary(CONNECTION_ID, START)
    assert not table.changes
    assert len(await current_ids(store)) == len(tickets)


async def test_tickets_that_no_release_has_counted_are_counted_while_lists_are_made() -> None:
    table = Table()
    store = store_on(table)
    made = [await store.create_ticket(delivered_ticket(START - timedelta(weeks=week))) for week in range(3)]
    await store.update_ticket(made[0], in_state(made[0], "7"))
    every = await store.get_summary(CONNECTION_ID)
    for stored in table.rows.values():
        stored.pop("counted", None)
    uncounted = SummaryChange({cell: -count for cell, count in every.cells.items() if ":" in cell[1]})
    row = summary_change_row(CONNECTION_ID, "uncounted", uncounted)
    table.apply([RowOperation(TransactionOperation.CREATE, row)])
    assert (await store.get_summary(CONNECTION_ID)).counts_under(OPENED, TicketKind.INCIDENT) == {}
    for _ in range(2):
        while not await store.check_lists(CONNECTION_ID, START):
            pass
        assert (await store.get_summary(CONNECTION_ID)).cells == every.cells
