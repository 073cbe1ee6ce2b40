"""Connections with everything around them in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from shared.access.sight import Sight
from shared.connections.configure import ConnectionConfiguration
from shared.connections.grant.acceptance import TokenAcceptance
from shared.connections.grant.authorize import AuthorizationStart, ConnectionAuthorization
from shared.connections.grant.client_credentials import ClientCredentialsGrant
from shared.connections.grant.lease import TOKENS, Lease
from shared.connections.grant.revocation import TokenRevocation
from shared.connections.grant.secret_renewal import SecretRenewal
from shared.connections.grant.token_requests import TokenRequests
from shared.connections.grant.tokens import AccessTokens
from shared.connections.model import Connection
from shared.connections.remove import ConnectionRemoval
from shared.connections.requests import ConnectionRequest
from shared.connections.status import ConnectionHealth
from shared.connections.turns import Turns
from shared.reminders.configure import forget_reminders
from tests.memory.authorization_store import MemoryAuthorizationStore
from tests.memory.clock import ManualClock
from tests.memory.connection_store import MemoryConnectionStore
from tests.memory.customer_limits import MemoryCustomerLimits
from tests.memory.directory import MemoryDirectory
from tests.memory.known_records import MemoryKnownRecords
from tests.memory.lease_store import MemoryLeaseStore
from tests.memory.probe import MemoryProbe
from tests.memory.reminder_store import MemoryReminderStore
from tests.memory.secret_store import MemorySecretStore
from tests.memory.sign_in import MemoryServiceNowSignIn
from tests.memory.steps import Step, at_once

CLIENT_SECRET = "the client secret"
INSTANCE = "https://contoso.service-now.com"
INTEGRATION_USER = "m365.integration"
REDIRECT_URI = "https://tickets.contoso.com/api/oauth/callback"
SECRET_LIFETIME = timedelta(days=90)
ADMINISTRATOR = "0b0b0b0b-0000-4000-8000-000000000001"


def request(**changes: Any) -> ConnectionRequest:
    """An administrator's input."""
    filled_in: dict[str, Any] = {
        "display_name": "Contoso",
        "instance": "contoso",
        "client_id": "client",
        "client_secret": CLIENT_SECRET,
        "integration_user": INTEGRATION_USER,
    }
    given = {name: value for name, value in (filled_in | changes).items() if value is not ...}
    return ConnectionRequest.model_validate(given)


@dataclass
class Surroundings:
    """A deployment of the app, with one instance for each :class:`AccessTokens`."""

    step: Step = at_once
    clock: ManualClock = field(default_factory=ManualClock)
    redirect_uri: str = REDIRECT_URI

    def __post_init__(self) -> None:
        self.store = MemoryConnectionStore(step=self.step)
        self.directory = MemoryDirectory(self.step)
        self.turns = Turns(self.directory, self.store, self.clock)
        self.secrets = MemorySecretStore(self.step)
        self.reminders = MemoryReminderStore(self.step)
        self.leases = MemoryLeaseStore(self.clock, self.step)
        self.authorizations = MemoryAuthorizationStore(self.step)
        self.servicenow = MemoryServiceNowSignIn(self.clock, self.step)
        self.servicenow.add(INTEGRATION_USER)
        self.probe = MemoryProbe()
        self.known_records = MemoryKnownRecords()
        self.health = ConnectionHealth(self.store, self.clock)
        revocation = TokenRevocation(self.store, self.secrets, self.servicenow)
        self.requests = TokenRequests(
            self.secrets, self.servicenow, self.servicenow.with_token, revocation, self.clock, self.sleep
        )
        self.lease = Lease(self.leases, TOKENS, self.sleep, seconds=lambda: self.clock.now.timestamp())
        self.limits = MemoryCustomerLimits(self.step)
        self.sight = Sight(self.limits, self.clock)
        self.configuration = ConnectionConfiguration(
            self.store, self.secrets, revocation, self.lease, self.turns, self.sight, self.clock, SECRET_LIFETIME
        )
        self.renewal = SecretRenewal(self.store, self.secrets, self.lease, self.clock, SECRET_LIFETIME)
        self.removal = ConnectionRemoval(
            self.store,
            self.secrets,
            revocation,
            self.lease,
            self.turns,
            self.clock,
            partial(forget_reminders, self.reminders, self.secrets),
        )
        acceptance = TokenAcceptance(
            connections=self.store,
            secrets=self.secrets,
            users=self.servicenow,
            visibility=self.probe,
            records=self.known_records,
            revocation=revocation,
            clock=self.clock,
        )
        self.authorization = ConnectionAuthorization(
            connections=self.store,
            authorizations=self.authorizations,
            server=self.servicenow,
            acceptance=acceptance,
            lease=self.lease,
            turns=self.turns,
            clock=self.clock,
            redirect_uri=self.redirect_uri,
        )
        self.client_credentials = ClientCredentialsGrant(
            self.store, self.servicenow, acceptance, self.lease, self.turns, self.clock, self.sleep
        )
        self.tokens = self.new_app_instance()

    async def sleep(self, seconds: float) -> None:
        """Sleep without slowing down the test."""
        self.clock.advance(seconds)
        await self.step("sleep")

    def new_app_instance(self) -> AccessTokens:
        """Return another instance of the app: the same stores, its own memory."""
        return AccessTokens(
            connections=self.store,
            lease=self.lease,
            secrets=self.secrets,
            requests=self.requests,
            health=self.health,
            clock=self.clock,
        )

    def stored(self, connection_id: str = "contoso") -> Connection:
        """Return the stored connection."""
        return self.store.connections[connection_id]

    async def configured(self, connection_id: str = "contoso", **changes: Any) -> Connection:
        """Configure a connection."""
        return (await self.configuration.put(connection_id, request(**changes))).connection

    async def begun(self, connection_id: str = "contoso") -> tuple[AuthorizationStart, dict[str, str]]:
        """Begin an authorization; return it with the browser's cookies."""
        start = await self.authorization.begin(connection_id, started_by=ADMINISTRATOR)
        return start, {start.cookie.name: start.cookie.value.reveal()}

    async def authorized(self, connection_id: str = "contoso", user_name: str = INTEGRATION_USER) -> Connection:
        """Authorize the connection."""
        start, cookies = await self.begun(connection_id)
        return await self.authorization.complete(self.servicenow.consent(start.location, user_name), cookies)

    async def connected_by_credentials(self, connection_id: str = "contoso", **changes: Any) -> Connection:
        """Configure with client credentials, and connect."""
        await self.configured(connection_id, grant="client_credentials", **changes)
        return await self.client_credentials.connect(connection_id, started_by=ADMINISTRATOR)

    async def connected(self, connection_id: str = "contoso", **changes: Any) -> Connection:
        """Configure and authorize."""
        await self.configured(connection_id, **changes)
        return await self.authorized(connection_id)
