"""Access tokens from the sandbox's managed identity endpoint, through azure-identity."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from azure.identity.aio import ManagedIdentityCredential

from sandbox.managed_identity.app import Endpoint
from sandbox.managed_identity.tokens import TENANT_ID
from shared.errors import GraphUnavailable, TenantRefused
from shared.graph.managed_identity import HomeTenantTokens
from tests.sandbox.graph.simulated import APPLICATION

ROLE = "SecurityEvents.Read.All"


@pytest.fixture
async def tokens(endpoint: Endpoint) -> AsyncIterator[HomeTenantTokens]:
    async with ManagedIdentityCredential(retry_total=0) as credential:
        yield HomeTenantTokens(credential, "https://graph.microsoft.com")


async def test_a_new_role_is_in_a_new_token(endpoint: Endpoint, tokens: HomeTenantTokens) -> None:
    assert (await tokens.access_token(TENANT_ID)).roles == ()
    endpoint.roles[APPLICATION.client_id] = {ROLE}
    assert (await tokens.access_token(TENANT_ID)).roles == (), "the library has the first one in memory"
    renewed = await tokens.new_access_token(TENANT_ID)
    assert renewed.roles == (ROLE,)
    assert renewed.tenant_id == TENANT_ID
    assert (await tokens.access_token(TENANT_ID)).roles == (ROLE,)
    assert [request["resource"] for request in endpoint.requests] == ["https://graph.microsoft.com"] * 2


async def test_azure_can_keep_a_token_for_a_day(endpoint: Endpoint, tokens: HomeTenantTokens) -> None:
    endpoint.caching = True
    await tokens.access_token(TENANT_ID)
    endpoint.roles[APPLICATION.client_id] = {ROLE}
    assert (await tokens.new_access_token(TENANT_ID)).roles == ()


async def test_another_tenant(tokens: HomeTenantTokens) -> None:
    with pytest.raises(TenantRefused) as caught:
        await tokens.access_token("11111111-aaaa-4bbb-8ccc-000000000001")
    assert caught.value.code == "tenant_not_reachable"


@pytest.mark.parametrize(
    ("status", "code"), [(400, "identity_refused"), (401, "identity_refused"), (403, "identity_refused")]
)
async def test_a_refusal(endpoint: Endpoint, tokens: HomeTenantTokens, status: int, code: str) -> None:
    endpoint.failures = [status]
    with pytest.raises(TenantRefused) as caught:
        await tokens.access_token(TENANT_ID)
    assert (caught.value.code, caught.value.values["answered_status"]) == (code, status)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_stumble(endpoint: Endpoint, tokens: HomeTenantTokens, status: int) -> None:
    endpoint.failures = [status] * 20
    with pytest.raises(GraphUnavailable) as caught:
        await tokens.access_token(TENANT_ID)
    assert caught.value.code == "identity_unavailable"


async def test_no_such_identity(endpoint: Endpoint, tokens: HomeTenantTokens) -> None:
    endpoint.system_assigned = None
    with pytest.raises(TenantRefused) as caught:
        await tokens.access_token(TENANT_ID)
    assert caught.value.code == "identity_refused"


async def test_an_endpoint_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:9/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "secret")
    async with ManagedIdentityCredential(retry_total=0) as credential:
        with pytest.raises(GraphUnavailable) as caught:
            await HomeTenantTokens(credential, "https://graph.microsoft.com").access_token(TENANT_ID)
    assert caught.value.code == "identity_unavailable"
