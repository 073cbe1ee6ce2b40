from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.connections.model import TicketKind
from shared.servicenow.states import STATES, ServiceNowStates, builtin_label, phase_of
from shared.tickets.model import OPEN_PHASES, Phase


@pytest.mark.parametrize(
    ("table", "state", "phase"),
    [
        ("incident", "1", Phase.NEW),
        ("incident", "2", Phase.IN_PROGRESS),
        ("incident", "3", Phase.ON_HOLD),
        ("incident", "6", Phase.RESOLVED),
        ("incident", "7", Phase.CLOSED),
        ("incident", "8", Phase.CANCELED),
        ("change_request", "-5", Phase.NEW),
        ("change_request", "-4", Phase.IN_PROGRESS),
        ("change_request", "-3", Phase.IN_PROGRESS),
        ("change_request", "-2", Phase.IN_PROGRESS),
        ("change_request", "-1", Phase.IN_PROGRESS),
        ("change_request", "0", Phase.IN_PROGRESS),
        ("change_request", "3", Phase.CLOSED),
        ("change_request", "4", Phase.CANCELED),
        ("problem", "101", Phase.NEW),
        ("problem", "103", Phase.IN_PROGRESS),
        ("problem", "106", Phase.RESOLVED),
        ("sc_task", "1", Phase.NEW),
        ("sc_task", "7", Phase.CANCELED),
        ("sn_si_incident", "16", Phase.IN_PROGRESS),
        ("incident", "42", Phase.UNMAPPED),
        ("incident", "", Phase.UNMAPPED),
        ("incident", "02", Phase.UNMAPPED),
        ("u_custom_task", "1", Phase.UNMAPPED),
    ],
)
def test_active_records(table: str, state: str, phase: Phase) -> None:
    assert phase_of(table, state, active=True) is phase


@pytest.mark.parametrize(
    ("table", "state", "phase"),
    [
        ("incident", "2", Phase.CLOSED),
        ("incident", "42", Phase.CLOSED),
        ("incident", "6", Phase.RESOLVED),
        ("incident", "8", Phase.CANCELED),
        ("change_request", "-1", Phase.CLOSED),
        ("change_request", "4", Phase.CANCELED),
        ("u_custom_task", "1", Phase.CLOSED),
    ],
)
def test_inactive_records(table: str, state: str, phase: Phase) -> None:
    assert phase_of(table, state, active=False) is phase


@given(
    st.one_of(st.sampled_from(["incident", "change_request", "problem", "sc_task", "sn_si_incident"]), st.text()),
    st.one_of(st.integers(-10, 120).map(str), st.text()),
)
def test_nobody_has_to_work_on_an_inactive_record(table: str, state: str) -> None:
    assert phase_of(table, state, active=False) not in OPEN_PHASES
    assert phase_of(table, state, active=True) is not Phase.DELETED


def test_builtin_labels() -> None:
    assert builtin_label("incident", "6") == "Resolved"
    assert builtin_label("change_request", "-4") == "Assess"
    assert builtin_label("incident", "1500") is None
    assert builtin_label("u_custom", "1") is None


def test_the_usual_states_are_those_of_a_new_instance() -> None:
    states = ServiceNowStates()
    assert list(states.usual(TicketKind.INCIDENT)) == ["1", "2", "3", "6", "7", "8"]
    assert states.usual(TicketKind.CHANGE)["-4"] == "Assess"
    assert states.phase(TicketKind.CHANGE, "-4") is Phase.IN_PROGRESS
    assert states.phase(TicketKind.INCIDENT, "-4") is Phase.UNMAPPED
    assert [value for value, state in STATES["problem"].items() if not state.legacy][-1] == "107"
