"""The tables in Table Storage; storage failures become the product's own errors."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from azure.core import MatchConditions
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.data.tables import TableEntity, TableErrorCode, UpdateMode
from azure.data.tables.aio import TableClient, TableServiceClient

from shared.connections.ports import RowChanged
from shared.errors import StorageUnavailable
from shared.log import log_event
from shared.service import service
from shared.settings import Settings
from shared.storage.entity_transactions import EntityTransactions, PipelineStart
from shared.storage.network import open_network

TABLE_NAMES: Final = (
    *("connections", "authorizations", "tickets", "idempotency", "directory"),
    *("tenants", "recommendations", "evidence"),
)
"""Every table of the product; ``infra/`` creates them."""

RETRIES: Final = 3

REPEATED: Final[Mapping[str, Any]] = {"retry_on_methods": frozenset({"GET", "PUT", "DELETE", "POST", "PATCH"})}
"""Passed with every insert, transaction and merge: by default, the SDK gives up a POST or PATCH when its connection
breaks, as a long-idle connection does. It may have been carried out anyway, so the code that repeats it has to
recognise its own write."""

PAGE_ROWS: Final = 1000
"""Rows of an answer at most, by the service's own limit."""

WRITE_ID: Final = "write_id"
"""Column that distinguishes a write from that of somebody else."""

_TRY_AGAIN: Final = frozenset({408, 429})
_REFUSED_BY_POLICY: Final = "ForbiddenByGovernancePolicy"


@service
class Tables:
    """Clients of the product's tables; they share one connection pool."""

    connections: TableClient
    authorizations: TableClient
    tickets: TableClient
    idempotency: TableClient
    directory: TableClient
    tenants: TableClient
    recommendations: TableClient
    evidence: TableClient
    transactions: EntityTransactions
    service: TableServiceClient

    async def create_missing(self) -> None:
        """Create missing tables, for a storage account that no deployment has prepared.

        Raises StorageUnavailable.
        """
        with storage_errors():
            for name in TABLE_NAMES:
                await self.service.create_table_if_not_exists(name)

    async def aclose(self) -> None:
        """Close the connection pool."""
        await self.service.close()


def open_tables(settings: Settings, credential: AsyncTokenCredential) -> Tables:
    """Return clients of the tables at ``settings.tables_url``; nothing is sent yet.

    A request that is not answered is repeated a few times within a minute; every write of the product is either
    conditional or can be repeated without harm.
    """
    network = open_network()
    pipeline = PipelineStart(network)
    service = TableServiceClient(
        settings.tables_url,
        credential=credential,
        transport=network,
        per_call_policies=[pipeline],
        retry_total=RETRIES,
        retry_backoff_factor=0.4,
        retry_backoff_max=5,
    )
    return Tables(
        **{name: service.get_table_client(name) for name in TABLE_NAMES},
        transactions=EntityTransactions(settings.tables_url, pipeline, REPEATED),
        service=service,
    )


@contextmanager
def storage_errors() -> Iterator[None]:
    """Raise StorageUnavailable instead of the Azure SDK's errors if the service, not the request, is to blame.

    Answers that show other writers (404, 409, 412) pass unchanged, unless the table itself is missing: the caller knows
    what they mean. Answers to a malformed request pass, too; they are bugs.
    """
    try:
        yield
    except AzureError as error:
        if (told := _told(error)) is None:
            raise
        log_event(
            "storage_failed",
            level=logging.WARNING,
            code=told.code,
            error=type(error).__qualname__,
            reason=type(error.inner_exception).__qualname__ if error.inner_exception else None,
            status=error.status_code if isinstance(error, HttpResponseError) else None,
        )
        raise told from None


async def insert_row(table: TableClient, row: Mapping[str, Any]) -> str:
    """Insert a row and return its etag.

    It is repeated when its connection breaks (see :data:`REPEATED`). Raises StorageUnavailable, after which the row may
    be there, and lets ResourceExistsError pass.
    """
    with storage_errors():
        try:
            return str((await table.create_entity(row, **REPEATED))["etag"])
        except AttributeError as error:
            # When an answer breaks off, the SDK fails on its own error, which has no response to parse.
            if isinstance(error.__context__, HttpResponseError):
                raise error.__context__ from None
            raise


