"""Addresses of this app that other modules link to."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from shared.errors import ConnectorError

FROM: Final = "from"
"""The parameter of a ticket's address that says which page leads there, as that page was."""


def from_query(address: str) -> str:
    """Return the part of a ticket's address that keeps the way back to a page; empty if there is none."""
    return f"?{FROM}={quote(address, safe='')}" if address else ""


def authorize_path(connection_id: str, *, log_out_first: bool = False) -> str:
    """Return the path of this app that begins an authorization."""
    path = f"/api/oauth/authorize?connection_id={connection_id}"
    return f"{path}&log_out_first=true" if log_out_first else path


def way_to_authorize(error: ConnectorError) -> str | None:
    """Return the path that begins the authorization again, if the error names the connection."""
    connection_id = error.values.get("connection_id")
    if connection_id is None:
        return None
    return authorize_path(connection_id, log_out_first=error.values.get("log_out_first", False))
