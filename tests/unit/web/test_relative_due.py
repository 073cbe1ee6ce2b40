"""How far away a due date is."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.web.html import END_OF_DAY, environment
from shared.web.relative_due import relative_due
from shared.words.language import languages

t = languages()["en"]
NOW = datetime(2026, 11, 26, 20, 0, tzinfo=UTC)
"""In Tokyo it is already the next day."""


@pytest.mark.parametrize(
    ("zone", "day", "expected"),
    [
        ("UTC", 17, "9 days late"),
        ("UTC", 25, "1 day late"),
        ("UTC", 26, "due today"),
        ("UTC", 27, "due tomorrow"),
        ("UTC", 29, "due in 3 days"),
        ("Asia/Tokyo", 26, "1 day late"),
        ("Asia/Tokyo", 27, "due today"),
        ("America/Los_Angeles", 26, "due today"),
    ],
)
def test_days_are_those_of_the_connections_time_zone(zone: str, day: int, expected: str) -> None:
    due_at = datetime.combine(date(2026, 11, day), END_OF_DAY, ZoneInfo(zone))
    assert relative_due(due_at.astimezone(UTC), NOW, zone, t) == expected


def test_what_was_due_earlier_today_is_late() -> None:
    assert relative_due(NOW - timedelta(hours=1), NOW, "UTC", t) == "late since today"


def test_the_last_day_of_the_calendar_has_words() -> None:
    words = relative_due(datetime.max.replace(tzinfo=UTC), NOW, "Asia/Tokyo", t)
    assert words.startswith("due in ")


@given(
    st.integers(-20_000 * 86_400, 2_000_000 * 86_400),
    st.sampled_from(["UTC", "Asia/Tokyo", "America/Los_Angeles", "Pacific/Kiritimati"]),
)
def test_late_is_said_exactly_of_what_is_over(seconds: int, zone: str) -> None:
    assert ("late" in relative_due(NOW + timedelta(seconds=seconds), NOW, zone, t)) == (seconds < 0)


def due(due_at: datetime, *, is_left: bool) -> str:
    module = environment().get_template("macros.html").module
    return str(module.due_time(t, due_at, "UTC", NOW, is_left)).strip()  # type: ignore[attr-defined]


def test_a_list_shows_how_far_away_it_is_with_the_date_as_title() -> None:
    late = datetime.combine(date(2026, 11, 17), END_OF_DAY, UTC)
    assert (
        due(late, is_left=True) == '<time class="badge bad" datetime="2026-11-17" title="2026-11-17">9 days late</time>'
    )
    assert due(late + timedelta(days=10), is_left=True) == (
        '<time datetime="2026-11-27" title="2026-11-27">due tomorrow</time>'
    )
    timed = NOW + timedelta(hours=1)
    assert due(timed, is_left=True) == (
        f'<time datetime="{timed.isoformat()}" title="2026-11-26 21:00 UTC">due today</time>'
    )


def test_nobody_is_late_with_what_is_finished() -> None:
    late = datetime.combine(date(2026, 11, 17), END_OF_DAY, UTC)
    assert due(late, is_left=False) == '<time datetime="2026-11-17">2026-11-17</time>'
