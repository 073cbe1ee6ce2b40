"""The directory of connections in real tables: its rows, its cost, and hosts of release 0.1 that run beside it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from azure.core.pipeline.transport import AioHttpTransport
from azure.data.tables import UpdateMode

from shared.connections.customers import Customer, Figures, ListedCustomer
from shared.connections.directory import AT_ONCE, DirectoryEntry, Place, SyncState
from shared.connections.model import ConnectionStatus, Grant
from shared.connections.ports import RowChanged
from shared.errors import RowUnreadable, StorageUnavailable
from shared.maintenance.run import Maintenance
from shared.storage.connections import AzureConnectionStore
from shared.storage.directory import PARTITION, AzureConnectionDirectory
from shared.storage.rows import RowReader
from shared.storage.tables import Tables
from shared.storage.tickets import AzureTicketStore
from shared.tickets.record_effects import with_record
from tests.memory.clock import START, ManualClock
from tests.memory.maintenance import memory_maintenance
from tests.memory.servicenow import MemoryServiceNow
from tests.releases.release_0_1.connection_rows import sync_state_of as state_of_0_1
from tests.releases.stored_rows import read_rows
from tests.unit.connections.surroundings import Surroundings
from tests.unit.tickets.examples import delivered_ticket, new_ticket

LATER = START + timedelta(minutes=5)
FULL = DirectoryEntry(
    connection_id="contoso",
    due_at=LATER,
    served_at=START + timedelta(microseconds=1),
    requested_at=START,
    reminder_seen="3",
    holder="ab" * 16,
    held_until_at=LATER,
    sync=SyncState(
        watermark="2026-03-02 09:00:00",
        watermark_seen_at=START,
        resume_at=Place(("2026-03-02 09:00:00", "0" * 32), 7),
        resume_after_ticket="1" * 32,
        last_started_at=START,
        last_completed_at=START,
        reconciled_at=START,
        reconcile_after="0" * 32,
        reconcile_place=Place(None, 1000),
        read_step=2,
        read_step_at=START,
        reconcile_again_at=LATER,
        instance="https://contoso.service-now.com",
    ),
)


@pytest.fixture
def directory(tables: Tables) -> AzureConnectionDirectory:
    return AzureConnectionDirectory(tables.directory)


@pytest.mark.parametrize("entry", [DirectoryEntry("contoso"), replace(FULL, due_at=None), FULL])
async def test_an_entry_comes_back_as_it_was(directory: AzureConnectionDirectory, entry: DirectoryEntry) -> None:
    assert await directory.get_entry("contoso") == DirectoryEntry("contoso")
    saved = await directory.save_entry(entry)
    assert await directory.get_entry("contoso") == saved == entry
    assert await directory.list_entries() == [entry]
    cleared = await directory.save_entry(replace(DirectoryEntry("contoso", sync=SyncState()), etag=saved.etag))
    assert await directory.get_entry("contoso") == cleared == DirectoryEntry("contoso", sync=SyncState())


async def test_only_one_of_two_changes_wins(directory: AzureConnectionDirectory) -> None:
    saved = await directory.save_entry(FULL)
    await directory.save_entry(replace(saved, reminder_seen="4"))
    with pytest.raises(RowChanged):
        await directory.save_entry(replace(saved, reminder_seen="5"))
    with pytest.raises(RowChanged):
        await directory.save_entry(FULL)
    with pytest.raises(RowChanged):
        await directory.save_entry(replace(saved, connection_id="nobody"))
    assert (await directory.get_entry("contoso")).reminder_seen == "4"


async def test_waking_changes_nothing_else_and_is_noticed(directory: AzureConnectionDirectory) -> None:
    await directory.wake("new")
    assert await directory.get_entry("new") == DirectoryEntry("new", due_at=AT_ONCE)
    saved = await directory.save_entry(FULL)
    await directory.wake("contoso")
    assert await directory.get_entry("contoso") == replace(FULL, due_at=AT_ONCE)
    with pytest.raises(RowChanged):
        await directory.save_entry(saved)
    await directory.wake("contoso", requested_at=LATER)
    assert await directory.get_entry("contoso") == replace(FULL, due_at=AT_ONCE, requested_at=LATER)
    assert [each.connection_id for each in await directory.list_entries()] == ["contoso", "new"]


CUSTOMER = Customer(
    "Contoso 株式会社", "North", True, ConnectionStatus.UNAVAILABLE, Grant.CLIENT_CREDENTIALS, consent_ends_at=LATER
)
FIGURES = Figures(7, 6, 5, 4, 3, 2, 1, last_sync_at=START)


async def test_a_customer_is_what_its_last_turn_or_change_says(
    directory: AzureConnectionDirectory, tables: Tables
) -> None:
    await directory.wake("never-served")
    saved = await directory.save_entry(replace(FULL, customer=CUSTOMER, figures=FIGURES))
    assert await directory.list_customers() == [ListedCustomer("contoso", CUSTOMER, FIGURES)]
    [planned] = [each for each in await directory.list_entries() if each.connection_id == "contoso"]
    assert (planned.customer, planned.figures) == (None, None)
    await directory.save_entry(replace(planned, reminder_seen="8"))
    assert await directory.list_customers() == [ListedCustomer("contoso", CUSTOMER, FIGURES)]
    await directory.wake("contoso", customer=Customer("Fabrikam"))
    await directory.wake("new", customer=Customer("New"))
    assert await directory.list_customers() == [
        ListedCustomer("contoso", Customer("Fabrikam"), FIGURES),
        ListedCustomer("new", Customer("New"), Figures()),
    ]
    assert (await directory.get_entry("contoso")).customer == Customer("Fabrikam")
    assert saved.customer == CUSTOMER
    row = {"PartitionKey": PARTITION, "RowKey": "contoso", "customer": '{"status":"tomorrow","next_member":1}'}
    await tables.directory.update_entity(row, mode=UpdateMode.MERGE)
    [later, _] = await directory.list_customers()
    assert (later.customer.name, later.customer.status) == ("contoso", "tomorrow")


async def test_what_the_next_release_writes_is_kept(directory: AzureConnectionDirectory, tables: Tables) -> None:
    await directory.save_entry(FULL)
    sync = '{"watermark":"2026-03-02 09:00:00","next_member":[1]}'
    row = {"PartitionKey": PARTITION, "RowKey": "contoso", "next_column": "kept", "sync": sync}
    await tables.directory.update_entity(row, mode=UpdateMode.MERGE)
    entry = (await directory.list_entries())[0]
    assert entry.sync is not None
    await directory.save_entry(replace(entry, sync=replace(entry.sync, watermark=None)))
    after = await tables.directory.get_entity(PARTITION, "contoso")
    assert (after["next_column"], after["sync"]) == ("kept", '{"next_member":[1]}')


async def test_an_unreadable_entry_hides_no_other(tables: Tables) -> None:
    reader = RowReader()
    directory = AzureConnectionDirectory(tables.directory, reader)
    for connection_id in ("contoso", "fabrikam"):
        await directory.save_entry(DirectoryEntry(connection_id))
    row = {"PartitionKey": PARTITION, "RowKey": "contoso", "served_at": "nonsense"}
    await tables.directory.update_entity(row, mode=UpdateMode.MERGE)
    assert [each.connection_id for each in await directory.list_entries()] == ["fabrikam"]
    with pytest.raises(RowUnreadable):
        await directory.get_entry("contoso")
    assert [each.row_key for each in reader.unreadable] == ["contoso"]


async def test_a_missing_table_is_reported_as_such(bare_tables: Tables) -> None:
    directory = AzureConnectionDirectory(bare_tables.directory)
    for attempt in (
        directory.list_entries(),
        directory.list_customers(),
        directory.get_entry("contoso"),
        directory.save_entry(DirectoryEntry("contoso")),
        directory.save_entry(DirectoryEntry("contoso", etag="W/\"datetime'2026-03-02T09%3A00%3A00.0000000Z'\"")),
        directory.wake("contoso"),
    ):
        with pytest.raises(StorageUnavailable) as caught:
            await attempt
        assert caught.value.code == "storage_table_missing"


async def test_what_the_tickets_need_is_known_from_one_read(tables: Tables, clock: ManualClock) -> None:
    store = AzureTicketStore(tables.tickets, tables.transactions)
    assert not (await store.get_overview("contoso")).may_have_pending
    await store.create_ticket(new_ticket(START))
    ticket = await store.create_ticket(delivered_ticket(START))
    found = await store.get_overview("contoso")
    assert (found.may_have_pending, found.is_folded, found.has_unlinked) == (True, False, False)
    assert found.summary == await store.get_summary("contoso")
    assert ticket.record is not None
    unlinked = with_record(ticket, replace(ticket.record, correlation_id="TASK-1"), START)
    await store.update_ticket(ticket, unlinked)
    await store.compact_summary("contoso", START)
    found = await store.get_overview("contoso")
    assert (found.may_have_pending, found.is_folded, found.has_unlinked) == (True, True, True)
    summary = await tables.tickets.get_entity("contoso", "summary")
    await tables.tickets.update_entity({**summary, "cells": "nonsense"}, mode=UpdateMode.MERGE)
    assert (await store.get_overview("contoso")).may_have_pending, "counts that cannot be read count as some"


# Cost


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Count the requests that the Azure SDK sends inside the block, by method and table."""
    requests: Counter[str] = Counter()
    send = AioHttpTransport.send

    async def counting(self: AioHttpTransport, request: Any, **options: Any) -> Any:
        requests[f"{request.method} {request.url.partition('?')[0].rpartition('/')[2].partition('(')[0]}"] += 1
        return await send(self, request, **options)

    with monkeypatch.context() as patched:
        patched.setattr(AioHttpTransport, "send", counting)
        yield requests


