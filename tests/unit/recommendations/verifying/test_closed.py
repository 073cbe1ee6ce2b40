"""Tickets that are closed without a proof."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.recommendations.model import Disposition
from shared.recommendations.verifying.observations import Observation, Reach
from shared.recommendations.verifying.waiting_times import WaitingTimes
from shared.tickets.outcomes import Measurement, Outcome, OutcomeReason
from tests.unit.recommendations.verifying.examples import Case, at, measured, undated, verified_case


@pytest.mark.parametrize(
    ("service", "days"),
    [("MDO", 2), ("", 2), ("Azure ATP", 2), ("AzureAD", 8), ("azuread", 8), ("AAD", 8), ("MS Teams", 32)],
)
def test_a_missing_fix_is_said_after_the_waiting_time_of_the_service(service: str, days: int) -> None:
    case = Case(service=service)
    case.close(1)
    assert case.see(measured(0, 1.5), now=1 + days - 0.01) is Outcome.WAITING
    assert case.see(measured(0, 1.5), now=1 + days) is Outcome.NOT_FIXED


def test_waiting_times_are_settings() -> None:
    case = Case()
    case.close(0)
    seen = Observation(measured(0, 0.2))
    assert case.observe(seen, at(0.5), waits=WaitingTimes(default=timedelta(hours=12))) is Outcome.NOT_FIXED


def test_only_a_measurement_newer_than_the_closing_shows_a_missing_fix() -> None:
    case = Case()
    case.close(5)
    assert case.see(measured(0, 4.9), now=30) is Outcome.WAITING
    assert case.see(undated(0, 6), now=30) is Outcome.WAITING
    assert case.see(undated(0, 7), now=30) is Outcome.NOT_FIXED


@pytest.mark.parametrize(
    ("before", "later", "outcome"),
    [
        (measured(4, -1), measured(4, 5), Outcome.NOT_FIXED),
        (measured(4, -1), measured(2, 5), Outcome.NOT_FIXED),
        (measured(4, -1), measured(6, 5), Outcome.PARTLY),
        (measured(4, -1), measured("4.01", 5), Outcome.NOT_FIXED),
        (measured(4, -1), measured(8, 5, 20), Outcome.NOT_FIXED),
        (measured(4, -1), measured(3, 5, 5), Outcome.PARTLY),
        (measured(10, -1), measured(9, 5), Outcome.NOT_FIXED),
        (Measurement(), measured(9, 5), Outcome.NOT_FIXED),
        (measured(5, -1, count=5, total=10), measured(4, 5, count=8, total=20), Outcome.NOT_FIXED),
    ],
)
def test_it_is_partly_fixed_when_the_share_of_the_points_rose(
    before: Measurement, later: Measurement, outcome: Outcome
) -> None:
    case = Case(before)
    case.close(1)
    assert case.see(later) is outcome
    assert case.item.deciding == later


def test_the_newest_measurement_decides_between_partly_and_not_fixed_and_proves_a_late_fix() -> None:
    case = Case(measured(4, -1))
    case.close(1)
    assert case.see(measured(6, 5)) is Outcome.PARTLY
    assert case.see(measured(4, 6)) is Outcome.NOT_FIXED
    assert case.see(measured(6, 5), now=7) is Outcome.NOT_FIXED, "an older measurement changes nothing"
    assert case.see(measured(10, 5.5), now=7) is Outcome.NOT_FIXED
    assert case.see(measured(10, 8)) is Outcome.VERIFIED


def test_a_reopened_ticket_is_open_and_waits_again_once_it_is_closed() -> None:
    case = Case()
    case.close(1)
    assert case.see(measured(0, 5)) is Outcome.NOT_FIXED
    case.reopen(6)
    assert case.see(measured(0, 7)) is Outcome.OPEN
    case.close(8)
    assert case.see(measured(0, 9)) is Outcome.WAITING
    assert case.see(measured(0, 11)) is Outcome.NOT_FIXED


class TestNotDone:
    def test_a_ticket_that_claims_no_fix_waits_for_none(self) -> None:
        case = Case()
        case.close(1, claims_fix=False)
        for seen in (measured(0, 10), measured(10, 11)):
            assert case.see(seen) is Outcome.NOT_DONE
        assert case.see(measured(10, 20), disposition=Disposition.THIRD_PARTY) is Outcome.NOT_DONE
        assert case.observe(Observation(is_gone=True), at(21)) is Outcome.NOT_DONE

    def test_what_was_measured_before_the_closing_proves_a_fix_even_if_it_is_read_later(self) -> None:
        case = Case()
        case.close(2, claims_fix=False)
        assert case.see(measured(10, 1), now=3) is Outcome.VERIFIED

    @pytest.mark.parametrize("seen", [{"disposition": Disposition.THIRD_PARTY}, {"decided_at": at(0.5)}])
    def test_points_of_a_decision_prove_nothing_there_either(self, seen: dict[str, object]) -> None:
        case = Case()
        case.close(2, claims_fix=False)
        assert case.see(measured(10, 1), now=3, **seen) is Outcome.NOT_DONE

    def test_a_verified_ticket_stays_verified_when_it_is_canceled(self) -> None:
        case = verified_case()
        case.close(2, claims_fix=False)
        assert case.see(measured(10, 3)) is Outcome.VERIFIED


class TestUnknown:
    @pytest.mark.parametrize(
        ("seen", "reach", "reason"),
        [
            (Observation(), Reach.READABLE, OutcomeReason.NOT_MEASURED),
            (Observation(measured(0, 1, 0)), Reach.READABLE, OutcomeReason.NOT_MEASURED),
            (None, Reach.READABLE, OutcomeReason.GONE),
            (Observation(measured(0, -1)), Reach.UNREADABLE, OutcomeReason.TENANT_UNREADABLE),
        ],
    )
    def test_nobody_waits_for_what_cannot_be_measured(
        self, seen: Observation | None, reach: Reach, reason: OutcomeReason
    ) -> None:
        case = Case()
        assert case.observe(seen, at(40), reach=reach) is Outcome.OPEN
        case.close(41)
        assert case.observe(seen, at(42), reach=reach) is Outcome.WAITING
        case.observe(seen, at(43), reach=reach)
        assert case.outcome == (Outcome.UNKNOWN, reason)
        assert case.see(measured(0, 44)) is Outcome.NOT_FIXED
        assert case.see(measured(10, 45)) is Outcome.VERIFIED

    def test_an_unreadable_tenant_does_not_hide_what_was_measured_before(self) -> None:
        case = Case()
        case.close(1)
        assert case.see(measured(0, 1.5)) is Outcome.WAITING
        assert case.observe(Observation(measured(0, 1.5)), at(4), reach=Reach.UNREADABLE) is Outcome.NOT_FIXED

    @pytest.mark.parametrize("is_closed", [False, True])
    def test_a_retired_control_is_said_at_once_and_can_come_back(self, is_closed: bool) -> None:
        case = Case()
        if is_closed:
            case.close(0.5)
        case.observe(Observation(measured(0, 1), is_gone=True), at(1))
        assert case.outcome == (Outcome.UNKNOWN, OutcomeReason.GONE)
        assert case.see(measured(0, 1.1)) is (Outcome.WAITING if is_closed else Outcome.OPEN)
        assert case.see(measured(10, 3)) is Outcome.VERIFIED

    def test_a_verified_control_that_is_retired_stays_verified(self) -> None:
        assert verified_case().observe(Observation(is_gone=True), at(9)) is Outcome.VERIFIED

    def test_a_removed_tenant_leaves_what_is_undecided_unknown(self) -> None:
        for case in (Case(), verified_case()):
            case.observe(None, at(3), reach=Reach.REMOVED)
        assert case.outcome == (Outcome.VERIFIED, None)
        case = Case()
        case.observe(None, at(3), reach=Reach.REMOVED)
        assert case.outcome == (Outcome.UNKNOWN, OutcomeReason.TENANT_REMOVED)
        assert case.see(measured(0, 4)) is Outcome.OPEN

    def test_a_source_without_measurements_is_never_waited_for(self) -> None:
        case = Case(Measurement())
        file = Observation(is_verifiable=False)
        assert case.observe(file, at(1)) is Outcome.OPEN
        case.close(2)
        case.observe(file, at(2))
        assert case.outcome == (Outcome.UNKNOWN, OutcomeReason.NOT_VERIFIABLE)

    def test_full_points_from_before_are_said_as_long_as_they_last(self) -> None:
        case = Case(measured(10, -1))
        case.see(measured(10, -1), now=0.1)
        assert case.outcome == (Outcome.UNKNOWN, OutcomeReason.FULL_BEFORE)
        assert case.see(measured(4, 1)) is Outcome.OPEN
        case.close(2)
        assert case.see(measured(4, 5)) is Outcome.NOT_FIXED


class TestDisposed:
    @pytest.mark.parametrize("is_closed", [False, True])
    @pytest.mark.parametrize(
        ("disposition", "reason"),
        [
            (Disposition.THIRD_PARTY, OutcomeReason.THIRD_PARTY),
            (Disposition.REVIEWED, OutcomeReason.REVIEWED),
            (Disposition.IGNORED, OutcomeReason.RISK_ACCEPTED),
        ],
    )
    @pytest.mark.parametrize("points", [0, 10])
    def test_a_decision_in_the_portal_is_an_outcome_until_it_is_withdrawn(
        self, disposition: Disposition, reason: OutcomeReason, points: int, is_closed: bool
    ) -> None:
        case = Case()
        if is_closed:
            case.close(0.5)
        case.see(measured(points, 1), disposition=disposition)
        assert case.outcome == (Outcome.DISPOSED, reason)
        assert case.see(measured(0, 1.1)) is (Outcome.WAITING if is_closed else Outcome.OPEN)

    def test_points_that_a_decision_took_are_no_missing_fix_while_they_linger(self) -> None:
        case = Case(measured(4, -1))
        case.close(1)
        assert case.see(measured(0, 4), disposition=Disposition.IGNORED) is Outcome.DISPOSED
        assert case.see(measured(0, 5)) is Outcome.WAITING
        assert case.see(measured(0, 13)) is Outcome.NOT_FIXED

    def test_a_plan_decides_nothing(self) -> None:
        assert Case().see(measured(0, 1), disposition=Disposition.PLANNED) is Outcome.OPEN


class TestWrongClocks:
    def test_a_measurement_from_the_future_is_not_believed(self) -> None:
        case = Case()
        assert case.see(measured(10, 30), now=5) is Outcome.OPEN
        assert case.see(measured(10, 30, day=at(4).date()), now=5) is Outcome.VERIFIED, "its snapshot is"
        assert case.item.proof is not None
        assert case.item.proof.measured_at is None

    def test_a_closing_in_the_future_counts_from_when_it_was_seen(self) -> None:
        case = Case()
        case.close(1)
        case.with_closing(closed_at=at(20))
        assert case.see(measured(0, 4)) is Outcome.NOT_FIXED

    def test_a_closing_before_the_ticket_counts_from_the_ticket(self) -> None:
        case = Case()
        case.close(1)
        case.with_closing(closed_at=at(-30))
        assert case.see(measured(0, -2), now=1.5) is Outcome.WAITING

    def test_a_closing_seen_in_the_future_is_waited_for(self) -> None:
        case = Case()
        case.close(30)
        assert case.see(measured(0, 9)) is Outcome.WAITING


def test_the_time_in_servicenow_counts_not_when_it_was_noticed() -> None:
    case = Case()
    case.close(5)
    case.with_closing(closed_at=at(1))
    assert case.see(measured(0, 2), now=5.1) is Outcome.NOT_FIXED


def test_what_had_full_points_before_stays_not_done() -> None:
    case = Case(measured(10, -1))
    case.close(2, claims_fix=False)
    assert case.see(measured(10, 1), now=3) is Outcome.NOT_DONE


def test_a_control_that_comes_back_after_its_ticket_was_canceled_is_not_done() -> None:
    case = Case()
    case.observe(Observation(is_gone=True), at(1))
    case.close(2, claims_fix=False)
    assert case.see(measured(0, 20)) is Outcome.NOT_DONE
