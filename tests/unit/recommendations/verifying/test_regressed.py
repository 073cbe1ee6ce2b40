"""What was verified and loses points."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from shared.recommendations.model import Disposition
from shared.recommendations.verifying.observations import Observation
from shared.recommendations.verifying.waiting_times import WaitingTimes
from shared.tickets.outcomes import Measurement, Outcome
from tests.unit.recommendations.verifying.examples import Case, at, measured, undated, verified_case


def test_two_newer_measurements_of_different_snapshots_with_fewer_points_are_a_regression() -> None:
    case = verified_case(day=1)
    assert case.see(measured(0, 20)) is Outcome.VERIFIED
    assert case.see(measured(0, 21)) is Outcome.REGRESSED
    assert (case.item.lower, case.item.deciding) == (measured(0, 20), measured(0, 21))
    assert case.item.proof == measured(10, 1)


@pytest.mark.parametrize(
    "second",
    [
        measured(0, 20),
        measured(0, 20, day=at(21).date(), snapshot_id="another"),
        measured(0, 20.3, day=at(20).date(), snapshot_id=measured(0, 20).snapshot_id),
        measured(0, 19),
        undated(0, 20),
        measured(10, 21),
    ],
    ids=["repeated", "shown_again", "same_snapshot", "older", "undated", "full_again"],
)
def test_one_measurement_is_no_regression(second: Measurement) -> None:
    case = verified_case(day=1)
    case.see(measured(0, 20))
    assert case.see(second, now=22) is Outcome.VERIFIED


def test_full_points_in_between_begin_the_count_again() -> None:
    case = verified_case(day=1)
    for points, day in ((0, 20), (10, 21), (0, 22)):
        assert case.see(measured(points, day)) is Outcome.VERIFIED
    assert case.see(measured(0, 23)) is Outcome.REGRESSED


def test_nothing_is_said_in_the_quiet_period_but_after_it_if_it_is_still_so() -> None:
    case = verified_case(day=1)
    for day in (2, 3, 7):
        assert case.see(measured(0, day)) is Outcome.VERIFIED
    assert case.see(measured(0, 7), now=8.5) is Outcome.REGRESSED


def test_the_quiet_period_is_a_setting() -> None:
    case, waits = verified_case(day=1), WaitingTimes(quiet=timedelta(days=1))
    case.observe(Observation(measured(0, 2)), at(2.1), waits=waits)
    assert case.observe(Observation(measured(0, 3)), at(3.1), waits=waits) is Outcome.REGRESSED


def test_the_quiet_period_of_a_wrong_clock_is_not_waited_for() -> None:
    case = Case()
    case.see(measured(10, 1), now=90)
    case.see(measured(0, 20))
    assert case.see(measured(0, 21)) is Outcome.REGRESSED


def counted(count: int, total: int, day: float) -> Measurement:
    return measured(f"{10 * count / total:.2f}", day, count=count, total=total)


@pytest.mark.parametrize(
    ("later", "outcome"),
    [
        ({"count": 100, "total": 125}, Outcome.DILUTED),
        ({"count": 110, "total": 125}, Outcome.DILUTED),
        ({"count": 99, "total": 125}, Outcome.REGRESSED),
        ({"count": 80, "total": 100}, Outcome.REGRESSED),
        ({"count": 80, "total": 90}, Outcome.REGRESSED),
    ],
)
@pytest.mark.parametrize("is_closed", [False, True])
def test_more_users_or_devices_dilute(later: dict[str, int], outcome: Outcome, is_closed: bool) -> None:
    case = Case(counted(40, 100, -1))
    assert case.see(counted(100, 100, 1)) is Outcome.VERIFIED
    if is_closed:
        case.close(5)
    for day in (20, 21):
        case.see(counted(**later, day=day))
    assert case.item.outcome is outcome


def test_without_counts_nobody_can_say_that_it_is_diluted() -> None:
    case = verified_case(day=1)
    for day in (20, 21):
        case.see(counted(100, 125, day))
    assert case.item.outcome is Outcome.REGRESSED


def test_what_is_diluted_can_regress_and_be_verified_again() -> None:
    case = Case(counted(40, 100, -1))
    steps = (
        (counted(100, 100, 1), Outcome.VERIFIED),
        (counted(100, 125, 20), Outcome.VERIFIED),
        (counted(100, 125, 21), Outcome.DILUTED),
        (counted(110, 125, 22), Outcome.DILUTED),
        (counted(90, 125, 40), Outcome.DILUTED),
        (counted(90, 125, 41), Outcome.REGRESSED),
        (counted(80, 150, 42), Outcome.REGRESSED),
        (counted(150, 150, 43), Outcome.VERIFIED),
    )
    for measurement, outcome in steps:
        assert case.see(measurement) is outcome
    assert case.item.proof == counted(100, 100, 1)


@pytest.mark.parametrize("later", [{"points": 10, "maximum": 12}, {"points": 6, "maximum": 8}])
def test_a_changed_maximum_is_no_regression(later: dict[str, Any]) -> None:
    case = verified_case(day=1)
    for day in (20, 21):
        case.see(measured(made=day, **later))
    assert case.item.outcome is Outcome.MAXIMUM_CHANGED


def test_a_verified_control_is_compared_with_its_newest_maximum_and_counts() -> None:
    case = Case(counted(40, 100, -1))
    case.see(counted(100, 100, 1))
    case.see(measured(12, 15, 12, count=150, total=150))
    for day in (20, 21):
        case.see(measured(11, day, 12, count=140, total=150))
    assert case.item.outcome is Outcome.REGRESSED


def test_two_measurements_have_to_say_the_same_of_the_loss() -> None:
    case = verified_case(day=1)
    assert case.see(measured(10, 20, 12)) is Outcome.VERIFIED
    assert case.see(measured(5, 21)) is Outcome.VERIFIED
    assert case.see(measured(5, 22)) is Outcome.REGRESSED


def test_a_proof_without_a_time_can_be_followed_by_a_regression_without_one() -> None:
    case = Case()
    assert case.see(undated(10, 2), now=2.5) is Outcome.VERIFIED
    assert case.see(undated(0, 19), now=20) is Outcome.VERIFIED
    assert case.see(undated(0, 20), now=20.5) is Outcome.REGRESSED


def test_a_decision_after_a_proof_is_said_and_afterwards_a_loss_still_counts_as_one() -> None:
    case = verified_case(day=1)
    assert case.see(measured(10, 10), disposition=Disposition.THIRD_PARTY) is Outcome.DISPOSED
    for day in (20, 29):
        assert case.see(measured(0, day)) is Outcome.OPEN
    assert case.see(measured(0, 30)) is Outcome.REGRESSED
    assert case.see(measured(10, 40)) is Outcome.VERIFIED


def test_an_older_measurement_with_full_points_does_not_end_a_loss() -> None:
    case = verified_case(day=1)
    case.see(measured(0, 20))
    assert case.see(measured(10, 15), now=20.5) is Outcome.VERIFIED
    assert case.see(measured(0, 21)) is Outcome.REGRESSED


def test_a_loss_before_a_decision_does_not_count_after_it() -> None:
    case = verified_case(day=1)
    case.see(measured(0, 10))
    case.see(measured(10, 11), disposition=Disposition.THIRD_PARTY)
    case.see(measured(0, 12))
    assert case.see(measured(0, 30)) is Outcome.OPEN
    assert case.see(measured(0, 31)) is Outcome.REGRESSED
