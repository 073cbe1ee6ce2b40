"""Which credential reads which tenant."""

from __future__ import annotations

from shared.errors import TenantRefused
from shared.graph.managed_identity import HomeTenantTokens
from shared.graph.tokens import GraphToken, TenantTokens
from shared.service import service


@service
class TokensByTenant:
    """Implements :class:`shared.graph.tokens.TenantTokens`: the managed identity reads its own tenant, and no other.

    Attributes:
        customers: Tokens for all other tenants; None without a registration that they could consent to.
    """

    home: HomeTenantTokens
    customers: TenantTokens | None

    async def access_token(self, tenant_id: str) -> GraphToken:
        """See the port. Raises TenantRefused (``tenant_not_reachable``) for another tenant without a registration."""
        return await (await self._tokens(tenant_id)).access_token(tenant_id)

    async def new_access_token(self, tenant_id: str, *, claims: str | None = None) -> GraphToken:
        """See the port. Raises as :meth:`access_token`."""
        return await (await self._tokens(tenant_id)).new_access_token(tenant_id, claims=claims)

    async def _tokens(self, tenant_id: str) -> TenantTokens:
        if await self.home.tenant_id() == tenant_id.lower():
            return self.home
        if self.customers is None:
            raise TenantRefused("tenant_not_reachable")
        return self.customers
