"""What holds for every story of a ticket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.recommendations.model import Disposition
from shared.recommendations.verification import assessed, new_verification
from shared.recommendations.verifying.observations import Observation, ObservedTenant, Reach
from shared.tickets.model import RecommendationReference
from shared.tickets.outcome_events import changed_items
from shared.tickets.outcomes import Closing, Measurement, Outcome, Verification, closed, reopened
from shared.value_object import value_object
from tests.unit.recommendations.strategies import TENANT
from tests.unit.recommendations.verifying.examples import ASKED_AT, ONE, WAITS, Case, at, measured, undated

ELSEWHERE = RecommendationReference("22222222-aaaa-4bbb-8ccc-000000000002", "secure_score", "mdo_safeattachments")


@value_object
class Step:
    """A reading, or a change of the ticket's state, on a day."""

    day: float
    seen: Observation | None = None
    reach: Reach = Reach.READABLE
    is_closed: bool | None = None
    claims_fix: bool = True


def measurements(first: float, last: float) -> st.SearchStrategy[Measurement]:
    """Return measurements of these days; some without their time, some from the future, some that show nothing."""

    def built(points: int, maximum: int, day: int, total: int, is_dated: bool, ahead: int) -> Measurement:
        count = total * min(points, maximum) // maximum if maximum else 0
        seen = measured(min(points, maximum), day + ahead, maximum, count=count, total=total)
        return seen if is_dated else replace(seen, measured_at=None)

    return st.builds(
        built,
        points=st.sampled_from([0, 4, 8, 10, 12]),
        maximum=st.sampled_from([10, 10, 10, 12, 8, 0]),
        day=st.integers(int(first), int(last)),
        total=st.sampled_from([0, 100, 100, 120]),
        is_dated=st.sampled_from([True, True, False]),
        ahead=st.sampled_from([0, 0, 0, 400]),
    )


observations = st.builds(
    Observation,
    measurement=measurements(-3, 60),
    service=st.sampled_from(["MDO", "AzureAD", "MS Teams"]),
    disposition=st.sampled_from([Disposition.DEFAULT] * 6 + [None, *Disposition]),
    decided_at=st.sampled_from([None, None, at(-20), at(5)]),
    is_gone=st.sampled_from([False] * 6 + [True]),
    is_verifiable=st.sampled_from([True] * 6 + [False]),
)
days = st.integers(0, 1200).map(lambda hours: hours / 20)
steps = st.builds(Step, day=days, seen=observations | st.none(), reach=st.sampled_from([Reach.READABLE] * 3 + [*Reach]))
closings = st.builds(Step, day=days, is_closed=st.sampled_from([True, True, False]), claims_fix=st.booleans())
stories = st.lists(steps | steps | closings, max_size=12).map(lambda each: sorted(each, key=lambda step: step.day))
befores = measurements(-9, -1)


def after(verification: Verification, step: Step) -> Verification:
    """Return the verification after a step; to repeat it changes nothing."""
    if step.is_closed is not None:
        change: Any = closed if step.is_closed else reopened
        more = {"claims_fix": step.claims_fix} if step.is_closed else {}
        result: Verification = change(verification, at(step.day), **more)
        return result
    tenant = ObservedTenant(TENANT, {} if step.seen is None else {ONE.key: step.seen}, step.reach)
    assessed_once = assessed(verification, tenant, at(step.day), WAITS)
    assert assessed(assessed_once, tenant, at(step.day), WAITS) is assessed_once
    assert bool(changed_items(verification, assessed_once)) <= (assessed_once is not verification)
    return assessed_once


def begun(before: Measurement) -> Verification:
    return new_verification([ONE], [ObservedTenant(TENANT, {ONE.key: Observation(before)})], ASKED_AT)


def is_full(seen: Measurement) -> bool:
    """Say independently of the rules whether somebody has all the points."""
    assert seen.points is not None
    assert seen.max_points is not None
    return seen.max_points > 0 and seen.points == seen.max_points


