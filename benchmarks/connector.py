"""The measured connector: assembled as in Azure, on the servers of the sandbox."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from unittest import mock

from azure.identity.aio import ManagedIdentityCredential

from benchmarks.effort import Effort, measured
from sandbox.azurite import StorageAccount
from sandbox.servicenow.stage.browser import sign_in_and_consent
from sandbox.servicenow.stage.control.client import ControlClient
from sandbox.servicenow.stage.seed.people import PEOPLE
from sandbox.world import World, create_queues
from shared.application import Application
from shared.connections.grant.secret_names import access_token_name
from shared.connections.model import Connection
from shared.connections.requests import ConnectionRequest
from shared.settings import Settings
from shared.storage.tables import Tables, open_tables

SYNC_INTERVAL_S = 60
AT_ONCE = 16


class BenchmarkClock:
    """A clock that moves only when a benchmark moves it, so that nothing becomes due during a measurement."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC)

    def __call__(self) -> datetime:
        """Return the time."""
        return self._now

    def move_on(self, seconds: float) -> None:
        """Let time pass."""
        self._now += timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True)
class Connector:
    """An application with its own storage and vault.

    Attributes:
        tables: The same tables, for adding old rows.
        account: Its storage, for hosts that run beside it.
    """

    app: Application
    clock: BenchmarkClock
    tables: Tables
    account: StorageAccount

    def measured(self) -> AbstractContextManager[Effort]:
        """Measure the work in the block."""
        return measured(self.app.settings.tables_url)

    async def connect(self, connection_id: str, instance: str) -> Connection:
        """Configure a connection and authorize it, as an administrator does."""
        user = next(person for person in PEOPLE if person.user_name == "m365.connector")
        with ControlClient(instance) as control:
            client = control.create_oauth_client("Benchmark", self.app.settings.redirect_uri)
        request = ConnectionRequest.model_validate(
            {
                "display_name": "Contoso",
                "instance": instance,
                "client_id": client["client_id"],
                "client_secret": client["client_secret"],
                "integration_user": user.user_name,
            }
        )
        await self.app.configuration.put(connection_id, request)
        start = await self.app.authorization.begin(connection_id, started_by="benchmark")
        callback = sign_in_and_consent(start.location, user.user_name, user.password)
        parameters = dict(part.split("=", 1) for part in callback.partition("?")[2].split("&"))
        return await self.app.authorization.complete(parameters, {start.cookie.name: start.cookie.value.reveal()})

    async def copy(self, connection: Connection, instances: Sequence[str], *, prefix: str) -> list[Connection]:
        """Store copies of an authorized connection, one for each instance, with its consent and sync state.

        Args:
            prefix: Prefix of the new connections' ids.
        """
        original = await self.app.connection_store.get_connection(connection.connection_id)
        token = await self.app.secret_store.get_secret(access_token_name(connection.connection_id))
        state = await self.app.turns.sync_state(connection)
        assert original is not None
        assert token is not None
        turn = asyncio.Semaphore(AT_ONCE)

        async def store(number: int, instance: str) -> Connection:
            connection_id = f"{prefix}-{number}"
            async with turn:
                version = await self.app.secret_store.set_secret(access_token_name(connection_id), token)
                await self.app.connection_store.save_sync_state(connection_id, replace(state, etag=None))
                created = await self.app.connection_store.create_connection(
                    replace(
                        original,
                        connection_id=connection_id,
                        instance=instance,
                        access_token_version=version,
                        etag=None,
                    )
                )
                await self.app.turns.wake(connection_id)
                return created

        return await asyncio.gather(*(store(number, instance) for number, instance in enumerate(instances)))


@asynccontextmanager
async def new_connector(world: World, *, has_queues: bool = False) -> AsyncIterator[Connector]:
    """Build a connector for the block; during it, the environment names its storage and vault.

    Args:
        has_queues: Whether it sends what is much work to queues, which only other hosts read.
    """
    account = world.azurite.new_account()
    if has_queues:
        create_queues(account, world.certificates)
    environment = {
        "PUBLIC_BASE_URL": "http://localhost:7071",
        "KEY_VAULT_URL": world.key_vaults.new_vault(),
        "TABLES_URL": account.tables_url,
        **({"WorkQueue__queueServiceUri": account.queue_url} if has_queues else {}),
        "GRAPH_URL": world.graph.url,
        "ALLOW_LOOPBACK_HTTP": "true",
        "SYNC_INTERVAL_S": str(SYNC_INTERVAL_S),
        "WEBSITE_AUTH_ENABLED": "true",
        **world.managed_identity.environment,
    }
    with mock.patch.dict(os.environ, environment):
        settings, clock = Settings.from_environment(os.environ), BenchmarkClock()
        credential = ManagedIdentityCredential()
        tables = open_tables(settings, credential)
        await tables.create_missing()
        app = Application.build(settings, credential, clock)
        try:
            yield Connector(app, clock, tables, account)
        finally:
            await tables.aclose()
            await app.aclose()
