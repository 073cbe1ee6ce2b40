"""Access tokens that a test gives."""

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
        others: What the next renewals give, an error included; there is no other token when they are used up.
        refused: The tokens that were refused.
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
