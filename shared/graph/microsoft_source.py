"""Secure Score of the tenant in which the app itself runs, and of customers' tenants that have consented.

The rest of this package is loaded on first use: most instances of the app never read a tenant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from azure.core.credentials_async import AsyncTokenCredential

from shared.clock import Clock
from shared.outbound.transport import Transport

if TYPE_CHECKING:
    from shared.graph.customer_tenants import CustomerTenantTokens
    from shared.graph.source import SecureScoreSource
    from shared.recommendations.ports import Reading
    from shared.tenants.model import Tenant


class MicrosoftSource:
    """Implements :class:`shared.recommendations.ports.Source` with the app's managed identity."""

    def __init__(
        self,
        outbound: Transport,
        identity: AsyncTokenCredential,
        graph_url: str,
        clock: Clock,
        *,
        authority_url: str,
        client_id: str | None,
    ) -> None:
        """Take the parts; nothing is loaded or sent yet.

        Args:
            identity: The app's managed identity.
            authority_url: Where Microsoft Entra ID issues tokens for customers' tenants.
            client_id: Of the registration that customers' tenants consent to; None if there is none.
        """
        self._outbound = outbound
        self._identity = identity
        self._graph_url = graph_url
        self._clock = clock
        self._authority_url = authority_url
        self._client_id = client_id
        self._made: SecureScoreSource | None = None
        self._customers: CustomerTenantTokens | None = None

    async def read(self, tenant: Tenant, *, with_history: bool) -> Reading:
        """See the port."""
        return await self._source().read(tenant, with_history=with_history)

    async def roles(self, tenant: Tenant) -> tuple[str, ...]:
        """See the port."""
        return await self._source().roles(tenant)

    async def aclose(self) -> None:
        """Close the network connections to Microsoft Entra ID."""
        if self._customers is not None:
            await self._customers.aclose()

    def _source(self) -> SecureScoreSource:
        if self._made is None:
            self._made = self._new_source()
        return self._made

    def _new_source(self) -> SecureScoreSource:
        from shared.graph.customer_tenants import CustomerTenantTokens
        from shared.graph.lists import GraphLists
        from shared.graph.managed_identity import HomeTenantTokens
        from shared.graph.source import SecureScoreSource
        from shared.graph.tokens_by_tenant import TokensByTenant
        from shared.graph.transport import GraphTransport

        if self._client_id is not None:
            self._customers = CustomerTenantTokens(
                self._identity, self._client_id, authority_url=self._authority_url, graph_url=self._graph_url
            )
        tokens = TokensByTenant(HomeTenantTokens(self._identity, self._graph_url), self._customers)
        lists = GraphLists(GraphTransport(self._outbound, clock=self._clock), tokens, self._graph_url)
        return SecureScoreSource(lists, tokens)
