"""Entries are decoded whatever is in them: open types, missing and strange values."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import GraphUnavailable
from shared.graph.decoding import HTML_MAX_LENGTH, ID_MAX_LENGTH, LINE_MAX_LENGTH, POINTS_MAX, SecureScoreDecoder
from shared.outbound.answers import Answer
from shared.recommendations.model import Average
from shared.recommendations.reading.joining import joined, snapshot_of
from shared.recommendations.reading.secure_score import ControlProfile, ControlScore, SecureScore, StateUpdate
from tests.unit.graph.support import TENANT_ID, control, profile, score

DECODER = SecureScoreDecoder(TENANT_ID)


def on_the_wire(item: object) -> object:
    """An item as the transport gives it to the decoder."""
    answer = Answer(200, {"content-type": "application/json"}, json.dumps({"value": [item]}).encode())
    document = answer.document(parse_float=str)
    assert document is not None
    items = document["value"]
    assert isinstance(items, list)
    return items[0]


def decoded_profile(**changed: object) -> ControlProfile:
    found, skipped = DECODER.profile(on_the_wire(profile(**changed)))  # type: ignore[arg-type]
    assert found is not None
    assert skipped == 0
    return found


def decoded_score(*controls: object, **changed: object) -> SecureScore:
    found, _ = DECODER.score(on_the_wire(score("2026-11-24", *controls, **changed)))
    assert found is not None
    return found


def decoded_control(**changed: object) -> ControlScore:
    (found,) = decoded_score(control(**changed)).controls  # type: ignore[arg-type]
    return found


class TestProfile:
    def test_as_it_comes(self) -> None:
        assert decoded_profile(control_id="11770.MDA/Google #1 Ä") == ControlProfile(
            "11770.MDA/Google #1 Ä",
            title="Turn on Safe Attachments in block mode",
            category="Apps",
            service="MDO",
            link="https://security.microsoft.com/safeattachmentv2",
            max_points=Decimal("8.0"),
            rank=128,
            tier="Core",
            implementation_cost="Medium",
            user_impact="High",
            threats=["Account breach"],
            remediation="\n<ol><li>Do it</li></ol>",
            impact="<p>Mail is late</p>",
            state_updates=[StateUpdate("Default")],
        )

    def test_only_the_id_is_needed(self) -> None:
        assert DECODER.profile({"id": "scid_118"}) == (ControlProfile("scid_118", threats=[], state_updates=[]), 0)

    @pytest.mark.parametrize("missing", [None, "", "  ", 7, "x" * (ID_MAX_LENGTH + 1), "half \ud83d a pair"])
    def test_without_an_id_it_is_skipped(self, missing: object) -> None:
        assert DECODER.profile(profile(id=missing)) == (None, 1)

    def test_a_disposition(self) -> None:
        update = {"state": "ThirdParty", "updatedDateTime": "2026-11-20T08:00:11.5100000Z", "comment": "canary"}
        found = decoded_profile(controlStateUpdates=[update, "x", None])
        assert found.state_updates == [StateUpdate("ThirdParty", datetime(2026, 11, 20, 8, 0, 11, 510000, UTC))]

    def test_texts_are_bounded(self) -> None:
        found = decoded_profile(title="t" * 5000, remediation="r" * 50_000, threats=["x" * 5000] * 500)
        assert len(found.title) == LINE_MAX_LENGTH
        assert len(found.remediation) == HTML_MAX_LENGTH
        assert len(found.threats) == 100
        assert len(found.threats[0]) == LINE_MAX_LENGTH

    def test_half_a_surrogate_pair(self) -> None:
        assert decoded_profile(title="\ud83d", remediation="a\udc00b") == decoded_profile(title="?", remediation="a?b")


class TestNumbers:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (8, Decimal(8)),
            (7.83, Decimal("7.83")),
            ("7.83", Decimal("7.83")),
            (1e-7, Decimal("1e-07")),
            (0, Decimal(0)),
            (int(POINTS_MAX) + 1, None),
            (1e300, None),
            (10**400, None),
            ("1e999999999", None),
            (float("nan"), None),
            (float("inf"), None),
            ("NaN", None),
            ("INF", None),
            (-1, None),
            (True, None),
            (None, None),
            ("", None),
            ("eight", None),
            ("٨", None),
            ([8], None),
        ],
    )
    def test_points(self, value: object, expected: Decimal | None) -> None:
        assert decoded_profile(maxScore=value).max_points == expected
        assert decoded_control(score=value).points == expected

    def test_a_number_as_the_wire_writes_it(self) -> None:
        """No float in between: it would turn 0.1 into something else."""
        (item,) = json.loads('[{"id": "x", "maxScore": 0.1000000000000000055}]', parse_float=str)
        found, _ = DECODER.profile(item)
        assert found is not None
        assert found.max_points == Decimal("0.1000000000000000055")

    @pytest.mark.parametrize(
        ("value", "expected"),
        [("160", 160), (160, 160), (160.0, 160), ("0", 0), ("", None), ("-1", None), (1.5, None), ("1" * 14, None)],
    )
    def test_counts(self, value: object, expected: int | None) -> None:
        found = decoded_control(count=value, total=value)
        assert (found.count, found.total) == (expected, expected)

    @pytest.mark.parametrize(
        ("value", "expected"),
        [("true", True), ("False", False), (True, True), (False, False), ("yes", None), (1, None), (None, None)],
    )
    def test_yes_or_no(self, value: object, expected: bool | None) -> None:
        assert decoded_control(on=value).is_on is expected

    @pytest.mark.parametrize(("value", "expected"), [(100, Decimal(100)), (100.5, None), (-1, None)])
    def test_percentages(self, value: object, expected: Decimal | None) -> None:
        assert decoded_control(scoreInPercentage=value).percent == expected
        averages = decoded_score(averageComparativeScores=[{"basis": "AllTenants", "averageScore": value}]).averages
        assert averages == (() if expected is None else (Average("AllTenants", expected),))

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("2026-11-22T13:04:06Z", datetime(2026, 11, 22, 13, 4, 6, tzinfo=UTC)),
            ("2026-11-22T13:04:06.1234567Z", datetime(2026, 11, 22, 13, 4, 6, 123456, UTC)),
            ("2026-11-22T15:04:06+02:00", datetime(2026, 11, 22, 13, 4, 6, tzinfo=UTC)),
            ("2026-11-22T13:04:06", datetime(2026, 11, 22, 13, 4, 6, tzinfo=UTC)),
            ("0001-01-01T00:00:00Z", None),
            ("0001-01-01T00:00:00+10:00", None),
            ("9999-12-31T23:59:59-10:00", None),
            ("yesterday", None),
            (1_800_000_000, None),
        ],
    )
    def test_times(self, value: object, expected: datetime | None) -> None:
        assert decoded_control(lastSynced=value).measured_at == expected


class TestScore:
    def test_as_it_comes(self) -> None:
        assert decoded_score() == SecureScore(
            f"{TENANT_ID}_2026-11-24",
            date(2026, 11, 24),
            Decimal("7.2"),
            Decimal("9.0"),
            [
                ControlScore(
                    "AdminMFAV2",
                    category="Identity",
                    points=Decimal("7.2"),
                    percent=Decimal("80.0"),
                    count=160,
                    total=200,
                    measured_at=datetime(2026, 11, 22, 13, 4, 6, tzinfo=UTC),
                    description="<p>Why</p>",
                    implementation_status="You have 40 out of 200 users that aren’t registered with MFA.",
                )
            ],
            (Average("AllTenants", Decimal("46.21")),),
        )

    def test_an_older_one_is_thin(self) -> None:
        thin = {"controlName": "OneAdmin", "controlCategory": "Identity", "score": 1, "scoreInPercentage": 100}
        found = decoded_score({**thin, "description": None}, averageComparativeScores=[])
        assert found.controls == [
            ControlScore("OneAdmin", category="Identity", points=Decimal(1), percent=Decimal(100))
        ]

    def test_controls_without_an_id_are_counted(self) -> None:
        found, skipped = DECODER.score(score("2026-11-24", control(), control(controlName=None), "x", {}))
        assert found is not None
        assert len(found.controls) == 1
        assert skipped == 3

    def test_without_a_total_the_controls_are_added_up(self) -> None:
        found = decoded_score(control(score=1.5), control("b", score=2), control("c", score=None), currentScore=None)
        assert found.score == Decimal("3.5")

    @pytest.mark.parametrize("created", [None, "0001-01-01T00:00:00Z", "today"])
    def test_the_day_is_in_the_id_as_well(self, created: object) -> None:
        assert decoded_score(createdDateTime=created).day == date(2026, 11, 24)

    @pytest.mark.parametrize(
        "changed", [{"id": None}, {"id": "x", "createdDateTime": None}, {"id": "x_2026-99-99", "createdDateTime": ""}]
    )
    def test_without_an_id_or_a_day_it_is_skipped(self, changed: dict[str, object]) -> None:
        assert DECODER.score(score(**changed)) == (None, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("entry", [profile, score])
def test_an_entry_of_another_tenant_is_refused(entry: Any) -> None:
    decode = DECODER.profile if entry is profile else DECODER.score
    with pytest.raises(GraphUnavailable) as caught:
        decode(entry(azureTenantId="22222222-aaaa-4bbb-8ccc-000000000002"))
    assert caught.value.values["variant"] == "other_tenant"
    assert decode(entry(azureTenantId=TENANT_ID.upper()))[0] is not None


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["NaN", "1e99", "true"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def like(entry: dict[str, Any]) -> st.SearchStrategy[object]:
    """Entries of which some members are missing or are something else."""
    members = {name: st.just(value) | ANYTHING for name, value in entry.items() if name != "azureTenantId"}
    return st.fixed_dictionaries({}, optional=members) | ANYTHING


@settings(max_examples=50)
@given(st.lists(like(profile()), max_size=2), like(score()), st.lists(like(control()), max_size=2))
def test_whatever_comes_is_decoded_within_bounds(
    profiles: list[object], newest: object, controls: list[object]
) -> None:
    if isinstance(newest, dict) and isinstance(newest.get("controlScores"), list):
        newest = newest | {"controlScores": controls}
    found, skipped = DECODER.score(on_the_wire(newest))
    assert (found is None) <= (skipped == 1)
    known = [entry for item in profiles if (entry := DECODER.profile(on_the_wire(item))[0]) is not None]
    actions, texts = joined(TENANT_ID, known, found)
    for action in actions:
        assert action.max_points is None or action.max_points >= 0
        assert len(action.title) <= LINE_MAX_LENGTH
    assert all(text.encode() and len(text) <= HTML_MAX_LENGTH for text in texts.values())
    if found is not None:
        assert 0 <= snapshot_of(found).score <= POINTS_MAX * 100
