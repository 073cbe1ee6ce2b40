"""What somebody should know who is about to send the first ticket of a kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.connections.model import Connection, TicketKind
from shared.triggers.front_door import Call

if TYPE_CHECKING:
    from shared.check.preflight.model import TicketHint


async def ticket_hint(call: Call, connection: Connection | None, kind: str) -> TicketHint | None:
    """Return what to say; None if there is nothing. It never keeps anybody from sending the ticket."""
    if connection is None or kind not in set(TicketKind) or not connection.kinds[TicketKind(kind)].enabled:
        return None
    return await call.application.preflight.hint(connection, TicketKind(kind))
