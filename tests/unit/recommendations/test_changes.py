from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.recommendations.model import (
    ActionTexts,
    ComplianceDetails,
    Disposition,
    ImprovementAction,
    Level,
    Presence,
    Snapshot,
    SourceName,
)
from shared.recommendations.ports import Reading
from shared.recommendations.reading.changes import ChangeKind, Changes, changes_of
from tests.unit.recommendations import strategies as some

START = datetime(2026, 11, 24, 3, tzinfo=UTC)
SIX_HOURS = timedelta(hours=6)
ACTION = ImprovementAction(
    some.TENANT,
    SourceName.SECURE_SCORE,
    "mdo_safeattachments",
    "Turn on Safe Attachments",
    category="Apps",
    service="MDO",
    link="https://security.microsoft.com/safeattachmentv2",
    tier="Core",
    rank=128,
    implementation_cost=Level.MODERATE,
    user_impact=Level.HIGH,
    threats=("Account breach",),
    texts=ActionTexts("remediation", "impact", "description", "status"),
    points=Decimal(2),
    max_points=Decimal(8),
    count=1,
    total=4,
    is_on=False,
    measured_at=START - timedelta(days=2),
    disposition=Disposition.IGNORED,
    decided_at=START - timedelta(days=9),
)
CATALOGUE_SIDE = replace(
    ACTION,
    presence=Presence.PROFILE_ONLY,
    texts=ActionTexts("remediation", "impact"),
    points=None,
    count=None,
    total=None,
    is_on=None,
    measured_at=None,
)
SCORE_SIDE = ImprovementAction(
    some.TENANT,
    SourceName.SECURE_SCORE,
    "mdo_safeattachments",
    "",
    category="Apps",
    texts=ActionTexts(None, None, "description", "status"),
    presence=Presence.SCORE_ONLY,
    points=Decimal(2),
    max_points=Decimal("7.5"),
    count=1,
    total=4,
    is_on=False,
    measured_at=START - timedelta(days=2),
)


def reading(
    *actions: ImprovementAction, day: int | None = 24, is_complete: bool = True, source: SourceName = ACTION.source
) -> Reading:
    snapshot = None if day is None else Snapshot(f"t_2026-11-{day}", date(2026, 11, day), Decimal(1), Decimal(2))
    return Reading(source, is_complete, actions, snapshot=snapshot)


class Store:
    """Rows as they are after one reading after another, six hours apart."""

    def __init__(self, *actions: ImprovementAction) -> None:
        self.rows = {(action.source, action.source_id): action for action in actions}
        self.now = START

    def read(self, read: Reading) -> Changes:
        self.now += SIX_HOURS
        changes = changes_of(list(self.rows.values()), read, self.now)
        self.rows |= {(row.source, row.source_id): row for row in changes.rows}
        return changes

    @property
    def only(self) -> ImprovementAction:
        [row] = self.rows.values()
        return row


def kinds(changes: Changes) -> list[ChangeKind]:
    return [change.kind for change in changes.changes]


def test_a_new_action_is_stored_with_the_time() -> None:
    store = Store()
    changes = store.read(reading(ACTION))
    assert store.only == replace(ACTION, first_seen_at=store.now, seen_at=store.now)
    assert kinds(changes) == [ChangeKind.NEW]
    assert changes.counts == {ChangeKind.NEW: 1}


def test_an_unchanged_action_is_written_once_a_day() -> None:
    store = Store()
    store.read(reading(ACTION))
    first_seen_at = store.now
    assert [len(store.read(reading(ACTION)).rows) for _ in range(8)] == [0, 0, 0, 1, 0, 0, 0, 1]
    assert store.only == replace(ACTION, first_seen_at=first_seen_at, seen_at=first_seen_at + timedelta(days=2))


def test_other_spellings_of_the_same_number_are_no_change() -> None:
    store = Store()
    store.read(reading(ACTION))
    assert not store.read(reading(replace(ACTION, points=Decimal("2.00"), max_points=Decimal("8.0")))).rows


