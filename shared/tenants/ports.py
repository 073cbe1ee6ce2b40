"""What tenants need from outside.

Verbs mean what they mean in the Azure SDK (see :mod:`shared.connections.ports`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from shared.tenants.model import Tenant


class TenantStore(Protocol):
    """Tenants in Table Storage. Every method can raise StorageUnavailable."""

    async def get_tenant(self, tenant_id: str) -> Tenant | None:
        """Return the tenant, or None. Raises RowUnreadable."""
        ...

    async def list_tenants(self) -> Sequence[Tenant]:
        """Return all tenants, ordered by id, with one request for each thousand; unreadable rows are left out."""
        ...

    async def save_tenant(self, tenant: Tenant) -> Tenant:
        """Store the tenant if its etag is still the stored one (None: not stored yet).

        Returns it with its new etag. Raises :class:`shared.connections.ports.RowChanged` otherwise.
        """
        ...

    async def delete_tenant(self, tenant_id: str) -> None:
        """Delete the tenant's row; succeeds if there is none."""
        ...


class TenantContent(Protocol):
    """What is stored about tenants elsewhere; implemented by the store of recommendations."""

    async def delete_all(self, tenant_id: str) -> None:
        """Delete everything about a tenant except which tickets were made for it. Raises StorageUnavailable."""
        ...
