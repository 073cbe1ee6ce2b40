"""ServiceNow's own names of its states (ServiceNow §5.3), for instances that do not let us read the labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

_LABELS: Final[Mapping[str, Mapping[str, str]]] = {
    "incident": {
        "1": "New",
        "2": "In Progress",
        "3": "On Hold",
        "4": "Awaiting Caller",
        "5": "Awaiting Evidence",
        "6": "Resolved",
        "7": "Closed",
        "8": "Canceled",
    },
    "change_request": {
        "-5": "New",
        "-4": "Assess",
        "-3": "Authorize",
        "-2": "Scheduled",
        "-1": "Implement",
        "0": "Review",
        "3": "Closed",
        "4": "Canceled",
    },
    "problem": {
        "101": "New",
        "102": "Assess",
        "103": "Root Cause Analysis",
        "104": "Fix in Progress",
        "106": "Resolved",
        "107": "Closed",
        "1": "Open",
        "2": "Known Error",
        "3": "Pending Change",
        "4": "Closed/Resolved",
    },
    "sc_task": {
        "-5": "Pending",
        "1": "Open",
        "2": "Work in Progress",
        "3": "Closed Complete",
        "4": "Closed Incomplete",
        "5": "Closed Skipped",
        "7": "Closed Skipped",
    },
    "sn_si_incident": {
        "10": "Draft",
        "16": "Analysis",
        "18": "Contain",
        "19": "Eradicate",
        "20": "Recover",
        "100": "Review",
        "3": "Closed",
        "7": "Cancelled",
    },
}


_LEGACY: Final = frozenset({("incident", "4"), ("incident", "5")})
"""States that new instances no longer have."""


def builtin_states(table: str) -> Sequence[tuple[str, str]]:
    """Return the states that a new instance has for this table, with their labels, in the order of a ticket's life."""
    return [(state, label) for state, label in _LABELS.get(table, {}).items() if (table, state) not in _LEGACY]


def builtin_state_label(table: str, state: str) -> str | None:
    """Return the label that an unchanged instance shows for a raw state of this table, or None."""
    return _LABELS.get(table, {}).get(state)
