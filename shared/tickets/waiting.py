"""What a pending ticket waits for; some of it needs a person."""

from __future__ import annotations

from enum import StrEnum

from shared.connections.model import Connection, ConnectionStatus
from shared.tickets.model import Ticket


class WaitsFor(StrEnum):
    """What has to happen before a pending ticket can be delivered."""

    ITS_TURN = "its_turn"
    """The connector delivers it within minutes, or says when it tries again."""
    SERVICENOW = "servicenow"
    """ServiceNow must answer again; then the connector continues automatically."""
    AUTHORIZATION = "authorization"
    """An administrator must authorize the connection."""
    OTHER_INSTANCE = "other_instance"
    """The connection points to an instance other than the ticket's."""
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
