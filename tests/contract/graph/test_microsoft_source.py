"""The whole way: the sandbox's managed identity, and the simulated Graph that accepts its tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

import pytest
from azure.identity.aio import ManagedIdentityCredential

from sandbox.managed_identity.app import Endpoint
from sandbox.managed_identity.tokens import TENANT_ID
from shared.errors import TenantRefused
from shared.graph.microsoft_source import MicrosoftSource
from shared.outbound.transport import Transport
from shared.tenants.model import Tenant
from tests.contract.graph.conftest import FEW, Reader
from tests.sandbox.graph.simulated import APPLICATION, TENANT

HOME = Tenant(TENANT_ID, "Contoso")
ROLE = "SecurityEvents.Read.All"


@pytest.fixture
async def source(reader: Reader, endpoint: Endpoint) -> AsyncIterator[MicrosoftSource]:
    reader.plant(replace(FEW, tenant_id=TENANT_ID))
    async with ManagedIdentityCredential() as credential, aclosing(Transport()) as outbound:
        yield MicrosoftSource(
            outbound,
            credential,
            reader.control.base_url,
            reader.world.clock.now,
            authority_url="https://login.microsoftonline.com",
            client_id=None,
        )


async def test_the_grant_is_seen_as_soon_as_a_token_has_it(
    source: MicrosoftSource, reader: Reader, endpoint: Endpoint
) -> None:
    with pytest.raises(TenantRefused) as caught:
        await source.read(HOME, with_history=False)
    assert caught.value.code == "graph_permission_missing"
    assert await source.roles(HOME) == ()
    assert reader.control.requests() == []
    endpoint.roles[APPLICATION.client_id] = {ROLE}
    reading = await source.read(HOME, with_history=True)
    assert reading.roles == (ROLE,)
    assert len(reading.actions) == 16
    assert len(reading.history) == 2


async def test_only_the_home_tenant_can_be_read(source: MicrosoftSource, reader: Reader) -> None:
    with pytest.raises(TenantRefused) as caught:
        await source.read(Tenant(TENANT, "Fabrikam"), with_history=False)
    assert caught.value.code == "tenant_not_reachable"
    assert reader.control.requests() == []
