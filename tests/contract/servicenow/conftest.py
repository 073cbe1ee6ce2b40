"""The real client and a simulated instance for each test, over a real connection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace

import httpx
import pytest
import stamina
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.servicenow.app import create_app
from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.stage.control.client import ControlClient
from sandbox.servicenow.wire.server import configuration
from sandbox.serving import serving
from shared.connections.model import Connection
from shared.outbound.transport import Limits, Transport
from shared.secret import Secret
from tests.fixtures.servicenow import WholeClient
from tests.memory.tokens import MemoryTokens

REDIRECT = "https://connector.example/api/oauth/callback"
USER = "m365.integration"
PASSWORD = "integration-password"
ROLES = ("itil", "sn_change_write")


@dataclass(frozen=True)
class Registered:
    """The records that an administrator created in ServiceNow for the connector."""

    connection: Connection
    client_secret: Secret
    user_sys_id: str


@pytest.fixture(autouse=True)
def repeat_without_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3):
        yield


@pytest.fixture
def instance() -> Iterator[Instance]:
    created = Instance()
    yield created
    created.close()


class Present:
    """Serves the running test's instance: starting and stopping a server takes longer than most tests."""

    app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None, "the server speaks of its own life before there is an instance"
        await self.app(scope, receive, send)


@pytest.fixture(scope="session")
def server() -> Iterator[tuple[Present, ControlClient]]:
    present = Present()
    with serving(configuration(present)) as url, ControlClient(url) as client:
        yield present, client


@pytest.fixture
def control(instance: Instance, server: tuple[Present, ControlClient]) -> ControlClient:
    present, client = server
    present.app = create_app(instance)
    return client


@pytest.fixture(params=["case_insensitive", "case_sensitive"])
def either_text_comparison(control: ControlClient, request: pytest.FixtureRequest) -> None:
    """Runs a test against an instance that ignores case and one that distinguishes it."""
    control.set_properties({"simulator.query.text_comparison": request.param})


@pytest.fixture
def registered(control: ControlClient) -> Registered:
    user = control.create_user(
        USER, roles=ROLES, user_password=PASSWORD, email="m365@contoso.example", time_zone="Asia/Tokyo"
    )
    client = control.create_oauth_client("Connector", REDIRECT)
    connection = Connection(
        connection_id="main",
        display_name="Contoso",
        instance=control.base_url,
        client_id=client["client_id"],
        integration_user=USER,
    )
    return Registered(connection, Secret(client["client_secret"]), user["sys_id"])


@pytest.fixture
def connection(registered: Registered, control: ControlClient, tokens: MemoryTokens) -> Connection:
    """A connection with an access token for the integration user, got by the password grant, which is fastest."""
    granted = httpx.post(
        f"{control.base_url}/oauth_token.do",
        data={
            "grant_type": "password",
            "client_id": registered.connection.client_id,
            "client_secret": registered.client_secret.reveal(),
            "username": USER,
            "password": PASSWORD,
        },
        trust_env=False,
        verify=False,
    ).json()
    control.clear_requests()
    tokens.token = Secret(granted["access_token"])
    return registered.connection


@pytest.fixture
def tokens() -> MemoryTokens:
    return MemoryTokens()


@pytest.fixture
async def client(control: ControlClient, tokens: MemoryTokens) -> AsyncIterator[WholeClient]:
    """The client as the app builds it."""
    # With its own transport it would read the certificate authorities for every test.
    async with aclosing(Transport(network=httpx.AsyncHTTPTransport(verify=False))) as outbound:
        yield WholeClient(outbound, tokens)
    assert not [request for request in control.requests(r"^/(api|oauth_token|oauth_revoke)") if request["had_cookies"]]


@pytest.fixture
async def impatient_client(tokens: MemoryTokens) -> AsyncIterator[WholeClient]:
    """The client with a short time limit, for slow instances."""
    async with aclosing(Transport(network=httpx.AsyncHTTPTransport(verify=False))) as outbound:
        yield WholeClient(outbound, tokens, limits=replace(Limits(), get_s=0.2, post_s=0.2))