def is_later(seen: Measurement, than: datetime, now: datetime) -> bool:
    """Say independently of the rules whether a measurement was made after an event."""
    if seen.measured_at is not None and seen.measured_at <= now:
        return seen.measured_at > than
    return seen.day is not None and than.date() + timedelta(days=2) <= seen.day <= now.date() + timedelta(days=1)


@settings(max_examples=150)
@given(befores, stories)
def test_nothing_is_said_without_its_evidence(before: Measurement, story: Sequence[Step]) -> None:
    verification = begun(before)
    seen: list[tuple[Measurement, datetime]] = []
    for step in story:
        now = at(step.day)
        if step.seen is not None and step.seen.disposition in (Disposition.DEFAULT, Disposition.PLANNED, None):
            seen.append((step.seen.measurement, now))
        was, verification = verification, after(verification, step)
        (old,), (item,) = was.items, verification.items
        closing: Closing | None = verification.closing
        full = [each for each, then in seen if is_full(each) and is_later(each, ASKED_AT, then)]
        match item.outcome:
            case Outcome.VERIFIED:
                assert full
                assert before.max_points
                assert not is_full(before)
            case Outcome.NOT_FIXED | Outcome.PARTLY if old.outcome is not item.outcome:
                assert closing is not None
                assert closing.claims_fix
                assert now >= closing.at + timedelta(hours=48)
                assert step.seen is not None
                assert not is_full(step.seen.measurement)
                assert is_later(step.seen.measurement, closing.at, now)
            case Outcome.REGRESSED | Outcome.DILUTED | Outcome.MAXIMUM_CHANGED if old.outcome is not item.outcome:
                assert full
                low = {each.snapshot_id for each, _ in seen if not is_full(each)}
                assert len(low) >= 2
            case Outcome.NOT_DONE:
                assert closing is not None
                assert not closing.claims_fix
            case Outcome.WAITING:
                assert closing is not None
                assert closing.claims_fix
            case Outcome.OPEN:
                assert closing is None


@settings(max_examples=60)
@given(befores, stories, st.integers(-2000, 2000))
def test_only_differences_of_times_count(before: Measurement, story: Sequence[Step], days_later: int) -> None:
    """Days are whole, so a story that is moved by whole days has the same outcomes."""
    moved_by = timedelta(days=days_later)

    def moved(seen: Measurement) -> Measurement:
        assert seen.day is not None
        measured_at = None if seen.measured_at is None else seen.measured_at + moved_by
        return replace(seen, measured_at=measured_at, day=seen.day + moved_by)

    here = begun(before)
    there = new_verification(
        [ONE], [ObservedTenant(TENANT, {ONE.key: Observation(moved(before))})], ASKED_AT + moved_by
    )
    for step in story:
        here = after(here, step)
        seen = step.seen
        if seen is not None:
            decided_at = None if seen.decided_at is None else seen.decided_at + moved_by
            seen = replace(seen, measurement=moved(seen.measurement), decided_at=decided_at)
        there = after(there, replace(step, day=step.day + days_later, seen=seen))
        assert [(item.outcome, item.reason) for item in here.items] == [
            (item.outcome, item.reason) for item in there.items
        ]


@settings(max_examples=60)
@given(st.lists(measurements(1, 30), max_size=6), st.floats(0, 30), st.booleans(), st.booleans())
def test_it_does_not_matter_whether_the_closing_or_a_measurement_is_seen_first(
    made: list[Measurement], closed_on: float, is_fixed: bool, claims_fix: bool
) -> None:
    """Everything is seen by the end of the 40th day, in one order or the other; then it is measured once more."""
    readings = [Step(40, Observation(each)) for each in made if each.day is not None and each.measured_at is not None]
    readings = [each for each in readings if each.seen and (each.seen.measurement.measured_at or at(0)) < at(closed_on)]
    readings.sort(key=lambda step: (step.seen and step.seen.measurement.measured_at) or at(0))
    outcomes = set()
    for closes_first in (True, False):
        verification = begun(measured(0, -1))
        closing = replace(Closing(at(40)), closed_at=at(closed_on), claims_fix=claims_fix)
        for step in readings if not closes_first else ():
            verification = after(verification, step)
        verification = closed(verification, at(40), claims_fix=claims_fix)
        verification = replace(verification, closing=closing)
        for step in readings if closes_first else ():
            verification = after(verification, step)
        verification = after(verification, Step(90, Observation(measured(10 if is_fixed else 0, 89))))
        outcomes.add(verification.outcome)
    assert len(outcomes) == 1


