from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.recommendations.model import (
    ActionStatus,
    ComplianceDetails,
    Disposition,
    ImprovementAction,
    Level,
    Presence,
    SourceName,
)
from shared.recommendations.statuses import (
    OPEN_STATUSES,
    HiddenReason,
    hidden_reason,
    is_quick_win,
    points_to_gain,
    score_impact,
    status_of,
)
from tests.unit.recommendations import strategies as some

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def action_of(points: str | None = "0", maximum: str | None = "8") -> ImprovementAction:
    return ImprovementAction(
        some.TENANT,
        SourceName.SECURE_SCORE,
        "mdo_safeattachments",
        "Turn on Safe Attachments",
        points=None if points is None else Decimal(points),
        max_points=None if maximum is None else Decimal(maximum),
    )


@pytest.mark.parametrize(
    ("points", "maximum", "status"),
    [
        ("8", "8", ActionStatus.COMPLETED),
        ("8.00", "8", ActionStatus.COMPLETED),
        ("7.99", "8", ActionStatus.COMPLETED),
        ("9", "8", ActionStatus.COMPLETED),
        ("7.98", "8", ActionStatus.TO_ADDRESS),
        ("0", "8", ActionStatus.TO_ADDRESS),
        ("0", "0", ActionStatus.TO_ADDRESS),
        ("5", None, ActionStatus.TO_ADDRESS),
        (None, "8", ActionStatus.TO_ADDRESS),
    ],
)
def test_full_points_complete_an_action(points: str | None, maximum: str | None, status: ActionStatus) -> None:
    assert status_of(action_of(points, maximum)) == status


@pytest.mark.parametrize("points", ["0", "8"])
@pytest.mark.parametrize(
    ("disposition", "status"),
    [
        (Disposition.PLANNED, ActionStatus.PLANNED),
        (Disposition.IGNORED, ActionStatus.RISK_ACCEPTED),
        (Disposition.THIRD_PARTY, ActionStatus.THIRD_PARTY),
        (Disposition.REVIEWED, ActionStatus.ALTERNATE_MITIGATION),
    ],
)
def test_a_disposition_is_no_measurement(points: str, disposition: Disposition, status: ActionStatus) -> None:
    assert status_of(replace(action_of(points), disposition=disposition)) == status


@pytest.mark.parametrize(
    ("implementation", "test", "points", "status"),
    [
        ("", "", "0", ActionStatus.TO_ADDRESS),
        ("", "None", "0", ActionStatus.TO_ADDRESS),
        ("", "Passed", "0", ActionStatus.COMPLETED),
        ("", "Not In Scope", "0", ActionStatus.OUT_OF_SCOPE),
        ("", "OutOfscope", "0", ActionStatus.OUT_OF_SCOPE),
        ("NotInScope", "NotInScope", "0", ActionStatus.OUT_OF_SCOPE),
        ("NotImplemented", "None", "0", ActionStatus.TO_ADDRESS),
        ("NotImplemented", "None", "27", ActionStatus.COMPLETED),
        ("Planned", "None", "0", ActionStatus.PLANNED),
        ("Implemented", "Passed", "27", ActionStatus.COMPLETED),
        ("implemented", "passed", "0", ActionStatus.COMPLETED),
        ("Implemented", "", "0", ActionStatus.TO_ADDRESS),
        ("Implemented", "InProgress", "0", ActionStatus.TO_ADDRESS),
        ("Implemented", "FailedHighRisk", "27", ActionStatus.TO_ADDRESS),
        ("Implemented", "Failed low risk", "0", ActionStatus.TO_ADDRESS),
        ("Implemented", "NotInScope", "0", ActionStatus.TO_ADDRESS),
        ("AlternativeImplementation", "Passed", "27", ActionStatus.ALTERNATE_MITIGATION),
        ("AlternativeImplementation", "InProgress", "0", ActionStatus.TO_ADDRESS),
        ("Something new", "Something new", "0", ActionStatus.TO_ADDRESS),
    ],
)
def test_compliance_actions_go_by_implementation_test_and_points(
    implementation: str, test: str, points: str, status: ActionStatus
) -> None:
    details = ComplianceDetails(implementation_status=implementation, test_status=test)
    assert status_of(replace(action_of(points, "27"), compliance=details)) == status


@settings(max_examples=60)
@given(some.actions, st.none() | some.points)
def test_statuses_and_points_agree_for_any_action(action: ImprovementAction, max_score: Decimal | None) -> None:
    status = status_of(action)
    assert (status is ActionStatus.GONE) == (action.gone_at is not None)
    if action.compliance is None and action.gone_at is None:
        assert (status is ActionStatus.NOT_MEASURED) == (action.presence is Presence.PROFILE_ONLY)
    missing = points_to_gain(action)
    is_known = action.gone_at is None and action.points is not None and action.max_points is not None
    assert (missing is not None) == is_known
    assert missing is None or missing >= 0
    impact = score_impact(action, max_score)
    assert (impact is not None) == bool(is_known and max_score)
    assert impact is None or impact >= 0
    is_easy = action.implementation_cost is Level.LOW and action.user_impact is Level.LOW
    assert is_quick_win(action) == (is_easy and status in OPEN_STATUSES)


def test_points_to_gain_and_their_share() -> None:
    assert points_to_gain(action_of("7.25")) == Decimal("0.75")
    assert points_to_gain(action_of("9")) == 0
    assert score_impact(action_of("0"), Decimal(247)) == Decimal("3.24")
    assert score_impact(action_of("0"), Decimal(0)) is None


@pytest.mark.parametrize("level", Level)
def test_a_quick_win_is_easy_and_still_to_do(level: Level) -> None:
    easy = replace(action_of(), implementation_cost=Level.LOW, user_impact=Level.LOW)
    assert is_quick_win(easy)
    assert not is_quick_win(replace(easy, points=easy.max_points))
    assert is_quick_win(replace(easy, user_impact=level)) == (level is Level.LOW)
    assert is_quick_win(replace(easy, implementation_cost=level)) == (level is Level.LOW)


def test_lists_leave_out_what_nobody_can_work_on() -> None:
    action = action_of()
    assert hidden_reason(action) is None
    assert hidden_reason(replace(action, has_licence=True)) is None
    assert hidden_reason(replace(action, has_licence=False)) == HiddenReason.NO_LICENCE
    assert hidden_reason(replace(action, is_deprecated=True)) == HiddenReason.DEPRECATED
    assert hidden_reason(replace(action, presence=Presence.PROFILE_ONLY)) == HiddenReason.NOT_MEASURED
    assert hidden_reason(replace(action, gone_at=NOW, has_licence=False)) == HiddenReason.GONE
    out_of_scope = replace(action, compliance=ComplianceDetails(implementation_status="NotInScope"))
    assert hidden_reason(out_of_scope) == HiddenReason.OUT_OF_SCOPE
