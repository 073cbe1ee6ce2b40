"""What a success or a failure at ServiceNow means for a connection's status."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.clock import Clock, believed
from shared.connections.changes import change_connection
from shared.connections.model import Connection, ConnectionStatus, Grant, LastError, Operation
from shared.connections.ports import ConnectionStore
from shared.errors import (
    AccessTokenRefused,
    ConnectorError,
    Failure,
    FixConfiguration,
    InstanceClosed,
    NewAccessTokenRefused,
    OutcomeUnknown,
    Reauthorize,
    ServiceNowThrottled,
    ServiceNowUnavailable,
)
from shared.log import log_event
from shared.service import service

NOTED_EVERY: Final = timedelta(minutes=1)
"""If the same outcome comes again within this time, it is not stored."""
WORKS_FOR: Final = timedelta(minutes=30)
"""A connection that worked within this time is known to work; its access token is refreshed more often than that."""

FIRST_REFRESH_AFTER: Final = timedelta(minutes=15)
REFRESH_EVERY: Final = timedelta(hours=1)
"""A refusal has a dozen causes (ServiceNow §1.6), and most of them pass: a user is locked out, or an instance is being
restored. So the connector asks again, first after ``FIRST_REFRESH_AFTER``, then every ``REFRESH_EVERY``."""
ACCESS_TOKEN_CODES: Final = frozenset({AccessTokenRefused.default_code, NewAccessTokenRefused.default_code})
"""The API refused an access token. That says nothing about the consent, and a new token says nothing about the API."""

HANDS_OFF: Final = timedelta(minutes=30)
"""How long other instances of the app wait for one that holds a newer refresh token. That one keeps renewing the time.
If it stops, its token is lost with it, and the others try the token in Key Vault."""
NOT_STORED: Final = "refresh_token_not_stored"

_NEEDS_A_PERSON: Final = frozenset({"secret_missing", "configuration_changed", "connection_removed"})
_IN_USE: Final = frozenset({ConnectionStatus.CONNECTED, ConnectionStatus.UNAVAILABLE})


def last_error(error: ConnectorError, now: datetime, operation: Operation | None = None) -> LastError:
    """Return an error in the form that a connection stores."""
    return LastError(error.failure, now, operation)


def after_success(connection: Connection, now: datetime, operation: Operation | None = None) -> Connection:
    """Return the connection after ServiceNow gave a real answer; the same object if there is nothing to store.

    The last error of another operation stays.

    A connection whose refresh token was refused keeps its status, even if an access token still works.
    """
    fresh = _is_fresh(connection.last_success_at, now, NOTED_EVERY)
    if connection.status in _IN_USE or _was_only_the_access_token(connection):
        after = replace(
            connection.with_status(ConnectionStatus.CONNECTED, now),
            last_success_at=connection.last_success_at if fresh else now,
            last_error=_error_beside_success(connection, now, operation),
        )
        return connection if after == connection else replace(after, last_success_at=now)
    if connection.status is ConnectionStatus.REAUTHORIZATION_REQUIRED and not fresh:
        return replace(connection, last_success_at=now)
    return connection


def after_failure(
    connection: Connection, error: ConnectorError, now: datetime, operation: Operation | None = None
) -> Connection:
    """Return the connection after a call failed; the same object if there is nothing to store.

    An unknown outcome may be due to one record; it does not mean that the instance is unavailable. Reauthorize changes
    nothing: the code that asked the token endpoint has noted it, with :func:`after_refusal`.
    """
    if connection.status not in _IN_USE:
        return connection
    match error:
        case OutcomeUnknown():
            status = connection.status
        case ServiceNowUnavailable() | InstanceClosed():
            status = ConnectionStatus.UNAVAILABLE
        case FixConfiguration() | ServiceNowThrottled():
            status = connection.status
        case _:
            return connection
    known = connection.last_error
    same = (
        status is connection.status and known is not None and (known.code, known.operation) == (error.code, operation)
    )
    if same and known is not None and _is_fresh(known.at, now, NOTED_EVERY):
        return connection
    return replace(connection.with_status(status, now), last_error=last_error(error, now, operation))


def after_settling(connection: Connection, operation: Operation) -> Connection:
    """Return the connection when nothing waits for the operation any more: the operation's last error is cleared."""
    known = connection.last_error
    return connection if known is None or known.operation is not operation else replace(connection, last_error=None)


def after_refusal(connection: Connection, error: Reauthorize, now: datetime) -> Connection:
    """Return the connection after the token endpoint refused the consent, or after the secrets for it were lost."""
    wait = FIRST_REFRESH_AFTER if connection.status in _IN_USE else REFRESH_EVERY
    return replace(
        connection.with_status(ConnectionStatus.REAUTHORIZATION_REQUIRED, now),
        last_error=last_error(error, now),
        refresh_again_at=now + wait,
    )


def after_refresh(connection: Connection, now: datetime) -> Connection:
    """Return the connection after the token endpoint issued a token."""
    working = replace(connection, last_success_at=now, refresh_again_at=None)
    error = connection.last_error
    if connection.status is ConnectionStatus.UNAVAILABLE and error is not None and error.code in ACCESS_TOKEN_CODES:
        return working
    return replace(
        working.with_status(ConnectionStatus.CONNECTED, now), last_error=_error_beside_success(connection, now)
    )


