"""Secrets in Key Vault."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.keyvault.secrets import KeyVaultSecret, SecretProperties
from azure.keyvault.secrets.aio import SecretClient

from shared.clock import Clock
from shared.errors import StorageUnavailable
from shared.secret import Secret
from shared.settings import Settings, SettingsInvalid
from shared.storage.network import open_network
from shared.storage.tables import (
    RETRIES,
    inner_code,
    is_refused_by_policy,
    storage_errors,
)

VAULT_DOMAINS: Final = (".vault.azure.net", ".vault.azure.cn", ".vault.usgovcloudapi.net")
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
CONCURRENT_UPDATES: Final = 8
TOMBSTONE: Final = "removed"
CONTENT_TYPE: Final = "text/plain"
CLOCK_MARGIN: Final = timedelta(hours=1)
"""How long before its maximum lifetime a secret ends: policies count from its creation by Key Vault's clock."""
_UNREADABLE: Final = frozenset({"SecretDisabled", "SecretExpired"})


class KeyVaultSecretStore:
    """Implements :class:`shared.connections.ports.SecretStore`; every method can raise StorageUnavailable.

    Every version has a content type and an end, as Azure policies require ("Secrets should have content type set",
    "Secrets should have the specified maximum validity period").
    """

    def __init__(self, client: SecretClient, clock: Clock, lifetime: timedelta) -> None:
        self._client = client
        self._clock = clock
        self._lifetime = lifetime

    async def get_secret(self, name: str, version: str | None = None) -> Secret | None:
        """Return the secret; None if there is none or Key Vault does not return it.

        Key Vault does not return disabled secrets. It returns expired ones ("About Azure Key Vault secrets", date-time
        controlled operations); if it refused one, it would say ``SecretExpired``.
        """
        with storage_errors():
            try:
                found = await self._client.get_secret(name, version)
            except ResourceNotFoundError:
                return None
            except HttpResponseError as error:
                if inner_code(error) in _UNREADABLE:
                    return None
                raise
        return None if found.value is None else Secret(found.value)

    async def set_secret(self, name: str, value: Secret, *, expires_at: datetime | None = None) -> str:
        """Write a new version and return its version id; a secret that somebody deleted is recovered first.

        Args:
            expires_at: When the value ends. Its version ends earlier if it would exceed the maximum lifetime.
        """
        with storage_errors():
            try:
                written = await self._write(name, value.reveal(), expires_at, content_type=CONTENT_TYPE)
            except ResourceExistsError as error:
                if inner_code(error) != "ObjectIsDeletedButRecoverable":
                    raise StorageUnavailable(retry_after_s=10, variant="recovering") from None
                await self._client.recover_deleted_secret(name)
                written = await self._write(name, value.reveal(), expires_at, content_type=CONTENT_TYPE)
        version = written.properties.version
        assert version is not None, "Key Vault names the version it wrote"
        return version

    async def remove_secret(self, name: str) -> None:
        """Disable every version and leave a disabled tombstone as the newest; succeeds if there is none.

        The secret is not deleted: Key Vault would reserve its name until it is purged. Key Vault returns a version even
        before it starts and after it ends, so every version is disabled. If some cannot be disabled, all the others
        are, and repeating the removal continues with the rest.
        """
        now = self._clock()
        with storage_errors():
            properties = self._client.list_properties_of_secret_versions(name)
            enabled = [each async for each in properties if each.enabled]
            if not enabled:
                return
            await self._write(name, TOMBSTONE, None, enabled=False, content_type=TOMBSTONE)
            turn = asyncio.Semaphore(CONCURRENT_UPDATES)

            async def disable(version: SecretProperties) -> None:
                # Policies check changes, too, and an older release wrote neither content type nor end.
                async with turn:
                    await self._client.update_secret_properties(
                        name,
                        version.version,
                        enabled=False,
                        content_type=version.content_type or CONTENT_TYPE,
                        expires_on=self._end(version.expires_on, version.created_on or now),
                    )

            # A connection leaves thousands of expired access tokens: disable first what may still work.
            enabled.sort(key=lambda each: _is_over(each, now))
            outcomes = await asyncio.gather(*(disable(each) for each in enabled), return_exceptions=True)
            for outcome in outcomes:
                if outcome is not None:
                    raise outcome

    async def _write(self, name: str, value: str, expires_at: datetime | None, **properties: Any) -> KeyVaultSecret:
        """Write a new version; use the vault's clock if a policy refuses ours because it is far ahead."""
        ends_at = self._end(expires_at, self._clock())
        try:
            return await self._client.set_secret(name, value, expires_on=ends_at, **properties)
        except HttpResponseError as error:
            answered_at = _answered_at(error)
            if not is_refused_by_policy(error) or answered_at is None:
                raise
            earlier = self._end(expires_at, answered_at)
            if earlier >= ends_at:
                raise
        return await self._client.set_secret(name, value, expires_on=earlier, **properties)

    def _end(self, expires_at: datetime | None, created_at: datetime) -> datetime:
        """Return when a version ends, given when its value ends, if ever."""
        latest = created_at + self._lifetime - CLOCK_MARGIN
        return latest if expires_at is None else min(expires_at, latest)

    async def aclose(self) -> None:
        """Close the connection pool."""
        await self._client.close()


def open_secrets(settings: Settings, credential: AsyncTokenCredential, clock: Clock) -> KeyVaultSecretStore:
    """Return the secrets of the vault at ``settings.key_vault_url``; nothing is sent yet.

    The SDK checks that a vault's challenge asks for a token of the vault's own domain, but does not know vaults on a
    loopback address. This function checks the address instead: a token goes to an Azure vault or stays on this machine.

    Raises:
        SettingsInvalid: The address is neither a vault's nor a loopback address.
    """
    host = urlsplit(settings.key_vault_url).hostname or ""
    if not host.endswith(VAULT_DOMAINS) and host not in LOOPBACK:
        raise SettingsInvalid({"KEY_VAULT_URL": "is not a vault's address, such as https://contoso.vault.azure.net"})
    client = SecretClient(
        settings.key_vault_url,
        credential,
        verify_challenge_resource=False,
        transport=open_network(),
        retry_total=RETRIES,
        retry_backoff_factor=0.4,
        retry_backoff_max=5,
    )
    return KeyVaultSecretStore(client, clock, settings.secret_lifetime)


def _is_over(properties: SecretProperties, now: datetime) -> bool:
    return properties.expires_on is not None and properties.expires_on <= now


def _answered_at(error: HttpResponseError) -> datetime | None:
    """Return the answering server's time; HTTP writes it in GMT, whatever a proxy does to the zone."""
    text: str = getattr(error.response, "headers", {}).get("Date", "")
    try:
        return parsedate_to_datetime(text).replace(tzinfo=UTC)
    except ValueError:
        return None
