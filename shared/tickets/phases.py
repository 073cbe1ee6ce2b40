"""What a ServiceNow state means for us (ServiceNow §5.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shared.tickets.model import Phase

_PHASES: Final[Mapping[str, Mapping[str, Phase]]] = {
    "incident": {
        "1": Phase.NEW,
        "2": Phase.IN_PROGRESS,
        "3": Phase.ON_HOLD,
        "4": Phase.ON_HOLD,  # legacy "Awaiting Caller"
        "5": Phase.ON_HOLD,  # legacy "Awaiting Evidence"
        "6": Phase.RESOLVED,
        "7": Phase.CLOSED,
        "8": Phase.CANCELED,
    },
    "change_request": {
        "-5": Phase.NEW,
        "-4": Phase.IN_PROGRESS,
        "-3": Phase.IN_PROGRESS,
        "-2": Phase.IN_PROGRESS,
        "-1": Phase.IN_PROGRESS,
        "0": Phase.IN_PROGRESS,  # "Review": somebody still has to look at it
        "3": Phase.CLOSED,
        "4": Phase.CANCELED,
    },
    "problem": {
        "101": Phase.NEW,
        "102": Phase.IN_PROGRESS,
        "103": Phase.IN_PROGRESS,
        "104": Phase.IN_PROGRESS,
        "106": Phase.RESOLVED,
        "107": Phase.CLOSED,
        # The four states of instances older than Madrid.
        "1": Phase.NEW,
        "2": Phase.IN_PROGRESS,
        "3": Phase.ON_HOLD,
        "4": Phase.CLOSED,
    },
    "sc_task": {
        "-5": Phase.ON_HOLD,
        "1": Phase.NEW,
        "2": Phase.IN_PROGRESS,
        "3": Phase.CLOSED,
        "4": Phase.CLOSED,
        "5": Phase.CANCELED,
        "7": Phase.CANCELED,
    },
    "sn_si_incident": {
        "10": Phase.NEW,
        "16": Phase.IN_PROGRESS,
        "18": Phase.IN_PROGRESS,
        "19": Phase.IN_PROGRESS,
        "20": Phase.IN_PROGRESS,
        "100": Phase.IN_PROGRESS,
        "3": Phase.CLOSED,
        "7": Phase.CANCELED,
    },
}
"""Phase by table and raw state, the tables a ticket of ours can be moved to included."""

_INACTIVE_PHASES: Final = frozenset({Phase.RESOLVED, Phase.CLOSED, Phase.CANCELED})


def phase_of(table: str, state: str, active: bool) -> Phase:
    """Return the phase of a record.

    An inactive record is closed whatever its number says, unless the number says that it was resolved or canceled:
    instances add states of their own, but "active" means the same on all of them.

    Args:
        table: ``sys_class_name``.
        state: Raw value of ``state``.
    """
    phase = _PHASES.get(table, {}).get(state, Phase.UNMAPPED)
    if not active and phase not in _INACTIVE_PHASES:
        return Phase.CLOSED
    return phase
