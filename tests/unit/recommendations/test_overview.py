"""A tenant's Secure Score at a glance."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.recommendations.model import (
    Disposition,
    ImprovementAction,
    Presence,
    Snapshot,
    SourceName,
)
from shared.recommendations.overview import BEST, SHOWN_DAYS, best_actions, overview_of, percent_of
from tests.unit.recommendations.strategies import actions

TODAY = date(2026, 11, 24)


def an_action(source_id: str, missing: int = 5, rank: int | None = 10) -> ImprovementAction:
    return ImprovementAction(
        tenant_id="11111111-aaaa-4bbb-8ccc-000000000001",
        source=SourceName.SECURE_SCORE,
        source_id=source_id,
        title=source_id,
        rank=rank,
        points=Decimal(10 - missing),
        max_points=Decimal(10),
    )


def a_snapshot(days_ago: int, score: int, max_score: int = 200) -> Snapshot:
    day = TODAY - timedelta(days=days_ago)
    return Snapshot(f"tenant_{day}", day, Decimal(score), Decimal(max_score))


def test_before_the_first_snapshot_there_is_no_score() -> None:
    overview = overview_of([], [], ())
    assert (overview.newest, overview.percent, overview.change, overview.waiting_actions) == (None, None, None, 0)
    assert not overview.best


def test_the_curve_ends_with_the_newest_snapshot_and_begins_90_days_before() -> None:
    snapshots = [a_snapshot(days_ago, 100 + days_ago) for days_ago in (0, SHOWN_DAYS, SHOWN_DAYS - 1, 40)]
    overview = overview_of(snapshots, [], ())
    assert overview.newest == snapshots[0]
    assert [day for day, _ in overview.percent_by_day] == [
        TODAY - timedelta(days=SHOWN_DAYS - 1),
        TODAY - timedelta(days=40),
        TODAY,
    ]
    assert overview.percent == Decimal("50.0")
    assert overview.change == Decimal("-44.5")


def test_a_changed_maximum_changes_the_percentage() -> None:
    overview = overview_of([a_snapshot(1, 100, 200), a_snapshot(0, 100, 400)], [], ())
    assert overview.change == Decimal("-25.0")


def test_0_of_0_is_0_percent() -> None:
    assert percent_of(Decimal(0), Decimal(0)) == 0


def test_actions_with_an_open_ticket_wait_and_are_not_proposed() -> None:
    waiting, other = an_action("waiting", 8), an_action("other", 3)
    overview = overview_of([], [waiting, other], {waiting.key})
    assert (overview.waiting_points, overview.waiting_actions, list(overview.best)) == (Decimal(8), 1, [other])


def test_most_points_come_first_then_microsofts_order() -> None:
    expected = [
        an_action("many", 8, None),
        an_action("first", 5, 1),
        an_action("second", 5, 2),
        an_action("unranked", 5, None),
    ]
    assert list(best_actions(expected[::-1])) == expected


def test_actions_of_other_sources_do_not_count() -> None:
    action = replace(an_action("compliance"), source=SourceName.COMPLIANCE_MANAGER)
    overview = overview_of([], [action], {action.key})
    assert (overview.waiting_actions, list(overview.best)) == (0, [])
    assert not overview_of([], [action], ()).best


@pytest.mark.parametrize(
    "action",
    [
        an_action("complete", 0),
        replace(an_action("accepted"), disposition=Disposition.IGNORED),
        replace(an_action("not measured"), presence=Presence.PROFILE_ONLY),
        replace(an_action("gone"), gone_at=datetime(2026, 11, 1, tzinfo=UTC)),
        replace(an_action("unlicensed"), has_licence=False),
        replace(an_action("unknown"), points=None),
    ],
    ids=lambda action: action.source_id,
)
def test_what_nobody_has_to_do_is_not_proposed(action: ImprovementAction) -> None:
    assert not best_actions([action])


@given(st.lists(actions, max_size=20))
def test_it_proposes_a_few_different_ones_of_those_that_are_there(found: list[ImprovementAction]) -> None:
    best = best_actions(found)
    assert len(best) <= BEST
    assert all(action in found for action in best)
