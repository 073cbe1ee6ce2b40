"""How release 0.1 (commit fdf9399) wrote and read the rows of connections. A frozen copy: never change it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from tests.releases.release_0_1.connection_model import (
    Connection,
    ConnectionStatus,
    KindSettings,
    LastError,
    Portal,
    SyncState,
    TicketKind,
)
from tests.releases.release_0_1.times import plain_time, plain_time_or_none

type Row = dict[str, Any]

CONNECTION_KEY: Final = "connection"
SYNC_KEY: Final = "sync"


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
