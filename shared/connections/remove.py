"""Removal: the connection's tokens are revoked and its secrets disabled; its tickets stay, but are dormant."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from shared.clock import Clock
from shared.connections.changes import change_connection
from shared.connections.customers import customer_of
from shared.connections.grant.lease import Lease
from shared.connections.grant.revocation import TokenRevocation
from shared.connections.grant.secret_names import access_token_name, client_secret_name, refresh_token_name
from shared.connections.lookup import get_known_connection
from shared.connections.model import Connection, ConnectionStatus, LastError, without_tokens
from shared.connections.ports import ConnectionStore, SecretStore
from shared.connections.turns import Turns
from shared.errors import Failure
from shared.log import log_event
from shared.service import service

NOT_REVOKED: Final = "revocation_failed"


@service
class ConnectionRemoval:
    """Removes connections.

    Attributes:
        forget: Removes what else belongs to a connection, its secrets included; raises StorageUnavailable.
    """

    connections: ConnectionStore
    secrets: SecretStore
    revocation: TokenRevocation
    lease: Lease
    turns: Turns
    clock: Clock
    forget: Callable[[str], Awaitable[None]]

    async def remove(self, connection_id: str) -> Connection:
        """Remove the connection and return what is left of it; a second removal finishes what the first left undone.

        If the tokens could not be revoked, ``last_error`` says so (``revocation_failed``).

        Raises:
            FixRequest: 404 ``connection_not_found``.
            TryLater: Storage does not answer; the connection may be removed already, with secrets left to disable.
        """
        connection = await get_known_connection(self.connections, connection_id)
        async with self.lease.held(connection_id) as lease:
            tokens = await self.revocation.stored_tokens(connection_id)
            removed = await change_connection(self.connections, connection, self._removed)
            revoked = await self.revocation.revoke(connection, tokens, spare_own=False)
            lease.require()
            await self.forget(connection_id)
            # Access tokens last: they have thousands of versions, and none lives longer than half an hour.
            for name in (refresh_token_name, client_secret_name, access_token_name):
                await self.secrets.remove_secret(name(connection_id))
            if not revoked:
                removed = await change_connection(self.connections, removed, self._not_revoked)
        await self.turns.wake(connection_id, customer=customer_of(removed))
        log_event("connection_removed", connection_id=connection_id, revoked=revoked)
        return removed

    def _removed(self, connection: Connection) -> Connection:
        if connection.is_removed:
            return connection
        stripped = replace(without_tokens(connection), consented_at=None, last_error=None)
        return stripped.with_status(ConnectionStatus.DISCONNECTED, self.clock())

    def _not_revoked(self, connection: Connection) -> Connection:
        return replace(connection, last_error=LastError(Failure(NOT_REVOKED), self.clock()))
