"""Access tokens for customers' tenants: simulated Entra ID and managed identity, and azure-identity between them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from azure.identity.aio import ManagedIdentityCredential
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from sandbox.certificates import Certificates
from sandbox.entra.consent_page import ConsentPage
from sandbox.entra.directory import Directories, FederatedCredential
from sandbox.entra.token_endpoint import Failure, TokenEndpoint
from sandbox.managed_identity.app import Endpoint
from sandbox.managed_identity.tokens import TENANT_ID, TOKEN_EXCHANGE
from sandbox.serving import configuration, serving
from shared.errors import ConnectorError, FixRequest, GraphUnavailable, TenantRefused
from shared.graph.customer_tenants import CustomerTenantTokens
from shared.graph.managed_identity import HomeTenantTokens
from shared.graph.tokens_by_tenant import TokensByTenant
from shared.tenants.admin_consent import AdminConsents
from shared.tenants.model import Tenant
from tests.memory.clock import ManualClock
from tests.memory.tenant_store import MemoryTenantStore
from tests.sandbox.graph.simulated import APPLICATION, OTHER_TENANT, READ, SIGNER, TENANT

GRAPH = "https://graph.microsoft.com"
APP = "0c0ffee0-0000-4000-8000-000000000001"
UNKNOWN = "0c0ffee0-0000-4000-8000-0000000000ff"
CALLBACK = "https://connector.example/tenants/consent"
TRUST = FederatedCredential(
    f"https://login.microsoftonline.com/{TENANT_ID}/v2.0", APPLICATION.principal_id, TOKEN_EXCHANGE
)


class Present:
    """Serves the running test's Entra ID: a server for each test takes longer than the tests."""

    entra: TokenEndpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = Starlette(routes=[*self.entra.routes(), *ConsentPage(self.entra).routes()])
        await app(scope, receive, send)


@pytest.fixture(scope="module")
def authority(certificates: Certificates) -> Iterator[tuple[Present, str]]:
    """Entra ID behind TLS, which azure-identity insists on."""
    present = Present()
    tls = {"ssl_certfile": certificates.chain, "ssl_keyfile": certificates.key}
    with serving(configuration(present, lifespan="off", **tls)) as url:
        yield present, url


@dataclass
class Customers:
    """A registration that two customers' tenants have let in, and the tokens that we get with it."""

    authority: str
    entra: TokenEndpoint
    tokens: CustomerTenantTokens
    identity: ManagedIdentityCredential

    def grant(self, tenant_id: str, *roles: str) -> None:
        self.entra.directories.consent(tenant_id, APP, *roles)

    def asked(self, tenant_id: str) -> int:
        """How often Entra ID was asked for a token of a tenant."""
        return sum(request["tenant_id"] == tenant_id for request in self.entra.requests)


@pytest.fixture
async def customers(endpoint: Endpoint, authority: tuple[Present, str]) -> AsyncIterator[Customers]:
    present, url = authority
    present.entra = TokenEndpoint(Directories(dict.fromkeys([TENANT_ID, TENANT, OTHER_TENANT], "global").get), SIGNER)
    registration = present.entra.directories.register(APP, TENANT_ID)
    registration.federated_credentials.append(TRUST)
    registration.redirect_uris.append(CALLBACK)
    registration.required_roles.append(READ)
    async with ManagedIdentityCredential(retry_total=0) as identity:
        tokens = CustomerTenantTokens(identity, APP, authority_url=url, graph_url=GRAPH)
        async with aclosing(tokens):
            yield Customers(url, present.entra, tokens, identity)


async def code_of(customers: Customers, tenant_id: str = TENANT) -> str | None:
    with pytest.raises(ConnectorError) as caught:
        await customers.tokens.access_token(tenant_id)
    assert caught.value.__context__ is None, "the library's error holds parts of the answer"
    return caught.value.code


async def test_one_registration_reads_every_tenant_that_consented(customers: Customers, endpoint: Endpoint) -> None:
    customers.grant(TENANT, READ)
    customers.grant(OTHER_TENANT, READ)
    for tenant_id in (TENANT, OTHER_TENANT, TENANT):
        token = await customers.tokens.access_token(tenant_id)
        assert (token.tenant_id, token.roles) == (tenant_id, (READ,))
    assert (customers.asked(TENANT), customers.asked(OTHER_TENANT)) == (1, 1)
    assert [request["resource"] for request in endpoint.requests] == [TOKEN_EXCHANGE]


async def test_a_token_without_roles_is_remembered_until_a_fresh_one_is_asked_for(customers: Customers) -> None:
    customers.grant(TENANT)
    assert (await customers.tokens.access_token(TENANT)).roles == ()
    customers.grant(TENANT, READ)
    assert (await customers.tokens.access_token(TENANT)).roles == ()
    assert (await customers.tokens.new_access_token(TENANT)).roles == (READ,)
    assert (await customers.tokens.access_token(TENANT)).roles == (READ,), "the fresh one has taken its place"
    assert customers.asked(TENANT) == 2