async def save_row(table: TableClient, row: Mapping[str, Any], etag: str | None) -> str:
    """Insert a row (``etag`` is None) or merge into the version with this etag; return its new etag.

    It is repeated when its connection breaks, and recognises its own write then. Raises RowChanged if another version
    is stored, and StorageUnavailable, after which the row may be written.
    """
    written = {**row, WRITE_ID: secrets.token_hex(8)}
    with storage_errors():
        try:
            if etag is None:
                return await insert_row(table, written)
            answer = await table.update_entity(
                written,
                mode=UpdateMode.MERGE,
                etag=etag,
                match_condition=MatchConditions.IfNotModified,
                **REPEATED,
            )
            return str(answer["etag"])
        except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError) as error:
            if is_table_missing(error):
                raise
    present = await get_row(table, row["PartitionKey"], row["RowKey"])
    if present is None or present.get(WRITE_ID) != written[WRITE_ID]:
        raise RowChanged(row["RowKey"])
    return str(present.metadata["etag"])


async def get_row(
    table: TableClient, partition_key: str, row_key: str, *, columns: list[str] | None = None
) -> TableEntity | None:
    """Return a row; None if there is none. Raises StorageUnavailable.

    Args:
        columns: The columns to read; None for all.
    """
    with storage_errors():
        try:
            return await table.get_entity(partition_key, row_key, select=columns)
        except ResourceNotFoundError as error:
            if is_table_missing(error):
                raise
            return None


async def list_rows(
    table: TableClient, partition_key: str, first: str, end: str, *, columns: list[str] | None = None
) -> list[Any]:
    """Return the rows from one key up to another, in order, with one request for each thousand.

    Args:
        end: The first key that is not wanted any more.
        columns: The columns to read; None for all.
    """
    with storage_errors():
        found = table.query_entities(
            "PartitionKey eq @partition and RowKey ge @first and RowKey lt @end",
            parameters={"partition": partition_key, "first": first, "end": end},
            select=columns,
            results_per_page=PAGE_ROWS,
        )
        return [row async for row in found]


def etag_of(row: Any | None) -> str | None:
    """Return the version of a row that was read; None if there is no row."""
    return None if row is None else row.metadata["etag"]


def keys_of(row: Mapping[str, Any]) -> dict[str, str]:
    """Return only the keys of a row: all that a deletion sends."""
    return {name: row[name] for name in ("PartitionKey", "RowKey")}


def is_table_missing(error: HttpResponseError) -> bool:
    """Whether a 404 is about the whole table and not about one of its rows."""
    response_code: str | None = getattr(error.response, "headers", {}).get("x-ms-error-code")
    return TableErrorCode.TABLE_NOT_FOUND in {getattr(error, "error_code", None), response_code}


def inner_code(error: HttpResponseError) -> str | None:
    """Return Key Vault's own error code, such as ``SecretDisabled``, if there is one."""
    inner: Any = getattr(error.error, "innererror", None) or {}
    code = inner.get("code")
    return code if isinstance(code, str) else None


def is_refused_by_policy(error: HttpResponseError) -> bool:
    """Whether an Azure policy, not the vault itself, refused the write."""
    return inner_code(error) == _REFUSED_BY_POLICY


def _told(error: AzureError) -> StorageUnavailable | None:
    status = error.status_code if isinstance(error, HttpResponseError) else None
    if isinstance(error, HttpResponseError) and is_table_missing(error):
        return StorageUnavailable("storage_table_missing")
    if isinstance(error, HttpResponseError) and is_refused_by_policy(error):
        return StorageUnavailable("secret_refused_by_policy")
    if isinstance(error, ClientAuthenticationError) or status in {401, 403}:
        return StorageUnavailable("storage_access_refused")
    if status is not None and 400 <= status < 500 and status not in _TRY_AGAIN:
        return None
    return StorageUnavailable(retry_after_s=_retry_after_s(error))


def _retry_after_s(error: AzureError) -> float | None:
    text: str = getattr(getattr(error, "response", None), "headers", {}).get("Retry-After", "")
    return float(text) if text.isdecimal() else None
