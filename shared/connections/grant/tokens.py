"""Access tokens: kept in Key Vault, remembered in memory, refreshed by one instance of the app at a time."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.clock import CLOCKS_DIFFER, Clock, believed
from shared.connections.grant.lease import Lease
from shared.connections.grant.secret_names import access_token_name
from shared.connections.grant.token_requests import LEAST_S, TokenRequests
from shared.connections.grant.unstored_tokens import UnstoredTokens
from shared.connections.held_lease import HeldLease
from shared.connections.model import Connection, ConnectionStatus
from shared.connections.ports import ConnectionStore, SecretStore, TokenSet
from shared.connections.status import (
    FIRST_REFRESH_AFTER,
    ConnectionHealth,
    after_refresh,
    after_refusal,
    is_refresh_token_outdated,
    is_same_grant,
    may_refresh,
    may_refresh_at,
    with_refresh_token_outdated,
    with_refresh_token_stored,
)
from shared.errors import (
    ConnectorError,
    Reauthorize,
    ServiceNowUnavailable,
    StorageUnavailable,
    TryLater,
)
from shared.log import log_event
from shared.secret import Secret
from shared.telemetry import TOKENS_REFRESHED

EARLY_S: Final = 60.0
"""A token is refreshed this long before it expires, so that it does not expire on its way; see :func:`early_s`."""


def early_s(life: timedelta) -> float:
    """Return how long before it expires a token is refreshed: a short-lived one is not refreshed for every call.

    With client credentials that can be the rest of the life of a token that was issued before (ServiceNow §1.5).
    """
    return min(EARLY_S, life.total_seconds() / 3)


def with_access_token(connection: Connection, tokens: TokenSet, version: str | None, issued_at: datetime) -> Connection:
    """Return the connection with a new access token.

    Args:
        version: The token's version in Key Vault; None if it is not there. Other instances of the app then use their
            present access token until it expires.
        issued_at: When it was requested.
    """
    life = timedelta(seconds=tokens.expires_in_s)
    after = replace(connection, access_token_issued_at=issued_at, access_token_refresh_at=issued_at + life * 2 / 3)
    return (
        after
        if version is None
        else replace(after, access_token_version=version, access_token_expires_at=issued_at + life)
    )


def refresh_due_at(connection: Connection, now: datetime) -> datetime | None:
    """Return when the timer has to refresh the access token: after two thirds of its life, or now if there is none.

    After a refused consent, that is when :func:`shared.connections.status.may_refresh_at` allows it, or None.
    """
    asked_at = may_refresh_at(connection, now)
    if asked_at is None or connection.status is ConnectionStatus.REAUTHORIZATION_REQUIRED:
        return asked_at
    refresh_at = connection.access_token_refresh_at
    return now if refresh_at is None or _is_from_the_future(connection, now) else max(now, refresh_at)


def is_refresh_due(connection: Connection, now: datetime) -> bool:
    """Whether the timer has to refresh the access token now."""
    return refresh_due_at(connection, now) == now


def access_from(connection: Connection, now: datetime) -> datetime | None:
    """Return the earliest time to call the instance, or None if only a person can make that possible.

    While we may ask the token endpoint, that is now: we find out whether it gives us a token when we need one.
    """
    if _lasts(connection, LEAST_S, now):
        return now
    times = (may_refresh_at(connection, now), _believed_from(connection, now))
    return min((at for at in times if at is not None), default=None)


def _lasts_long_enough(connection: Connection, now: datetime) -> bool:
    """Whether the access token need not be refreshed before it is used."""
    issued_at, ends_at = connection.access_token_issued_at, connection.access_token_expires_at
    return _lasts(connection, EARLY_S if issued_at is None or ends_at is None else early_s(ends_at - issued_at), now)


def _believed_from(connection: Connection, now: datetime) -> datetime | None:
    """Return the earliest time to use a token dated by a wrong clock: from then on we know how long it lasts."""
    if not _is_from_the_future(connection, now) or connection.access_token_issued_at is None:
        return None
    believed_at = connection.access_token_issued_at - CLOCKS_DIFFER
    return believed_at if _ends_after(connection, LEAST_S, believed_at) else None


def _lasts(connection: Connection, seconds: float, now: datetime) -> bool:
    return not _is_from_the_future(connection, now) and _ends_after(connection, seconds, now)


def _ends_after(connection: Connection, seconds: float, at: datetime) -> bool:
    ends_at = connection.access_token_expires_at
    return ends_at is not None and ends_at - at > timedelta(seconds=seconds)


def _is_from_the_future(connection: Connection, now: datetime) -> bool:
    """Whether a wrong clock dated the access token, so that nobody knows when it expires."""
    return believed(connection.access_token_issued_at, now) != connection.access_token_issued_at


class AccessTokens:
    """The access tokens of connections; implements :class:`shared.connections.ports.TokenSource`."""

    def __init__(
        self,
        *,
        connections: ConnectionStore,
        lease: Lease,
        secrets: SecretStore,
        requests: TokenRequests,
        health: ConnectionHealth,
        clock: Clock,
    ) -> None:
        self._connections = connections
        self._lease = lease
        self._secrets = secrets
        self._requests = requests
        self._health = health
        self._clock = clock
        self._remembered: dict[str, tuple[str, Secret]] = {}
        # Versions of refused access tokens that were renewed: calls that began before still hold the old connection.
        self._replaced: dict[str, str] = {}
        self._unstored: dict[str, UnstoredTokens] = {}

    async def access_token(self, connection: Connection) -> Secret:
        """Return a usable access token, refreshed if necessary.

        While ServiceNow refuses the refresh or does not answer, a token that is still valid stays in use. Tokens that
        Key Vault has not accepted yet are offered to it again.

        Raises:
            Reauthorize: An administrator has to authorize the connection again.
            TryLater: ServiceNow, Table Storage or Key Vault does not answer.
        """
        connection = await self._offer_unstored(connection)
        if (found := await self._usable(connection, early=True)) is not None:
            return found
        current = await self._current(connection)
        if (found := await self._usable(current, early=True)) is not None:
            return found
        try:
            refreshed = await self.refresh(current)
        except (Reauthorize, TryLater):
            if (found := await self._usable(current)) is not None:
                return found
            raise
        return await self._fresh(refreshed)

    async def renewed_token(self, connection: Connection, refused: Secret) -> Secret:
        """Return another access token after ServiceNow refused this one; refresh it unless somebody has just done so.

        Raises what :meth:`access_token` raises.
        """
        current = await self._current(connection)
        found = await self._usable(current)
        if found is None or found == refused:
            found = await self._fresh(await self.refresh(current))
        if connection.access_token_version is not None:
            self._replaced[connection.connection_id] = connection.access_token_version
        return found

    async def refresh(self, connection: Connection) -> Connection:
        """Refresh the access token, or wait for another instance of the app that is already doing so.

        Returns:
            The connection as stored, with an access token newer than the given connection's.

        Raises:
            Reauthorize: ServiceNow refused twice; the connection is marked ``reauthorization_required``.
            TryLater: ServiceNow does not answer (the connection is marked ``unavailable``), or storage does not.
        """
        connection = await self._offer_unstored(connection)
        began_at = self._clock()

        async def stop_when_others_failed() -> None:
            _raise_failure_since(await self._current(connection), began_at, self._clock())

        async with self._lease.held(connection.connection_id, while_waiting=stop_when_others_failed) as lease:
            current = await self._current(connection)
            if lease.waited:
                _raise_failure_since(current, began_at, self._clock())
            renewed_meanwhile = current.access_token_version != connection.access_token_version
            if renewed_meanwhile and _lasts_long_enough(current, self._clock()):
                return current
            unstored = self._unstored_of(current)
            if unstored is not None and unstored.issued_at > began_at:
                return current
            if not may_refresh(current, self._clock()):
                raise _reauthorize(current)
            if unstored is None and is_refresh_token_outdated(current, self._clock()):
                raise TryLater("refresh_token_not_stored", retry_after_s=60)
            if current.status is ConnectionStatus.REAUTHORIZATION_REQUIRED:
                current = await self._health.changed(current, self._next_turn)
            try:
                return await self._refresh(current, lease)
            except Reauthorize as error:
                refused, now = error, self._clock()
                await self._health.changed(current, lambda row: after_refusal(row, refused, now))
                raise
            except ConnectorError as error:
                await self._health.failed(current, error)
                raise

    def _next_turn(self, connection: Connection) -> Connection:
        """Return the connection with the next time to ask, stored before asking: others wait, whatever the answer."""
        return replace(connection, refresh_again_at=self._clock() + FIRST_REFRESH_AFTER)

    async def _refresh(self, connection: Connection, lease: HeldLease) -> Connection:
        unstored = self._unstored_of(connection)
        newest = unstored.tokens.refresh_token if unstored is not None else None
        issued_at = self._clock()
        last_issued_at = believed(connection.access_token_issued_at, issued_at)
        if last_issued_at is not None and last_issued_at >= issued_at:
            # Clocks differ a little; newer tokens must still have the later time.
            issued_at = last_issued_at + timedelta.resolution
        tokens = await self._requests.ask(connection, newest)
        # In memory first: whatever happens next, the only working refresh token is not lost.
        self._unstored[connection.connection_id] = UnstoredTokens(connection, tokens, issued_at, issued_at)

        stored = await self._store(connection, lease, fresh=True)
        TOKENS_REFRESHED.record(connection_id=connection.connection_id)
        log_event(
            "access_token_refreshed",
            connection_id=connection.connection_id,
            expires_in_s=tokens.expires_in_s,
            refresh_token_rotated=tokens.refresh_token not in {None, newest},
        )
        return stored

    async def _store(self, connection: Connection, lease: HeldLease, *, fresh: bool) -> Connection:
        """Offer the tokens in memory to Key Vault; return the connection as stored afterwards.

        A token that Key Vault does not accept stays in memory, and the connection says so.

        Args:
            fresh: Whether ServiceNow has just issued them.
        """
        connection_id = connection.connection_id
        before = self._unstored[connection_id]
        given = await before.written(self._secrets, lease, self._clock())
        self._replace_unstored(connection_id, before, given)
        noted = False

        def changed(row: Connection) -> Connection:
            nonlocal noted
            # The next holder of the lease may have put newer tokens into memory or into the row.
            ours = self._unstored.get(connection_id) is given
            noted = ours and (given.are_newest_of(row) or row.access_token_version == given.version)
            if not noted:
                return row
            now = self._clock()
            after = with_access_token(row, given.tokens, given.version, given.issued_at)
            if given.tokens.refresh_token is not None:
                after = with_refresh_token_outdated(after, now)
            elif fresh or before.tokens.refresh_token is not None:
                after = with_refresh_token_stored(after, now)
            after = after_refresh(after, now) if fresh else after
            return row if after == row else after

        stored = await self._health.changed(connection, changed)
        if not noted or not is_same_grant(stored, connection):
            self._replace_unstored(connection_id, given, None)
            raise _changed_meanwhile()
        if given.version is not None:
            self._remembered[connection_id] = (given.version, given.tokens.access_token)
        if given.are_done(self._clock()):
            self._replace_unstored(connection_id, given, None)
        else:
            self._replace_unstored(connection_id, given, replace(given, connection=stored))
            log_event(
                "tokens_not_stored",
                level=logging.WARNING,
                connection_id=connection_id,
                refresh_token=given.tokens.refresh_token is not None,
            )
        return stored

    def _replace_unstored(self, connection_id: str, before: UnstoredTokens, after: UnstoredTokens | None) -> None:
        """Replace or remove the tokens in memory, unless the next holder of the lease has put newer ones there."""
        if self._unstored.get(connection_id) is not before:
            return
        if after is None:
            del self._unstored[connection_id]
        else:
            self._unstored[connection_id] = after

    async def _offer_unstored(self, connection: Connection) -> Connection:
        """Offer the unstored tokens to Key Vault again; return the connection, as stored if it was changed.

        A failure is only logged: the caller, who needs a token, can continue.
        """
        connection_id = connection.connection_id
        unstored = self._unstored.get(connection_id)
        if unstored is None or not unstored.may_be_offered(self._clock()):
            return connection
        try:
            async with self._lease.held_if_free(connection_id) as lease:
                if lease is None:
                    return connection
                current = await self._current(connection)
                if self._unstored_of(current) is None:
                    return current
                return await self._store(current, lease, fresh=False)
        except (TryLater, Reauthorize) as error:
            log_event("tokens_not_offered", level=logging.WARNING, connection_id=connection_id, code=error.code)
            return connection

    def _unstored_of(self, connection: Connection) -> UnstoredTokens | None:
        """Return the tokens in memory if they are the connection's newest; otherwise forget them."""
        unstored = self._unstored.get(connection.connection_id)
        if unstored is not None and not unstored.are_newest_of(connection):
            del self._unstored[connection.connection_id]
            return None
        return unstored

    async def _current(self, connection: Connection) -> Connection:
        """Return the connection as stored now, if it still points to the same instance."""
        current = await self._connections.get_connection(connection.connection_id)
        if current is None or current.is_removed:
            self._remembered.pop(connection.connection_id, None)
            self._unstored.pop(connection.connection_id, None)
            raise Reauthorize("connection_removed")
        if current.instance != connection.instance:
            raise _changed_meanwhile()
        return current

    async def _usable(self, connection: Connection, *, early: bool = False) -> Secret | None:
        """Return the connection's access token if it is available and lasts.

        Args:
            early: Whether it must not be time to refresh it.
        """
        unstored, now = self._unstored.get(connection.connection_id), self._clock()
        if unstored is not None and unstored.are_newest_of(connection):
            life = timedelta(seconds=unstored.tokens.expires_in_s)
            lasts = unstored.ends_at - now > timedelta(seconds=early_s(life) if early else LEAST_S)
            return unstored.tokens.access_token if lasts else None
        version = connection.access_token_version
        lasts = _lasts_long_enough(connection, now) if early else _lasts(connection, LEAST_S, now)
        if version is None or connection.is_removed or not lasts:
            return None
        if version == self._replaced.get(connection.connection_id):
            return None
        remembered = self._remembered.get(connection.connection_id)
        if remembered is not None and remembered[0] == version:
            return remembered[1]
        token = await self._secrets.get_secret(access_token_name(connection.connection_id), version)
        if token is None:
            return None
        self._remembered[connection.connection_id] = (version, token)
        return token

    async def _fresh(self, connection: Connection) -> Secret:
        found = await self._usable(connection)
        if found is None:
            raise StorageUnavailable()
        return found


def _reauthorize(connection: Connection) -> Reauthorize:
    """Return the stored error that says why the connection has to be authorized again."""
    error = connection.last_error
    if error is None or connection.status is not ConnectionStatus.REAUTHORIZATION_REQUIRED:
        return Reauthorize()
    return Reauthorize.of(error.failure)


def _raise_failure_since(connection: Connection, began_at: datetime, now: datetime) -> None:
    """Raise the error of somebody else's refresh if it has failed since then."""
    error = connection.last_error
    if error is None or error.at < began_at or believed(error.at, now) is None:
        return
    if connection.status is ConnectionStatus.REAUTHORIZATION_REQUIRED:
        raise _reauthorize(connection)
    if connection.status is ConnectionStatus.UNAVAILABLE:
        raise ServiceNowUnavailable.of(error.failure)


def _changed_meanwhile() -> TryLater:
    return TryLater("connection_changed")
