"""What a pending ticket waits for: only some of it passes by itself."""

from __future__ import annotations

from enum import StrEnum

from shared.connections.model import Connection, ConnectionStatus
from shared.tickets.model import Ticket


class WaitsFor(StrEnum):
    """What has to happen before a pending ticket can be delivered."""

    ITS_TURN = "its_turn"
    """Nothing: the connector delivers it within minutes, or says when it tries again."""
    SERVICENOW = "servicenow"
    """ServiceNow answers again; then the connector goes on by itself."""
    AUTHORIZATION = "authorization"
    """An administrator authorizes the connection."""
    OTHER_INSTANCE = "other_instance"
    """The connection points to another instance than the ticket's."""
    NOTHING = "nothing"
    """Its connection was removed, so it is not delivered."""


def waits_for(ticket: Ticket, connection: Connection) -> WaitsFor:
    """Return what a pending ticket waits for on its connection."""
    if connection.is_removed:
        return WaitsFor.NOTHING
    if not ticket.is_of(connection):
        return WaitsFor.OTHER_INSTANCE
    match connection.status:
        case ConnectionStatus.CONNECTED:
            return WaitsFor.ITS_TURN
        case ConnectionStatus.UNAVAILABLE:
            return WaitsFor.SERVICENOW
    return WaitsFor.AUTHORIZATION
