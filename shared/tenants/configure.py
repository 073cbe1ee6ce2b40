"""Configuration: an administrator adds, changes or removes a tenant.

Only what the request names changes. A reading may be under way at the same time: it keeps its hold, and each writes
under the row's etag, so neither undoes what the other did.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from shared.access.current import sees_everything
from shared.clock import Clock
from shared.connections.directory import AT_ONCE
from shared.connections.lookup import get_present_connection
from shared.connections.ports import ConnectionStore, RowChanged
from shared.errors import FixRequest, TryLater
from shared.log import log_event
from shared.service import service
from shared.tenants.changes import change_tenant
from shared.tenants.lookup import checked_tenant_id
from shared.tenants.model import Tenant
from shared.tenants.ports import TenantContent, TenantStore
from shared.tenants.requests import TenantRequest
from shared.value_object import value_object

MAX_TENANTS: Final = 2_000
"""A limit, because the work of the timer and the pages grows with the number of tenants."""


@value_object
class ConfiguredTenant:
    """The result of a request.

    Attributes:
        created: Whether the tenant is new.
    """

    tenant: Tenant
    created: bool


@service
class TenantConfiguration:
    """Adds, changes and removes tenants.

    Attributes:
        content: What is stored about them elsewhere.
    """

    tenants: TenantStore
    connections: ConnectionStore
    content: TenantContent
    clock: Clock

    async def put(self, tenant_id: str, request: TenantRequest) -> ConfiguredTenant:
        """Add the tenant or change it as requested; repeating the request changes nothing more.

        Raises:
            FixRequest: 400 ``invalid_tenant_id``, 404 ``connection_not_found``, 409 ``too_many_tenants`` or
                ``tenant_already_added``.
            TryLater: Storage does not answer, or somebody else is changing the tenant; repeating the request is safe.
        """
        tenant_id = checked_tenant_id(tenant_id)
        if request.connection_id is not None:
            await get_present_connection(self.connections, request.connection_id)
        present, created = await self._present(tenant_id, request)
        after = await change_tenant(self.tenants, present, lambda current: with_details(current, request))
        if after is None:
            raise TryLater("tenant_busy")
        log_event("tenant_added" if created else "tenant_configured", tenant_id=tenant_id)
        return ConfiguredTenant(after, created)

    async def remove(self, tenant_id: str) -> None:
        """Remove the tenant and its recommendations; which tickets were made for them is kept. Safe to repeat.

        The row goes first: a reading that is under way then notices that it is gone, and removes what it has stored
        since.

        Raises:
            FixRequest: 400 ``invalid_tenant_id`` or 404 ``tenant_not_found``.
            StorageUnavailable: Storage does not answer; something may be left.
        """
        tenant_id = checked_tenant_id(tenant_id)
        await self.tenants.delete_tenant(tenant_id)
        await self.content.delete_all(tenant_id)
        log_event("tenant_removed", tenant_id=tenant_id)

    async def _present(self, tenant_id: str, request: TenantRequest) -> tuple[Tenant, bool]:
        """Return the present tenant, after adding it if necessary, and whether it was added."""
        present = await self.tenants.get_tenant(tenant_id)
        if present is not None:
            return present, False
        # Concurrent requests may exceed the limit: it is not a quota, but keeps a loop or an abuser from filling the
        # table.
        if await self._count() >= MAX_TENANTS:
            raise FixRequest("too_many_tenants", status=409, limit=MAX_TENANTS)
        new = with_details(Tenant(tenant_id, request.name, added_at=self.clock()), request)
        try:
            return await self.tenants.save_tenant(new), True
        except RowChanged:
            present = await self.tenants.get_tenant(tenant_id)
            if present is None:
                raise TryLater("tenant_busy") from None
            return present, present == new

    @sees_everything
    async def _count(self) -> int:
        return len(await self.tenants.list_tenants())


def with_details(tenant: Tenant, request: TenantRequest) -> Tenant:
    """Return the tenant with all the requested values; what readings have stored is unchanged."""
    after = replace(
        tenant,
        name=request.name,
        connection_id=request.connection_id,
        company=request.company,
        due_at=None if request.files_only else tenant.due_at or AT_ONCE,
    )
    return tenant if after == tenant else after
