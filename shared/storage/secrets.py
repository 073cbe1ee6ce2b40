"""Secrets in Key Vault."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.keyvault.secrets import SecretProperties
from azure.keyvault.secrets.aio import SecretClient

from shared.clock import Clock
from shared.errors import FixConfiguration, StorageUnavailable
from shared.secret import Secret
from shared.settings import Settings
from shared.storage.tables import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, RETRIES, storage_errors

VAULT_DOMAINS: Final = (".vault.azure.net", ".vault.azure.cn", ".vault.usgovcloudapi.net")
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
CONCURRENT_UPDATES: Final = 8
TOMBSTONE: Final = "removed"


class KeyVaultSecretStore:
    """Implements :class:`shared.connections.ports.SecretStore`; every method can raise StorageUnavailable."""

    def __init__(self, client: SecretClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def get_secret(self, name: str, version: str | None = None) -> Secret | None:
        """Return the secret, or None when there is none or it is disabled."""
        with storage_errors():
            try:
                found = await self._client.get_secret(name, version)
            except ResourceNotFoundError:
                return None
            except HttpResponseError as error:
                if _inner_code(error) == "SecretDisabled":
                    return None
                raise
        return None if found.value is None else Secret(found.value)

    async def set_secret(self, name: str, value: Secret, *, expires_at: datetime | None = None) -> str:
        """Write a new version and return its version id; a secret that somebody deleted is recovered first."""
        with storage_errors():
            try:
                written = await self._client.set_secret(name, value.reveal(), expires_on=expires_at)
            except ResourceExistsError as error:
                if _inner_code(error) != "ObjectIsDeletedButRecoverable":
                    raise StorageUnavailable(
                        "Key Vault is still deleting or recovering a secret of this name.", retry_after_s=10
                    ) from None
                await self._client.recover_deleted_secret(name)
                written = await self._client.set_secret(name, value.reveal(), expires_on=expires_at)
        version = written.properties.version
        assert version is not None, "Key Vault names the version it wrote"
        return version

    async def remove_secret(self, name: str) -> None:
        """Disable every version and leave a disabled tombstone as the newest; succeeds when there is none.

        The secret is not deleted: Key Vault would keep its name taken until it is purged. Key Vault gives out a version
        before its time and after it, so no version is spared. Where some cannot be disabled, all the others are, and
        repeating the removal goes on with the rest.
        """
        now = self._clock()
        with storage_errors():
            properties = self._client.list_properties_of_secret_versions(name)
            enabled = [each async for each in properties if each.enabled]
            if not enabled:
                return
            await self._client.set_secret(name, TOMBSTONE, enabled=False, content_type=TOMBSTONE)
            turn = asyncio.Semaphore(CONCURRENT_UPDATES)

            async def disable(version: str | None) -> None:
                async with turn:
                    await self._client.update_secret_properties(name, version, enabled=False)

            # A connection leaves thousands of access tokens whose time is over: what may still work comes first.
            enabled.sort(key=lambda each: _is_over(each, now))
            outcomes = await asyncio.gather(*(disable(each.version) for each in enabled), return_exceptions=True)
            for outcome in outcomes:
                if outcome is not None:
                    raise outcome

    async def aclose(self) -> None:
        """Close the connection pool."""
        await self._client.close()


def open_secrets(settings: Settings, credential: AsyncTokenCredential, clock: Clock) -> KeyVaultSecretStore:
    """Return the secrets of the vault at ``settings.key_vault_url``; nothing is sent yet.

    The SDK's own check, that a vault's challenge asks for a token of the vault's own domain, knows no vault on a
    loopback address. The check of the address made here takes its place: a token goes to a vault of Azure or stays on
    this machine.

    Raises:
        FixConfiguration: The address is neither a vault's nor a loopback one.
    """
    host = urlsplit(settings.key_vault_url).hostname or ""
    if not host.endswith(VAULT_DOMAINS) and host not in LOOPBACK:
        raise FixConfiguration(
            "KEY_VAULT_URL is not the address of a key vault.",
            code="settings_invalid",
            status=500,
            next_step="Set KEY_VAULT_URL to the vault's address, such as https://contoso.vault.azure.net.",
        )
    client = SecretClient(
        settings.key_vault_url,
        credential,
        verify_challenge_resource=False,
        connection_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retry_total=RETRIES,
        retry_backoff_factor=0.4,
        retry_backoff_max=5,
    )
    return KeyVaultSecretStore(client, clock)


def _is_over(properties: SecretProperties, now: datetime) -> bool:
    return properties.expires_on is not None and properties.expires_on <= now


def _inner_code(error: HttpResponseError) -> str | None:
    inner: Any = getattr(error.error, "innererror", None) or {}
    code = inner.get("code")
    return code if isinstance(code, str) else None
