"""Tenants as the present caller may see them: a tenant is hidden if its connection is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from shared.access.sight import Sight
from shared.errors import FixRequest
from shared.service import service
from shared.tenants.model import Tenant
from shared.tenants.ports import TenantStore


@service
class SeenTenantStore:
    """Implements :class:`shared.tenants.ports.TenantStore`.

    A hidden tenant is as if it were not there. It can be neither added nor changed: FixRequest (409
    ``tenant_already_added``). It cannot be deleted: 404 ``tenant_not_found``.
    """

    store: TenantStore
    sight: Sight

    async def get_tenant(self, tenant_id: str) -> Tenant | None:
        """See the port."""
        tenant = await self.store.get_tenant(tenant_id)
        return None if tenant is None or await self._is_hidden(tenant) else tenant

    async def list_tenants(self) -> Sequence[Tenant]:
        """See the port."""
        hidden = await self.sight.hidden()
        return [each for each in await self.store.list_tenants() if each.connection_id not in hidden]

    async def save_tenant(self, tenant: Tenant) -> Tenant:
        """See the port."""
        if await self.is_hidden(tenant.tenant_id):
            raise FixRequest("tenant_already_added", status=409, variant="hidden")
        return await self.store.save_tenant(tenant)

    async def delete_tenant(self, tenant_id: str) -> None:
        """See the port."""
        if await self.is_hidden(tenant_id):
            raise FixRequest("tenant_not_found", status=404)
        await self.store.delete_tenant(tenant_id)

    async def is_hidden(self, tenant_id: str) -> bool:
        """Whether the caller may not see a tenant; an unknown one hides nothing. Raises StorageUnavailable."""
        if not await self.sight.hidden():
            return False
        stored = await self.store.get_tenant(tenant_id)
        return stored is not None and await self._is_hidden(stored)

    async def _is_hidden(self, tenant: Tenant) -> bool:
        return tenant.connection_id is not None and await self.sight.is_hidden(tenant.connection_id)


async def tenants_added_at(tenants: TenantStore) -> Mapping[str, datetime | None]:
    """Return when each tenant that the caller may see was added, by its id. Raises StorageUnavailable."""
    return {each.tenant_id: each.added_at for each in await tenants.list_tenants()}
