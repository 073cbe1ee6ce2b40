"""Over TLS and with the real client, Azurite accepts the managed identity endpoint's access token."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError
from azure.data.tables import TableEntity, UpdateMode
from azure.data.tables.aio import TableClient, TableServiceClient
from azure.identity.aio import ManagedIdentityCredential

from sandbox.azurite import Azurite, StorageAccount
from sandbox.certificates import Certificates
from sandbox.managed_identity.tokens import ManagedIdentity, TokenSigner
from sandbox.processes import SandboxError


async def update_unmodified(table: TableClient, entity: TableEntity) -> None:
    await table.update_entity(
        entity,
        mode=UpdateMode.REPLACE,
        etag=entity.metadata["etag"],
        match_condition=MatchConditions.IfNotModified,
    )


async def test_entities_and_etags(storage_account: StorageAccount, credential: ManagedIdentityCredential) -> None:
    async with TableServiceClient(storage_account.tables_url, credential=credential) as service:
        table = await service.create_table("tickets")
        await table.create_entity({"PartitionKey": "a", "RowKey": "1", "state": "new"})
        with pytest.raises(ResourceExistsError):
            await table.create_entity({"PartitionKey": "a", "RowKey": "1"})
        entity = await table.get_entity("a", "1")
        entity["state"] = "closed"
        await update_unmodified(table, entity)
        with pytest.raises(ResourceModifiedError):
            await update_unmodified(table, entity)
        found = [row["state"] async for row in table.query_entities("PartitionKey eq @p", parameters={"p": "a"})]
    assert found == ["closed"]


async def test_accounts_see_nothing_of_each_other(azurite: Azurite, credential: ManagedIdentityCredential) -> None:
    one, other = azurite.new_account(), azurite.new_account()
    async with TableServiceClient(one.tables_url, credential=credential) as service:
        await service.create_table("tickets")
    async with TableServiceClient(other.tables_url, credential=credential) as service:
        assert [table.name async for table in service.list_tables()] == []


@pytest.mark.parametrize(
    ("resource", "lifetime", "status"),
    [
        pytest.param("https://storage.azure.com", timedelta(hours=1), 200, id="good"),
        pytest.param("https://vault.azure.net", timedelta(hours=1), 403, id="audience of another service"),
        pytest.param("https://storage.azure.com", timedelta(minutes=-1), 403, id="expired"),
    ],
)
def test_tokens_are_checked(
    storage_account: StorageAccount, certificates: Certificates, resource: str, lifetime: timedelta, status: int
) -> None:
    token = TokenSigner(certificates.token_key).issue(
        ManagedIdentity.of("anybody"), resource, issued_at=datetime.now(UTC), lifetime=lifetime
    )
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json", "x-ms-version": "2019-02-02"}
    assert httpx.get(f"{storage_account.tables_url}/Tables", headers=headers).status_code == status


async def test_connection_string_opens_the_same_account(
    storage_account: StorageAccount, credential: ManagedIdentityCredential
) -> None:
    async with TableServiceClient.from_connection_string(storage_account.connection_string) as service:
        await service.create_table("tickets")
    async with TableServiceClient(storage_account.tables_url, credential=credential) as service:
        assert [table.name async for table in service.list_tables()] == ["tickets"]


def test_running_out_of_accounts_is_said(azurite: Azurite) -> None:
    small = Azurite(azurite.process, azurite.ports, accounts=("only",))
    assert small.new_account().name == "only"
    with pytest.raises(SandboxError, match="All 1 storage accounts"):
        small.new_account()