async def test_demanded_claims_go_along_with_the_request_for_a_fresh_token(customers: Customers) -> None:
    customers.grant(TENANT, READ)
    await customers.tokens.access_token(TENANT)
    claims = '{"access_token": {"nbf": {"essential": true, "value": "1764072000"}}}'
    fresh = await customers.tokens.new_access_token(TENANT, claims=claims)
    assert [request["claims"] for request in customers.entra.requests] == [None, claims]
    assert await customers.tokens.access_token(TENANT) == fresh, "it has taken the old one's place"


async def test_a_fresh_token_disturbs_no_other_tenant_that_is_being_read(customers: Customers) -> None:
    customers.grant(TENANT, READ)
    customers.grant(OTHER_TENANT, READ)
    tokens = customers.tokens
    found = await asyncio.gather(
        *(ask(each) for each in (TENANT, OTHER_TENANT) * 4 for ask in (tokens.access_token, tokens.new_access_token))
    )
    assert {token.tenant_id for token in found} == {TENANT, OTHER_TENANT}


async def test_a_failed_fresh_token_takes_no_place(customers: Customers) -> None:
    customers.grant(TENANT, READ)
    await customers.tokens.access_token(TENANT)
    customers.entra.directories.withdraw(TENANT, APP)
    with pytest.raises(TenantRefused):
        await customers.tokens.new_access_token(TENANT)
    assert (await customers.tokens.access_token(TENANT)).roles == (READ,), "it is good until it ends"


async def test_what_a_tenant_has_decided(customers: Customers) -> None:
    assert await code_of(customers) == "admin_consent_missing"
    customers.entra.unauthorized_status = 401
    assert await code_of(customers) == "admin_consent_missing"
    customers.entra.directories.consent(TENANT, APP, READ).enabled = False
    assert await code_of(customers) == "enterprise_application_disabled"
    assert await code_of(customers, UNKNOWN) == "tenant_unknown"


async def test_the_way_from_the_link_to_a_token(customers: Customers, certificates: Certificates) -> None:
    """Only the token shows the consent, and only after a while; another tenant stays as it is."""
    clock = ManualClock()
    store = MemoryTenantStore(Tenant(TENANT, "Contoso", due_at=clock()), Tenant(OTHER_TENANT, "Fabrikam"))
    consents = AdminConsents(store, clock, APP, customers.authority, f"{GRAPH}/.default", CALLBACK)
    link = consents.link(await consents.make_link(store.tenants[TENANT]))
    assert link is not None
    trusted = ssl.create_default_context(cafile=certificates.authority)
    async with httpx.AsyncClient(verify=trusted) as browser:
        assert READ in (await browser.get(link)).text
        answer = await browser.post(link, data={"decision": "accept"})
    back = dict(parse_qsl(urlsplit(answer.headers["Location"]).query))
    with pytest.raises(FixRequest):
        await consents.answered(back | {"tenant": OTHER_TENANT})
    assert await consents.answered(back)
    assert (await customers.tokens.new_access_token(TENANT)).roles == ()
    customers.entra.clock.advance(30)
    assert (await customers.tokens.new_access_token(TENANT)).roles == (READ,)
    assert await code_of(customers, OTHER_TENANT) == "admin_consent_missing"


@pytest.mark.parametrize(
    "trusted",
    [
        replace(TRUST, subject=APPLICATION.principal_id.upper()),
        replace(TRUST, audience="api://AzureADTokenExchangeUSGov"),
        replace(TRUST, issuer=f"https://login.microsoftonline.com/{TENANT}/v2.0"),
    ],
)
async def test_a_registration_that_does_not_trust_the_identity(
    customers: Customers, trusted: FederatedCredential
) -> None:
    customers.grant(TENANT, READ)
    customers.entra.directories.applications[APP].federated_credentials[:] = [trusted]
    with pytest.raises(TenantRefused) as caught:
        await customers.tokens.access_token(TENANT)
    assert (caught.value.code, caught.value.values) == ("registration_refused", {"entra_code": 700213})


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_a_stumble(customers: Customers, status: int) -> None:
    customers.grant(TENANT, READ)
    customers.entra.failures = [Failure(status, "0")] * 5
    with pytest.raises(GraphUnavailable) as caught:
        await customers.tokens.access_token(TENANT)
    assert caught.value.code == "identity_unavailable"


async def test_an_identity_without_a_token(customers: Customers, endpoint: Endpoint) -> None:
    endpoint.failures = [400]
    assert await code_of(customers) == "identity_refused"
    assert customers.entra.requests == []


async def test_the_managed_identity_reads_its_own_tenant_and_no_other(customers: Customers, endpoint: Endpoint) -> None:
    endpoint.roles[APPLICATION.client_id] = {READ}
    home = HomeTenantTokens(customers.identity, GRAPH)
    customers.grant(TENANT, READ)
    together = TokensByTenant(home, customers.tokens)
    for ask in (together.access_token, together.new_access_token):
        assert (await ask(TENANT_ID.upper())).tenant_id == TENANT_ID
        assert (await ask(TENANT)).tenant_id == TENANT
    assert customers.asked(TENANT_ID) == 0
    with pytest.raises(TenantRefused) as caught:
        await TokensByTenant(home, None).access_token(TENANT)
    assert caught.value.code == "tenant_not_reachable"
