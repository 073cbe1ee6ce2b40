"""How far a ticket has come."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.storage.rows import open_value
from shared.tickets.model import Delivery, Phase, Ticket
from shared.tickets.outcomes import Closing, Outcome, RecommendationOutcome, Verification
from shared.web.stepper import Progress, steps
from tests.english import ENGLISH
from tests.memory.clock import START
from tests.unit.recommendations.strategies import TENANT
from tests.unit.tickets.examples import delivered_ticket, new_ticket

INCIDENT = frozenset(Phase) - {Phase.UNMAPPED, Phase.DELETED}
CHANGE = INCIDENT - {Phase.RESOLVED}


def ticket_in(phase: Phase | None, outcome: Outcome | None = None, *, closed_again: bool = False) -> Ticket:
    ticket = new_ticket(START) if phase is None else replace(delivered_ticket(START), phase=phase)
    if outcome is None:
        return ticket
    item = RecommendationOutcome(TENANT, "0" * 32, outcome=outcome, decided_at=START + timedelta(days=5))
    closing = Closing(START + timedelta(days=9 if closed_again else 1))
    return replace(ticket, verification=Verification(START, (item,), closing=closing))


def drawn(ticket: Ticket, state_name: str | None = None, phases: frozenset[Phase] = INCIDENT) -> str:
    """Return the steps as a line: what is behind has a mark, and what is now is in brackets."""
    shape = {Progress.BEHIND: "✓{}", Progress.NOW: "[{}]", Progress.AHEAD: "{}"}
    return " → ".join(shape[each.progress].format(each.name) for each in steps(ticket, state_name, phases, ENGLISH))


@pytest.mark.parametrize(
    ("phase", "state_name", "outcome", "expected"),
    [
        (Phase.NEW, "New", Outcome.OPEN, "[New] → In progress → Resolved → Closed → Verified"),
        (Phase.IN_PROGRESS, "Working", Outcome.OPEN, "✓New → [Working] → Resolved → Closed → Verified"),
        (Phase.ON_HOLD, "On Hold", None, "✓New → [On hold] → Resolved → Closed"),
        (Phase.UNMAPPED, "With vendor", None, "✓New → [With vendor] → Resolved → Closed"),
        (
            Phase.RESOLVED,
            "Resolved",
            Outcome.WAITING,
            "✓New → ✓In progress → [Resolved] → Closed → Waiting for a measurement",
        ),
        (Phase.RESOLVED, "Resolved", Outcome.VERIFIED, "✓New → ✓In progress → [Resolved] → Closed → ✓Verified"),
        (
            Phase.CLOSED,
            "Closed",
            Outcome.WAITING,
            "✓New → ✓In progress → ✓Resolved → ✓Closed → [Waiting for a measurement]",
        ),
        (Phase.CLOSED, "Closed", Outcome.VERIFIED, "✓New → ✓In progress → ✓Resolved → ✓Closed → [Verified]"),
        (Phase.CLOSED, "Closed", Outcome.NOT_FIXED, "✓New → ✓In progress → ✓Resolved → ✓Closed → [Not fixed]"),
        (Phase.CLOSED, "Closed", Outcome.REGRESSED, "✓New → ✓In progress → ✓Resolved → ✓Closed → [Regressed]"),
        (Phase.CLOSED, "Closed", None, "✓New → ✓In progress → ✓Resolved → [Closed]"),
        (Phase.CANCELED, "Canceled", Outcome.NOT_DONE, "✓New → ✓Canceled → [Not done]"),
        (Phase.DELETED, "Closed", None, "✓New → [No longer visible in ServiceNow]"),
        (Phase.NEW, "New", Outcome.VERIFIED, "[New] → In progress → Resolved → Closed → ✓Verified"),
        (None, None, Outcome.OPEN, "[Waiting to be delivered] → New → In progress → Resolved → Closed → Verified"),
    ],
)
def test_steps(phase: Phase | None, state_name: str | None, outcome: Outcome | None, expected: str) -> None:
    assert drawn(ticket_in(phase, outcome), state_name) == expected


def test_a_change_has_its_own_states_and_is_never_resolved() -> None:
    assert drawn(ticket_in(Phase.IN_PROGRESS), "Authorize", CHANGE) == "✓New → [Authorize] → Closed"


def test_a_refused_ticket_has_come_nowhere() -> None:
    ticket = ticket_in(None)
    refused = replace(ticket, delivery=replace(ticket.delivery, status=Delivery.FAILED))
    assert drawn(refused) == "[Refused] → New → In progress → Resolved → Closed"


def test_a_regressed_ticket_that_is_worked_on_again_has_its_proof_ahead() -> None:
    assert drawn(ticket_in(Phase.IN_PROGRESS, Outcome.REGRESSED), "In Progress").endswith("Closed → Verified")


def test_a_regressed_ticket_that_was_closed_again_only_waits_for_a_new_proof() -> None:
    again = drawn(ticket_in(Phase.CLOSED, Outcome.REGRESSED, closed_again=True), "Closed")
    assert again.endswith("✓Closed → [No new proof since it regressed]")


@given(
    st.none() | st.sampled_from(Phase),
    st.none() | st.sampled_from(Outcome),
    st.booleans(),
    st.sampled_from([INCIDENT, CHANGE]),
)
def test_one_step_is_now(phase: Phase | None, outcome: Outcome | None, again: bool, phases: frozenset[Phase]) -> None:
    found = steps(ticket_in(phase, outcome, closed_again=again), "State", phases, ENGLISH)
    assert [each.progress for each in found].count(Progress.NOW) == 1


def test_a_phase_of_another_release_is_work_in_progress() -> None:
    ticket = ticket_in(open_value(Phase, "in_review"))
    assert drawn(ticket, "In review") == "✓New → [In review] → Resolved → Closed"
