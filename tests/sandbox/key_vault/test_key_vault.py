"""To Key Vault's own client library, the vaults behave as Key Vault does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.core.rest import AsyncHttpResponse
from azure.identity.aio import ManagedIdentityCredential
from azure.keyvault.secrets.aio import SecretClient

from sandbox.certificates import Certificates
from sandbox.key_vault.process import KeyVaults
from sandbox.managed_identity.tokens import TENANT_ID, ManagedIdentity, TokenSigner

_VERSION = {"api-version": "7.4"}


@pytest.fixture
def control(vault_url: str) -> Iterator[httpx.Client]:
    """The control API of the test's vault."""
    with httpx.Client(base_url=f"{vault_url}/sandbox") as opened:
        yield opened


@pytest.fixture
def ungoverned(control: httpx.Client) -> None:
    """Turns off Azure's policies, which have their own tests."""
    control.patch("/settings", json={"governance_policy": False}).raise_for_status()


@pytest.fixture
async def client(
    ungoverned: None, vault_url: str, credential: ManagedIdentityCredential
) -> AsyncIterator[SecretClient]:
    """The client as the product makes it, but without retries, which would hide a fault."""
    async with SecretClient(vault_url, credential, verify_challenge_resource=False, retry_total=0) as opened:
        yield opened


def bearer(certificates: Certificates, audience: str, lifetime: timedelta = timedelta(hours=1)) -> dict[str, str]:
    token = TokenSigner(certificates.token_key).issue(
        ManagedIdentity.of("anybody"), audience, issued_at=datetime.now(UTC), lifetime=lifetime
    )
    return {"Authorization": f"Bearer {token}"}


async def test_without_a_token_the_answer_is_a_challenge(vault_url: str) -> None:
    answer = httpx.get(f"{vault_url}/secrets/any", params=_VERSION)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == (
        f'Bearer authorization="https://login.microsoftonline.com/{TENANT_ID}", resource="https://vault.azure.net"'
    )
    assert answer.json()["error"] == {
        "code": "Unauthorized",
        "message": "AKV10000: Request is missing a Bearer or PoP token.",
    }


async def test_tokens_are_checked(vault_url: str, certificates: Certificates) -> None:
    other = httpx.get(
        vault_url + "/secrets", params=_VERSION, headers=bearer(certificates, "https://storage.azure.com")
    )
    expired = httpx.get(
        vault_url + "/secrets",
        params=_VERSION,
        headers=bearer(certificates, "https://vault.azure.net", timedelta(minutes=-1)),
    )
    forged = httpx.get(vault_url + "/secrets", params=_VERSION, headers={"Authorization": "Bearer a.b.c"})
    assert [answer.status_code for answer in (other, expired, forged)] == [401, 401, 401]
    assert "AKV10022: Invalid audience" in other.json()["error"]["message"]
    assert "WWW-Authenticate" in expired.headers


