"""What is said when: each digest once, each cause once, never in quiet hours, never a flood."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.connections.model import Connection, ConnectionStatus
from shared.reminders.model import (
    Cause,
    Content,
    Figures,
    Message,
    MessageKind,
    Receiver,
    ReminderSettings,
    ReminderState,
    Reported,
)
from shared.reminders.rules import (
    CATCH_UP,
    MORE_AFTER,
    REPEAT_AFTER,
    URGENT_PER_DAY,
    Plan,
    consent_stage,
    is_attempt_due,
    is_given_up,
    levels,
    next_attempt_at,
    plan,
    quiet_until_at,
    seen,
)

NOW = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)  # a Wednesday
BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [ZoneInfo(name) for name in ("UTC", "Europe/Berlin", "Asia/Tokyo", "America/St_Johns", "Australia/Lord_Howe")]
SETTINGS = ReminderSettings(receivers=(Receiver.TEAMS,), has_digest=False)
WEEKLY = replace(SETTINGS, has_digest=True, digest_weekday=3, digest_at="08:00")
CONNECTION = Connection("contoso", "Contoso", "https://contoso.service-now.com", "id", "m365")

clocks = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from([0, 15, 30, 59]))
zones = st.sampled_from(ZONES)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001
situations = st.dictionaries(st.sampled_from(list(Cause)), st.integers(0, 4))


def walk(
    settings: ReminderSettings,
    zone: ZoneInfo,
    steps: Sequence[tuple[datetime, Mapping[Cause, int]]],
    state: ReminderState | None = None,
) -> list[tuple[datetime, Plan]]:
    """Plan at each of these times, as the connection's turns do."""
    state, plans = state or ReminderState(), []
    for at, present in steps:
        made = plan(settings, state, present, zone, at)
        plans.append((at, made))
        state = made.state
    return plans


def test_a_cause_is_said_once_and_again_after_a_week() -> None:
    steps = [(NOW + timedelta(hours=hour), {Cause.REFUSED: 2}) for hour in range(24 * 15)]
    said = [at for at, made in walk(SETTINGS, BERLIN, steps) if made.causes]
    assert said == [NOW, NOW + REPEAT_AFTER, NOW + 2 * REPEAT_AFTER]


def test_what_gets_worse_is_said_again_after_a_day_and_what_gets_better_is_not() -> None:
    def said(levels: Sequence[int], every: timedelta) -> list[bool]:
        steps = [(NOW + number * every, {Cause.OVERDUE: level}) for number, level in enumerate(levels)]
        return [bool(made.causes) for _, made in walk(SETTINGS, BERLIN, steps)]

    assert said([3, 5, 5], MORE_AFTER / 2) == [True, False, True]
    assert said([3, 2, 1], MORE_AFTER) == [True, False, False]
    assert said([3, 1, 2], MORE_AFTER) == [True, False, True]


def test_a_cause_that_was_over_is_said_when_it_comes_back() -> None:
    steps = [(NOW + timedelta(minutes=each), {Cause.REGRESSION: level}) for each, level in enumerate([1, 0, 1])]
    assert [made.causes for _, made in walk(SETTINGS, BERLIN, steps)] == [(Cause.REGRESSION,), (), (Cause.REGRESSION,)]


def test_a_consent_is_said_at_each_stage_at_once() -> None:
    steps = [(NOW + timedelta(hours=each), {Cause.CONSENT_ENDS: stage}) for each, stage in enumerate([1, 1, 2, 5])]
    assert [bool(made.causes) for _, made in walk(SETTINGS, BERLIN, steps)] == [True, False, True, True]


def test_all_causes_of_one_time_are_one_message() -> None:
    made = plan(SETTINGS, ReminderState(), {Cause.OVERDUE: 900, Cause.REFUSED: 1}, BERLIN, NOW)
    assert set(made.causes) == {Cause.OVERDUE, Cause.REFUSED}


def test_only_the_chosen_causes_are_said_and_nothing_without_a_receiver() -> None:
    present = dict.fromkeys(Cause, 3)
    assert plan(replace(SETTINGS, causes=(Cause.REFUSED,)), ReminderState(), present, BERLIN, NOW).causes == (
        Cause.REFUSED,
    )
    made = plan(replace(WEEKLY, receivers=()), ReminderState(), present, BERLIN, NOW)
    assert (made.digest_day, made.causes) == (None, ())


