"""Finding a tenant by its id."""

from __future__ import annotations

import re
from typing import Final

from shared.errors import FixRequest
from shared.request_texts import GUID
from shared.tenants.model import Tenant
from shared.tenants.ports import TenantStore

TENANT_ID: Final = re.compile(GUID)


def checked_tenant_id(tenant_id: str) -> str:
    """Return the id in lower case. Raises FixRequest (400 ``invalid_tenant_id``) if it is not a GUID."""
    if not TENANT_ID.fullmatch(tenant_id):
        raise FixRequest("invalid_tenant_id")
    return tenant_id.lower()


async def find_tenant(tenants: TenantStore, text: str) -> Tenant | None:
    """Return the tenant with this id, which may be any text; None if there is none. Raises StorageUnavailable."""
    return await tenants.get_tenant(text.lower()) if TENANT_ID.fullmatch(text) else None


async def get_known_tenant(tenants: TenantStore, tenant_id: str) -> Tenant:
    """Return a tenant.

    Raises:
        FixRequest: 400 ``invalid_tenant_id`` or 404 ``tenant_not_found``.
        StorageUnavailable: Storage does not answer, or the row cannot be read.
    """
    tenant = await tenants.get_tenant(checked_tenant_id(tenant_id))
    if tenant is None:
        raise FixRequest("tenant_not_found", status=404)
    return tenant


async def chosen_tenant(tenants: TenantStore, tenant_id: str | None) -> Tenant:
    """Return the tenant with this id; without an id, the only tenant.

    Raises:
        FixRequest: 404 ``tenant_not_found`` or 409 ``tenant_ambiguous``.
    """
    if tenant_id is not None:
        return await get_known_tenant(tenants, tenant_id)
    known = await tenants.list_tenants()
    if len(known) > 1:
        raise FixRequest("tenant_ambiguous", status=409, tenant_ids=[each.tenant_id for each in known])
    if not known:
        raise FixRequest("tenant_not_found", status=404)
    return known[0]
