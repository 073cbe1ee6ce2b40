"""How release 0.1 (commit fdf9399) read its other rows. A frozen copy: never change it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.releases.release_0_1.times import plain_time


def authorization_of(row: Any) -> dict[str, Any]:
    """Read a row of the table ``authorizations``."""
    return {
        "state_hash": row["RowKey"],
        "connection_id": row["connection_id"],
        "code_challenge": row["code_challenge"],
        "expires_at": plain_time(row["expires_at"]),
        "started_by": row["started_by"],
    }


def reservation_of(row: Any) -> dict[str, Any]:
    """Read a row of the table ``idempotency``."""
    return {
        "key_hash": row["RowKey"],
        "request_hash": row["request_hash"],
        "ticket_id": row["ticket_id"],
        "reserved_at": row["reserved_at"],
    }


def lease_of(row: Any) -> tuple[str, datetime]:
    """Read a row ``lease:<purpose>`` of the table ``connections``."""
    return row["holder"], row["until_at"]


def requester_of(row: Any) -> tuple[datetime, str | None]:
    """Read a row ``requester:<hash>`` of the table ``connections``."""
    return plain_time(row["until_at"]), row.get("sys_id")
