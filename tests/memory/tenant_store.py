"""Tenants in memory."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

from shared.connections.ports import RowChanged
from shared.tenants.model import Tenant
from tests.memory.steps import Step, at_once
from tests.memory.writes import Writes


class MemoryTenantStore:
    """Implements :class:`shared.tenants.ports.TenantStore`."""

    def __init__(self, *tenants: Tenant, step: Step = at_once) -> None:
        self._step = step
        self._etags = (f'W/"{number}"' for number in itertools.count(1))
        self.tenants = {each.tenant_id: replace(each, etag=next(self._etags)) for each in tenants}
        self.writes = Writes(step)

    async def get_tenant(self, tenant_id: str) -> Tenant | None:
        """See the port."""
        await self._step("get_tenant")
        return self.tenants.get(tenant_id)

    async def list_tenants(self) -> Sequence[Tenant]:
        """See the port."""
        await self._step("list_tenants")
        return [self.tenants[tenant_id] for tenant_id in sorted(self.tenants)]

    async def save_tenant(self, tenant: Tenant) -> Tenant:
        """See the port."""
        async with self.writes.write("save_tenant"):
            stored = self.tenants.get(tenant.tenant_id)
            if (None if stored is None else stored.etag) != tenant.etag:
                raise RowChanged(tenant.tenant_id)
            self.tenants[tenant.tenant_id] = saved = replace(tenant, etag=next(self._etags))
        return saved

    async def delete_tenant(self, tenant_id: str) -> None:
        """See the port."""
        async with self.writes.write("delete_tenant"):
            self.tenants.pop(tenant_id, None)
