from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from shared.recommendations.model import (
    ControlPoints,
    Disposition,
    ImprovementAction,
    Presence,
    Snapshot,
    SourceName,
)
from shared.recommendations.ports import Reading
from shared.recommendations.verifying.observations import (
    Observation,
    measurement_in,
    observation_of,
    observed_after,
    observed_tenant,
)
from shared.tickets.outcomes import Measurement
from tests.unit.recommendations.strategies import TENANT

NOW = datetime(2026, 11, 2, 10, tzinfo=UTC)
TODAY = NOW.date()
ACTION = ImprovementAction(
    TENANT,
    SourceName.SECURE_SCORE,
    "AdminMFAV2",
    "MFA for administrators",
    service="AzureAD",
    points=Decimal(3),
    max_points=Decimal(10),
    count=3,
    total=10,
    measured_at=NOW,
    disposition=Disposition.IGNORED,
    decided_at=NOW,
)
MEASUREMENT = Measurement(Decimal(3), Decimal(10), 3, 10, NOW, TODAY, "t_1")
SEEN = Observation(MEASUREMENT, "AzureAD", Disposition.IGNORED, NOW)


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({}, SEEN),
        ({"gone_at": NOW}, replace(SEEN, is_gone=True)),
        ({"presence": Presence.SCORE_ONLY}, replace(SEEN, disposition=None)),
        ({"presence": Presence.PROFILE_ONLY}, replace(SEEN, measurement=Measurement())),
        ({"file_at": NOW}, replace(SEEN, measurement=Measurement())),
        ({"source_id": "file:1"}, replace(SEEN, measurement=Measurement(), is_verifiable=False)),
        (
            {"source": SourceName.COMPLIANCE_MANAGER},
            replace(SEEN, measurement=Measurement(), is_verifiable=False),
        ),
        (
            {"missing_snapshot_id": "t_1"},
            replace(SEEN, measurement=replace(MEASUREMENT, day=None, snapshot_id=None)),
        ),
    ],
    ids=["measured", "gone", "score_only", "profile_only", "from_file", "of_file", "compliance", "not_in_snapshot"],
)
def test_what_a_stored_action_shows(changes: dict[str, Any], seen: Observation) -> None:
    action = replace(ACTION, **changes)
    assert observation_of(action, "t_1", TODAY) == seen
    assert observed_tenant(TENANT, [action], "t_1", TODAY).by_key == {action.key: seen}


def test_a_past_snapshot_has_points_and_a_day() -> None:
    snapshot = Snapshot("t_1", date(2026, 11, 1), Decimal(3), Decimal(10), {"a": ControlPoints(Decimal(3), Decimal(5))})
    assert measurement_in(snapshot, "a") == Measurement(
        Decimal(3), Decimal(5), day=date(2026, 11, 1), snapshot_id="t_1"
    )
    assert measurement_in(snapshot, "b") is None


@pytest.mark.parametrize(
    ("read", "is_conclusive"),
    [([ACTION], True), ([replace(ACTION, presence=Presence.SCORE_ONLY)], False), ([], False)],
    ids=["both lists", "only the score", "none"],
)
def test_nothing_follows_from_what_an_incomplete_reading_lacks(
    read: list[ImprovementAction], is_conclusive: bool
) -> None:
    of_file = replace(ACTION, source=SourceName.COMPLIANCE_MANAGER)
    snapshot = Snapshot("t_1", TODAY, Decimal(3), Decimal(10), {})
    reading = Reading(SourceName.SECURE_SCORE, is_complete=False, actions=read, snapshot=snapshot)
    seen = observed_after(TENANT, reading, [ACTION, of_file]).by_key
    assert seen[ACTION.key].is_conclusive is is_conclusive
    assert seen[ACTION.key].measurement == replace(MEASUREMENT, day=None, snapshot_id=None)
    assert seen[of_file.key].is_conclusive
    whole = observed_after(TENANT, replace(reading, is_complete=True), [ACTION])
    assert whole.by_key == {ACTION.key: SEEN}
