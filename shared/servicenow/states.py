"""ServiceNow's states: what an unchanged instance calls them, and what they mean for us (ServiceNow §5.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shared.connections.model import TicketKind
from shared.tickets.kinds import KINDS
from shared.tickets.model import Phase
from shared.value_object import value_object


@value_object
class State:
    """A state of one table.

    Attributes:
        label: What an unchanged instance calls it.
        legacy: New instances no longer have it.
    """

    label: str
    phase: Phase
    legacy: bool = False


STATES: Final[Mapping[str, Mapping[str, State]]] = {
    "incident": {
        "1": State("New", Phase.NEW),
        "2": State("In Progress", Phase.IN_PROGRESS),
        "3": State("On Hold", Phase.ON_HOLD),
        "4": State("Awaiting Caller", Phase.ON_HOLD, legacy=True),
        "5": State("Awaiting Evidence", Phase.ON_HOLD, legacy=True),
        "6": State("Resolved", Phase.RESOLVED),
        "7": State("Closed", Phase.CLOSED),
        "8": State("Canceled", Phase.CANCELED),
    },
    "change_request": {
        "-5": State("New", Phase.NEW),
        "-4": State("Assess", Phase.IN_PROGRESS),
        "-3": State("Authorize", Phase.IN_PROGRESS),
        "-2": State("Scheduled", Phase.IN_PROGRESS),
        "-1": State("Implement", Phase.IN_PROGRESS),
        "0": State("Review", Phase.IN_PROGRESS),  # somebody still has to look at it
        "3": State("Closed", Phase.CLOSED),
        "4": State("Canceled", Phase.CANCELED),
    },
    "problem": {
        "101": State("New", Phase.NEW),
        "102": State("Assess", Phase.IN_PROGRESS),
        "103": State("Root Cause Analysis", Phase.IN_PROGRESS),
        "104": State("Fix in Progress", Phase.IN_PROGRESS),
        "106": State("Resolved", Phase.RESOLVED),
        "107": State("Closed", Phase.CLOSED),
        # The four states of instances older than Madrid.
        "1": State("Open", Phase.NEW, legacy=True),
        "2": State("Known Error", Phase.IN_PROGRESS, legacy=True),
        "3": State("Pending Change", Phase.ON_HOLD, legacy=True),
        "4": State("Closed/Resolved", Phase.CLOSED, legacy=True),
    },
    "sc_task": {
        "-5": State("Pending", Phase.ON_HOLD),
        "1": State("Open", Phase.NEW),
        "2": State("Work in Progress", Phase.IN_PROGRESS),
        "3": State("Closed Complete", Phase.CLOSED),
        "4": State("Closed Incomplete", Phase.CLOSED),
        "5": State("Closed Skipped", Phase.CANCELED),
        "7": State("Closed Skipped", Phase.CANCELED),
    },
    "sn_si_incident": {
        "10": State("Draft", Phase.NEW),
        "16": State("Analysis", Phase.IN_PROGRESS),
        "18": State("Contain", Phase.IN_PROGRESS),
        "19": State("Eradicate", Phase.IN_PROGRESS),
        "20": State("Recover", Phase.IN_PROGRESS),
        "100": State("Review", Phase.IN_PROGRESS),
        "3": State("Closed", Phase.CLOSED),
        "7": State("Cancelled", Phase.CANCELED),
    },
}
"""By table and raw value, in the order of a ticket's life; includes the tables that a ticket can be moved to."""

_INACTIVE_PHASES: Final = frozenset({Phase.RESOLVED, Phase.CLOSED, Phase.CANCELED})


def builtin_label(table: str, state: str) -> str | None:
    """Return the label that an unchanged instance shows for a raw state of this table, or None."""
    known = STATES.get(table, {}).get(state)
    return None if known is None else known.label


def phase_of(table: str, state: str, *, active: bool) -> Phase:
    """Return the phase of a record.

    An inactive record is closed, whatever its number, unless the number means resolved or canceled: instances add their
    own states, but "active" means the same on all of them.

    Args:
        table: ``sys_class_name``.
        state: Raw value of ``state``.
        active: Value of ``active``.
    """
    known = STATES.get(table, {}).get(state)
    phase = Phase.UNMAPPED if known is None else known.phase
    if not active and phase not in _INACTIVE_PHASES:
        return Phase.CLOSED
    return phase


def phases_by_table(state: str, *, active: bool) -> Mapping[str, Phase]:
    """Return what a state means in each table that we know."""
    return {table: phase_of(table, state, active=active) for table in STATES}


class ServiceNowStates:
    """Implements :class:`shared.tickets.ports.StateModel`."""

    def usual(self, kind: TicketKind) -> Mapping[str, str]:
        """See the port."""
        return {value: state.label for value, state in STATES[KINDS[kind].table].items() if not state.legacy}

    def phase(self, kind: TicketKind, state: str) -> Phase:
        """See the port."""
        return phase_of(KINDS[kind].table, state, active=True)