async def test_api_version_is_required(vault_url: str, certificates: Certificates) -> None:
    answer = httpx.get(f"{vault_url}/secrets", headers=bearer(certificates, "https://vault.azure.net"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadParameter")


async def test_each_set_makes_a_version(client: SecretClient) -> None:
    expires_on = datetime(2030, 1, 1, tzinfo=UTC)
    first = await client.set_secret(
        "refresh-token", "one", content_type="text/plain", tags={"connection": "a"}, expires_on=expires_on
    )
    second = await client.set_secret("refresh-token", "two")
    current = await client.get_secret("refresh-token")
    old = await client.get_secret("refresh-token", first.properties.version)
    assert (current.value, current.properties.version) == ("two", second.properties.version)
    assert (old.value, old.properties.content_type, old.properties.tags) == ("one", "text/plain", {"connection": "a"})
    assert old.properties.expires_on == expires_on
    assert current.properties.tags is None
    versions = {properties.version async for properties in client.list_properties_of_secret_versions("refresh-token")}
    assert versions == {first.properties.version, second.properties.version}


async def test_names_ignore_case_and_allow_letters_digits_hyphens(client: SecretClient) -> None:
    await client.set_secret("Refresh-Token-1", "one")
    assert (await client.get_secret("refresh-token-1")).value == "one"
    with pytest.raises(HttpResponseError, match="invalid name") as refused:
        await client.set_secret("refresh_token", "one")
    assert refused.value.status_code == 400


async def test_a_value_has_a_limit(client: SecretClient) -> None:
    await client.set_secret("long", "x" * 25 * 1024)
    with pytest.raises(HttpResponseError) as refused:
        await client.set_secret("long", "x" * (25 * 1024 + 1))
    assert refused.value.status_code == 400


async def test_unknown_secrets_and_versions_are_not_found(client: SecretClient) -> None:
    await client.set_secret("known", "one")
    with pytest.raises(ResourceNotFoundError, match="SecretNotFound"):
        await client.get_secret("unknown")
    with pytest.raises(ResourceNotFoundError):
        await client.get_secret("known", "0" * 32)


async def test_a_disabled_secret_is_forbidden_until_enabled(client: SecretClient) -> None:
    await client.set_secret("token", "one")
    changed = await client.update_secret_properties("token", enabled=False, tags={"reason": "removed"})
    assert (changed.enabled, changed.tags) == (False, {"reason": "removed"})
    with pytest.raises(HttpResponseError, match="not allowed on a disabled secret") as refused:
        await client.get_secret("token")
    error = refused.value.error
    assert refused.value.status_code == 403
    assert error is not None
    assert (error.code, error.innererror) == ("Forbidden", {"code": "SecretDisabled"})
    listed = [properties async for properties in client.list_properties_of_secrets()]
    assert [(properties.name, properties.enabled) for properties in listed] == [("token", False)]
    await client.set_secret("token", "two")
    assert (await client.get_secret("token")).value == "two"


async def test_times_inform_and_forbid_nothing(client: SecretClient) -> None:
    await client.set_secret(
        "old", "one", not_before=datetime(2010, 1, 1, tzinfo=UTC), expires_on=datetime(2011, 1, 1, tzinfo=UTC)
    )
    assert (await client.get_secret("old")).value == "one"


async def test_a_switch_lets_the_end_forbid(client: SecretClient, control: httpx.Client) -> None:
    await client.set_secret("old", "one", expires_on=datetime(2011, 1, 1, tzinfo=UTC))
    await client.set_secret("young", "two", expires_on=datetime.now(UTC) + timedelta(hours=1))
    control.patch("/settings", json={"gives_out_expired": False})
    with pytest.raises(HttpResponseError) as refused:
        await client.get_secret("old")
    assert refused.value.status_code == 403
    assert refused.value.error is not None
    assert refused.value.error.innererror == {"code": "SecretExpired"}
    assert (await client.get_secret("young")).value == "two"


async def test_policies_of_azure_refuse_what_landing_zones_refuse(client: SecretClient, control: httpx.Client) -> None:
    now = datetime.now(UTC)
    control.patch("/settings", json={"governance_policy": True})

    async def refusal(**properties: Any) -> HttpResponseError:
        with pytest.raises(HttpResponseError, match="Secret 'token' was disallowed by policy") as refused:
            await client.set_secret("token", "one", **properties)
        assert refused.value.status_code == 403
        assert refused.value.error is not None
        assert refused.value.error.innererror == {"code": "ForbiddenByGovernancePolicy"}
        return refused.value

    assert "content type" in str(await refusal(expires_on=now + timedelta(days=1)))
    assert "content type" in str(await refusal(expires_on=now + timedelta(days=1), tags={"Content-Type": "text/plain"}))
    assert "validity" in str(await refusal(content_type="text/plain"))
    assert "validity" in str(await refusal(content_type="text/plain", expires_on=now + timedelta(days=91)))
    await client.set_secret("token", "one", content_type="text/plain", expires_on=now + timedelta(days=89))
    with pytest.raises(HttpResponseError, match="validity"):
        await client.update_secret_properties("token", expires_on=now + timedelta(days=91))
    listed = [each async for each in client.list_properties_of_secret_versions("token")]
    assert [each.expires_on for each in listed] == [(now + timedelta(days=89)).replace(microsecond=0)]


async def test_lists_are_paged(client: SecretClient, control: httpx.Client) -> None:
    for number in range(30):
        await client.set_secret(f"secret-{number:02}", "x")
    control.delete("/requests")
    names = [properties.name async for properties in client.list_properties_of_secrets(max_page_size=12)]
    assert names == [f"secret-{number:02}" for number in range(30)]
    log = control.get("/requests").json()
    assert [(entry["path"], entry["status"]) for entry in log] == [("/secrets", 200)] * 3


async def test_a_deleted_name_stays_taken(client: SecretClient) -> None:
    await client.set_secret("token", "one")
    deleted = await client.delete_secret("token")
    assert deleted.recovery_id is not None
    assert deleted.recovery_id.endswith("/deletedsecrets/token")
    assert deleted.deleted_date is not None
    assert deleted.scheduled_purge_date == deleted.deleted_date + timedelta(days=90)
    with pytest.raises(ResourceNotFoundError):
        await client.get_secret("token")
    with pytest.raises(ResourceExistsError) as refused:
        await client.set_secret("token", "two")
    error = refused.value.error
    assert error is not None
    assert (error.code, error.innererror) == ("Conflict", {"code": "ObjectIsDeletedButRecoverable"})
    assert [secret.name async for secret in client.list_deleted_secrets()] == ["token"]
    recovered = await client.recover_deleted_secret("token")
    assert recovered.name == "token"
    assert (await client.get_secret("token")).value == "one"


async def test_purging_frees_the_name_where_it_is_allowed(client: SecretClient, control: httpx.Client) -> None:
    await client.set_secret("token", "one")
    await client.delete_secret("token")
    with pytest.raises(HttpResponseError, match="purge protection") as refused:
        await client.purge_deleted_secret("token")
    assert refused.value.status_code == 403
    control.patch("/settings", json={"purge_protection": False})
    await client.purge_deleted_secret("token")
    with pytest.raises(ResourceNotFoundError):
        await client.get_deleted_secret("token")
    assert (await client.set_secret("token", "two")).value == "two"


async def test_deletion_and_recovery_take_their_time(client: SecretClient, control: httpx.Client) -> None:
    await client.set_secret("token", "one")
    control.patch("/settings", json={"transition_s": 3600})
    await client._client.delete_secret("token")
    with pytest.raises(ResourceNotFoundError):
        await client.get_deleted_secret("token")
    with pytest.raises(ResourceExistsError, match="being deleted"):
        await client.set_secret("token", "two")


async def test_faults_come_on_demand_and_go(client: SecretClient, control: httpx.Client) -> None:
    await client.set_secret("token", "one")
    control.post("/faults", json={"kind": "throttled", "remaining": 2, "retry_after_s": 7})
    control.post("/faults", json={"kind": "unavailable", "method": "PUT", "remaining": None})
    for _ in range(2):
        with pytest.raises(HttpResponseError, match="VaultRequestTypeLimitReached") as refused:
            await client.get_secret("token")
        assert refused.value.status_code == 429
        response = refused.value.response
        assert isinstance(response, AsyncHttpResponse)
        assert response.headers["Retry-After"] == "7"
    assert (await client.get_secret("token")).value == "one"
    with pytest.raises(HttpResponseError) as refused:
        await client.set_secret("token", "two")
    assert refused.value.status_code == 503
    control.delete("/faults")
    assert (await client.set_secret("token", "two")).value == "two"
    assert control.post("/faults", json={"kind": "earthquake"}).status_code == 400


async def test_the_client_waits_and_tries_again_when_throttled(
    ungoverned: None, vault_url: str, credential: ManagedIdentityCredential, control: httpx.Client
) -> None:
    async with SecretClient(vault_url, credential, verify_challenge_resource=False, retry_backoff_factor=0) as client:
        await client.set_secret("token", "one")
        control.post("/faults", json={"kind": "throttled", "retry_after_s": 0})
        assert (await client.get_secret("token")).value == "one"


async def test_the_log_holds_no_values(client: SecretClient, control: httpx.Client) -> None:
    await client.set_secret("token", "the-value-itself")
    log = control.get("/requests")
    assert log.json()[-1]["path"] == "/secrets/token"
    assert log.json()[-1]["principal_id"]
    assert "the-value-itself" not in log.text


async def test_vaults_see_nothing_of_each_other(key_vaults: KeyVaults, credential: ManagedIdentityCredential) -> None:
    one, other = key_vaults.new_vault(), key_vaults.new_vault()
    async with SecretClient(one, credential, verify_challenge_resource=False) as client:
        secret = await client.set_secret(
            "token", "one", content_type="text/plain", expires_on=datetime.now(UTC) + timedelta(days=1)
        )
        assert secret.id is not None
        assert secret.id.startswith(f"{one}/secrets/token/")
    async with SecretClient(other, credential, verify_challenge_resource=False) as client:
        assert [properties.name async for properties in client.list_properties_of_secrets()] == []
