from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.recommendations.model import (
    ControlPoints,
    Disposition,
    ImprovementAction,
    Level,
    Presence,
    SourceName,
    text_hash,
)
from shared.recommendations.reading.joining import decided_at, disposition_of, joined, level_of, snapshot_of
from shared.recommendations.reading.secure_score import ControlProfile, ControlScore, SecureScore, StateUpdate
from tests.unit.recommendations import strategies as some

DAY = date(2026, 11, 24)
MEASURED_AT = datetime(2026, 11, 22, 13, tzinfo=UTC)


def score_of(*controls: ControlScore) -> SecureScore:
    return SecureScore("t_2026-11-24", DAY, Decimal(10), Decimal(20), controls)


def only(profiles: Sequence[ControlProfile], score: SecureScore | None) -> ImprovementAction:
    [action] = joined(some.TENANT, profiles, score)[0]
    return action


def test_a_control_in_both_lists_has_the_catalogues_texts_and_the_scores_points() -> None:
    profile = ControlProfile(
        "mdo_safeattachments",
        title="Turn on Safe Attachments",
        category="Apps",
        service="MDO",
        link="https://security.microsoft.com/safeattachmentv2",
        max_points=Decimal(9),
        rank=128,
        tier="Core",
        implementation_cost="Medium",
        user_impact="High",
        threats=["Account breach", "Account Breach"],
        remediation="<ol><li>One</li></ol>",
        impact="<p>Slower mail</p>",
        is_deprecated=True,
        state_updates=[StateUpdate("Default")],
    )
    measured = ControlScore(
        "mdo_safeattachments",
        category="Other",
        points=Decimal("7.2"),
        percent=Decimal(80),
        count=160,
        total=200,
        is_on=False,
        measured_at=MEASURED_AT,
        description="<p>Files</p>",
        implementation_status="Policy in place: false.",
    )
    actions, texts = joined(some.TENANT, [profile], score_of(measured))
    [action] = actions
    assert (action.tenant_id, action.source, action.source_id) == (
        some.TENANT,
        SourceName.SECURE_SCORE,
        "mdo_safeattachments",
    )
    assert (action.title, action.category, action.service, action.tier) == (
        "Turn on Safe Attachments",
        "Apps",
        "MDO",
        "Core",
    )
    assert (action.link, action.rank, action.threats) == (profile.link, 128, ("Account breach", "Account Breach"))
    assert (action.implementation_cost, action.user_impact) == (Level.MODERATE, Level.HIGH)
    assert (action.points, action.max_points) == (Decimal("7.2"), Decimal(9))
    assert (action.count, action.total, action.is_on, action.measured_at) == (160, 200, False, MEASURED_AT)
    assert (action.presence, action.is_deprecated) == (Presence.BOTH, True)
    assert action.texts.remediation is not None
    assert texts == {
        text_hash(text): text
        for text in (profile.remediation, profile.impact, measured.description, measured.implementation_status)
    }
    assert texts[action.texts.remediation] == profile.remediation


@pytest.mark.parametrize(
    ("listed", "points", "percent", "maximum"),
    [
        ("5", "5", "50", "10"),
        ("5", "7.19", "79.92", "9"),
        ("12", "10", "100", "10"),
        ("8", "7.83", "97.88", "8"),
        ("8", "0.44", "5", "8"),
        ("5", "0", "0", "5"),
        ("5", "0", "100", "5"),
        ("5", "3", None, "5"),
    ],
)
def test_the_maximum_belongs_to_the_points_when_the_catalogue_already_has_another_one(
    listed: str, points: str, percent: str | None, maximum: str
) -> None:
    score = ControlScore("a", points=Decimal(points), percent=None if percent is None else Decimal(percent))
    action = only([ControlProfile("a", max_points=Decimal(listed))], score_of(score))
    assert action.max_points == Decimal(maximum)


def test_a_control_of_the_catalogue_alone_is_not_measured() -> None:
    action = only([ControlProfile("a", max_points=Decimal(5))], score_of())
    assert (action.presence, action.points, action.max_points) == (Presence.PROFILE_ONLY, None, Decimal(5))
    assert action == only([ControlProfile("a", max_points=Decimal(5))], None)


def test_a_control_of_the_score_alone_has_points_and_no_title() -> None:
    action = only([], score_of(ControlScore("a", "Identity", Decimal("7.2"), Decimal(80))))
    assert (action.presence, action.title, action.category) == (Presence.SCORE_ONLY, "", "Identity")
    assert (action.points, action.max_points) == (Decimal("7.2"), Decimal(9))


@pytest.mark.parametrize(
    ("points", "percent", "maximum"),
    [
        ("0.44", "5.5", "8"),
        ("2.67", "33.33", "8"),
        ("7.83", "97.88", "8"),
        ("0.10", "1", "10"),
        ("7.83", "100", "7.83"),
        ("8", "100", "8"),
        ("3", "40", "7.5"),
        ("0", "0", None),
        ("0", "100", "0"),
        ("0", "0.4", None),
        ("5", "0", None),
        ("5", "0.001", None),
        ("5", "101", None),
        ("5", None, None),
        (None, "50", None),
    ],
)
def test_the_maximum_follows_from_points_and_percentage(
    points: str | None, percent: str | None, maximum: str | None
) -> None:
    control = ControlScore(
        "a",
        points=None if points is None else Decimal(points),
        percent=None if percent is None else Decimal(percent),
    )
    expected = None if maximum is None else Decimal(maximum)
    assert only([], score_of(control)).max_points == expected
    assert only([ControlProfile("a")], score_of(control)).max_points == expected
    assert only([ControlProfile("a", max_points=Decimal(0))], score_of(control)).max_points == 0


