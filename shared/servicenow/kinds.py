"""What a record of each kind of ticket is made of in ServiceNow (ServiceNow §5, §6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from shared.connections.model import TicketKind
from shared.connections.ports import UserRoles
from shared.tickets.model import Priority
from shared.value_object import value_object


@value_object
class RecordKind:
    """The records of one kind.

    Attributes:
        urgency: The fields that give a record its priority.
        requester_field: The field that holds who asked.
        creating_roles: Any of these, as well as *admin*, lets a user create records of the kind; the usual one first.
        canceled_state: Raw state of a canceled record.
        closed_state: Raw state of a closed one.
        resolved_state: Raw state of one whose work is done.
        reopened_state: Raw state of one that was resolved and is worked on again; None if that does not exist.
    """

    urgency: Mapping[Priority, Mapping[str, str]]
    requester_field: str
    creating_roles: tuple[str, ...]
    canceled_state: str
    closed_state: str
    resolved_state: str
    reopened_state: str | None


def _by_impact_and_urgency(impact: str, urgency: str) -> Mapping[str, str]:
    return {"impact": impact, "urgency": urgency}


RECORD_KINDS: Final[Mapping[TicketKind, RecordKind]] = {
    TicketKind.INCIDENT: RecordKind(
        # ServiceNow computes an incident's priority from this pair and overwrites one that is sent (ServiceNow §5.5).
        # Where two pairs give the same priority, the more urgent one is taken.
        urgency={
            Priority.CRITICAL: _by_impact_and_urgency("1", "1"),
            Priority.HIGH: _by_impact_and_urgency("2", "1"),
            Priority.MODERATE: _by_impact_and_urgency("2", "2"),
            Priority.LOW: _by_impact_and_urgency("3", "2"),
            Priority.PLANNING: _by_impact_and_urgency("3", "3"),
        },
        requester_field="caller_id",
        creating_roles=("itil", "sn_incident_write"),
        canceled_state="8",
        closed_state="7",
        resolved_state="6",
        reopened_state="2",
    ),
    TicketKind.CHANGE: RecordKind(
        urgency={
            Priority.CRITICAL: {"priority": "1"},
            Priority.HIGH: {"priority": "2"},
            Priority.MODERATE: {"priority": "3"},
            Priority.LOW: {"priority": "4"},
            Priority.PLANNING: {"priority": "5"},
        },
        requester_field="requested_by",
        creating_roles=("itil", "sn_change_write"),
        canceled_state="4",
        # A new change cannot be closed without approval.
        closed_state="4",
        resolved_state="3",
        reopened_state=None,
    ),
}

CREATING_ROLES: Final[Mapping[TicketKind, Sequence[str]]] = {
    kind: each.creating_roles for kind, each in RECORD_KINDS.items()
}
"""For each kind of ticket, the roles that let a user create it; any of them is enough."""
_ADMINISTRATOR: Final = "admin"
"""Lets a user create everything; too powerful for an integration user."""


def user_roles(names: Iterable[str]) -> UserRoles:
    """Return a user's roles, and those missing to create each kind of ticket."""
    held = frozenset(names)
    return UserRoles(
        held,
        {kind: roles for kind, roles in CREATING_ROLES.items() if not held & {*roles, _ADMINISTRATOR}},
    )
