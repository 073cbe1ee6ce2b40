"""What a success or a failure at ServiceNow means for a connection's status."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from shared.clock import Clock
from shared.connections.changes import change_connection
from shared.connections.model import Connection, ConnectionStatus, LastError
from shared.connections.ports import ConnectionStore
from shared.errors import ConnectorError, FixConfiguration, Reauthorize, ServiceNowThrottled, ServiceNowUnavailable
from shared.log import log_event

NOTED_EVERY: Final = timedelta(minutes=1)
"""The same outcome again within this time is not written down."""
WHOLE_INSTANCE_CODES: Final = frozenset({"ip_address_blocked", "access_scope_missing"})
"""Refusals that concern every call on the connection."""

_IN_USE: Final = frozenset({ConnectionStatus.CONNECTED, ConnectionStatus.UNAVAILABLE})


def last_error(error: ConnectorError, now: datetime) -> LastError:
    """Return an error as a connection keeps it."""
    return LastError(error.code, error.message, error.next_step, now)


def after_success(connection: Connection, now: datetime) -> Connection:
    """Return the connection after ServiceNow gave a real answer; the same object when that need not be stored.

    A connection whose refresh token is refused stays so: an access token that still works does not bring it back.
    """
    fresh = connection.last_success_at is not None and now - connection.last_success_at < NOTED_EVERY
    if connection.status in _IN_USE:
        if fresh and connection.status is ConnectionStatus.CONNECTED and connection.last_error is None:
            return connection
        return replace(connection.with_status(ConnectionStatus.CONNECTED, now), last_success_at=now, last_error=None)
    if connection.status is ConnectionStatus.REAUTHORIZATION_REQUIRED and not fresh:
        return replace(connection, last_success_at=now)
    return connection


def after_failure(connection: Connection, error: ConnectorError, now: datetime) -> Connection:
    """Return the connection after a call failed; the same object when that need not be stored."""
    if connection.status not in _IN_USE:
        return connection
    match error:
        case Reauthorize():
            status = ConnectionStatus.REAUTHORIZATION_REQUIRED
        case ServiceNowUnavailable():
            status = ConnectionStatus.UNAVAILABLE
        case FixConfiguration() if error.code in WHOLE_INSTANCE_CODES:
            status = ConnectionStatus.UNAVAILABLE
        case FixConfiguration() | ServiceNowThrottled():
            status = connection.status
        case _:
            return connection
    known = connection.last_error
    if status is connection.status and known is not None and known.code == error.code and now - known.at < NOTED_EVERY:
        return connection
    return replace(connection.with_status(status, now), last_error=last_error(error, now))


@dataclass(frozen=True, slots=True)
class ConnectionHealth:
    """Notes on the stored connection how calls to ServiceNow went, without a write on every call."""

    connections: ConnectionStore
    clock: Clock

    async def succeeded(self, connection: Connection) -> Connection:
        """Note that ServiceNow gave a real answer; return the connection as stored. Raises TryLater."""
        now = self.clock()
        return await self._changed(connection, lambda current: after_success(current, now))

    async def failed(self, connection: Connection, error: ConnectorError) -> Connection:
        """Note why a call failed; return the connection as stored. Raises TryLater."""
        now = self.clock()
        return await self._changed(connection, lambda current: after_failure(current, error, now))

    async def _changed(self, connection: Connection, change: Callable[[Connection], Connection]) -> Connection:
        """Change the connection as it is stored; somebody else may have noted the same before, and told it."""
        before = connection

        def change_current(current: Connection) -> Connection:
            nonlocal before
            before = current
            return change(current) if is_same_grant(current, connection) else current

        after = await change_connection(self.connections, connection, change_current)
        if after.status is not before.status:
            log_event(
                "connection_status_changed",
                connection_id=after.connection_id,
                status=after.status.value,
                before=before.status.value,
                code=after.last_error.code if after.last_error else None,
            )
        return after


def is_same_grant(one: Connection, other: Connection) -> bool:
    """Whether both stand for the same consent: what is learnt under one says nothing about another."""
    return (one.instance, one.client_id, one.consented_at) == (other.instance, other.client_id, other.consented_at)
