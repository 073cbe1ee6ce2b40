"""How the requests that an instance allows in an hour are divided."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.connections.request_budget import AHEAD, RESERVE, Pause, RequestBudget, RuleUse, joined, next_pause, wait_s

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
END = BEGIN + timedelta(hours=1)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


@given(st.integers(2, 5_000), st.lists(st.tuples(st.floats(0, 600), st.integers(1, 300)), max_size=60))
def test_background_work_leaves_the_reserve_and_keeps_an_even_pace(limit: int, course: list[tuple[float, int]]) -> None:
    now, used = BEGIN, 0
    for pause_s, wanted in course:
        now += seconds(pause_s)
        if now >= END:
            break
        for _ in range(wanted):
            if wait_s(RuleUse(limit, END, used), now) > 0:
                break
            used += 1
        passed = (now - BEGIN) / timedelta(hours=1)
        most = max(1, limit - math.ceil(limit * RESERVE))
        assert used <= most
        assert used <= most * (passed + AHEAD) + 1 + 1e-6


@given(st.integers(2, 5_000), st.integers(0, 5_000), st.floats(0, 3_599))
def test_whoever_waits_as_asked_is_admitted_then(limit: int, used: int, passed_s: float) -> None:
    now = BEGIN + seconds(passed_s)
    wait = wait_s(RuleUse(limit, END, used), now)
    assert wait <= (END - now).total_seconds()
    later = now + seconds(wait) + timedelta(milliseconds=1)
    assert later >= END or wait_s(RuleUse(limit, END, used), later) == 0


def test_what_servicenow_refuses_is_not_tried_again_before_it_says_so() -> None:
    use = RuleUse(1_000, END, 1, refused_until=BEGIN + seconds(90))
    assert wait_s(use, BEGIN + seconds(30)) == 60
    assert wait_s(use, BEGIN + seconds(600)) == 0


@pytest.mark.parametrize("resets_at", [BEGIN, BEGIN - seconds(1), BEGIN + timedelta(hours=30)])
def test_an_hour_that_is_over_or_cannot_be_right_limits_nothing(resets_at: datetime) -> None:
    assert wait_s(RuleUse(10, resets_at, 10), BEGIN) == 0


REFUSALS = st.lists(st.tuples(st.floats(0, 7_200), st.none() | st.floats(0, 3_600)), min_size=1, max_size=30)


@given(REFUSALS)
def test_a_pause_never_gets_shorter_and_never_lasts_more_than_an_hour(course: list[tuple[float, float | None]]) -> None:
    now, last = BEGIN, None
    for passed_s, asked_s in course:
        now += seconds(passed_s)
        pause = next_pause(last, asked_s, now)
        assert last is None or pause.until >= last.until
        assert now + seconds(0 if asked_s is None else asked_s) <= pause.until <= now + timedelta(hours=1)
        assert RequestBudget(pause=pause).wait_s("GET task", now) == (pause.until - now).total_seconds()
        last = pause


def test_pauses_double_until_servicenow_is_calm_again() -> None:
    now, last, lengths = BEGIN, None, []
    for calm_s in (1, 59, 800, 1, 901, 1):
        pause = next_pause(last, None, now)
        assert next_pause(pause, None, now + seconds(5)) == pause, "refused together"
        lengths.append(pause.length.total_seconds())
        now, last = pause.until + seconds(calm_s), pause
    assert lengths == [30, 60, 120, 240, 480, 30]


def test_a_pause_that_cannot_be_right_is_forgotten() -> None:
    wrong = Pause(BEGIN + timedelta(days=1), timedelta(hours=1))
    assert RequestBudget(pause=wrong).wait_s("GET task", BEGIN) == 0
    assert next_pause(wrong, None, BEGIN).length == seconds(30)


def test_hosts_keep_the_pause_that_ends_later() -> None:
    short, long = (RequestBudget(pause=Pause(BEGIN + seconds(count), seconds(count))) for count in (30, 60))
    for stored, known, kept in ((short, long, long), (long, short, long), (RequestBudget(), short, short)):
        assert joined(stored, known, {}).pause == kept.pause


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 50)), max_size=30))
def test_all_hosts_count_together(shares: list[tuple[str, int]]) -> None:
    stored = RequestBudget()
    for host, count in shares:
        known = RequestBudget({"rule": RuleUse(1_000, END, count)}, {f"GET {host}": "rule"})
        stored = joined(stored, known, {"rule": count})
    assert stored.uses.get("rule", RuleUse(1_000, END)).used == sum(count for _, count in shares)
    assert stored.rules == {f"GET {host}": "rule" for host, _ in shares}


def test_a_new_hour_begins_at_nothing_and_an_old_one_changes_it_no_more() -> None:
    old = RequestBudget({"rule": RuleUse(100, END, 80)})
    new = RequestBudget({"rule": RuleUse(100, END + timedelta(hours=1), 3)})
    assert joined(old, new, {"rule": 3}).uses["rule"].used == 3
    assert joined(new, old, {"rule": 80}).uses["rule"].used == 3
