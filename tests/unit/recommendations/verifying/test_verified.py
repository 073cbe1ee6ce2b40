from __future__ import annotations

from dataclasses import replace

import pytest

from shared.recommendations.model import Disposition
from shared.recommendations.verifying.observations import Observation, Reach
from shared.storage.rows import open_value
from shared.tickets.outcomes import Measurement, Outcome, OutcomeReason
from tests.unit.recommendations.verifying.examples import Case, at, measured, undated


@pytest.mark.parametrize("is_closed", [False, True])
def test_full_points_in_a_later_measurement_prove_the_fix_whether_the_ticket_is_closed_or_not(is_closed: bool) -> None:
    case = Case(measured(4, -1))
    if is_closed:
        case.close(0.1)

    assert case.see(measured(10, 1)) is Outcome.VERIFIED
    assert case.item.proof == case.item.deciding == measured(10, 1)


def test_a_measurement_made_before_the_ticket_proves_nothing() -> None:
    case = Case(measured(4, -3))
    assert case.see(measured(10, -0.1), now=1) is Outcome.OPEN


@pytest.mark.parametrize(("day", "outcome"), [(1, Outcome.OPEN), (2, Outcome.VERIFIED)])
def test_without_its_time_a_measurement_counts_from_the_snapshot_two_days_later(day: int, outcome: Outcome) -> None:
    assert Case().see(undated(10, day), now=day + 0.5) is outcome


@pytest.mark.parametrize(
    ("before", "later", "outcome"),
    [
        (measured(5, -1), measured(12, 1, 12), Outcome.VERIFIED),
        (measured(5, -1), measured(10, 1, 12), Outcome.OPEN),
        (measured(5, -1), measured("9.99", 1), Outcome.VERIFIED),
        (measured(5, -1), measured("9.98", 1), Outcome.OPEN),
        (measured(5, -1), measured("9.99", 1, count=999, total=1000), Outcome.OPEN),
        (measured(5, -1), measured("9.99", 1, count=999, total=999), Outcome.VERIFIED),
        (measured(5, -1), measured(0, 1, 0), Outcome.OPEN),
        (measured(5, -1), measured(10, 1, count=0, total=0), Outcome.VERIFIED),
    ],
    ids=[
        "new_maximum",
        "old_maximum",
        "rounded",
        "not_quite",
        "one_missing",
        "none_missing",
        "maximum_of_0",
        "nothing_to_count",
    ],
)
def test_full_means_all_the_points_that_there_are_now(
    before: Measurement, later: Measurement, outcome: Outcome
) -> None:
    assert Case(before).see(later) is outcome


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        (measured(10, -1), OutcomeReason.FULL_BEFORE),
        (measured(0, -1, 0), OutcomeReason.NO_MEASUREMENT_BEFORE),
        (Measurement(), OutcomeReason.NO_MEASUREMENT_BEFORE),
    ],
)
def test_without_less_than_full_points_before_nothing_is_proved(before: Measurement, reason: OutcomeReason) -> None:
    case = Case(before)
    case.see(measured(10, 1))
    assert case.outcome == (Outcome.UNKNOWN, reason)


@pytest.mark.parametrize("disposition", [Disposition.THIRD_PARTY, Disposition.REVIEWED])
def test_points_that_a_decision_gave_are_no_proof_while_they_linger(disposition: Disposition) -> None:
    case = Case()
    assert case.see(measured(10, 1), disposition=disposition) is Outcome.DISPOSED
    assert case.see(measured(10, 2)) is Outcome.OPEN
    assert case.see(measured(10, 9)) is Outcome.OPEN
    assert case.see(measured(10, 11)) is Outcome.VERIFIED


def test_a_decision_between_two_readings_shows_in_the_time_of_its_withdrawal() -> None:
    case = Case()
    assert case.see(measured(10, 2), decided_at=at(1)) is Outcome.OPEN
    assert case.see(measured(10, 9), decided_at=at(1)) is Outcome.VERIFIED


def test_a_control_that_left_the_catalogue_keeps_its_disposition() -> None:
    case = Case()
    case.see(measured(10, 1), disposition=Disposition.THIRD_PARTY)
    case.see(measured(10, 20), disposition=None)
    assert case.outcome == (Outcome.DISPOSED, OutcomeReason.THIRD_PARTY)
    assert case.see(measured(10, 21)) is Outcome.OPEN


def test_points_of_an_earlier_snapshot_do_not_become_trusted_by_waiting() -> None:
    case = Case()
    case.see(measured(10, 1), disposition=Disposition.THIRD_PARTY)
    for now in (2.0, 12.0):
        assert case.see(measured(10, 1.5, day=None, snapshot_id=None), now=now) is Outcome.OPEN


def test_full_points_prove_nothing_while_the_catalogue_that_may_explain_them_is_not_read() -> None:
    case = Case()
    assert case.see(measured(10, 1), is_conclusive=False) is Outcome.OPEN
    assert case.observe(Observation(measured(10, 1)), at(2), reach=Reach.UNREADABLE) is Outcome.OPEN
    assert case.see(measured(10, 1), now=3) is Outcome.VERIFIED


def test_an_outcome_of_another_release_is_left_to_it() -> None:
    case = Case()
    (item,) = case.verification.items
    later = replace(item, outcome=open_value(Outcome, "exempt"))
    case.verification = replace(case.verification, items=(later,))
    for measurement in (measured(10, 1), measured(0, 2)):
        assert case.see(measurement, is_gone=measurement.points == 0).value == "exempt"
    case.close(3)
    case.reopen(4)
    assert case.item == later
    assert case.verification.outcome is Outcome.UNKNOWN
