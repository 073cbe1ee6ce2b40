"""Secure Score of the tenant in which the app itself runs.

The rest of this package is loaded on first use: most instances of the app never read a tenant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from azure.core.credentials_async import AsyncTokenCredential

from shared.clock import Clock
from shared.outbound.transport import Transport
from shared.service import service

if TYPE_CHECKING:
    from shared.graph.source import SecureScoreSource
    from shared.recommendations.ports import Reading
    from shared.tenants.model import Tenant


@service
class HomeTenantSource:
    """Implements :class:`shared.recommendations.ports.Source` with the app's managed identity."""

    outbound: Transport
    credential: AsyncTokenCredential
    graph_url: str
    clock: Clock

    async def read(self, tenant: Tenant, *, with_history: bool) -> Reading:
        """See the port."""
        return await self._source().read(tenant, with_history=with_history)

    async def roles(self, tenant: Tenant) -> tuple[str, ...]:
        """See the port."""
        return await self._source().roles(tenant)

    def _source(self) -> SecureScoreSource:
        from shared.graph.lists import GraphLists
        from shared.graph.managed_identity import HomeTenantTokens
        from shared.graph.source import SecureScoreSource
        from shared.graph.transport import GraphTransport

        tokens = HomeTenantTokens(self.credential, self.graph_url)
        lists = GraphLists(GraphTransport(self.outbound, clock=self.clock), tokens, self.graph_url)
        return SecureScoreSource(lists, tokens)
