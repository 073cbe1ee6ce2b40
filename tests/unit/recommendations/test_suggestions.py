from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings

from shared.recommendations.model import ImprovementAction, Level, SourceName
from shared.recommendations.ticketing.suggestions import DAYS, STEPS, TIME_FOR_USERS, suggestion_for
from shared.storage.rows import open_value
from shared.tickets.model import Priority
from tests.unit.recommendations import strategies as some

NOW = datetime(2026, 11, 24, 12, 30, 45, 678, tzinfo=UTC)
PAGE = Path(__file__).parents[3] / "docs" / "recommendations.md"


def action_of(
    points: str | None, tier: str = "Core", impact: Level = Level.LOW, source: SourceName = SourceName.SECURE_SCORE
) -> ImprovementAction:
    return ImprovementAction(
        some.TENANT,
        source,
        "a",
        "A",
        tier=tier,
        user_impact=impact,
        points=Decimal(0),
        max_points=None if points is None else Decimal(points),
    )


@pytest.mark.parametrize(
    ("points", "tier", "priority"),
    [
        ("10", "Core", Priority.HIGH),
        ("8", "core", Priority.HIGH),
        ("7.99", "Core", Priority.MODERATE),
        ("4", "Core", Priority.MODERATE),
        ("3.99", "Core", Priority.LOW),
        ("0", "Core", Priority.LOW),
        (None, "Core", Priority.LOW),
        ("10", "Advanced", Priority.MODERATE),
        ("10", "Defense In Depth", Priority.MODERATE),
        ("10", "", Priority.MODERATE),
        ("4", "Advanced", Priority.LOW),
        ("3", "Advanced", Priority.PLANNING),
    ],
)
def test_points_and_tier_decide_the_priority(points: str | None, tier: str, priority: Priority) -> None:
    assert suggestion_for(action_of(points, tier), NOW).priority == priority


@pytest.mark.parametrize(
    ("points", "priority"),
    [("27", Priority.HIGH), ("9", Priority.MODERATE), ("3", Priority.LOW), ("1", Priority.LOW)],
)
def test_compliance_manager_has_its_own_points_and_no_tiers(points: str, priority: Priority) -> None:
    action = action_of(points, tier="", source=SourceName.COMPLIANCE_MANAGER)
    assert suggestion_for(action, NOW).priority == priority


@pytest.mark.parametrize(
    ("points", "impact", "days"),
    [
        ("10", Level.LOW, 14),
        ("10", Level.UNKNOWN, 14),
        ("10", Level.MODERATE, 21),
        ("10", Level.HIGH, 28),
        ("1", Level.HIGH, 120),
    ],
)
def test_what_users_notice_gets_more_time(points: str, impact: Level, days: int) -> None:
    due_on = suggestion_for(action_of(points, impact=impact), NOW).due_on
    assert due_on == date(2026, 11, 24) + timedelta(days=days)


@settings(max_examples=40)
@given(some.actions)
def test_every_action_gets_a_suggestion_and_more_points_are_never_less_urgent(action: ImprovementAction) -> None:
    suggestion = suggestion_for(action, NOW)
    assert suggestion.priority is not Priority.CRITICAL
    assert suggestion.due_on > NOW.date()
    if action.max_points is not None:
        more = suggestion_for(replace(action, max_points=action.max_points + 5), NOW)
        assert more.due_on <= suggestion.due_on
        assert STEPS.index(more.priority) <= STEPS.index(suggestion.priority)


def test_the_page_has_the_same_table_of_days() -> None:
    rows = re.findall(r"^\| (\w+) \| (\d+) days \| (\d+) days \| (\d+) days \|$", PAGE.read_text(), re.MULTILINE)
    levels = (Level.LOW, Level.MODERATE, Level.HIGH)
    assert [(name, *map(int, days)) for name, *days in rows] == [
        (priority.value, *(int(days * TIME_FOR_USERS[level]) for level in levels)) for priority, days in DAYS.items()
    ]


def test_values_of_another_release_suggest_what_unknown_ones_do() -> None:
    unknown = suggestion_for(action_of("10", impact=Level.UNKNOWN), NOW)
    assert suggestion_for(action_of("10", impact=open_value(Level, "enormous")), NOW) == unknown
    assert suggestion_for(action_of("10", source=open_value(SourceName, "entra")), NOW) == unknown
