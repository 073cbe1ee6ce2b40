"""What remains when a tenant is removed: its tickets, which can no longer be verified."""

from __future__ import annotations

from shared.recommendations.ports import RecommendationStore
from shared.recommendations.verifying.observations import ObservedTenant, Reach
from shared.recommendations.verifying.tenant import TenantVerification
from shared.service import service
from shared.tenants.model import Tenant


@service
class RemovedTenants:
    """Implements :class:`shared.tenants.ports.TenantContent`."""

    store: RecommendationStore
    verification: TenantVerification

    async def delete_all(self, tenant_id: str) -> None:
        """Delete what was read of a tenant, and say in its tickets that nobody can verify them. See the port."""
        await self.store.delete_all(tenant_id)
        await self.verification.run(Tenant(tenant_id, ""), ObservedTenant(tenant_id, reach=Reach.REMOVED), ())
