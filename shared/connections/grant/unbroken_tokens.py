"""Access tokens for callers with a time limit.

Once a refresh token is exchanged, the new one has to be stored: where refresh tokens rotate, the old one is worth
nothing any more (ServiceNow §1.5). So a caller's time limit ends the wait, and not the refresh.
"""

from __future__ import annotations

import asyncio

from shared.background import begun
from shared.connections.model import Connection
from shared.connections.ports import TokenSource
from shared.secret import Secret
from shared.service import service


@service
class UnbrokenTokens:
    """Implements :class:`shared.connections.ports.TokenSource` with another one, which is never interrupted."""

    tokens: TokenSource

    async def access_token(self, connection: Connection) -> Secret:
        """See the port."""
        return await asyncio.shield(begun(self.tokens.access_token(connection)))

    async def renewed_token(self, connection: Connection, refused: Secret) -> Secret | None:
        """See the port."""
        return await asyncio.shield(begun(self.tokens.renewed_token(connection, refused)))
