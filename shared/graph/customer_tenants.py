"""Access tokens for customers' tenants (Microsoft Graph §2.3 to §2.6).

They are those of one registration that every customer's tenant consents to. The managed identity proves that it is us:
its token for the exchange is the assertion, so there is no secret.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
from azure.core.pipeline.transport import AioHttpTransport
from azure.identity.aio import ClientAssertionCredential

from shared.error_codes import Code
from shared.errors import ConnectorError, GraphUnavailable, TenantRefused
from shared.graph.managed_identity import COME_BACK, identity_problem
from shared.graph.tokens import GraphToken

CONNECT_TIMEOUT_S: Final = 5.0
READ_TIMEOUT_S: Final = 15.0
RETRIES: Final = 1
"""The next reading asks again anyway."""

_AUDIENCES: Final[Mapping[str, str]] = {
    "login.microsoftonline.us": "api://AzureADTokenExchangeUSGov",
    "login.partner.microsoftonline.cn": "api://AzureADTokenExchangeChina",
    "login.chinacloudapi.cn": "api://AzureADTokenExchangeChina",
}
_AUDIENCE: Final = "api://AzureADTokenExchange"
"""Of an assertion by default; other clouds have their own."""
_HOME: Final = "organizations"
"""The library wants a default tenant; every request names its own."""
_CODES: Final[Mapping[int, Code]] = {
    700016: "admin_consent_missing",
    7000112: "enterprise_application_disabled",
    90002: "tenant_unknown",
}
"""What the numbers of Microsoft Entra ID mean (Microsoft Graph §2.6)."""
_ERRORS: Final[Mapping[str, Code]] = {
    "unauthorized_client": "admin_consent_missing",
    "invalid_client": "registration_refused",
}
"""What its OAuth errors mean, for a number that we do not know."""


class CustomerTenantTokens:
    """Implements :class:`shared.graph.tokens.TenantTokens` for every tenant that has consented to the registration.

    One credential object serves all tenants. It keeps a token for an hour, with or without roles, and nothing makes it
    forget one; so a new token comes from a fresh object, which then takes its place (Microsoft Graph §2.4, §2.5).
    """

    def __init__(self, identity: AsyncTokenCredential, client_id: str, *, authority_url: str, graph_url: str) -> None:
        """Take the parts; nothing is sent yet.

        Args:
            identity: The managed identity that the registration trusts.
            client_id: Of the registration.
        """
        self._identity = identity
        self._client_id = client_id
        self._authority_url = authority_url
        self._scope = f"{graph_url}/.default"
        self._audience = _AUDIENCES.get(urlsplit(authority_url).hostname or "", _AUDIENCE)
        self._assertion = ""
        # All objects share it, so that one can be replaced while another reading still uses it.
        self._transport = AioHttpTransport(connection_timeout=CONNECT_TIMEOUT_S, read_timeout=READ_TIMEOUT_S)
        self._credential = self._fresh_credential()

    async def access_token(self, tenant_id: str) -> GraphToken:
        """See the port."""
        return await self._token(self._credential, tenant_id)

    async def new_access_token(self, tenant_id: str, *, claims: str | None = None) -> GraphToken:
        """See the port."""
        fresh = self._fresh_credential()
        token = await self._token(fresh, tenant_id, claims)
        self._credential = fresh
        return token

    async def aclose(self) -> None:
        """Close the network connections."""
        await self._transport.close()

    def _fresh_credential(self) -> ClientAssertionCredential:
        return ClientAssertionCredential(
            _HOME,
            self._client_id,
            lambda: self._assertion,
            authority=self._authority_url,
            additionally_allowed_tenants=["*"],
            transport=self._transport,
            retry_total=RETRIES,
        )

    async def _token(
        self, credential: ClientAssertionCredential, tenant_id: str, claims: str | None = None
    ) -> GraphToken:
        # The library's errors hold parts of answers, so none of them may become the context of ours.
        problem: ConnectorError | None = None
        try:
            # The library asks for the assertion synchronously, so it has to be there before (Microsoft Graph §2.5).
            self._assertion = (await self._identity.get_token(f"{self._audience}/.default")).token
        except AzureError as error:
            problem = identity_problem(error)
        if problem is not None:
            raise problem
        try:
            issued = await credential.get_token(self._scope, claims=claims, tenant_id=tenant_id)
        except AzureError as error:
            problem = _problem(error)
        if problem is not None:
            raise problem
        token = GraphToken.decoded(issued.token)
        if token is None:
            raise GraphUnavailable("identity_unavailable")
        if token.tenant_id != tenant_id.lower():
            raise TenantRefused("tenant_not_reachable")
        return token


def _problem(error: AzureError) -> ConnectorError:
    """Return our error for the library's. Its type is the same for all refusals, so the answer decides."""
    status = error.status_code if isinstance(error, HttpResponseError) else None
    if status is None or not 400 <= status < 500 or status in COME_BACK:
        return GraphUnavailable("identity_unavailable")
    return _refusal(_document(error), status)


def _refusal(document: Mapping[str, object], status: int) -> TenantRefused:
    numbers = document.get("error_codes")
    known = [number for number in numbers if isinstance(number, int)] if isinstance(numbers, list) else []
    for number in known:
        if (code := _CODES.get(number)) is not None:
            return TenantRefused(code)
    number = known[0] if known else status
    return TenantRefused(_ERRORS.get(str(document.get("error")), "customer_token_refused"), entra_code=number)


def _document(error: AzureError) -> Mapping[str, object]:
    """Return the error document in an answer; empty if there is none."""
    if not isinstance(error, ClientAuthenticationError) or error.response is None:
        return {}
    try:
        document = json.loads(error.response.text())
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
