"""Connecting with client credentials: ServiceNow issues tokens for the client's own secret (ServiceNow §1.4).

Nobody consents and nothing ends. ServiceNow's administrator decides in the OAuth client whose tokens these are, so they
are accepted under the same conditions as those of a consent (:mod:`shared.connections.grant.acceptance`).
"""

from __future__ import annotations

import asyncio

from shared.clock import Clock
from shared.connections.customers import customer_of
from shared.connections.grant.acceptance import TokenAcceptance, connectable
from shared.connections.grant.lease import Lease
from shared.connections.grant.token_requests import Sleep, by_client_credentials
from shared.connections.lookup import get_known_connection
from shared.connections.model import Connection, Grant
from shared.connections.ports import AuthorizationServer, ConnectionStore
from shared.connections.turns import Turns
from shared.errors import FixConfiguration, Reauthorize
from shared.log import log_context, log_event
from shared.service import service


@service
class ClientCredentialsGrant:
    """Connects connections that use client credentials."""

    connections: ConnectionStore
    server: AuthorizationServer
    acceptance: TokenAcceptance
    lease: Lease
    turns: Turns
    clock: Clock
    sleep: Sleep = asyncio.sleep

    async def connect(self, connection_id: str, *, started_by: str) -> Connection:
        """Ask for tokens, and accept them if they are the integration user's and the user has all its rights.

        This can be repeated at any time: a connection that works keeps its tokens if the new ones are refused.

        Args:
            connection_id: The connection; it may work already.
            started_by: Object id of the administrator.

        Returns:
            The connection, ``connected``.

        Raises:
            FixRequest: 404 ``connection_not_found``, 409 ``connection_not_configured``, ``other_grant``,
                ``authorization_superseded``.
            FixConfiguration: ServiceNow issues no token (502 ``client_credentials_refused``, or no token endpoint
                answered), or the token is refused, as
                :meth:`shared.connections.grant.acceptance.TokenAcceptance.accept` says.
            TryLater: ServiceNow or storage did not answer, or somebody else is writing the connection's tokens.
        """
        with log_context(connection_id=connection_id):
            connected = await self._connected(connection_id)
            log_event("connection_authorized", started_by=started_by, grant=connected.grant.value)
            await self.turns.wake(connection_id, customer=customer_of(connected))
        return connected

    async def _connected(self, connection_id: str) -> Connection:
        _connectable(await get_known_connection(self.connections, connection_id))
        # Hold the lease from the request on: a refresh in between could end the new tokens.
        async with self.lease.held(connection_id) as lease:
            connection = _connectable(await get_known_connection(self.connections, connection_id))
            client_secret = await self.acceptance.client_secret(connection)
            issued_at = self.clock()
            try:
                tokens = await by_client_credentials(self.server, connection, client_secret, self.sleep)
            except Reauthorize as error:
                log_event("authorization_refused", code=error.code)
                raise FixConfiguration("client_credentials_refused") from None
            return await self.acceptance.accept(connection, tokens, issued_at, lease)


def _connectable(connection: Connection) -> Connection:
    return connectable(connection, Grant.CLIENT_CREDENTIALS)