@settings(max_examples=60)
@given(st.lists(st.integers(1, 30), unique=True), st.data())
def test_missing_days_hide_no_proof_and_no_missing_fix(read_on: list[int], data: st.DataObject) -> None:
    fixed_on = data.draw(st.sampled_from([None, *range(1, 31)]))
    case = Case()
    case.close(0.5)
    for day in sorted({*read_on, 31}):
        is_fixed = fixed_on is not None and day >= fixed_on
        case.see(undated(10, day) if is_fixed and day % 2 else measured(10 if is_fixed else 0, day), now=day + 0.5)
    assert case.item.outcome is (Outcome.NOT_FIXED if fixed_on is None else Outcome.VERIFIED)


@given(st.integers(1, 30), st.integers(0, 30), st.integers(1, 30), st.integers(0, 30))
def test_only_shares_count_when_the_maximum_changes(maximum: int, points: int, new: int, later: int) -> None:
    points, later = min(points, maximum), min(later, new)
    case = Case(measured(points, -1, maximum))
    case.close(0.5)
    case.see(measured(later, 5, new))
    if later == new:
        expected = Outcome.UNKNOWN if points == maximum else Outcome.VERIFIED
    else:
        rose = later * maximum > points * new + new * maximum / 100 and later > points * new / maximum + 0.01
        expected = Outcome.PARTLY if rose or later * maximum > points * new + 0.5 else Outcome.NOT_FIXED
    assert case.item.outcome is expected


@given(st.integers(1, 500), st.integers(0, 500), st.integers(0, 500))
def test_a_loss_is_dilution_only_if_objects_joined_and_none_failed(total: int, joined: int, failed: int) -> None:
    def counted(count: int, of: int, day: float) -> Measurement:
        return measured(f"{10 * count / of:.2f}", day, count=count, total=of)

    failed = min(failed, total)
    case = Case(counted(0, total, -1))
    assert case.see(counted(total, total, 1)) is Outcome.VERIFIED
    for day in (20, 21):
        case.see(counted(total - failed, total + joined, day))
    share = round(10 * (total - failed) / (total + joined), 2)
    if share >= 9.99:
        assert case.item.outcome is Outcome.VERIFIED
    else:
        assert case.item.outcome is (Outcome.REGRESSED if failed else Outcome.DILUTED)


@given(befores, stories, st.booleans())
@settings(max_examples=40)
def test_tenants_of_one_ticket_do_not_touch_each_other(
    before: Measurement, story: Sequence[Step], other_first: bool
) -> None:
    here = ObservedTenant(TENANT, {ONE.key: Observation(before)})
    other = ObservedTenant(ELSEWHERE.tenant_id, {ELSEWHERE.key: Observation(measured(0, -1))})
    references = [ELSEWHERE, ONE] if other_first else [ONE, ELSEWHERE]
    both, alone = new_verification(references, [here, other], ASKED_AT), begun(before)
    for step in story:
        both, alone = after(both, step), after(alone, step)
    assert [item for item in both.items if item.tenant_id == TENANT] == list(alone.items)
    proof = replace(other, by_key={ELSEWHERE.key: Observation(measured(10, 61))})
    last = assessed(both, proof, at(62), WAITS)
    of_other = next(item for item in last.items if item.tenant_id == ELSEWHERE.tenant_id)
    canceled = both.closing is not None and not both.closing.claims_fix
    assert of_other.outcome is (Outcome.NOT_DONE if canceled else Outcome.VERIFIED)
    assert (last.outcome is Outcome.VERIFIED) == all(item.outcome is Outcome.VERIFIED for item in last.items)
