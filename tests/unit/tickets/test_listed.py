"""What lists know of a ticket."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.tickets.listed import UNSETTLED_OUTCOMES, listed
from shared.tickets.model import Phase
from shared.tickets.outcomes import Outcome, RecommendationOutcome, Verification
from tests.memory.clock import START
from tests.unit.recommendations.strategies import TENANT
from tests.unit.tickets.examples import delivered_ticket


@pytest.mark.parametrize("outcome", Outcome)
def test_a_closed_ticket_is_current_while_its_outcome_needs_somebody_and_no_newer_ticket_takes_care(
    outcome: Outcome,
) -> None:
    items = (RecommendationOutcome(TENANT, "0" * 32, outcome=outcome),)
    closed = replace(
        delivered_ticket(START), phase=Phase.CLOSED, verification=Verification(START, items, is_superseded=False)
    )
    superseded = replace(closed, verification=Verification(START, items, is_superseded=True))
    assert listed(closed).is_current is (outcome in UNSETTLED_OUTCOMES)
    assert not listed(superseded).is_current