class World:
    """A connected instance in memory, and its timer on real tables."""

    def __init__(self, tables: Tables, app: Surroundings, **settings: Any) -> None:
        self.app = app
        self.servicenow = MemoryServiceNow(app.clock)
        self.connections = AzureConnectionStore(tables.connections)
        self.directory = AzureConnectionDirectory(tables.directory)
        self.store = AzureTicketStore(tables.tickets, tables.transactions)
        self.maintenance: Maintenance = memory_maintenance(
            connections=self.connections,
            directory=self.directory,
            authorizations=app.authorizations,
            tokens=app.tokens,
            renewal=app.renewal,
            health=replace(app.health, connections=self.connections),
            store=self.store,
            servicenow=self.servicenow,
            clock=app.clock,
            **settings,
        )

    async def minutes_pass(self, minutes: int = 1) -> None:
        for _ in range(minutes):
            self.app.clock.advance(60)
            await self.maintenance.run()


@pytest.fixture
async def world(tables: Tables) -> World:
    app = Surroundings()
    connection = await app.connected()
    world = World(tables, app, SYNC_INTERVAL_S=60)
    await world.connections.create_connection(replace(connection, etag=None))
    return world


async def test_an_idle_synchronisation_is_four_requests(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.minutes_pass(7)  # the connections themselves were listed a minute ago
    for _ in range(4):
        with counted(monkeypatch) as requests:
            await world.minutes_pass()
        assert requests.pop("GET directory") == 1, "planning"
        assert requests == {"PATCH directory": 2, "GET connections": 1, "GET tickets": 1}


async def test_planning_a_thousand_connections(
    tables: Tables, directory: AzureConnectionDirectory, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.minutes_pass(2)
    at = world.app.clock() + timedelta(minutes=4)
    rows = [
        {
            "PartitionKey": PARTITION,
            "RowKey": f"tenant-{number:04}",
            "due_at": at.isoformat(),
            "served_at": START.isoformat(),
            "requested_at": "",
            "status": "connected",
            "pending": 0,
            "failed": 0,
            "holder": "",
            "held_until_at": "",
            "sync": '{"watermark":"2026-03-02 09:00:00","read_step":1}',
        }
        for number in range(999)
    ]
    for start in range(0, len(rows), 100):
        await tables.directory.submit_transaction([("create", row) for row in rows[start : start + 100]])
    began_s = time.process_time()
    with counted(monkeypatch) as requests:
        assert await world.maintenance.planner.due_entries() == []
    spent_s = time.process_time() - began_s
    assert requests.total() <= 5
    assert spent_s < 1.0


# Beside hosts of release 0.1


async def test_states_and_requests_of_release_0_1_are_taken_over_and_given_back(tables: Tables, world: World) -> None:
    """Its hosts continue from their own row, which is recent enough for a rollback."""
    row = next(row for row in read_rows("rows_of_release_0_1.json")["connections"] if row["RowKey"] == "sync")
    await tables.connections.upsert_entity({**row, "PartitionKey": "contoso", "requested_at": START})
    assert await world.connections.list_sync_requests() == {"contoso": START}
    before = await world.connections.get_sync_state("contoso")
    await world.minutes_pass()
    entry = await world.directory.get_entry("contoso")
    assert entry.sync is not None
    assert (entry.sync.watermark, entry.requested_at) == (before.watermark, None)
    assert entry.sync.last_completed_at == world.app.clock()
    assert await world.connections.list_sync_requests() == {}
    ticket = await world.store.create_ticket(delivered_ticket(world.app.clock()))
    assert ticket.record is not None
    world.servicenow.insert(ticket.record)
    world.servicenow.change(ticket.ticket_id, state="2")
    await world.minutes_pass(2)
    entry = await world.directory.get_entry("contoso")
    assert entry.sync is not None
    stored = await tables.connections.get_entity("contoso", "sync")
    assert state_of_0_1(stored).watermark == entry.sync.watermark != before.watermark


async def test_a_synchronisation_of_release_0_1_at_the_same_time_loses_nothing(tables: Tables, world: World) -> None:
    """Both runs end; the other's older result moves no watermark of this release back."""
    ticket = await world.store.create_ticket(delivered_ticket(world.app.clock()))
    assert ticket.record is not None
    world.servicenow.insert(ticket.record)
    await world.minutes_pass(2)
    of_0_1 = await world.connections.get_sync_state("contoso")
    begun = await world.connections.save_sync_state("contoso", replace(of_0_1, last_started_at=world.app.clock()))
    world.servicenow.change(ticket.ticket_id, state="2")
    await world.minutes_pass()
    await _ended(world, replace(begun, watermark=of_0_1.watermark), world.app.clock())
    known = (await world.directory.get_entry("contoso")).sync
    assert known is not None
    await world.minutes_pass(6)
    after = (await world.directory.get_entry("contoso")).sync
    assert after is not None
    assert after.watermark == known.watermark
    stored = await world.store.get_ticket("contoso", ticket.ticket_id)
    assert stored is not None
    assert stored.record == world.servicenow.record(ticket.ticket_id)


async def _ended(world: World, state: SyncState, at: datetime) -> None:
    """Let a host of release 0.1 overwrite the row with the result of its run."""
    stored = await world.connections.get_sync_state("contoso")
    await world.connections.save_sync_state("contoso", replace(state, last_completed_at=at, etag=stored.etag))


async def test_an_instance_that_a_host_of_release_0_1_left_is_left(world: World) -> None:
    await world.minutes_pass(2)
    before = (await world.directory.get_entry("contoso")).sync
    connection = await world.connections.get_connection("contoso")
    assert connection is not None
    await world.connections.save_sync_state(
        "contoso", SyncState(etag=(await world.connections.get_sync_state("contoso")).etag)
    )
    await world.connections.update_connection(replace(connection, instance="https://fabrikam.service-now.com"))
    await world.minutes_pass()
    after = (await world.directory.get_entry("contoso")).sync
    assert before is not None
    assert after is not None
    assert (before.instance, after.instance) == (connection.instance, "https://fabrikam.service-now.com")
    assert connection.status is ConnectionStatus.CONNECTED
