"""Tenants, in table ``tenants``: one partition, one row for each tenant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from azure.data.tables.aio import TableClient

from shared.storage.members import TEXT_COLUMNS, Members, Row, members_of, members_row
from shared.storage.rows import RowReader
from shared.storage.tables import get_row, save_row, storage_errors
from shared.tenants.model import Tenant

PARTITION: Final = "tenants"
PAGE_ROWS: Final = 1000

_TENANT: Final = Members(Tenant, apart=["tenant_id"])


class AzureTenantStore:
    """Implements :class:`shared.tenants.ports.TenantStore`; every method can raise StorageUnavailable."""

    def __init__(self, table: TableClient, reader: RowReader | None = None) -> None:
        self._table = table
        self._reader = reader or RowReader()

    async def get_tenant(self, tenant_id: str) -> Tenant | None:
        """Return the tenant, or None. Raises RowUnreadable."""
        row = await get_row(self._table, PARTITION, tenant_id)
        return None if row is None else self._reader.read(self._table.table_name, row, tenant_of)

    async def list_tenants(self) -> Sequence[Tenant]:
        """Return all tenants, ordered by id; those that cannot be read are left out."""
        with storage_errors():
            found = self._table.query_entities(
                "PartitionKey eq @partition",
                parameters={"partition": PARTITION},
                select=["PartitionKey", "RowKey", *TEXT_COLUMNS],
                results_per_page=PAGE_ROWS,
            )
            rows = [row async for row in found]
        return self._reader.readable(self._table.table_name, rows, tenant_of)

    async def save_tenant(self, tenant: Tenant) -> Tenant:
        """Store the tenant if its etag is still the stored one (None: not stored yet). Raises RowChanged otherwise."""
        return replace(tenant, etag=await save_row(self._table, tenant_row(tenant), tenant.etag))

    async def delete_tenant(self, tenant_id: str) -> None:
        """Delete the tenant's row; succeeds if there is none."""
        with storage_errors():
            await self._table.delete_entity(PARTITION, tenant_id)


def tenant_row(tenant: Tenant) -> Row:
    """Return the row of a tenant, with the members that only another release knows."""
    return members_row(PARTITION, tenant.tenant_id, _TENANT.written(tenant))


def tenant_of(row: Any) -> Tenant:
    """Return the tenant in a row; raises what :meth:`shared.storage.rows.RowReader.read` expects."""
    tenant_id = row["RowKey"]
    return _TENANT.read(members_of(row), tenant_id=tenant_id, name=tenant_id, etag=str(row.metadata["etag"]))
