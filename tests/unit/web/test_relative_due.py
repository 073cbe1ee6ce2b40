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
        ("UTC", 26, "today"),
        ("UTC", 27, "tomorrow"),
        ("UTC", 29, "in 3 days"),
        ("Asia/Tokyo", 26, "1 day late"),
        ("Asia/Tokyo", 27, "today"),
        ("America/Los_Angeles", 26, "today"),
    ],
)
def test_days_are_those_of_the_connections_time_zone(zone: str, day: int, expected: str) -> None:
    due_at = datetime.combine(date(2026, 11, day), END_OF_DAY, ZoneInfo(zone))
    assert relative_due(due_at.astimezone(UTC), NOW, zone, t) == expected


def test_what_was_due_earlier_today_is_late() -> None:
    assert relative_due(NOW - timedelta(hours=1), NOW, "UTC", t) == "late since today"


def test_the_last_day_of_the_calendar_has_words() -> None:
    words = relative_due(datetime.max.replace(tzinfo=UTC), NOW, "Asia/Tokyo", t)
    assert words.startswith("in ")


@given(
    st.integers(-20_000 * 86_400, 2_000_000 * 86_400),
    st.sampled_from(["UTC", "Asia/Tokyo", "America/Los_Angeles", "Pacific/Kiritimati"]),
)
def test_late_is_said_exactly_of_what_is_over(seconds: int, zone: str) -> None:
    assert ("late" in relative_due(NOW + timedelta(seconds=seconds), NOW, zone, t)) == (seconds < 0)


def due(due_at: datetime, *, is_left: bool) -> str:
    module = environment().get_template("macros.html").module
    return str(module.due_time(t, due_at, "UTC", NOW, is_left)).strip()  # type: ignore[attr-defined]


def test_the_date_comes_first_and_how_far_away_it_is_after_it() -> None:
    late = datetime.combine(date(2026, 11, 17), END_OF_DAY, UTC)
    shown = due(late, is_left=True)
    assert '<time datetime="2026-11-17">2026-11-17</time></span> <span class="badge bad">9 days late</span>' in shown
    shown = due(late + timedelta(days=10), is_left=True)
    assert (
        '<time datetime="2026-11-27">2026-11-27</time></span> <span class="muted unbroken">· tomorrow</span>' in shown
    )
    timed = NOW + timedelta(hours=1)
    shown = due(timed, is_left=True)
    assert "2026-11-26 21:00" in shown
    assert "· today" in shown


def test_nobody_is_late_with_what_is_finished() -> None:
    late = datetime.combine(date(2026, 11, 17), END_OF_DAY, UTC)
    assert due(late, is_left=False) == (
        '<span><span class="unbroken"><time datetime="2026-11-17">2026-11-17</time></span></span>'
    )
