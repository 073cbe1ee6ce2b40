"""The app in this process, with the sandbox's storage, vault and ServiceNow, and a clock that the test moves."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
from azure.identity.aio import ManagedIdentityCredential

from sandbox.servicenow.stage.browser import sign_in_and_consent
from sandbox.servicenow.stage.control.client import ControlClient
from shared.application import Application
from shared.connections.model import Connection
from shared.connections.requests import read_connection_request
from shared.settings import Settings
from shared.tickets.attempts import LEASE_S
from shared.tickets.create import Creation
from shared.tickets.model import Requester, Ticket
from shared.tickets.requests import read_ticket_request
from shared.waiting_person import waiting
from tests.fixtures.canary import Canary
from tests.fixtures.whole_app import PASSWORD, ROLES, TICKET
from tests.memory.clock import ManualClock

CONNECTION_ID = "contoso"
REQUESTER = Requester("0b1e6d3c-6a53-4f7e-9a7e-0d6a3b1c2f02", "Adele Vance", "adele.vance@contoso.example")
AGAIN_S = LEASE_S + 3600.0
"""After this time, everything that was running or waiting is due."""


@dataclass
class InProcess:
    """A deployment of the app; :meth:`another` starts one more instance of it."""

    settings: Settings
    control: ControlClient
    canary: Canary
    clock: ManualClock
    instances: list[Application]
    user_name: str = ""
    client_id: str = ""

    @property
    def app(self) -> Application:
        """The first instance."""
        return self.instances[0]

    def another(self) -> Application:
        """Start one more instance of the app."""
        instance = Application.build(self.settings, ManagedIdentityCredential(), self.clock)
        self.instances.append(instance)
        return instance

    def hurry(self) -> None:
        """Make waiting for another's running request take time on the test's clock only."""

        async def sleep(seconds: float) -> None:
            self.clock.advance(seconds)
            await asyncio.sleep(0)

        self.instances = [replace(each, creation=replace(each.creation, sleep=sleep)) for each in self.instances]

    async def connect(self, instance_url: str) -> Connection:
        """Configure and authorize a connection to the instance, as an administrator does."""
        number = len(self.control.records("oauth_entity", limit=1000))
        self.user_name = f"m365.faults.{number}"
        self.control.create_user(
            self.user_name, roles=ROLES, user_password=PASSWORD, email=f"{self.user_name}@contoso.example"
        )
        client = self.control.create_oauth_client(self.user_name, self.settings.redirect_uri)
        self.client_id = client["client_id"]
        self.canary.plant("client secret", client["client_secret"])
        request = {
            "display_name": "Contoso",
            "instance": instance_url,
            "client_id": client["client_id"],
            "client_secret": client["client_secret"],
            "integration_user": self.user_name,
        }
        await self.app.configuration.put(CONNECTION_ID, read_connection_request(request))
        return await self.authorize()

    async def authorize(self) -> Connection:
        """Authorize a connection."""
        start = await self.app.authorization.begin(CONNECTION_ID, started_by="administrator")
        returned = dict(parse_qsl(urlsplit(sign_in_and_consent(start.location, self.user_name, PASSWORD)).query))
        self.canary.plant("code", returned["code"])
        self.canary.plant("PKCE verifier", start.cookie.value.reveal())
        return await self.app.authorization.complete(returned, {start.cookie.name: start.cookie.value.reveal()})

    async def connection(self) -> Connection:
        """Return the connection as stored."""
        found = await self.app.connection_store.get_connection(CONNECTION_ID)
        assert found is not None
        return found

    async def create(self, key: str | None = None, *, by: Application | None = None, **changes: Any) -> Creation:
        """Create a ticket, as a person does who waits for it."""
        body: Mapping[str, Any] = {**TICKET, "connection_id": CONNECTION_ID, **changes}
        with waiting():
            return await (by or self.app).creation.create(
                read_ticket_request(body), REQUESTER, caller=REQUESTER.id, idempotency_key=key
            )

    async def ticket(self, ticket_id: str) -> Ticket:
        """Return a ticket as stored."""
        found = await self.app.tickets.get_ticket(CONNECTION_ID, ticket_id)
        assert found is not None
        return found

    async def recover(self, runs: int = 3) -> None:
        """Let time pass and the timer run until nothing can be left to do."""
        for _ in range(runs):
            self.clock.advance(AGAIN_S)
            await self.app.maintenance.run()

    @asynccontextmanager
    async def faulty_vault(self, kind: str) -> AsyncIterator[None]:
        """Make the vault answer every request with a fault (see :mod:`sandbox.key_vault.faults`) inside the block."""
        faults = f"{self.settings.key_vault_url}/sandbox/faults"
        async with httpx.AsyncClient(trust_env=False, verify=ssl.create_default_context()) as client:
            (await client.post(faults, json={"kind": kind, "remaining": None})).raise_for_status()
            yield
            (await client.delete(faults)).raise_for_status()

    def records(self, ticket_id: str) -> list[dict[str, str]]:
        """Return every record in ServiceNow that names a ticket as its own."""
        return self.control.records("task", f"correlation_id=m365:{ticket_id}")


def of_its_own(name: str) -> dict[str, Any]:
    """Return a request about a new recommendation, so that no other ticket has to be read."""
    return {"name": name, "recommendation": {"source": "user", "category": "data", "id": name}}


def present() -> ManualClock:
    """Return a clock that begins now: access tokens and vaults compare with the real time."""
    return ManualClock(datetime.now(UTC))
