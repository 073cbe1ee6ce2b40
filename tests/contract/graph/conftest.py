"""The real client and a simulated Graph for each test, over a real connection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache

import pytest
import stamina
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.graph.engine.world import World
from sandbox.graph.hosts import create_hosts, token_endpoint_for
from sandbox.graph.stage.control.client import ControlClient
from sandbox.graph.stage.seed.tenants import FREE, PLANS, Plan, plant
from sandbox.managed_identity.app import Endpoint, create_app
from sandbox.serving import configuration, serving
from shared.graph.lists import GraphLists
from shared.graph.source import SecureScoreSource
from shared.graph.tokens import GraphToken
from shared.graph.transport import GraphTransport
from shared.outbound.transport import Transport
from shared.recommendations.ports import Reading
from shared.tenants.model import Tenant
from tests.sandbox.graph.simulated import APPLICATION, OTHER_TENANT, SIGNER, START, TENANT, token

_FREE = next(plan for plan in PLANS if plan.tenant_id == FREE)
FEW = replace(_FREE, tenant_id=TENANT, days=3)
"""A tenant with 16 controls."""
OTHER = replace(_FREE, tenant_id=OTHER_TENANT, days=3)


@pytest.fixture(autouse=True)
def repeat_without_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3):
        yield


def fill(world: World) -> None:
    """Plant two tenants with few controls and days, and stop the clock."""
    world.clock.stop(START)
    plant(world, [FEW, OTHER])


@pytest.fixture(scope="session")
def server() -> Iterator[tuple[World, ControlClient]]:
    """A world to reset before each test: starting a server, and reading its key, take longer than most tests."""
    world = World()
    fill(world)
    app = create_hosts(world, token_endpoint_for(world, SIGNER), fill)
    with serving(configuration(app)) as url, ControlClient(url) as control:
        yield world, control


@cache
def signed(tenant_id: str, audience: str, *, is_over: bool) -> GraphToken:
    """Return a token as the sandbox's identity endpoints sign it; signing takes longer than a reading."""
    decoded = GraphToken.decoded(token(tenant_id, audience=audience, lifetime=timedelta(hours=-1 if is_over else 1)))
    assert decoded is not None
    return decoded


@dataclass
class Tokens:
    """Gives out the sandbox's tokens; ``renewed`` lists the tenants for which new ones were asked for.

    ``claims`` lists what those were asked for with.
    """

    audience: str
    is_over: bool = False
    renewed: list[str] = field(default_factory=list)
    claims: list[str | None] = field(default_factory=list)

    async def access_token(self, tenant_id: str) -> GraphToken:
        return signed(tenant_id, self.audience, is_over=self.is_over and not self.renewed)

    async def new_access_token(self, tenant_id: str, *, claims: str | None = None) -> GraphToken:
        self.renewed.append(tenant_id)
        self.claims.append(claims)
        return await self.access_token(tenant_id)


@dataclass
class Reader:
    """A world to read, its control API, and the source that reads it."""

    world: World
    control: ControlClient
    tokens: Tokens
    source: SecureScoreSource

    async def read(self, tenant_id: str = TENANT, *, with_history: bool = False) -> Reading:
        return await self.source.read(Tenant(tenant_id, "Contoso"), with_history=with_history)

    def plant(self, *plans: Plan) -> None:
        plant(self.world, plans)

    def statuses(self) -> list[int]:
        """The statuses of the answers so far."""
        return [request["status"] for request in self.control.requests()]


@pytest.fixture
async def reader(server: tuple[World, ControlClient]) -> AsyncIterator[Reader]:
    world, control = server
    control.reset()
    control.set_switches({"answers.latency_ms": 0, "profiles.page_size": 6})
    tokens = Tokens(control.base_url)
    async with aclosing(Transport()) as outbound:
        lists = GraphLists(GraphTransport(outbound, clock=world.clock.now), tokens, control.base_url)
        yield Reader(world, control, tokens, SecureScoreSource(lists, tokens))


class Present:
    """Serves the running test's endpoint: starting and stopping a server takes longer than these tests."""

    app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None, "the server speaks of its own life before there is an endpoint"
        await self.app(scope, receive, send)


@pytest.fixture(scope="session")
def identity_server() -> Iterator[tuple[Present, str]]:
    present = Present()
    with serving(configuration(present)) as url:
        yield present, url


@pytest.fixture
def endpoint(identity_server: tuple[Present, str], monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    present, url = identity_server
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "secret")
    created = Endpoint("secret", SIGNER, APPLICATION)
    present.app = create_app(created)
    return created