@given(maximum=st.integers(1, 30), complying=st.integers(1, 1000), more=st.integers(0, 1000))
def test_a_whole_maximum_does_not_change_with_the_measurement(maximum: int, complying: int, more: int) -> None:
    ratio = Decimal(complying) / (complying + more)
    cent = Decimal("0.01")
    control = ControlScore("a", points=(maximum * ratio).quantize(cent), percent=(ratio * 100).quantize(cent))
    assert control.percent is not None
    computed = only([], score_of(control)).max_points
    assert computed is None or computed > 0
    if 3 < control.percent < 100:
        assert computed == maximum


@settings(max_examples=40)
@given(st.lists(some.profiles, max_size=5), st.none() | some.secure_scores)
def test_every_control_of_either_list_is_there_once(
    profiles: Sequence[ControlProfile], score: SecureScore | None
) -> None:
    actions, texts = joined(some.TENANT, profiles, score)
    in_catalogue = {profile.control_id for profile in profiles}
    in_score = {control.control_id for control in score.controls} if score else set()
    assert len(actions) == len({action.source_id for action in actions})
    for action in actions:
        is_in = (action.source_id in in_catalogue, action.source_id in in_score)
        expected = {
            (True, True): Presence.BOTH,
            (False, True): Presence.SCORE_ONLY,
            (True, False): Presence.PROFILE_ONLY,
        }
        assert action.presence == expected[is_in]
    assert {action.source_id for action in actions} == in_catalogue | in_score
    named = {
        key
        for action in actions
        for key in (
            action.texts.remediation,
            action.texts.impact,
            action.texts.description,
            action.texts.implementation_status,
        )
        if key is not None
    }
    assert named == set(texts)
    assert all(key == text_hash(text) and text.strip() for key, text in texts.items())


@settings(max_examples=40)
@given(st.lists(some.profiles, max_size=4), some.secure_scores)
def test_a_repeated_entry_changes_nothing(profiles: list[ControlProfile], score: SecureScore) -> None:
    once = joined(some.TENANT, profiles, score)
    repeated = [replace(profile, title="again", max_points=Decimal(99)) for profile in profiles]
    again = [replace(control, points=Decimal(99)) for control in score.controls]
    twice = replace(score, controls=[*score.controls, *again])
    assert joined(some.TENANT, [*profiles, *repeated], twice) == once
    assert snapshot_of(twice) == snapshot_of(score)


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("low", Level.LOW),
        ("Low", Level.LOW),
        (" LOW ", Level.LOW),
        ("Medium", Level.MODERATE),
        ("moderate", Level.MODERATE),
        ("High", Level.HIGH),
        ("Unknown", Level.UNKNOWN),
        ("None", Level.UNKNOWN),
        ("", Level.UNKNOWN),
        ("Enormous", Level.UNKNOWN),
    ],
)
def test_costs_and_impacts_are_folded(text: str, level: Level) -> None:
    assert level_of(text) == level


EARLIER, LATER = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("updates", "disposition"),
    [
        ([], Disposition.DEFAULT),
        ([StateUpdate("Default")], Disposition.DEFAULT),
        ([StateUpdate("Ignored", EARLIER), StateUpdate("ThirdParty", LATER)], Disposition.THIRD_PARTY),
        ([StateUpdate("thirdParty", LATER), StateUpdate("ignored", EARLIER)], Disposition.THIRD_PARTY),
        ([StateUpdate("Default"), StateUpdate("Reviewed", EARLIER)], Disposition.REVIEWED),
        ([StateUpdate("Reviewed"), StateUpdate("Ignored")], Disposition.REVIEWED),
        ([StateUpdate("ignore", LATER), StateUpdate("Default", LATER)], Disposition.IGNORED),
        ([StateUpdate("Something new", LATER), StateUpdate("Ignored", EARLIER)], Disposition.DEFAULT),
    ],
)
def test_the_newest_disposition_counts(updates: Sequence[StateUpdate], disposition: Disposition) -> None:
    assert disposition_of(updates) == disposition
    assert only([ControlProfile("a", state_updates=updates)], None).disposition == disposition


def test_a_snapshot_has_the_points_of_every_measured_control() -> None:
    score = score_of(
        ControlScore("a", points=Decimal("7.2"), percent=Decimal(80)),
        ControlScore("b", points=Decimal(0), percent=Decimal(0)),
        ControlScore("c"),
    )
    snapshot = snapshot_of(score)
    assert (snapshot.snapshot_id, snapshot.day) == ("t_2026-11-24", DAY)
    assert (snapshot.score, snapshot.max_score, snapshot.averages) == (Decimal(10), Decimal(20), score.averages)
    assert snapshot.controls == {
        "a": ControlPoints(Decimal("7.2"), Decimal(9)),
        "b": ControlPoints(Decimal(0), None),
    }


LATEST = datetime(2026, 1, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("updates", "since"),
    [
        ([], None),
        ([StateUpdate("Default")], None),
        ([StateUpdate("ThirdParty", EARLIER), StateUpdate("Default", LATER)], LATER),
        ([StateUpdate("Default", LATEST), StateUpdate("default", LATER), StateUpdate("ThirdParty", EARLIER)], LATER),
        ([StateUpdate("Default", LATEST)], LATEST),
        ([StateUpdate("Default"), StateUpdate("Default", LATER)], None),
    ],
)
def test_a_repeated_disposition_counts_from_its_first_time(
    updates: Sequence[StateUpdate], since: datetime | None
) -> None:
    assert decided_at(updates) == since
    assert only([ControlProfile("a", state_updates=updates)], None).decided_at == since
