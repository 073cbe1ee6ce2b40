"""Connections and how far their synchronisation has come, in table ``connections``.

One partition per connection (its id) holds everything about it, by row key: ``connection``, ``sync``,
``lease:<purpose>`` (:mod:`shared.storage.leases`) and ``requester:<hash>`` (:mod:`shared.storage.requesters`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableClient

from shared.connections.model import (
    Connection,
    ConnectionStatus,
    KindSettings,
    LastError,
    Portal,
    SyncState,
    TicketKind,
)
from shared.connections.ports import RowChanged
from shared.storage.tables import REPEATED, get_row, is_table_missing, plain_time, plain_time_or_none, storage_errors

type Row = dict[str, Any]

CONNECTION_KEY: Final = "connection"
SYNC_KEY: Final = "sync"


class AzureConnectionStore:
    """Implements :class:`shared.connections.ports.ConnectionStore`; every method can raise StorageUnavailable."""

    def __init__(self, table: TableClient) -> None:
        self._table = table

    async def get_connection(self, connection_id: str) -> Connection | None:
        """Return the connection, or None."""
        row = await get_row(self._table, connection_id, CONNECTION_KEY)
        return None if row is None else connection_of(row)

    async def list_connections(self) -> Sequence[Connection]:
        """Return all connections, removed ones included, ordered by id."""
        with storage_errors():
            rows = self._table.query_entities("RowKey eq @key", parameters={"key": CONNECTION_KEY})
            return sorted([connection_of(row) async for row in rows], key=lambda each: each.connection_id)

    async def create_connection(self, connection: Connection) -> Connection:
        """Store a new connection. Raises RowChanged when the id is taken."""
        return replace(connection, etag=await self._create(connection_row(connection)))

    async def update_connection(self, connection: Connection) -> Connection:
        """Replace a connection if its etag is still the stored one. Raises RowChanged otherwise."""
        assert connection.etag is not None, "only a stored connection can be replaced"
        return replace(connection, etag=await self._replace(connection_row(connection), connection.etag))

    async def get_sync_state(self, connection_id: str) -> SyncState:
        """Return the state, a fresh one when none is stored."""
        row = await get_row(self._table, connection_id, SYNC_KEY)
        return SyncState() if row is None else sync_state_of(row)

    async def save_sync_state(self, connection_id: str, state: SyncState) -> SyncState:
        """Store the state if its etag is still the stored one (None: not stored yet). Raises RowChanged otherwise."""
        row = sync_state_row(connection_id, state)
        return replace(state, etag=await (self._create(row) if state.etag is None else self._replace(row, state.etag)))

    async def _create(self, row: Row) -> str:
        with storage_errors():
            try:
                return str((await self._table.create_entity(row, **REPEATED))["etag"])
            except ResourceExistsError:
                raise RowChanged(row["PartitionKey"]) from None

    async def _replace(self, row: Row, etag: str) -> str:
        with storage_errors():
            try:
                answer = await self._table.update_entity(
                    row, mode=UpdateMode.REPLACE, etag=etag, match_condition=MatchConditions.IfNotModified
                )
            except (ResourceModifiedError, ResourceNotFoundError) as error:
                if is_table_missing(error):
                    raise
                raise RowChanged(row["PartitionKey"]) from None
            return str(answer["etag"])


def connection_row(connection: Connection) -> Row:
    """Return the row of a connection; values that are None are left out, so a replaced row loses them."""
    error = connection.last_error
    return _without_none(
        {
            "PartitionKey": connection.connection_id,
            "RowKey": CONNECTION_KEY,
            "display_name": connection.display_name,
            "instance": connection.instance,
            "client_id": connection.client_id,
            "integration_user": connection.integration_user,
            "portals": json.dumps([portal.value for portal in connection.portals]),
            "kinds": json.dumps(
                {kind.value: _kind_json(settings) for kind, settings in connection.kinds.items()}, ensure_ascii=False
            ),
            "time_zone": connection.time_zone,
            "consent_lifetime_s": connection.consent_lifetime_s,
            "status": connection.status.value,
            "status_since_at": connection.status_since_at,
            "integration_user_sys_id": connection.integration_user_sys_id,
            "consented_at": connection.consented_at,
            "consent_ends_at": connection.consent_ends_at,
            "access_token_expires_at": connection.access_token_expires_at,
            "access_token_refresh_at": connection.access_token_refresh_at,
            "access_token_version": connection.access_token_version,
            "last_success_at": connection.last_success_at,
            "error_code": error.code if error else None,
            "error_message": error.message if error else None,
            "error_next_step": error.next_step if error else None,
            "error_at": error.at if error else None,
        }
    )


def connection_of(row: Any) -> Connection:
    """Return the connection in a row of the table."""
    get = row.get
    error = None
    if (code := get("error_code")) is not None:
        error = LastError(code, row["error_message"], row["error_next_step"], plain_time(row["error_at"]))
    return Connection(
        connection_id=row["PartitionKey"],
        display_name=row["display_name"],
        instance=row["instance"],
        client_id=row["client_id"],
        integration_user=row["integration_user"],
        portals=tuple(Portal(value) for value in json.loads(row["portals"])),
        kinds={TicketKind(kind): _kind_settings(value) for kind, value in json.loads(row["kinds"]).items()},
        time_zone=row["time_zone"],
        consent_lifetime_s=row["consent_lifetime_s"],
        status=ConnectionStatus(row["status"]),
        status_since_at=plain_time_or_none(get("status_since_at")),
        integration_user_sys_id=get("integration_user_sys_id"),
        consented_at=plain_time_or_none(get("consented_at")),
        consent_ends_at=plain_time_or_none(get("consent_ends_at")),
        access_token_expires_at=plain_time_or_none(get("access_token_expires_at")),
        access_token_refresh_at=plain_time_or_none(get("access_token_refresh_at")),
        access_token_version=get("access_token_version"),
        last_success_at=plain_time_or_none(get("last_success_at")),
        last_error=error,
        etag=row.metadata["etag"],
    )


def sync_state_row(connection_id: str, state: SyncState) -> Row:
    """Return the row of a synchronisation state; values that are None are left out."""
    return _without_none(
        {
            "PartitionKey": connection_id,
            "RowKey": SYNC_KEY,
            "watermark": state.watermark,
            "watermark_seen_at": state.watermark_seen_at,
            "resume_after": json.dumps(state.resume_after) if state.resume_after is not None else None,
            "resume_after_ticket": state.resume_after_ticket,
            "last_started_at": state.last_started_at,
            "last_completed_at": state.last_completed_at,
            "requested_at": state.requested_at,
            "reconciled_at": state.reconciled_at,
            "reconcile_after": state.reconcile_after,
            "reconcile_again_at": state.reconcile_again_at,
        }
    )


def sync_state_of(row: Any) -> SyncState:
    """Return the synchronisation state in a row of the table."""
    get = row.get
    resume_after = get("resume_after")
    return SyncState(
        watermark=get("watermark"),
        watermark_seen_at=plain_time_or_none(get("watermark_seen_at")),
        resume_after=None if resume_after is None else tuple(json.loads(resume_after)),
        resume_after_ticket=get("resume_after_ticket"),
        last_started_at=plain_time_or_none(get("last_started_at")),
        last_completed_at=plain_time_or_none(get("last_completed_at")),
        requested_at=plain_time_or_none(get("requested_at")),
        reconciled_at=plain_time_or_none(get("reconciled_at")),
        reconcile_after=get("reconcile_after"),
        reconcile_again_at=plain_time_or_none(get("reconcile_again_at")),
        etag=row.metadata["etag"],
    )


def _kind_json(settings: KindSettings) -> dict[str, object]:
    return {
        "enabled": settings.enabled,
        "assignment_group": settings.assignment_group,
        "category": settings.category,
        "state_names": dict(settings.state_names),
    }


def _kind_settings(value: Mapping[str, Any]) -> KindSettings:
    return KindSettings(**value)


def _without_none(row: Row) -> Row:
    return {name: value for name, value in row.items() if value is not None}
