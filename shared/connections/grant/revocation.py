"""Revoking tokens without taking them from a connection that still uses them.

ServiceNow gives the same tokens to everybody who signs in as the same user with the same client (ServiceNow §1.5). So
two connections, or an old and a new authorization of one connection, may hold the same token.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from shared.access.current import sees_everything
from shared.connections.grant.secret_names import access_token_name, refresh_token_name
from shared.connections.model import Connection
from shared.connections.ports import AuthorizationServer, ConnectionStore, SecretStore
from shared.errors import ConnectorError
from shared.log import log_event
from shared.secret import Secret
from shared.service import service


@service
class TokenRevocation:
    """Revokes tokens, if ServiceNow answers and nobody else needs them."""

    connections: ConnectionStore
    secrets: SecretStore
    server: AuthorizationServer

    async def stored_tokens(self, connection_id: str) -> list[Secret]:
        """Return the refresh token and the access token that a connection has in Key Vault, without missing ones."""
        found = await asyncio.gather(
            self.secrets.get_secret(refresh_token_name(connection_id)),
            self.secrets.get_secret(access_token_name(connection_id)),
        )
        return [token for token in found if token is not None]

    async def revoke(self, connection: Connection, tokens: Iterable[Secret], *, spare_own: bool) -> bool:
        """Revoke tokens at the connection's instance; return whether all that had to be revoked are revoked.

        A failure is logged and returned, never raised: the caller can continue.

        Args:
            spare_own: Whether to leave alone the tokens that this connection itself has in Key Vault.
        """
        done = True
        try:
            in_use = await self._in_use(connection, spare_own=spare_own)
            for token in tokens:
                if token not in in_use:
                    done &= await self._revoke(connection, token)
        except ConnectorError as error:
            done = False
            _log_failure(connection, error)
        return done

    @sees_everything
    async def _in_use(self, connection: Connection, *, spare_own: bool) -> list[Secret]:
        holders = [
            each.connection_id
            for each in await self.connections.list_connections()
            if not each.is_removed
            and (each.instance, each.client_id) == (connection.instance, connection.client_id)
            and (spare_own or each.connection_id != connection.connection_id)
        ]
        found = await asyncio.gather(*(self.stored_tokens(connection_id) for connection_id in holders))
        return [token for tokens in found for token in tokens]

    async def _revoke(self, connection: Connection, token: Secret) -> bool:
        try:
            await self.server.revoke(connection, token)
        except ConnectorError as error:
            _log_failure(connection, error)
            return False
        return True


def _log_failure(connection: Connection, error: ConnectorError) -> None:
    log_event("token_not_revoked", level=logging.WARNING, connection_id=connection.connection_id, code=error.code)
