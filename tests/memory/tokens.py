"""Access tokens from a test."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from shared.connections.model import Connection
from shared.errors import ConnectorError
from shared.secret import Secret


@dataclass
class MemoryTokens:
    """Implements :class:`shared.connections.ports.TokenSource` for every connection.

    Attributes:
        token: The access token.
        others: Results of the next renewals, which may be errors; after these there is no other token.
        refused: The refused tokens.
    """

    token: Secret = field(default_factory=lambda: Secret("token"))
    others: deque[Secret | ConnectorError] = field(default_factory=deque)
    refused: list[Secret] = field(default_factory=list)

    async def access_token(self, connection: Connection) -> Secret:
        """See the port."""
        return self.token

    async def renewed_token(self, connection: Connection, refused: Secret) -> Secret | None:
        """See the port."""
        self.refused.append(refused)
        other = self.others.popleft() if self.others else None
        if isinstance(other, ConnectorError):
            raise other
        self.token = other or self.token
        return other
