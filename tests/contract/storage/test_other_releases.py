"""Rows of other releases in real tables: unknown columns survive this release's writes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from azure.data.tables import UpdateMode

from shared.connections.model import TicketKind
from shared.errors import RowUnreadable
from shared.storage.connections import AzureConnectionStore
from shared.storage.rows import RowReader
from shared.storage.tables import Tables
from shared.storage.ticket_rows import pending_key
from shared.storage.tickets import AzureTicketStore
from shared.tickets.deliver import begin_attempt
from shared.tickets.model import Delivery, DeliveryProgress, Phase
from shared.tickets.ports import TicketFilter
from tests.memory.clock import START, ManualClock
from tests.releases.stored_rows import of_the_next_release, read_rows

ROWS = read_rows("rows_of_release_0_1.json")
NEXT = "of_the_next_release"


@pytest.fixture
def reader(clock: ManualClock) -> RowReader:
    return RowReader(clock)


@pytest.fixture
async def connections(tables: Tables, reader: RowReader) -> AzureConnectionStore:
    for row in ROWS["connections"]:
        await tables.connections.create_entity(of_the_next_release(row))
    return AzureConnectionStore(tables.connections, reader)


@pytest.fixture
async def tickets(tables: Tables, reader: RowReader) -> AzureTicketStore:
    """Tickets as release 0.1 wrote them, each with a column of the next one."""
    for row in ROWS["tickets"]:
        await tables.tickets.create_entity({**row, NEXT: "kept"})
    return AzureTicketStore(tables.tickets, tables.transactions, reader)


async def test_a_changed_connection_keeps_what_it_is_not_asked_about(
    connections: AzureConnectionStore, tables: Tables
) -> None:
    before = await tables.connections.get_entity("contoso", "connection")
    for connection in await connections.list_connections():
        await connections.update_connection(replace(connection, time_zone="Europe/Berlin", last_error=None))
    after = await tables.connections.get_entity("contoso", "connection")
    kept = {name: value for name, value in before.items() if not name.startswith("error_")}
    for row in (kept, after):
        row["kinds"] = json.loads(row["kinds"])
        row["portals"] = json.loads(row["portals"])
    new = {
        "outcome_notes": "work_note",
        "outcome_policies": "{}",
        "fixed_fields": "{}",
        "grant": "authorization_code",
        "shares_requester": True,
        "language": "en",
    }
    assert after == {**new, **kept, "time_zone": "Europe/Berlin"}
    state = await connections.get_sync_state("contoso")
    await connections.save_sync_state("contoso", replace(state, requested_at=None))
    row = await tables.connections.get_entity("contoso", "sync")
    assert row[NEXT] == "kept"
    assert "requested_at" not in row


async def test_a_changed_ticket_keeps_what_it_is_not_asked_about(tickets: AzureTicketStore, tables: Tables) -> None:
    listed = await tickets.list_tickets(["contoso"], TicketFilter(), limit=50)
    assert len(listed) == 5
    merged = [await tickets.update_ticket(ticket, begin_attempt(ticket, START)) for ticket in listed]
    replaced = [replace(ticket, delivery=replace(ticket.delivery, leased_until_at=None)) for ticket in merged]
    assert await tickets.update_tickets(list(zip(merged, replaced, strict=True))) == []
    for ticket in listed:
        row = await tables.tickets.get_entity("contoso", ticket.ticket_id)
        assert row[NEXT] == "kept"
        assert "leased_until_at" not in row


async def test_a_ticket_that_was_read_in_part_keeps_the_rest(tickets: AzureTicketStore, tables: Tables) -> None:
    parts = [ticket async for page in tickets.scan_tickets("contoso") for ticket in page if not ticket.is_whole]
    assert parts
    for part in parts:
        before = await tables.tickets.get_entity("contoso", part.ticket_id)
        assert part.record is not None
        record = replace(part.record, state="7", state_label="Closed", assigned_to="Beth")
        merged = await tickets.update_ticket(part, replace(part, record=record))
        replaced = replace(merged, record=replace(record, assigned_to=None))
        assert await tickets.update_tickets([(merged, replaced)]) == []
        row = await tables.tickets.get_entity("contoso", part.ticket_id)
        before.pop("assigned_to", None)
        own = {"revision": 2, "counted": row.get("counted")}
        assert row == {**before, "state": "7", "state_label": "Closed", **own}


async def test_a_ticket_whose_rest_makes_no_sense_holds_up_no_other(tickets: AzureTicketStore, tables: Tables) -> None:
    parts = [ticket async for page in tickets.scan_tickets("contoso") for ticket in page if not ticket.is_whole]
    row = await tables.tickets.get_entity("contoso", parts[0].ticket_id)
    await broken(tables.tickets, row, delivered_at="nonsense")
    parts = [ticket async for page in tickets.scan_tickets("contoso") for ticket in page if not ticket.is_whole]
    changes = [(part, replace(part, record=replace(part.record, state_label=None))) for part in parts if part.record]
    assert len(changes) > 1
    assert await tickets.update_tickets(changes) == []
    stored = await tables.tickets.get_entity("contoso", parts[0].ticket_id)
    assert stored == {**row, "delivered_at": "nonsense", "counted": stored.get("counted")}
    assert "state_label" not in await tables.tickets.get_entity("contoso", parts[1].ticket_id)


async def test_folding_keeps_what_the_next_release_counts(tickets: AzureTicketStore, tables: Tables) -> None:
    counted = await tickets.get_summary("contoso")
    ticket = (await tickets.list_tickets(["contoso"], TicketFilter(delivery=Delivery.PENDING), limit=1))[0]
    await tickets.update_ticket(ticket, replace(ticket, phase=Phase.NEW))
    await tickets.compact_summary("contoso", START)
    rows = [row async for row in tables.tickets.query_entities("RowKey ge 'summary' and RowKey lt 'summary~'")]
    assert [row.get(NEXT) for row in rows] == ["kept", "kept"], "its own change is folded, the other one is left"
    after = await tickets.get_summary("contoso")
    assert after.phase_counts(TicketKind.INCIDENT)[Phase.NEW] + after.phase_counts(TicketKind.CHANGE)[Phase.NEW] == 1
    assert after.total(Delivery.PENDING) == counted.total(Delivery.PENDING) - 1


async def broken(tables: Any, row: Any, **columns: Any) -> None:
    await tables.update_entity(
        {"PartitionKey": row["PartitionKey"], "RowKey": row["RowKey"], **columns}, mode=UpdateMode.MERGE
    )


async def test_an_unreadable_connection_hides_no_other(
    connections: AzureConnectionStore, tables: Tables, reader: RowReader
) -> None:
    await broken(tables.connections, ROWS["connections"][0], kinds="nonsense")
    assert [each.connection_id for each in await connections.list_connections()] == ["contoso"]
    with pytest.raises(RowUnreadable):
        await connections.get_connection("fabrikam")
    assert [each.partition_key for each in reader.unreadable] == ["fabrikam"]
    await broken(tables.connections, ROWS["connections"][0], kinds="{}")
    assert len(await connections.list_connections()) == 2
    assert reader.unreadable == ()


async def test_an_unreadable_ticket_hides_no_other(
    tickets: AzureTicketStore, tables: Tables, reader: RowReader
) -> None:
    row = next(row for row in ROWS["tickets"] if row.get("delivery") == "pending")
    await broken(tables.tickets, row, timeline="nonsense")
    assert len(await tickets.list_tickets(["contoso"], TicketFilter(), limit=50)) == 4
    assert len(await tickets.list_tickets(["contoso"], TicketFilter(), limit=4)) == 4, "a page is full"
    assert len(await tickets.list_tickets(["contoso"], TicketFilter(text="legacy"), limit=50)) == 4
    assert len(await tickets.get_tickets("contoso", [row["RowKey"]])) == 0
    assert len([ticket async for page in tickets.scan_tickets("contoso") for ticket in page]) == 4
    assert [len(await tickets.list_pending("contoso", limit=limit)) for limit in (1, 2, 10)] == [1, 1, 1]
    with pytest.raises(RowUnreadable):
        await tickets.get_ticket("contoso", row["RowKey"])
    assert [each.row_key for each in reader.unreadable] == [row["RowKey"]]


@pytest.mark.parametrize("together", [True, False])
async def test_an_index_row_that_another_release_did_not_write_stops_no_update(
    tickets: AzureTicketStore, tables: Tables, together: bool
) -> None:
    pending = await tickets.list_pending("contoso", limit=10)
    await tables.tickets.delete_entity("contoso", pending_key(pending[0].ticket_id))
    changes = [(ticket, replace(ticket, delivery=DeliveryProgress(Delivery.FAILED))) for ticket in pending]
    if together:
        assert await tickets.update_tickets(changes) == []
    else:
        for before, after in changes:
            await tickets.update_ticket(before, after)
    assert await tickets.list_pending("contoso", limit=10) == []
    assert (await tickets.get_summary("contoso")).total(Delivery.FAILED) == 3
