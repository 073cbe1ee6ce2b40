"""The storage adapters over the real SDKs, against Azurite and the vaults of the sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from azure.identity.aio import ManagedIdentityCredential

from sandbox.azurite import StorageAccount
from shared.settings import Settings
from shared.storage.secrets import KeyVaultSecretStore, open_secrets
from shared.storage.tables import Tables, open_tables
from tests.memory.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def settings(storage_account: StorageAccount, vault_url: str) -> Settings:
    return Settings.from_environment(
        {
            "PUBLIC_BASE_URL": "https://tickets.contoso.com",
            "TABLES_URL": storage_account.tables_url,
            "KEY_VAULT_URL": vault_url,
        }
    )


@pytest.fixture
async def bare_tables(settings: Settings, credential: ManagedIdentityCredential) -> AsyncIterator[Tables]:
    """A storage account without the tables that the deployment creates."""
    tables = open_tables(settings, credential)
    yield tables
    await tables.aclose()


@pytest.fixture
async def tables(bare_tables: Tables) -> Tables:
    await bare_tables.create_missing()
    return bare_tables


@pytest.fixture
async def secrets(
    settings: Settings, credential: ManagedIdentityCredential, clock: ManualClock
) -> AsyncIterator[KeyVaultSecretStore]:
    store = open_secrets(settings, credential, clock)
    yield store
    await store.aclose()