@given(st.lists(situations, min_size=1, max_size=25), zones, st.integers(1, 90))
def test_there_is_never_a_flood(course: Sequence[Mapping[Cause, int]], zone: ZoneInfo, minutes: int) -> None:
    steps = [(NOW + number * timedelta(minutes=minutes), each) for number, each in enumerate(course)]
    said = [at for at, made in walk(SETTINGS, zone, steps) if made.causes]
    assert all(later - first >= timedelta(days=1) for first, later in zip(said, said[URGENT_PER_DAY:], strict=False))


@given(st.lists(situations, min_size=1, max_size=15))
def test_what_is_there_is_said_until_it_is_over(course: Sequence[Mapping[Cause, int]]) -> None:
    """After a quiet day, everything that is still there has been said."""
    steps = [(NOW + number * timedelta(minutes=7), each) for number, each in enumerate(course)]
    last_at, present = steps[-1]
    later = [(last_at + timedelta(days=1, minutes=1), present)]
    state = walk(SETTINGS, BERLIN, [*steps, *later])[-1][1].state
    said = {each.cause: each.level for each in state.reported}
    assert said == {cause: level for cause, level in present.items() if level}


@given(clocks, clocks, zones, moments)
def test_nothing_is_said_in_quiet_hours_and_everything_at_their_end(
    begins: str, ends: str, zone: ZoneInfo, now: datetime
) -> None:
    settings = replace(WEEKLY, digest_weekday=now.astimezone(zone).isoweekday(), quiet_from=begins, quiet_to=ends)
    settings = replace(settings, digest_at=f"{now.astimezone(zone):%H:%M}")
    made = plan(settings, ReminderState(), {Cause.REFUSED: 1}, zone, now)
    until_at = quiet_until_at(settings, zone, now)
    if until_at is None:
        assert made.causes
        return
    assert (made.digest_day, made.causes, made.state.reported) == (None, (), ())
    assert now < made.look_at <= until_at <= now + timedelta(hours=26)
    assert quiet_until_at(settings, zone, until_at) is None
    later = plan(settings, made.state, {Cause.REFUSED: 1}, zone, until_at)
    assert later.causes == (Cause.REFUSED,)


@pytest.mark.parametrize(
    ("local", "ends"),
    [
        ("2026-11-25 21:59", None),
        ("2026-11-25 22:00", "2026-11-26 07:00"),
        ("2026-11-26 00:00", "2026-11-26 07:00"),
        ("2026-11-26 06:59", "2026-11-26 07:00"),
        ("2026-11-26 07:00", None),
        ("2026-03-28 23:00", "2026-03-29 07:00"),  # clocks go forward in that night
    ],
)
def test_quiet_hours_go_over_midnight(local: str, ends: str | None) -> None:
    settings = replace(SETTINGS, quiet_from="22:00", quiet_to="07:00")
    now = datetime.fromisoformat(local).replace(tzinfo=BERLIN)
    expected = None if ends is None else datetime.fromisoformat(ends).replace(tzinfo=BERLIN).astimezone(UTC)
    assert quiet_until_at(settings, BERLIN, now) == expected


def test_quiet_hours_end_when_the_repeated_hour_does() -> None:
    settings = replace(SETTINGS, quiet_from="22:00", quiet_to="02:30")
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # 02:30, an hour before it is 02:30 again
    assert quiet_until_at(settings, BERLIN, first) is None
    assert quiet_until_at(settings, BERLIN, first + timedelta(minutes=45)) == first + timedelta(hours=1)


@given(zones, st.integers(1, 7), clocks, moments, st.lists(st.integers(200, 1400), min_size=20, max_size=30))
def test_each_week_has_exactly_one_digest_whenever_hosts_look(
    zone: ZoneInfo, weekday: int, at: str, begin: datetime, gaps: Sequence[int]
) -> None:
    """Hosts look at any times less than a day apart; some were dead in between."""
    settings = replace(WEEKLY, digest_weekday=weekday, digest_at=at)
    now, steps = begin, []
    for gap in gaps:
        steps.append((now, dict[Cause, int]()))
        now += timedelta(minutes=gap)
    made = [(at, each.digest_day) for at, each in walk(settings, zone, steps) if each.digest_day]
    days = [datetime.fromisoformat(day or "").date() for _, day in made]
    assert all(day.isoweekday() == weekday for day in days)
    assert [(later - day).days for day, later in itertools.pairwise(days)] == [7] * (len(days) - 1)
    for (when, _), day in zip(made, days, strict=True):
        assert timedelta(0) <= when.astimezone(zone).date() - day <= timedelta(days=1)
    assert len(days) >= (now - begin).days // 7 - 1


