"""The app, with gates that cause faults around it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
import stamina
from azure.identity.aio import ManagedIdentityCredential

from sandbox.azurite import StorageAccount
from sandbox.servicenow.stage.control.client import ControlClient
from sandbox.world import ServiceNow
from shared.settings import Settings
from shared.storage.tables import open_tables
from tests.faults.gate import Gate
from tests.faults.in_process import InProcess, present
from tests.fixtures.canary import Canary

type Deploy = Callable[[str], Awaitable[InProcess]]


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A gate that by default lets everything pass."""
    opened = Gate()
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def repeat_without_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3):
        yield


@pytest.fixture
async def deploy(
    vault_url: str,
    credential: ManagedIdentityCredential,
    control: ControlClient,
    canary: Canary,
    calm: None,
    caplog: pytest.LogCaptureFixture,
) -> AsyncIterator[Deploy]:
    """Deploy the app with this test's own vault and the tables at an address."""
    deployed: list[InProcess] = []
    caplog.set_level(logging.INFO)

    async def deploy_on(tables_url: str) -> InProcess:
        settings = Settings.from_environment(
            {
                "PUBLIC_BASE_URL": "http://127.0.0.1:7071",
                "TABLES_URL": tables_url,
                "KEY_VAULT_URL": vault_url,
                "ALLOW_LOOPBACK_HTTP": "true",
            }
        )
        tables = open_tables(settings, credential)
        await tables.create_missing()
        await tables.aclose()
        made = InProcess(settings, control, canary, present(), [])
        made.another()
        deployed.append(made)
        return made

    yield deploy_on
    for made in deployed:
        for instance in made.instances:
            await instance.aclose()
    canary.heard(caplog.text)


@pytest.fixture
async def in_process(
    deploy: Deploy, storage_account: StorageAccount, servicenow_process: ServiceNow, canary: Canary
) -> InProcess:
    """The app, connected to ServiceNow."""
    canary.watch(storage_account)
    made = await deploy(storage_account.tables_url)
    await made.connect(servicenow_process.url)
    return made
