"""What the integration user may have to be allowed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shared.connections.model import TicketKind

CREATING_ROLES: Final[Mapping[TicketKind, frozenset[str]]] = {
    TicketKind.INCIDENT: frozenset({"itil", "sn_incident_write", "admin"}),
    TicketKind.CHANGE: frozenset({"itil", "sn_change_write", "admin"}),
}
"""Any of these lets a user create tickets of the kind (ServiceNow §6)."""