def test_a_digest_is_caught_up_within_a_day_but_not_later() -> None:
    due_at = datetime(2026, 11, 25, 7, 0, tzinfo=UTC)  # 08:00 in Berlin
    for late, day in (
        (timedelta(minutes=-1), None),
        (timedelta(0), "2026-11-25"),
        (CATCH_UP - timedelta(minutes=1), "2026-11-25"),
        (CATCH_UP, None),
    ):
        assert plan(WEEKLY, ReminderState(digest_day="2026-11-18"), {}, BERLIN, due_at + late).digest_day == day


def test_a_digest_keeps_its_time_on_the_wall_when_clocks_change() -> None:
    sunday = replace(WEEKLY, digest_weekday=7)
    before = plan(sunday, ReminderState(), {}, BERLIN, datetime(2026, 3, 28, 12, tzinfo=UTC))
    assert plan(sunday, before.state, {}, BERLIN, datetime(2026, 3, 29, 5, 59, tzinfo=UTC)).digest_day is None
    assert plan(sunday, before.state, {}, BERLIN, datetime(2026, 3, 29, 6, 0, tzinfo=UTC)).digest_day == "2026-03-29"


def test_a_digest_from_before_its_time_was_chosen_is_not_sent() -> None:
    chosen = replace(WEEKLY, digest_since_at=NOW - timedelta(minutes=5))
    assert plan(chosen, ReminderState(), {}, BERLIN, NOW).digest_day is None
    assert plan(chosen, ReminderState(), {}, BERLIN, NOW + timedelta(days=7)).digest_day == "2026-12-02"


def test_a_clock_that_was_wrong_silences_nothing() -> None:
    wrong = NOW + timedelta(days=400)
    state = ReminderState(
        digest_day="2028-01-05",
        reported=(Reported(Cause.REFUSED, 9, wrong),),
        urgent_at=(wrong,) * URGENT_PER_DAY,
    )
    made = plan(WEEKLY, state, {Cause.REFUSED: 1}, BERLIN, NOW)
    assert (made.digest_day, made.causes) == ("2026-11-25", (Cause.REFUSED,))


@given(situations, zones, moments, clocks, clocks)
def test_the_next_look_is_in_time(
    present: Mapping[Cause, int], zone: ZoneInfo, now: datetime, begins: str, ends: str
) -> None:
    """Nothing becomes due before the next look, as long as nothing changes."""
    settings = replace(WEEKLY, quiet_from=begins, quiet_to=ends)
    made = plan(settings, ReminderState(digest_day="2025-01-01"), present, zone, now)
    just_before = plan(settings, made.state, present, zone, max(now, made.look_at - timedelta(seconds=1)))
    assert made.look_at > now
    assert (just_before.digest_day, just_before.causes) == (None, ())


@pytest.mark.parametrize(
    ("left", "stage"),
    [(15, 0), (14, 1), (7, 2), (3, 3), (1, 4), (0, 5), (-3, 5)],
)
def test_the_end_of_a_consent_has_stages(left: int, stage: int) -> None:
    assert consent_stage(replace(CONNECTION, consent_ends_at=NOW + timedelta(days=left)), NOW) == stage


def test_a_consent_that_is_refused_has_ended_and_one_that_never_ends_says_nothing() -> None:
    assert consent_stage(replace(CONNECTION, status=ConnectionStatus.REAUTHORIZATION_REQUIRED), NOW) == 5
    assert consent_stage(CONNECTION, NOW) == 0


def test_what_is_seen_changes_with_every_level() -> None:
    assert seen(levels(CONNECTION, Figures(), NOW)) == ""
    assert seen(levels(CONNECTION, Figures(overdue=2, refused=1), NOW)) == "overdue=2 refused=1"


@given(st.integers(1, 50), st.none() | st.floats(0, 3600))
def test_a_message_is_repeated_later_and_later(attempts: int, asked_s: float | None) -> None:
    first, second = (next_attempt_at(each, asked_s, NOW) for each in (attempts, attempts + 1))
    assert NOW + timedelta(seconds=max(60.0, asked_s or 0.0)) <= first <= second <= NOW + timedelta(hours=2)


def test_a_message_is_given_up_after_a_day() -> None:
    content = Content(MessageKind.URGENT, "contoso", "Contoso", "en", "UTC", NOW)
    message = Message("1", Receiver.TEAMS, content, next_attempt_at=NOW + timedelta(hours=1))
    assert not is_given_up(message, NOW + timedelta(hours=23, minutes=59))
    assert is_given_up(message, NOW + timedelta(days=1))
    assert not is_attempt_due(message, NOW)
    assert is_attempt_due(message, NOW + timedelta(hours=1))
