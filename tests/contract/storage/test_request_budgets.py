"""Budgets of requests in a real table."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from azure.data.tables import UpdateMode

from shared.connections.ports import RowChanged
from shared.connections.request_budget import Pause, RequestBudget, RuleUse
from shared.storage.request_budgets import AzureRequestBudgetStore, _key
from shared.storage.rows import RowReader
from shared.storage.tables import Tables

INSTANCE, USER = "https://contoso.service-now.com", "m365.connector"
END = datetime(2026, 3, 1, 13, tzinfo=UTC)
BUDGET = RequestBudget(
    {"rule": RuleUse(60, END, 12, refused_until=END), "other": RuleUse(10, END)},
    {"GET task": "rule"},
    Pause(END, timedelta(seconds=30)),
)


async def test_what_is_stored_comes_back_and_the_slower_of_two_hosts_looks_again(tables: Tables) -> None:
    store = AzureRequestBudgetStore(tables.directory, RowReader())
    assert await store.get(INSTANCE, USER) == RequestBudget()
    saved = await store.save(INSTANCE, USER, BUDGET)
    assert await store.get(INSTANCE, USER) == BUDGET
    with pytest.raises(RowChanged):
        await store.save(INSTANCE, USER, BUDGET)
    await store.save(INSTANCE, USER, saved)
    with pytest.raises(RowChanged):
        await store.save(INSTANCE, USER, replace(BUDGET, etag=saved.etag))
    assert await store.get(INSTANCE, "another") == RequestBudget()


@pytest.mark.parametrize("uses", ["nonsense", '{"rule": {"limit": 1, "resets_at": "2026-03-01T13:00:00", "used": 0}}'])
async def test_a_row_that_cannot_be_read_is_replaced(tables: Tables, uses: str) -> None:
    row = {"PartitionKey": "budgets", "RowKey": _key(INSTANCE, USER), "uses": uses, "rules": "{}"}
    await tables.directory.upsert_entity(row, mode=UpdateMode.REPLACE)
    store = AzureRequestBudgetStore(tables.directory, RowReader())
    found = await store.get(INSTANCE, USER)
    assert found == RequestBudget()
    await store.save(INSTANCE, USER, replace(BUDGET, etag=found.etag))
    assert await store.get(INSTANCE, USER) == BUDGET