def test_any_other_value_is_a_change() -> None:
    store = Store()
    store.read(reading(ACTION))
    changes = store.read(reading(replace(ACTION, rank=127)))
    assert (store.only.rank, store.only.seen_at, store.only.first_seen_at) == (127, store.now, START + SIX_HOURS)
    assert kinds(changes) == []


def test_an_action_is_gone_when_readings_of_two_snapshots_lack_it() -> None:
    store = Store()
    store.read(reading(ACTION))
    seen_at = store.now
    for again in range(3):
        changes = store.read(reading())
        assert len(changes.rows) == (again == 0)
        assert kinds(changes) == []
        assert (store.only.missing_snapshot_id, store.only.gone_at) == ("t_2026-11-24", None)
    changes = store.read(reading(day=25))
    assert (store.only.gone_at, store.only.seen_at) == (store.now, seen_at)
    assert kinds(changes) == [ChangeKind.GONE]
    assert not store.read(reading(day=26)).rows


@pytest.mark.parametrize("nothing", [reading(is_complete=False), reading(day=None), reading(is_complete=False, day=25)])
def test_a_partial_reading_or_one_without_snapshot_concludes_nothing(nothing: Reading) -> None:
    store = Store()
    store.read(reading(ACTION))
    assert not store.read(nothing).rows
    store.read(reading())
    assert not store.read(nothing).rows
    assert store.only.gone_at is None


def test_an_action_that_is_found_in_between_is_not_gone() -> None:
    store = Store()
    store.read(reading(ACTION))
    store.read(reading())
    store.read(reading(ACTION, is_complete=False))
    assert store.only.missing_snapshot_id is None
    store.read(reading(day=25))
    assert store.only.gone_at is None


def test_an_action_comes_back() -> None:
    store = Store(replace(ACTION, first_seen_at=START, gone_at=START, missing_snapshot_id="t_2026-11-01"))
    changes = store.read(reading(ACTION))
    assert store.only == replace(ACTION, first_seen_at=START, seen_at=store.now)
    assert kinds(changes) == [ChangeKind.BACK]


def test_what_another_release_stored_survives() -> None:
    store = Store(replace(ACTION, kept={"later": 1}))
    store.read(reading(replace(ACTION, rank=1)))
    store.read(reading())
    store.read(reading(day=25))
    assert store.only.gone_at is not None
    assert store.only.kept == {"later": 1}


def test_actions_of_another_source_are_left_alone() -> None:
    other = replace(ACTION, source=SourceName.COMPLIANCE_MANAGER)
    store = Store(other)
    store.read(reading(ACTION))
    store.read(reading(day=25))
    store.read(reading(day=26))
    assert store.rows[other.source, other.source_id] == other


@pytest.mark.parametrize("part", [CATALOGUE_SIDE, SCORE_SIDE])
@pytest.mark.parametrize("how", [{"is_complete": False}, {"day": None}])
def test_a_list_that_is_missing_from_a_reading_takes_nothing_away(
    part: ImprovementAction, how: dict[str, bool | None]
) -> None:
    store = Store()
    store.read(reading(ACTION))
    assert not store.read(reading(part, **how)).rows  # type: ignore[arg-type]


@pytest.mark.parametrize("part", [CATALOGUE_SIDE, SCORE_SIDE])
def test_a_list_that_lacks_an_action_in_a_complete_reading_counts(part: ImprovementAction) -> None:
    store = Store()
    store.read(reading(ACTION))
    store.read(reading(part))
    assert store.only == replace(part, first_seen_at=START + SIX_HOURS, seen_at=store.now)


def test_a_partial_reading_adds_what_it_says() -> None:
    store = Store()
    store.read(reading(CATALOGUE_SIDE))
    store.read(reading(replace(SCORE_SIDE, points=Decimal(3)), is_complete=False))
    both = replace(ACTION, points=Decimal(3))
    assert store.only == replace(both, first_seen_at=START + SIX_HOURS, seen_at=store.now)


