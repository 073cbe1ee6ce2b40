"""Acceptance: new tokens are kept only if they are the integration user's, and the user has the rights it needs.

The grant does not matter. After a refusal, nothing is kept: the new tokens are revoked, and
a connection that works keeps its own tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.clock import Clock
from shared.connections.changes import change_connection
from shared.connections.grant.revocation import TokenRevocation
from shared.connections.grant.secret_names import access_token_name, client_secret_name, refresh_token_name
from shared.connections.grant.target import has_same_target, way_back, wrong_user
from shared.connections.grant.tokens import with_access_token
from shared.connections.held_lease import HeldLease
from shared.connections.lookup import get_known_connection
from shared.connections.model import Connection, ConnectionStatus, Grant, consent_end, is_same_user
from shared.connections.ports import (
    ConnectionStore,
    KnownRecords,
    RecordVisibility,
    SecretStore,
    ServiceNowUser,
    TokenSet,
    UserDirectory,
)
from shared.connections.renaming import renamed
from shared.errors import AccessTokenRefused, ConnectorError, FixConfiguration, FixRequest
from shared.log import log_event
from shared.secret import Secret
from shared.service import service

_NOT_CONFIGURED: Final = frozenset({ConnectionStatus.NOT_CONFIGURED, ConnectionStatus.DISCONNECTED})


@service
class TokenAcceptance:
    """Accepts or refuses new tokens; see the module's description for what it promises."""

    connections: ConnectionStore
    secrets: SecretStore
    users: UserDirectory
    visibility: RecordVisibility
    records: KnownRecords
    revocation: TokenRevocation
    clock: Clock

    async def client_secret(self, connection: Connection) -> Secret:
        """Return the secret with which tokens are asked for.

        Raises FixRequest (409 ``connection_not_configured``) if Key Vault has none.
        """
        client_secret = await self.secrets.get_secret(client_secret_name(connection.connection_id))
        if client_secret is None:
            raise not_configured()
        return client_secret

    async def accept(
        self, connection: Connection, tokens: TokenSet, issued_at: datetime, lease: HeldLease
    ) -> Connection:
        """Replace the connection's tokens with these; return the connection as stored, ``connected``.

        Args:
            connection: The connection as it was when the tokens were asked for.
            tokens: What ServiceNow issued.
            issued_at: When they were asked for.
            lease: The lease for writing the connection's tokens, held since then: a refresh in between could end them.

        Raises:
            FixConfiguration: The tokens are refused: ``authorization_wrong_user``, ``authorization_user_inactive``,
                ``authorization_user_locked``, ``authorization_read_refused``, ``authorization_create_refused``,
                ``authorization_other_instance``, ``authorization_incomplete``, ``authorization_token_refused``, or the
                reason why ServiceNow does not say whose tokens they are.
            FixRequest: 409 ``authorization_superseded``: the connection was changed in the meantime.
            TryLater: ServiceNow or storage did not answer, or the lease is lost.
        """
        try:
            try:
                user = await self._acceptable_user(connection, tokens)
            except AccessTokenRefused:
                raise FixConfiguration("authorization_token_refused", **way_back(connection)) from None
            connected, replaced = await self._keep(connection, tokens, user, issued_at, lease)
        except Exception as error:
            await self.revocation.revoke(connection, tokens.every, spare_own=True)
            if isinstance(error, ConnectorError):
                log_event("authorization_refused", code=error.code)
            raise
        await self.revocation.revoke(connection, replaced, spare_own=True)
        return connected

    async def _acceptable_user(self, connection: Connection, tokens: TokenSet) -> ServiceNowUser:
        """Return the user of these tokens, if it is the integration user and has all the rights that it needs."""
        # The tokens are not accepted yet, so use them, not the connection's own.
        users = self.users.with_token(tokens.access_token)
        user = await users.current_user(connection)
        if not is_same_user(user.user_name, connection.integration_user):
            raise wrong_user(connection, user)
        if user.active is False:
            raise FixConfiguration(
                "authorization_user_inactive",
                status=403,
                user=user.user_name,
                **way_back(connection, log_out_first=True),
            )
        if user.locked_out:
            raise FixConfiguration(
                "authorization_user_locked",
                status=403,
                user=user.user_name,
                **way_back(connection, log_out_first=True),
            )
        await self._require_rights(connection, users, user)
        await self._require_same_instance(connection, tokens.access_token)
        return user

    async def _require_rights(self, connection: Connection, users: UserDirectory, user: ServiceNowUser) -> None:
        enabled = [kind for kind, settings in connection.kinds.items() if settings.enabled]
        roles = await users.roles_of(connection, user.sys_id)
        if roles is not None and (missing := [kind for kind in enabled if kind in roles.missing]):
            raise FixConfiguration(
                "authorization_create_refused",
                status=403,
                kinds=missing,
                wanted=roles.wanted(missing),
                **way_back(connection),
            )
        if unreadable := [kind for kind in enabled if not await users.may_read(connection, kind)]:
            raise FixConfiguration(
                "authorization_read_refused",
                status=403,
                kinds=unreadable,
                **way_back(connection),
            )

    async def _require_same_instance(self, connection: Connection, token: Secret) -> None:
        """Refuse an instance that is claimed to be the old one at a new address, unless it has its records.

        A record is recognised by two values that the instance chooses itself: ``sys_id`` and number.
        """
        if connection.renamed_from is None:
            return
        known = await self.records.at(connection, connection.renamed_from)
        seen = await self.visibility.with_token(token).visible(connection, list(known))
        if not seen or any(known[sys_id] != number for sys_id, number in seen.items()):
            raise FixConfiguration(
                "authorization_other_instance",
                status=409,
                instance=connection.instance,
                former_instance=connection.renamed_from,
                **way_back(connection),
            )

    async def _keep(
        self,
        connection: Connection,
        tokens: TokenSet,
        user: ServiceNowUser,
        issued_at: datetime,
        lease: HeldLease,
    ) -> tuple[Connection, Sequence[Secret]]:
        """Replace the stored tokens with these; return the connection and the refresh tokens that were replaced."""
        connection_id = connection.connection_id
        # We may have lost the lease while we waited for ServiceNow's answers.
        current = await get_known_connection(self.connections, connection_id)
        _require_unchanged(current, connection)
        lease.require()
        replaced, consent_ends_at = await self._keep_refresh_token(connection, tokens, issued_at)
        version = await self.secrets.set_secret(
            access_token_name(connection_id),
            tokens.access_token,
            expires_at=issued_at + timedelta(seconds=tokens.expires_in_s),
        )

        def connected(row: Connection) -> Connection:
            _require_unchanged(row, connection)
            now = self.clock()
            return replace(
                with_access_token(renamed(row), tokens, version, issued_at).with_status(
                    ConnectionStatus.CONNECTED, now
                ),
                integration_user_sys_id=user.sys_id,
                consented_at=issued_at,
                consent_ends_at=consent_ends_at,
                refresh_again_at=None,
                refresh_token_outdated_until_at=None,
                last_success_at=now,
                last_error=None,
            )

        return await change_connection(self.connections, current, connected), replaced

    async def _keep_refresh_token(
        self, connection: Connection, tokens: TokenSet, issued_at: datetime
    ) -> tuple[Sequence[Secret], datetime | None]:
        """Store the refresh token, if the grant has one; return what it replaces, and when the consent ends.

        With client credentials an answer may have one, too (ServiceNow §1.4). It is neither stored nor used. It is not
        revoked either, since that could end the access token with it (RFC 7009, 2.1).
        """
        name = refresh_token_name(connection.connection_id)
        old = await self.secrets.get_secret(name)
        if connection.grant is Grant.CLIENT_CREDENTIALS:
            if old is None:
                return [], None
            await self.secrets.remove_secret(name)
            return [old], None
        consent_ends_at = consent_end(connection, issued_at)
        if tokens.refresh_token is not None:
            await self.secrets.set_secret(name, tokens.refresh_token, expires_at=consent_ends_at)
        elif old is None:
            raise FixConfiguration("authorization_incomplete", **way_back(connection))
        return [] if old is None or tokens.refresh_token in {None, old} else [old], consent_ends_at


def connectable(connection: Connection, grant: Grant) -> Connection:
    """Return the connection if tokens can be asked for in this way.

    Raises:
        FixRequest: 409 ``connection_not_configured``: it has no client secret. 409 ``other_grant``: it uses the other
            grant.
    """
    if connection.status in _NOT_CONFIGURED:
        raise not_configured()
    if connection.grant is not grant:
        raise FixRequest("other_grant", status=409, variant=connection.grant.value)
    return connection


def not_configured() -> FixRequest:
    """Return the error for a connection without a client secret."""
    return FixRequest("connection_not_configured", status=409)


def superseded(connection: Connection) -> FixRequest:
    """Return the error for tokens that were asked for before the connection was changed."""
    return FixRequest("authorization_superseded", status=409, **way_back(connection))


def _require_unchanged(current: Connection, begun: Connection) -> None:
    """Refuse tokens for a connection that now has another instance, client, user or grant."""
    if current.status in _NOT_CONFIGURED or not has_same_target(current, begun):
        raise superseded(begun)
