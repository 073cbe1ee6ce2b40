"""Rows of limits: what cannot be read hides the customer from everybody."""

from __future__ import annotations

from typing import Any

import pytest

from shared.access.model import AllowedCaller, CustomerLimit
from shared.storage.customer_limits import AzureCustomerLimits, limit_row
from tests.memory.table import MemoryTable
from tests.releases.stored_rows import StoredRow


async def read(row: dict[str, Any]) -> dict[str, CustomerLimit]:
    table = MemoryTable()
    table.rows[row["PartitionKey"], row["RowKey"]] = StoredRow(row)
    table._keys.append((row["PartitionKey"], row["RowKey"]))
    return dict(await AzureCustomerLimits(table).list())  # type: ignore[arg-type]


@pytest.mark.parametrize("limit", [(AllowedCaller("a-1", "Operations"), AllowedCaller("b-2")), None])
async def test_a_limit_is_read_as_it_was_written(limit: CustomerLimit | None) -> None:
    assert (await read(limit_row("contoso", limit))).get("contoso") == limit


async def test_ids_that_somebody_wrote_by_hand() -> None:
    row = {"PartitionKey": "access", "RowKey": "contoso", "limited_to": '["AB-1"]'}
    assert await read(row) == {"contoso": (AllowedCaller("ab-1"),)}


@pytest.mark.parametrize("text", ["", "[", "{}", "null", '"AB-1"', "7", None])
async def test_a_row_that_makes_no_sense_hides_the_customer_from_everybody(text: str | None) -> None:
    row = {"PartitionKey": "access", "RowKey": "contoso", "limited_to": text, "notes": "{}"}
    assert await read(row) == {"contoso": ()}
    del row["limited_to"]
    assert await read(row) == {"contoso": ()}
