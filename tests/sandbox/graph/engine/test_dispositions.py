"""What people decide about a control, and when it counts (Microsoft Graph §1.6, §1.7)."""

import pytest

from sandbox.graph.stage.control.client import ControlError
from tests.sandbox.graph.simulated import PROFILES, TENANT, Simulated

USERS = "MFARegistrationV2"
DEVICES = "scid_5090"


@pytest.fixture
def half(graph: Simulated) -> Simulated:
    """Two controls that are half in place, and measured."""
    for control in (USERS, DEVICES):
        graph.control.undo(TENANT, control, share=0.5)
    graph.control.advance(days=4)
    return graph


def states(graph: Simulated, control: str = USERS) -> list[str]:
    profile = graph.json(f"{PROFILES}/{control}")
    return [update["state"] for update in profile["controlStateUpdates"]]


@pytest.mark.parametrize(("state", "points"), [("ThirdParty", 9), ("Reviewed", 9), ("Ignored", 4.5), ("Default", 4.5)])
def test_points_follow_a_decision_a_day_later(half: Simulated, state: str, points: float) -> None:
    before = half.score_of(USERS)["lastSynced"]
    half.control.decide(TENANT, USERS, state)  # type: ignore[arg-type]
    half.control.advance(hours=20)
    assert half.score_of(USERS)["score"] == 4.5
    half.control.advance(days=1)
    seen = half.score_of(USERS)
    assert (seen["score"], seen["scoreInPercentage"]) == (points, points / 9 * 100)
    assert (seen["count"], seen["lastSynced"]) == ("100", before)


def test_a_decision_may_take_a_week(half: Simulated) -> None:
    half.control.set_switches({"disposition.lag_hours": 168})
    half.control.decide(TENANT, USERS, "ThirdParty")
    half.control.advance(days=6)
    assert half.score_of(USERS)["score"] == 4.5
    half.control.advance(days=2)
    assert half.score_of(USERS)["score"] == 9


def test_an_accepted_risk_may_have_no_points(half: Simulated) -> None:
    half.control.set_switches({"disposition.ignored_gives_points": False})
    half.control.decide(TENANT, USERS, "Ignored")
    half.control.advance(days=2)
    assert half.score_of(USERS)["score"] == 0


def test_reviewed_may_fall_back(half: Simulated) -> None:
    half.control.set_switches({"disposition.reviewed_stays": False})
    half.control.decide(TENANT, USERS, "Reviewed")
    half.control.advance(days=2)
    assert half.score_of(USERS)["score"] == 4.5
    assert states(half) == ["Default"]


def test_an_exception_for_devices_counts_within_hours(half: Simulated) -> None:
    half.control.advance(hours=12)  # midnight
    half.control.decide(TENANT, DEVICES, "ThirdParty")
    half.control.advance(hours=4)
    assert half.score_of(DEVICES)["score"] == 8
    assert states(half, DEVICES) == ["ThirdParty"]
    with pytest.raises(ControlError, match="not set to Ignored"):
        half.control.decide(TENANT, DEVICES, "Ignored")


def test_the_entry_of_a_decision(graph: Simulated) -> None:
    untouched = graph.json(f"{PROFILES}/{USERS}")["controlStateUpdates"]
    assert untouched == [
        {"assignedTo": None, "comment": None, "state": "Default", "updatedBy": None, "updatedDateTime": None}
    ]
    graph.control.decide(
        TENANT, USERS, "ThirdParty", assigned_to="anna@contoso.example", comment="Covered", updated_by="ben"
    )
    decided = {
        "assignedTo": "anna@contoso.example",
        "comment": "Covered",
        "state": "ThirdParty",
        "updatedBy": "ben",
        "updatedDateTime": "2026-11-24T12:00:00Z",
    }
    assert graph.json(f"{PROFILES}/{USERS}")["controlStateUpdates"] == [decided]
    graph.control.set_switches({"state_updates.are_dated": False})
    assert graph.json(f"{PROFILES}/{USERS}")["controlStateUpdates"] == [decided | {"updatedDateTime": None}]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("appended", ["Ignored", "ThirdParty"]),
        ("newest_first", ["ThirdParty", "Ignored"]),
        ("replaced", ["ThirdParty"]),
    ],
)
def test_the_order_of_decisions(graph: Simulated, order: str, expected: list[str]) -> None:
    graph.control.set_switches({"state_updates.order": order})
    graph.control.decide(TENANT, USERS, "Ignored")
    graph.control.decide(TENANT, USERS, "ThirdParty")
    assert states(graph) == expected


def test_a_decision_may_appear_late(graph: Simulated) -> None:
    graph.control.set_switches({"state_updates.appear_at_once": False})
    graph.control.decide(TENANT, USERS, "Ignored")
    assert states(graph) == ["Default"]
    graph.control.advance(hours=24)
    assert states(graph) == ["Ignored"]


def test_a_renamed_control_keeps_its_decision(graph: Simulated) -> None:
    graph.control.decide(TENANT, USERS, "Ignored")
    graph.control.rename_control(TENANT, USERS, "1.x", "2.x")
    assert states(graph, "1.x") == states(graph, "2.x") == ["Ignored"]
