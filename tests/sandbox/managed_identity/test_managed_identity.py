"""The endpoint answers as App Service's does, through the real credential and on the wire."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity.aio import ManagedIdentityCredential

from sandbox.managed_identity.process import ManagedIdentityEndpoint, start_managed_identity
from sandbox.managed_identity.tokens import TENANT_ID, ManagedIdentity
from sandbox.processes import Processes

USER_ASSIGNED = "7e57ab1e-0000-4000-8000-00000000000a"
GOOD = {"api-version": "2019-08-01", "resource": "https://vault.azure.net"}


@pytest.fixture(scope="module")
def endpoint(processes: Processes) -> ManagedIdentityEndpoint:
    """An endpoint with one identity of each kind, for this module only."""
    return start_managed_identity(processes, secret="the secret", user_assigned=(USER_ASSIGNED,))


@pytest.fixture
def wire(endpoint: ManagedIdentityEndpoint) -> Iterator[httpx.Client]:
    """A plain client that sends the right header."""
    with httpx.Client(base_url=endpoint.base_url, headers={"X-IDENTITY-HEADER": "the secret"}) as client:
        yield client


async def test_the_credential_gets_a_token_for_each_resource(credential: ManagedIdentityCredential) -> None:
    vault = await credential.get_token("https://vault.azure.net/.default")
    storage = await credential.get_token("https://storage.azure.com/.default")
    claims = jwt.decode(storage.token, options={"verify_signature": False})
    assert jwt.decode(vault.token, options={"verify_signature": False})["aud"] == "https://vault.azure.net"
    assert claims["aud"] == "https://storage.azure.com"
    assert claims["iss"] == f"https://sts.windows.net/{TENANT_ID}/"
    assert claims["nbf"] < time.time() < claims["exp"] == storage.expires_on


async def test_a_user_assigned_identity_is_named_by_its_client_id(
    endpoint: ManagedIdentityEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in endpoint.environment.items():
        monkeypatch.setenv(name, value)
    async with ManagedIdentityCredential(client_id=USER_ASSIGNED) as known:
        token = await known.get_token("https://vault.azure.net/.default")
    claims = jwt.decode(token.token, options={"verify_signature": False})
    assert (claims["appid"], claims["oid"]) == (USER_ASSIGNED, ManagedIdentity.of(USER_ASSIGNED).principal_id)
    async with ManagedIdentityCredential(client_id="7e57ab1e-0000-4000-8000-00000000000b") as unknown:
        with pytest.raises(ClientAuthenticationError, match="Unable to load the proper Managed Identity"):
            await unknown.get_token("https://vault.azure.net/.default")


def test_the_answer_has_the_documented_members(wire: httpx.Client) -> None:
    answer = wire.get("/msi/token", params=GOOD).json()
    assert set(answer) == {"access_token", "client_id", "expires_on", "resource", "token_type"}
    assert (answer["resource"], answer["token_type"]) == (GOOD["resource"], "Bearer")
    assert int(answer["expires_on"]) > time.time()


@pytest.mark.parametrize(
    "query",
    [
        pytest.param({"resource": GOOD["resource"]}, id="no api-version"),
        pytest.param({**GOOD, "api-version": "2017-09-01"}, id="other api-version"),
        pytest.param({"api-version": GOOD["api-version"]}, id="no resource"),
        pytest.param({**GOOD, "resource": "https://vault.example.net"}, id="unknown resource"),
        pytest.param({**GOOD, "client_id": "7e57ab1e-0000-4000-8000-00000000000b"}, id="unknown identity"),
    ],
)
def test_wrong_requests_are_refused(wire: httpx.Client, query: dict[str, str]) -> None:
    answer = wire.get("/msi/token", params=query)
    assert answer.status_code == 400
    assert set(answer.json()) == {"statusCode", "message", "correlationId"}


@pytest.mark.parametrize("headers", [{}, {b"X-IDENTITY-HEADER": b"a guess"}, {b"X-IDENTITY-HEADER": "é".encode()}])
def test_the_secret_header_is_needed(endpoint: ManagedIdentityEndpoint, headers: dict[bytes, bytes]) -> None:
    assert httpx.get(f"{endpoint.base_url}/msi/token", params=GOOD, headers=headers).status_code == 401


def test_failures_and_lifetime_on_demand(wire: httpx.Client) -> None:
    wire.patch("/sandbox/settings", json={"failures": [500, 429], "lifetime_s": 60})
    statuses = [wire.get("/msi/token", params=GOOD).status_code for _ in range(3)]
    answer = wire.get("/msi/token", params=GOOD).json()
    wire.patch("/sandbox/settings", json={"lifetime_s": 86400})
    assert statuses == [500, 429, 200]
    assert int(answer["expires_on"]) <= time.time() + 60


def test_requests_are_logged_without_tokens(wire: httpx.Client) -> None:
    wire.delete("/sandbox/requests")
    token = wire.get("/msi/token", params=GOOD).json()["access_token"]
    log = wire.get("/sandbox/requests")
    assert [(entry["resource"], entry["status"]) for entry in log.json()] == [(GOOD["resource"], 200)]
    assert token not in log.text
    assert token in wire.get("/sandbox/tokens").json(), "for tests that look for it elsewhere"


@pytest.fixture
def graph_roles(wire: httpx.Client) -> Iterator[httpx.Client]:
    """The endpoint with no role granted, no token kept, and its clock at the present afterwards."""
    granted = wire.get("/sandbox/roles").json()
    wire.post("/sandbox/roles", json={"remove": granted})
    wire.delete("/sandbox/tokens")
    yield wire
    wire.patch("/sandbox/settings", json={"caching": False})
    wire.post("/sandbox/roles", json={"grant": granted})


def claims_for(wire: httpx.Client, resource: str, **query: str) -> dict[str, object]:
    answer = wire.get("/msi/token", params={**GOOD, "resource": resource, **query}).json()
    claims: dict[str, object] = jwt.decode(answer["access_token"], options={"verify_signature": False})
    return claims


def test_a_token_for_graph_has_the_roles_of_its_identity(graph_roles: httpx.Client) -> None:
    wire = graph_roles
    assert "roles" not in claims_for(wire, "https://graph.microsoft.com")
    wire.post("/sandbox/roles", json={"grant": ["SecurityEvents.Read.All", "Organization.Read.All"]})
    for graph in ("https://graph.microsoft.com", "http://127.0.0.1:8082"):
        claims = claims_for(wire, graph)
        assert claims["roles"] == ["Organization.Read.All", "SecurityEvents.Read.All"]
        assert (claims["aud"], claims["tid"]) == (graph, TENANT_ID)
    assert wire.post("/sandbox/roles", json={"remove": ["Organization.Read.All"]}).json() == ["SecurityEvents.Read.All"]
    assert claims_for(wire, "https://graph.microsoft.com")["roles"] == ["SecurityEvents.Read.All"]
    assert "roles" not in claims_for(wire, "https://vault.azure.net")
    assert wire.get("/sandbox/roles", params={"client_id": "nobody"}).status_code == 404


def test_identities_have_their_own_roles(graph_roles: httpx.Client) -> None:
    graph_roles.post(
        "/sandbox/roles", json={"remove": ["SecurityEvents.Read.All"]}, params={"client_id": USER_ASSIGNED}
    )
    graph_roles.post("/sandbox/roles", json={"grant": ["SecurityEvents.Read.All"]})
    assert "roles" in claims_for(graph_roles, "https://graph.microsoft.com")
    assert "roles" not in claims_for(graph_roles, "https://graph.microsoft.com", client_id=USER_ASSIGNED)


def test_with_caching_a_role_shows_and_goes_a_day_late(graph_roles: httpx.Client) -> None:
    wire, graph = graph_roles, "https://graph.microsoft.com"
    wire.patch("/sandbox/settings", json={"caching": True})
    before = claims_for(wire, graph)
    wire.post("/sandbox/roles", json={"grant": ["SecurityEvents.Read.All"]})
    assert claims_for(wire, graph) == before
    assert "roles" in claims_for(wire, "http://127.0.0.1:8082"), "each resource has a token of its own"
    wire.post("/sandbox/clock", json={"advance_s": 23 * 3600})
    assert claims_for(wire, graph) == before
    wire.post("/sandbox/clock", json={"advance_s": 3600})
    assert "roles" in claims_for(wire, graph)
    wire.post("/sandbox/roles", json={"remove": ["SecurityEvents.Read.All"]})
    assert "roles" in claims_for(wire, graph)
    wire.delete("/sandbox/tokens")
    assert "roles" not in claims_for(wire, graph)
    wire.post("/sandbox/clock", json={"advance_s": -24 * 3600})


def test_a_token_to_exchange_names_the_tenant_and_the_identity(wire: httpx.Client) -> None:
    claims = claims_for(wire, "api://AzureADTokenExchange", client_id=USER_ASSIGNED)
    assert claims["iss"] == f"https://login.microsoftonline.com/{TENANT_ID}/v2.0"
    assert claims["aud"] == "api://AzureADTokenExchange"
    assert claims["sub"] == ManagedIdentity.of(USER_ASSIGNED).principal_id
