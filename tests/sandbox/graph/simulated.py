"""A simulated Graph to call without a socket, and tokens for it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from starlette.applications import Starlette

from sandbox.certificates import ensure_certificates
from sandbox.clock import Clock
from sandbox.graph.engine.population import Population
from sandbox.graph.engine.world import World
from sandbox.graph.hosts import create_hosts, token_endpoint_for
from sandbox.graph.stage.control.client import ControlClient
from sandbox.graph.stage.seed.tenants import PLANS, Plan, plant
from sandbox.in_process import InProcessTransport
from sandbox.managed_identity.tokens import ManagedIdentity, TokenSigner

START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
TENANT = "11111111-aaaa-4bbb-8ccc-000000000001"
OTHER_TENANT = "22222222-aaaa-4bbb-8ccc-000000000002"
SCORES = "/v1.0/security/secureScores"
PROFILES = "/v1.0/security/secureScoreControlProfiles"
READ = "SecurityEvents.Read.All"

SMALL = (
    Plan(
        tenant_id=TENANT,
        name="Contoso",
        licences=("entra_p2", "teams", "exchange", "defender_for_office_p2", "defender_for_endpoint_p2"),
        population=Population(users=200, admins=5, domains=2, devices={"macos": 100}),
        days=5,
    ),
    Plan(
        tenant_id=OTHER_TENANT,
        name="Fabrikam",
        licences=("entra_p1",),
        population=Population(users=10, admins=1),
        days=3,
    ),
)
"""Two tenants with few days."""
SIGNER = TokenSigner(ensure_certificates().token_key)
APPLICATION = ManagedIdentity.of("6a2c7b1e-0d5f-4a3b-8c9d-1e2f3a4b5c6d")


def token(
    tenant_id: str = TENANT,
    *,
    roles: Collection[str] = (READ,),
    audience: str = "https://graph.microsoft.com",
    lifetime: timedelta = timedelta(hours=1),
) -> str:
    """Return an access token as the sandbox's identity endpoints sign it."""
    now = datetime.now(UTC)
    return SIGNER.issue(APPLICATION, audience, issued_at=now, lifetime=lifetime, roles=roles, tenant_id=tenant_id)


def bearer(value: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {value}"}


@dataclass
class Simulated:
    """The application, a way to reach it, and its control API."""

    app: Starlette
    client: httpx.Client
    control: ControlClient

    def get(self, path: str, *, tenant_id: str = TENANT, **headers: str) -> httpx.Response:
        """One request of an application that may read a tenant."""
        return self.client.get(path, headers=bearer(token(tenant_id)) | headers)

    def json(self, path: str, *, tenant_id: str = TENANT) -> dict[str, Any]:
        response = self.get(path, tenant_id=tenant_id)
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json()
        return body

    def newest(self, *, tenant_id: str = TENANT) -> dict[str, Any]:
        """Return the newest secure score."""
        newest: dict[str, Any] = self.json(f"{SCORES}?$top=1", tenant_id=tenant_id)["value"][0]
        return newest

    def score_of(self, control: str) -> dict[str, Any]:
        """Return a control's entry in the newest secure score."""
        return next(score for score in self.newest()["controlScores"] if score["controlName"] == control)

    def profiles(self, *, tenant_id: str = TENANT) -> dict[str, Mapping[str, Any]]:
        """Return all profiles by id."""
        body = self.json(f"{PROFILES}?$top=999", tenant_id=tenant_id)
        return {profile["id"]: profile for profile in body["value"]}


@contextmanager
def simulated(plans: Iterable[Plan] = PLANS, *, at: datetime = START) -> Iterator[Simulated]:
    """Run a simulator without a socket during the block; its clock is stopped."""
    world = World(Clock.stopped_at(at))
    chosen = tuple(plans)

    def fill(filled: World) -> None:
        plant(filled, chosen)

    fill(world)
    app = create_hosts(world, token_endpoint_for(world, SIGNER), fill)
    transport = InProcessTransport(app)
    with (
        httpx.Client(base_url="https://graph.test", transport=transport) as client,
        ControlClient("https://graph.test", transport=transport) as control,
    ):
        yield Simulated(app, client, control)
    transport.end()
