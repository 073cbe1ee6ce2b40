"""Arbitrary improvement actions and the lists that they come from."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from hypothesis import strategies as st

from shared.recommendations.model import (
    ActionTexts,
    ComplianceDetails,
    Disposition,
    ImprovementAction,
    Level,
    Presence,
    SourceName,
)
from shared.recommendations.reading.secure_score import ControlProfile, ControlScore, SecureScore, StateUpdate

TENANT = "11111111-aaaa-4bbb-8ccc-000000000001"

words = st.text("abz AZ-_./#é漢😀'\"<&", max_size=20)
control_ids = st.sampled_from(["AdminMFAV2", "adminmfav2", "scid_2012", "11770.MDA_x", "a b/c#d", "é"])
moments = st.datetimes(
    min_value=datetime(2020, 1, 1),  # noqa: DTZ001 - the strategy adds the time zone
    max_value=datetime(2030, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
points = st.decimals(0, 30, places=2)
percents = st.decimals(0, 100, places=2)
counts = st.none() | st.integers(0, 500)
texts = st.sampled_from(["", " \n", "<p>Turn it on.</p>", "\n\t<ol><li>One</li></ol>", "You have 3 of 4."])

state_updates = st.builds(
    StateUpdate,
    state=st.sampled_from(["Default", "default", "Ignored", "ThirdParty", "thirdParty", "Reviewed", "", "Later"]),
    at=st.none() | st.sampled_from([datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3)]),
)
profiles = st.builds(
    ControlProfile,
    control_id=control_ids,
    title=words,
    category=st.sampled_from(["", "Identity", "Apps"]),
    service=st.sampled_from(["", "MDO", "AzureAD"]),
    max_points=st.none() | points,
    rank=st.none() | st.integers(1, 128),
    remediation=texts,
    impact=texts,
    state_updates=st.lists(state_updates, max_size=4),
)
scores = st.builds(
    ControlScore,
    control_id=control_ids,
    category=st.sampled_from(["", "Identity", "Apps"]),
    points=st.none() | points,
    percent=st.none() | percents,
    count=counts,
    total=counts,
    measured_at=st.none() | moments,
    description=texts,
    implementation_status=texts,
)
secure_scores = st.builds(
    SecureScore,
    snapshot_id=st.sampled_from(["t_2026-01-01", "t_2026-01-02", "t_2026-01-03"]),
    day=st.just(date(2026, 1, 1)),
    score=points,
    max_score=points,
    controls=st.lists(scores, max_size=5),
)

compliance_details = st.builds(
    ComplianceDetails,
    implementation_status=st.sampled_from(
        ["", "Implemented", "AlternativeImplementation", "NotImplemented", "Planned", "NotInScope", "Other"]
    ),
    test_status=st.sampled_from(
        ["", "None", "Passed", "FailedLowRisk", "FailedHighRisk", "InProgress", "NotInScope", "Other"]
    ),
    assigned_to=st.sampled_from(["", "Ada@contoso.example", "ada@contoso.example", "bob@contoso.example"]),
    solution=st.sampled_from(["", "Exchange", "Teams"]),
    regulations=st.lists(st.sampled_from(["ISO 27001", "GDPR", "NIST"]), max_size=3, unique=True).map(tuple),
)
actions = st.builds(
    ImprovementAction,
    tenant_id=st.just(TENANT),
    source=st.sampled_from(SourceName),
    source_id=st.text("abc_./# é", min_size=1, max_size=8),
    title=words,
    category=st.sampled_from(["", "Identity", "identity", "Apps", "Device"]),
    service=st.sampled_from(["", "MDO", "AzureAD", "MDATP", "New"]),
    tier=st.sampled_from(["", "Core", "core", "Advanced", "Defense In Depth", "Defense in Depth"]),
    rank=st.none() | st.integers(1, 128),
    implementation_cost=st.sampled_from(Level),
    user_impact=st.sampled_from(Level),
    texts=st.just(ActionTexts()),
    presence=st.sampled_from(Presence),
    is_deprecated=st.booleans(),
    points=st.none() | points,
    max_points=st.none() | st.integers(0, 30).map(Decimal) | points,
    count=counts,
    total=counts,
    measured_at=st.none() | moments,
    disposition=st.sampled_from(Disposition),
    gone_at=st.none() | moments,
    first_seen_at=st.none() | moments,
    seen_at=st.none() | moments,
    compliance=st.none() | compliance_details,
)
