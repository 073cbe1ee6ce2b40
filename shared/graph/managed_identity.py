"""Access tokens for the home tenant: those of the app's managed identity (Microsoft Graph §2.2)."""

from __future__ import annotations

from typing import Final

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

from shared.errors import ConnectorError, GraphUnavailable, TenantRefused
from shared.graph.tokens import GraphToken
from shared.service import service

_NO_CLAIMS: Final = "{}"
"""With a claims request, the library asks the identity endpoint again instead of its memory (Microsoft Graph §2.5).
The request itself is empty, and a managed identity does not send any."""
COME_BACK: Final = frozenset({408, 429})
"""Statuses of a client's error that say nothing about the client."""


@service
class HomeTenantTokens:
    """Implements :class:`shared.graph.tokens.TenantTokens` for the tenant in which the app itself runs."""

    credential: AsyncTokenCredential
    graph_url: str

    async def tenant_id(self) -> str:
        """Return the id of this tenant, lower case. Raises as :meth:`access_token`."""
        return (await self._issued(claims=None)).tenant_id

    async def access_token(self, tenant_id: str) -> GraphToken:
        """See the port."""
        return await self._token(tenant_id, claims=None)

    async def new_access_token(self, tenant_id: str, *, claims: str | None = None) -> GraphToken:
        """See the port. Azure keeps tokens of managed identities for up to a day, so it can still be an old one."""
        return await self._token(tenant_id, claims=claims or _NO_CLAIMS)

    async def _token(self, tenant_id: str, *, claims: str | None) -> GraphToken:
        token = await self._issued(claims=claims)
        if token.tenant_id != tenant_id.lower():
            raise TenantRefused("tenant_not_reachable")
        return token

    async def _issued(self, *, claims: str | None) -> GraphToken:
        # The library's errors hold parts of answers, so none of them may become the context of ours.
        problem: ConnectorError | None = None
        try:
            issued = await self.credential.get_token(f"{self.graph_url}/.default", claims=claims)
        except AzureError as error:
            problem = identity_problem(error)
        if problem is not None:
            raise problem
        token = GraphToken.decoded(issued.token)
        if token is None:
            raise GraphUnavailable("identity_unavailable")
        return token


def identity_problem(error: AzureError) -> ConnectorError:
    """Return our error for the library's; its type is the same for most causes, so the status decides."""
    status = error.status_code if isinstance(error, HttpResponseError) else None
    if status is None:
        no_endpoint = isinstance(error, ClientAuthenticationError)
        return TenantRefused("identity_missing") if no_endpoint else GraphUnavailable("identity_unavailable")
    if 400 <= status < 500 and status not in COME_BACK:
        return TenantRefused("identity_refused", answered_status=status)
    return GraphUnavailable("identity_unavailable")
