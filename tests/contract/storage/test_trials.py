"""Test tickets in real tables."""

from __future__ import annotations

from dataclasses import replace

from azure.data.tables import UpdateMode

from shared.connections.model import TicketKind
from shared.storage.rows import RowReader
from shared.storage.tables import Tables
from shared.storage.trials import AzureTrialStore, trial_row
from tests.unit.storage.test_trials import TRIAL


async def test_the_newest_test_ticket_of_each_kind(tables: Tables) -> None:
    store = AzureTrialStore(tables.connections, RowReader())
    assert await store.get("contoso", TicketKind.INCIDENT) is None
    await store.save("contoso", TRIAL)
    assert await store.get("contoso", TicketKind.INCIDENT) == TRIAL
    assert await store.get("contoso", TicketKind.CHANGE) is None
    newer = replace(TRIAL, number="INC0010002", fields=())
    await store.save("contoso", newer)
    assert await store.get("contoso", TicketKind.INCIDENT) == newer


async def test_what_another_release_added_is_kept(tables: Tables) -> None:
    store = AzureTrialStore(tables.connections, RowReader())
    await tables.connections.upsert_entity(trial_row("contoso", replace(TRIAL, kept={"mood": "sunny"})))
    await store.save("contoso", TRIAL)
    found = await store.get("contoso", TicketKind.INCIDENT)
    assert found is not None
    assert found.kept == {"mood": "sunny"}


async def test_a_row_that_cannot_be_read_is_replaced(tables: Tables) -> None:
    row = {"PartitionKey": "contoso", "RowKey": "test_ticket:incident", "members": "nonsense"}
    await tables.connections.upsert_entity(row, mode=UpdateMode.REPLACE)
    store = AzureTrialStore(tables.connections, RowReader())
    await store.save("contoso", TRIAL)
    assert await store.get("contoso", TicketKind.INCIDENT) == TRIAL