def with_refresh_token_outdated(connection: Connection, now: datetime) -> Connection:
    """Return the connection after Key Vault did not accept its new refresh token; the same object if it says so."""
    until_at = believed(connection.refresh_token_outdated_until_at, now, ahead=HANDS_OFF)
    if until_at is not None and until_at - now > HANDS_OFF / 2:
        return connection
    after = replace(connection, refresh_token_outdated_until_at=now + HANDS_OFF)
    return replace(after, last_error=connection.last_error or _error_beside_success(after, now))


def with_refresh_token_stored(connection: Connection, now: datetime) -> Connection:
    """Return the connection after Key Vault accepted its new refresh token.

    If ServiceNow has refused the old one in the meantime, that says nothing about the new one.
    """
    error = connection.last_error
    after = replace(
        connection,
        refresh_token_outdated_until_at=None,
        last_error=None if error is not None and error.code == NOT_STORED else error,
    )
    if connection.status is ConnectionStatus.REAUTHORIZATION_REQUIRED:
        after = replace(after.with_status(ConnectionStatus.CONNECTED, now), refresh_again_at=None, last_error=None)
    return after


def is_refresh_token_outdated(connection: Connection, now: datetime) -> bool:
    """Whether another instance of the app holds a newer refresh token than Key Vault."""
    until_at = believed(connection.refresh_token_outdated_until_at, now, ahead=HANDS_OFF)
    return until_at is not None and until_at > now


def may_refresh_at(connection: Connection, now: datetime) -> datetime | None:
    """Return the earliest time to ask the token endpoint, or None if only a person can make that possible.

    That is now while the connection is in use; after a refusal it is the time to ask again. A row from a release that
    did not ask again has no such time, so we ask at once. A consent ends; client credentials do not.
    """
    if connection.status in _IN_USE:
        return now
    if connection.status is not ConnectionStatus.REAUTHORIZATION_REQUIRED:
        return None
    if _needs_a_person(connection):
        return None
    again_at = max(now, believed(connection.refresh_again_at, now, ahead=REFRESH_EVERY) or now)
    if connection.grant is Grant.CLIENT_CREDENTIALS:
        return again_at if connection.is_granted else None
    ends_at = connection.consent_ends_at
    return None if ends_at is None or ends_at <= again_at else again_at


def _needs_a_person(connection: Connection) -> bool:
    """Whether asking again is pointless.

    With client credentials a missing secret is looked for again: a host of release 0.1, which does not know that grant,
    says the same because there is no refresh token.
    """
    code = None if connection.last_error is None else connection.last_error.code
    is_of_release_0_1 = connection.grant is Grant.CLIENT_CREDENTIALS and code == "secret_missing"
    return code in _NEEDS_A_PERSON and not is_of_release_0_1


def may_refresh(connection: Connection, now: datetime) -> bool:
    """Whether the token endpoint may be asked now, as :func:`may_refresh_at` says."""
    return may_refresh_at(connection, now) == now


def is_known_to_work(connection: Connection, now: datetime) -> bool:
    """Whether another success would only change the time of the last one."""
    works = connection.status is ConnectionStatus.CONNECTED and connection.last_error is None
    return works and _is_fresh(connection.last_success_at, now, WORKS_FOR)


def _error_beside_success(
    connection: Connection, now: datetime, operation: Operation | None = None
) -> LastError | None:
    """Return what is wrong with a connection that works.

    That is either that Key Vault does not have its refresh token, or the last error of another operation.
    """
    if connection.refresh_token_outdated_until_at is None:
        error = connection.last_error
        return error if error is not None and error.operation not in {None, operation} else None
    if connection.last_error is not None and connection.last_error.code == NOT_STORED:
        return connection.last_error
    return LastError(Failure(NOT_STORED), now)


def _was_only_the_access_token(connection: Connection) -> bool:
    """Whether an earlier release set the status because it mistook a refused access token for a refused consent."""
    return (
        connection.status is ConnectionStatus.REAUTHORIZATION_REQUIRED
        and connection.last_error is not None
        and connection.last_error.code in ACCESS_TOKEN_CODES
    )


def _is_fresh(noted_at: datetime | None, now: datetime, every: timedelta) -> bool:
    noted_at = believed(noted_at, now)
    return noted_at is not None and now - noted_at < every


@service
class ConnectionHealth:
    """Notes on the stored connection how calls to ServiceNow went, without a write for every call."""

    connections: ConnectionStore
    clock: Clock

    async def succeeded(self, connection: Connection, operation: Operation | None = None) -> Connection:
        """Note that ServiceNow gave a real answer; return the connection as stored. Raises TryLater."""
        now = self.clock()
        return await self.changed(connection, lambda current: after_success(current, now, operation))

    async def failed(
        self, connection: Connection, error: ConnectorError, operation: Operation | None = None
    ) -> Connection:
        """Note why a call failed; return the connection as stored. Raises TryLater."""
        now = self.clock()
        return await self.changed(connection, lambda current: after_failure(current, error, now, operation))

    async def settled(self, connection: Connection, operation: Operation) -> Connection:
        """Note that nothing waits for the operation any more; return the connection as stored. Raises TryLater."""
        return await self.changed(connection, lambda current: after_settling(current, operation))

    async def changed(self, connection: Connection, change: Callable[[Connection], Connection]) -> Connection:
        """Change the connection as stored, unless it now has another consent; return it as stored.

        A new status is logged here. Raises TryLater, and what ``change`` raises.
        """
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
    """Whether both have the same grant: what we learn about one says nothing about another.

    ``consented_at`` stays when a grant and its tokens are given up, so that is compared, too.
    """
    return (one.instance, one.client_id, one.grant, one.consented_at, one.is_granted) == (
        other.instance,
        other.client_id,
        other.grant,
        other.consented_at,
        other.is_granted,
    )
