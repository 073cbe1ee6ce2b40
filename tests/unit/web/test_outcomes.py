"""What pages say about whether a ticket helped."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.recommendations.model import ImprovementAction, SourceName
from shared.recommendations.verifying.waiting_times import WaitingTimes
from shared.tickets.model import Phase, Ticket
from shared.tickets.outcome_views import verification_view
from shared.tickets.outcomes import Closing, Measurement, Outcome, OutcomeReason, RecommendationOutcome, Verification
from shared.web.html import moment
from shared.web.outcomes import NextStep, OutcomeCard, outcome_card, outcome_text
from shared.words.language import languages
from tests.memory.clock import START
from tests.unit.recommendations.strategies import TENANT
from tests.unit.tickets.examples import delivered_ticket

t = languages()["en"]
ACTION = ImprovementAction(
    TENANT,
    SourceName.SECURE_SCORE,
    "mdo_safeattachments",
    "Turn on Safe Attachments",
    service="MDO",
    points=Decimal(8),
    max_points=Decimal(8),
    measured_at=START - timedelta(days=1),
)
CLOSED = Closing(noticed_at=START, closed_at=START - timedelta(hours=1))
MEASURED = Measurement(Decimal("1.5"), Decimal(8), measured_at=START - timedelta(days=9))


def ticket_with(*items: RecommendationOutcome, closing: Closing | None = CLOSED, is_superseded: bool = False) -> Ticket:
    ticket = delivered_ticket(START)
    phase = Phase.IN_PROGRESS if closing is None else Phase.CLOSED
    return replace(
        ticket, phase=phase, verification=Verification(START - timedelta(days=8), items, closing, is_superseded)
    )


def item(outcome: Outcome, reason: OutcomeReason | None = None, *, key: str = ACTION.key) -> RecommendationOutcome:
    return RecommendationOutcome(TENANT, key, MEASURED, outcome, reason, decided_at=START)


def card(ticket: Ticket, *, creates: bool = True, manages: bool = False) -> OutcomeCard:
    known = {(TENANT, ACTION.key): ACTION}
    found = outcome_card(ticket, known, START, WaitingTimes(), t, creates=creates, manages=manages)
    assert found is not None
    return found


def test_a_row_shows_the_points_before_and_now_and_the_age_of_the_measurement() -> None:
    [row] = card(ticket_with(item(Outcome.VERIFIED))).rows
    assert (row.title, row.before, row.now) == (ACTION.title, "1.5/8", "8/8")
    assert row.measured_at == ACTION.measured_at
    assert row.age == t("days_ago.yesterday")
    assert row.address == f"/recommendations/{ACTION.key}?tenant_id={TENANT}"


def test_what_the_connector_no_longer_has_shows_what_decided() -> None:
    decided = replace(item(Outcome.NOT_FIXED, key="0" * 32), deciding=replace(MEASURED, points=Decimal(2)))
    [row] = card(ticket_with(decided)).rows
    assert (row.title, row.now, row.address) == ("0" * 32, "2/8", None)


@pytest.mark.parametrize(
    ("service", "wait", "after", "is_late"),
    [
        ("MDO", timedelta(hours=48), timedelta(hours=46), False),
        ("MDO", timedelta(hours=48), timedelta(hours=48), True),
        ("AzureAD", timedelta(days=8), timedelta(hours=48), False),
        ("AzureAD", timedelta(days=8), timedelta(days=9), True),
    ],
)
def test_a_waiting_one_says_what_is_awaited_until_when(
    service: str, wait: timedelta, after: timedelta, is_late: bool
) -> None:
    verification = ticket_with(item(Outcome.WAITING)).verification
    assert verification is not None
    said = outcome_text(verification.items[0], verification, service, START + after, WaitingTimes(), t)
    words = "outcome_text.waiting.late" if is_late else "outcome_text.waiting"
    assert said == t(words, closed=moment(CLOSED.at), until=moment(CLOSED.at + wait))


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("reason", [None, *OutcomeReason])
def test_every_outcome_with_any_reason_is_said(language: str, outcome: Outcome, reason: OutcomeReason | None) -> None:
    said = outcome_text(item(outcome, reason), Verification(START), "", START, WaitingTimes(), languages()[language])
    assert said


def test_a_close_code_is_said_where_nothing_was_fixed() -> None:
    closing = replace(CLOSED, close_code="Duplicate", claims_fix=False)
    [row] = card(ticket_with(item(Outcome.NOT_DONE), closing=closing)).rows
    assert "Duplicate" in row.text


def test_an_open_ticket_with_nothing_left_to_do_is_to_be_resolved() -> None:
    over = [
        item(Outcome.VERIFIED),
        item(Outcome.DISPOSED, OutcomeReason.RISK_ACCEPTED),
        item(Outcome.UNKNOWN, OutcomeReason.GONE),
        item(Outcome.UNKNOWN, OutcomeReason.FULL_BEFORE),
    ]
    ticket = ticket_with(*over, closing=None)
    assert card(ticket).next_step is NextStep.RESOLVE
    assert card(ticket, creates=False).next_step is NextStep.LOOK
    view = verification_view(ticket)
    assert view is not None
    assert view.no_longer_needed
    assert not verification_view(ticket_with(*over)).no_longer_needed, "it is closed"  # type: ignore[union-attr]
    more = ticket_with(*over, item(Outcome.UNKNOWN, OutcomeReason.NOT_MEASURED), closing=None)
    assert card(more).next_step is NextStep.LOOK


def test_what_is_not_fixed_leads_to_a_new_ticket_unless_a_newer_one_takes_care() -> None:
    failed = item(Outcome.NOT_FIXED)
    found = card(ticket_with(item(Outcome.VERIFIED, key="0" * 32), failed))
    assert found.next_step is NextStep.NEW_TICKET
    assert found.next_address == f"/tickets/new?tenant_id={TENANT}&recommendation={ACTION.key}"
    assert card(ticket_with(failed, is_superseded=True)).next_step is NextStep.LOOK
    assert card(ticket_with(failed), creates=False).next_step is NextStep.LOOK


def test_an_administrator_is_led_to_a_tenant_that_cannot_be_read() -> None:
    ticket = ticket_with(item(Outcome.UNKNOWN, OutcomeReason.TENANT_UNREADABLE))
    assert card(ticket, manages=True).next_address == f"/tenants/{TENANT}"
    assert card(ticket).next_step is NextStep.LOOK


def test_a_ticket_for_no_recommendation_has_no_card() -> None:
    for verification in (None, Verification(START)):
        ticket = replace(delivered_ticket(START), verification=verification)
        assert outcome_card(ticket, {}, START, WaitingTimes(), t, creates=True, manages=True) is None


@given(
    st.lists(st.tuples(st.sampled_from(Outcome), st.none() | st.sampled_from(OutcomeReason)), min_size=1, max_size=4),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_nobody_is_led_to_what_they_may_not_do(
    items: list[tuple[Outcome, OutcomeReason | None]], is_open: bool, creates: bool, manages: bool
) -> None:
    closing = None if is_open else CLOSED
    found = card(ticket_with(*(item(*each) for each in items), closing=closing), creates=creates, manages=manages)
    if not creates:
        assert found.next_step not in {NextStep.RESOLVE, NextStep.NEW_TICKET}
    if not manages:
        assert found.next_step is not NextStep.TENANT
    if found.next_step is NextStep.RESOLVE:
        assert is_open
    assert (found.next_address is None) == (found.next_step in {None, NextStep.RESOLVE})
