"""Secrets in a vault, with the real SDK."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from azure.core.rest import HttpRequest
from azure.identity.aio import ManagedIdentityCredential
from azure.keyvault.secrets.aio import SecretClient

from sandbox.managed_identity.process import ManagedIdentityEndpoint
from shared.errors import StorageUnavailable
from shared.secret import Secret
from shared.settings import Settings, SettingsInvalid
from shared.storage.secrets import KeyVaultSecretStore, open_secrets
from tests.english import told
from tests.memory.clock import START, ManualClock

NAME = "servicenow-contoso-refresh-token"


@pytest.fixture
async def client(vault_url: str, credential: ManagedIdentityCredential) -> AsyncIterator[SecretClient]:
    """The vault as an operator sees it."""
    async with SecretClient(vault_url, credential, verify_challenge_resource=False) as opened:
        yield opened


async def test_a_secret_comes_back_newest_first_or_by_version(secrets: KeyVaultSecretStore) -> None:
    assert await secrets.get_secret(NAME) is None
    first = await secrets.set_secret(NAME, Secret("one"))
    assert await secrets.get_secret(NAME) == Secret("one")
    second = await secrets.set_secret(NAME, Secret("two"), expires_at=START)
    assert await secrets.get_secret(NAME) == Secret("two")
    assert await secrets.get_secret(NAME, first) == Secret("one")
    assert await secrets.get_secret(NAME, second) == Secret("two")
    assert await secrets.get_secret(NAME, "0" * 32) is None


async def test_the_end_of_a_secret_stands_in_the_vault(secrets: KeyVaultSecretStore, client: SecretClient) -> None:
    await secrets.set_secret(NAME, Secret("one"), expires_at=START)
    assert (await client.get_secret(NAME)).properties.expires_on == START.replace(microsecond=0)


async def test_every_version_has_a_content_type_and_ends_in_time(
    secrets: KeyVaultSecretStore, client: SecretClient, clock: ManualClock
) -> None:
    """Landing zones refuse any other (the vault's switch is on)."""
    clock.now = datetime.now(UTC)
    await secrets.set_secret(NAME, Secret("one"))
    await secrets.set_secret(NAME, Secret("two"), expires_at=clock.now + timedelta(days=100))
    await secrets.set_secret(NAME, Secret("three"), expires_at=clock.now + timedelta(minutes=30))
    await secrets.remove_secret(NAME)
    versions = [each async for each in client.list_properties_of_secret_versions(NAME)]
    assert sorted(each.content_type or "" for each in versions) == ["removed", "text/plain", "text/plain", "text/plain"]
    ends = sorted(each.expires_on - clock.now for each in versions if each.expires_on is not None)
    assert [round(end / timedelta(minutes=1)) for end in ends] == [30, *[90 * 24 * 60 - 60] * 3]


async def test_a_clock_that_is_ahead_keeps_nothing_from_being_written(
    secrets: KeyVaultSecretStore, client: SecretClient, clock: ManualClock
) -> None:
    """The vault's clock decides about the limit, and a refresh token that is not written may be lost."""
    clock.now = datetime.now(UTC) + timedelta(days=2)
    await secrets.set_secret(NAME, Secret("one"), expires_at=clock.now + timedelta(days=100))
    properties = (await client.get_secret(NAME)).properties
    assert properties.created_on is not None
    assert properties.expires_on is not None
    assert timedelta(days=89) < properties.expires_on - properties.created_on < timedelta(days=90)


async def test_what_a_policy_refuses_is_reported_as_such(
    settings: Settings, credential: ManagedIdentityCredential, clock: ManualClock
) -> None:
    clock.now = datetime.now(UTC)
    secrets = open_secrets(settings.model_copy(update={"secret_lifetime_days": 180}), credential, clock)
    with pytest.raises(StorageUnavailable) as caught:
        await secrets.set_secret(NAME, Secret("one"))
    assert (caught.value.code, caught.value.status) == ("secret_refused_by_policy", 503)
    assert "secretLifetimeDays" in told(caught.value)
    assert await secrets.get_secret(NAME) is None
    await secrets.aclose()


async def test_secrets_of_an_older_release_can_be_removed_where_a_policy_came_later(
    secrets: KeyVaultSecretStore, client: SecretClient, vault_url: str
) -> None:
    """They have neither a content type nor an expiry, and any change must add both."""
    switch = f"{vault_url}/sandbox/settings"
    httpx.patch(switch, json={"governance_policy": False}).raise_for_status()
    old = await client.set_secret(NAME, "old")
    far = await client.set_secret(NAME, "far", expires_on=datetime.now(UTC) + timedelta(days=1000))
    httpx.patch(switch, json={"governance_policy": True}).raise_for_status()
    await secrets.remove_secret(NAME)
    assert [await secrets.get_secret(NAME, each.properties.version) for each in (old, far)] == [None, None]


async def test_a_secret_whose_end_has_passed_is_read_if_the_vault_gives_it_out(
    secrets: KeyVaultSecretStore, clock: ManualClock, vault_url: str
) -> None:
    await secrets.set_secret(NAME, Secret("one"), expires_at=clock.now - timedelta(days=1))
    assert await secrets.get_secret(NAME) == Secret("one")
    httpx.patch(f"{vault_url}/sandbox/settings", json={"gives_out_expired": False}).raise_for_status()
    assert await secrets.get_secret(NAME) is None


async def test_a_removed_secret_cannot_be_read_in_any_version(
    secrets: KeyVaultSecretStore, client: SecretClient, clock: ManualClock
) -> None:
    day = timedelta(days=1)
    versions = [await secrets.set_secret(NAME, Secret("over"), expires_at=clock.now - day)]
    await client.set_secret(
        NAME, "not valid yet", not_before=clock.now + day, expires_on=clock.now + 2 * day, content_type="text/plain"
    )
    # More than one page of the list.
    versions += [await secrets.set_secret(NAME, Secret(f"number {number}")) for number in range(30)]
    await secrets.remove_secret(NAME)
    assert await secrets.get_secret(NAME) is None
    assert [await secrets.get_secret(NAME, version) for version in versions] == [None] * 31
    assert [each.enabled async for each in client.list_properties_of_secret_versions(NAME)] == [False] * 33

    await secrets.remove_secret("servicenow-nobody-refresh-token")
    again = await secrets.set_secret(NAME, Secret("again"))
    assert await secrets.get_secret(NAME) == Secret("again")
    assert await secrets.get_secret(NAME, again) == Secret("again")


async def test_a_removal_that_is_refused_halfway_disables_all_it_can_and_goes_on_when_repeated(
    secrets: KeyVaultSecretStore, client: SecretClient, vault_url: str, clock: ManualClock
) -> None:
    """The first versions are refused; this must stop neither the others nor the repetition."""
    for number in range(20):
        await secrets.set_secret(NAME, Secret(f"number {number}"), expires_at=clock.now)
    fault = {"kind": "forbidden_by_firewall", "method": "PATCH", "remaining": 3}
    httpx.post(f"{vault_url}/sandbox/faults", json=fault).raise_for_status()
    with pytest.raises(StorageUnavailable):
        await secrets.remove_secret(NAME)
    assert [each.enabled async for each in client.list_properties_of_secret_versions(NAME)].count(True) == 3
    assert await secrets.get_secret(NAME) is None
    await secrets.remove_secret(NAME)
    assert not [each async for each in client.list_properties_of_secret_versions(NAME) if each.enabled]


async def test_removing_twice_changes_nothing(secrets: KeyVaultSecretStore, client: SecretClient) -> None:
    await secrets.set_secret(NAME, Secret("one"))
    await secrets.remove_secret(NAME)
    await secrets.remove_secret(NAME)
    assert len([each async for each in client.list_properties_of_secret_versions(NAME)]) == 2


async def test_a_secret_that_an_operator_deleted_is_recovered(
    secrets: KeyVaultSecretStore, client: SecretClient
) -> None:
    await secrets.set_secret(NAME, Secret("one"))
    await client.delete_secret(NAME)
    assert await secrets.get_secret(NAME) is None
    await secrets.set_secret(NAME, Secret("two"))
    assert await secrets.get_secret(NAME) == Secret("two")


async def test_a_secret_being_deleted_is_tried_again_later(
    secrets: KeyVaultSecretStore, client: SecretClient, vault_url: str
) -> None:
    httpx.patch(f"{vault_url}/sandbox/settings", json={"transition_s": 3600}).raise_for_status()
    await secrets.set_secret(NAME, Secret("one"))
    # The SDK's own method would wait until the deletion is complete.
    deletion = HttpRequest("DELETE", f"{vault_url}/secrets/{NAME}", params={"api-version": "7.4"})
    (await client.send_request(deletion)).raise_for_status()
    with pytest.raises(StorageUnavailable) as caught:
        await secrets.set_secret(NAME, Secret("two"))
    assert caught.value.retry_after_s == 10


@pytest.mark.parametrize(
    ("kind", "code"),
    [("forbidden_by_rbac", "storage_access_refused"), ("forbidden_by_firewall", "storage_access_refused")],
)
async def test_a_refusal_of_our_identity_is_reported_as_such(
    secrets: KeyVaultSecretStore, vault_url: str, kind: str, code: str
) -> None:
    httpx.post(f"{vault_url}/sandbox/faults", json={"kind": kind, "remaining": None}).raise_for_status()
    for attempt in (secrets.get_secret(NAME), secrets.set_secret(NAME, Secret("one")), secrets.remove_secret(NAME)):
        with pytest.raises(StorageUnavailable) as caught:
            await attempt
        assert caught.value.code == code
        assert "one" not in str(caught.value).split()


async def test_a_vault_that_does_not_answer_once_is_asked_again(secrets: KeyVaultSecretStore, vault_url: str) -> None:
    await secrets.set_secret(NAME, Secret("one"))
    fault = {"kind": "throttled", "remaining": 1, "retry_after_s": 0}
    httpx.post(f"{vault_url}/sandbox/faults", json=fault).raise_for_status()
    assert await secrets.get_secret(NAME) == Secret("one")
    fault = {"kind": "throttled", "remaining": None, "retry_after_s": 0}
    httpx.post(f"{vault_url}/sandbox/faults", json=fault).raise_for_status()
    with pytest.raises(StorageUnavailable) as caught:
        await secrets.get_secret(NAME)
    assert caught.value.code == "storage_unavailable"


async def test_an_identity_that_the_app_does_not_have_is_reported_as_such(
    settings: Settings,
    managed_identity: ManagedIdentityEndpoint,
    monkeypatch: pytest.MonkeyPatch,
    clock: ManualClock,
) -> None:
    for name, value in managed_identity.environment.items():
        monkeypatch.setenv(name, value)
    async with ManagedIdentityCredential(client_id="00000000-0000-4000-8000-000000000000") as credential:
        secrets = open_secrets(settings, credential, clock)
        with pytest.raises(StorageUnavailable) as caught:
            await secrets.get_secret(NAME)
        await secrets.aclose()
    assert caught.value.code == "storage_access_refused"


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://contoso.vault.azure.net", True),
        ("https://contoso.vault.azure.net/", True),
        ("https://127.0.0.1:8443", True),
        ("https://contoso.vault.azure.net.example.com", False),
        ("https://contosovault.azure.net", False),
        ("https://example.com/.vault.azure.net", False),
        ("https://127.0.0.1.example.com", False),
        ("https://", False),
    ],
)
async def test_a_token_goes_to_a_vault_or_stays_on_this_machine(
    settings: Settings, credential: ManagedIdentityCredential, clock: ManualClock, url: str, allowed: bool
) -> None:
    there = settings.model_copy(update={"key_vault_url": url})
    if allowed:
        await open_secrets(there, credential, clock).aclose()
        return
    with pytest.raises(SettingsInvalid, match="KEY_VAULT_URL"):
        open_secrets(there, credential, clock)
