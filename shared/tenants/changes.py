"""Changing a stored tenant while others may be changing it too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from shared.connections.ports import RowChanged
from shared.errors import TryLater
from shared.tenants.model import Tenant
from shared.tenants.ports import TenantStore

MAX_TRIES: Final = 8


async def change_tenant(store: TenantStore, tenant: Tenant, change: Callable[[Tenant], Tenant]) -> Tenant | None:
    """Store the tenant as ``change`` returns it; if somebody else was faster, read it again and repeat.

    Args:
        tenant: The tenant as last read.
        change: Returns its argument if there is nothing to store; may raise to give up.

    Returns:
        The tenant as stored now; None if it has been removed.

    Raises:
        TryLater: Somebody else was faster every time.
        StorageUnavailable: It is not known whether the change was stored.
    """
    current = tenant
    for _ in range(MAX_TRIES):
        changed = change(current)
        if changed is current:
            return current
        try:
            return await store.save_tenant(changed)
        except RowChanged:
            reread = await store.get_tenant(tenant.tenant_id)
        if reread is None or reread == changed:  # the same row: the answer to our own write was lost
            return reread
        current = reread
    raise TryLater("tenant_busy")