def test_an_older_file_changes_nothing() -> None:
    store = Store()
    store.read(reading(ACTION))
    of_file = replace(ACTION, points=Decimal(8), measured_at=None)
    assert not store.read(reading(replace(of_file, file_at=START), is_complete=False, day=None)).rows
    newer = replace(of_file, file_at=store.now)
    store.read(reading(newer, is_complete=False, day=None))
    assert (store.only.points, store.only.measured_at, store.only.file_at) == (Decimal(8), None, newer.file_at)
    assert not store.read(reading(replace(newer, points=Decimal(1), file_at=START), is_complete=False, day=None)).rows
    store.read(reading(ACTION))
    assert (store.only.points, store.only.file_at) == (Decimal(2), None)


def test_a_workbook_that_is_imported_again_replaces_everything() -> None:
    first = replace(
        ACTION,
        source=SourceName.COMPLIANCE_MANAGER,
        compliance=ComplianceDetails(implementation_status="Implemented", notes="Done by Ada"),
        file_at=START,
    )
    second = replace(
        first, category="", compliance=ComplianceDetails(test_status="Passed"), file_at=START + timedelta(days=1)
    )
    store = Store()
    store.read(reading(first, is_complete=False, day=None, source=first.source))
    changes = store.read(reading(second, is_complete=False, day=None, source=first.source))
    assert store.only == replace(second, first_seen_at=START + SIX_HOURS, seen_at=store.now)
    assert kinds(changes) == [ChangeKind.STATUS_CHANGED]


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ({"points": Decimal("2.01")}, []),
        ({"points": Decimal("2.02")}, [ChangeKind.POINTS_UP]),
        ({"points": Decimal(1)}, [ChangeKind.POINTS_DOWN]),
        ({"max_points": Decimal(9)}, [ChangeKind.MAXIMUM_CHANGED]),
        ({"disposition": Disposition.THIRD_PARTY}, [ChangeKind.STATUS_CHANGED]),
        (
            {"points": Decimal(9), "max_points": Decimal(9), "disposition": Disposition.DEFAULT},
            [ChangeKind.STATUS_CHANGED, ChangeKind.POINTS_UP, ChangeKind.MAXIMUM_CHANGED],
        ),
    ],
)
def test_what_changed_is_said(after: dict[str, object], expected: list[ChangeKind]) -> None:
    store = Store(ACTION)
    changes = store.read(reading(replace(ACTION, **after)))  # type: ignore[arg-type]
    assert kinds(changes) == expected
    assert all(change.before == ACTION and change.action == store.only for change in changes.changes)


@settings(max_examples=30)
@given(
    st.lists(some.actions, max_size=4, unique_by=lambda action: action.key),
    st.lists(some.actions, max_size=4, unique_by=lambda action: action.source_id),
    st.booleans(),
    st.sampled_from([None, 24, 25]),
)
def test_the_same_reading_again_changes_nothing(
    stored: Sequence[ImprovementAction], read: Sequence[ImprovementAction], is_complete: bool, day: int | None
) -> None:
    of_source = [
        replace(action, source=ACTION.source, compliance=None, gone_at=None, first_seen_at=None, seen_at=None)
        for action in read
    ]
    store = Store(*stored)
    store.read(reading(*of_source, is_complete=is_complete, day=day))
    again = store.read(reading(*of_source, is_complete=is_complete, day=day))
    assert again.rows == []
    assert again.changes == []


@settings(max_examples=30)
@given(some.actions, some.actions, st.booleans())
def test_a_row_that_is_written_has_every_value_of_the_reading_or_of_the_row(
    stored: ImprovementAction, read: ImprovementAction, is_complete: bool
) -> None:
    """No value is made up, and the row stays the same action."""
    stored = replace(stored, source=ACTION.source, source_id="a", compliance=None)
    read = replace(read, source=ACTION.source, source_id="a", compliance=None, gone_at=None)
    changes = changes_of([stored], reading(read, is_complete=is_complete), START)
    for row in changes.rows:
        assert row.key == stored.key
        for name in {field.name for field in fields(row)} - {"seen_at", "first_seen_at", "presence"}:
            value = getattr(row, name)
            assert value in (getattr(read, name), getattr(stored, name), None)
            assert not is_complete or name == "kept" or value in (getattr(read, name), None)
