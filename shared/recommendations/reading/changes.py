"""What a reading changes in what is stored.

An action is gone only when two complete readings of different snapshots lacked it. A reading concludes nothing from
what is missing if Microsoft left something out (206) or if it has no snapshot, and files never do: then a control that
is in one list only keeps what the other list said before.

``seen_at`` alone is no reason to write a row more often than once a day: the tenant's ``read_at`` says when all of its
actions were last read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from shared.clock import believed
from shared.recommendations.model import ActionTexts, ImprovementAction, Level, Presence, Snapshot, SourceName
from shared.recommendations.ports import Reading
from shared.recommendations.statuses import TOLERANCE, status_of
from shared.value_object import value_object

SEEN_EVERY: Final = timedelta(days=1)
"""How old ``seen_at`` may become while nothing else changes."""


class ChangeKind(StrEnum):
    """What happened to an improvement action since the last reading."""

    NEW = "new"
    GONE = "gone"
    BACK = "back"
    POINTS_UP = "points_up"
    POINTS_DOWN = "points_down"
    MAXIMUM_CHANGED = "maximum_changed"
    STATUS_CHANGED = "status_changed"


@value_object
class Change:
    """Something that people want to know about an improvement action.

    Attributes:
        before: As it was stored; None if it is new.
    """

    kind: ChangeKind
    action: ImprovementAction
    before: ImprovementAction | None


@value_object
class Changes:
    """What a reading changes.

    Attributes:
        rows: The improvement actions to store, as they are to be stored.
        changes: What people want to know; an action can be there with several kinds.
    """

    rows: Sequence[ImprovementAction]
    changes: Sequence[Change]

    @property
    def counts(self) -> Mapping[ChangeKind, int]:
        """How many changes of each kind there are, kinds without any left out."""
        return Counter(change.kind for change in self.changes)


def changes_of(stored: Sequence[ImprovementAction], reading: Reading, now: datetime) -> Changes:
    """Return what to store after a reading, and what changed.

    Args:
        stored: All stored improvement actions of the tenant; those of other sources are left alone.
    """
    before = {action.source_id: action for action in stored if action.source is reading.source}
    present = {action.source_id: action for action in reading.actions}
    read = (_seen(before.get(source_id), action, reading, now) for source_id, action in present.items())
    rows = [row for row in read if row is not None]
    snapshot = _conclusive_snapshot(reading)
    if snapshot is not None:
        missing = (action for source_id, action in before.items() if source_id not in present)
        rows += [row for action in missing if (row := _missing(action, snapshot.snapshot_id, now)) is not None]
    return Changes(rows, [change for row in rows for change in _changes(before.get(row.source_id), row)])


def _conclusive_snapshot(reading: Reading) -> Snapshot | None:
    """Return the snapshot of a reading in which nothing is missing that is there; None for any other reading."""
    return reading.snapshot if reading.is_complete else None


def _seen(
    stored: ImprovementAction | None, action: ImprovementAction, reading: Reading, now: datetime
) -> ImprovementAction | None:
    """Return the row of an action that was read; None if the stored one still holds."""
    if stored is None:
        return replace(action, first_seen_at=now, seen_at=now, missing_snapshot_id=None, gone_at=None)
    if _is_older(action, stored, now):
        return None
    if _conclusive_snapshot(reading) is None and reading.source is SourceName.SECURE_SCORE:
        action = _completed(action, stored)
    seen_at = believed(stored.seen_at, now)
    row = replace(
        action,
        first_seen_at=believed(stored.first_seen_at, now) or now,
        seen_at=stored.seen_at,
        missing_snapshot_id=None,
        gone_at=None,
        kept=stored.kept,
    )
    if row == stored and seen_at is not None and now - seen_at < SEEN_EVERY:
        return None
    return replace(row, seen_at=now)


def _is_older(action: ImprovementAction, stored: ImprovementAction, now: datetime) -> bool:
    """Whether an action from a file is older than what is stored."""
    if action.file_at is None:
        return False
    known_at = believed(stored.seen_at if stored.file_at is None else stored.file_at, now)
    return known_at is not None and action.file_at < known_at


def _missing(stored: ImprovementAction, snapshot_id: str, now: datetime) -> ImprovementAction | None:
    """Return the row of an action that a conclusive reading lacked; None if that says nothing new."""
    if stored.gone_at is not None or stored.missing_snapshot_id == snapshot_id:
        return None
    if stored.missing_snapshot_id is None:
        return replace(stored, missing_snapshot_id=snapshot_id)
    return replace(stored, gone_at=now)


def _completed(action: ImprovementAction, stored: ImprovementAction) -> ImprovementAction:
    """Return an action with what an inconclusive reading did not say about it taken from the stored one."""
    if action.presence is Presence.PROFILE_ONLY and stored.presence is not Presence.PROFILE_ONLY:
        action = replace(
            action,
            presence=Presence.BOTH,
            points=stored.points,
            count=stored.count,
            total=stored.total,
            is_on=stored.is_on,
            measured_at=stored.measured_at,
            file_at=stored.file_at,
        )
    if action.presence is Presence.SCORE_ONLY and stored.presence is not Presence.SCORE_ONLY:
        action = replace(
            action,
            presence=Presence.BOTH,
            max_points=stored.max_points,
            disposition=stored.disposition,
            decided_at=stored.decided_at,
            is_deprecated=stored.is_deprecated,
        )
    return replace(
        action,
        title=action.title or stored.title,
        category=action.category or stored.category,
        service=action.service or stored.service,
        link=action.link or stored.link,
        tier=action.tier or stored.tier,
        rank=stored.rank if action.rank is None else action.rank,
        implementation_cost=_known(action.implementation_cost, stored.implementation_cost),
        user_impact=_known(action.user_impact, stored.user_impact),
        threats=action.threats or stored.threats,
        texts=ActionTexts(
            action.texts.remediation or stored.texts.remediation,
            action.texts.impact or stored.texts.impact,
            action.texts.description or stored.texts.description,
            action.texts.implementation_status or stored.texts.implementation_status,
        ),
        max_points=stored.max_points if action.max_points is None else action.max_points,
        has_licence=stored.has_licence if action.has_licence is None else action.has_licence,
    )


def _known(level: Level, stored: Level) -> Level:
    return stored if level is Level.UNKNOWN else level


def _changes(before: ImprovementAction | None, now: ImprovementAction) -> Iterator[Change]:
    if before is None:
        yield Change(ChangeKind.NEW, now, before)
        return
    was_gone, is_gone = before.gone_at is not None, now.gone_at is not None
    if was_gone != is_gone:
        yield Change(ChangeKind.GONE if is_gone else ChangeKind.BACK, now, before)
    elif status_of(now) is not status_of(before):
        yield Change(ChangeKind.STATUS_CHANGED, now, before)
    gained = _difference(before.points, now.points)
    if gained is not None:
        yield Change(ChangeKind.POINTS_UP if gained > 0 else ChangeKind.POINTS_DOWN, now, before)
    if _difference(before.max_points, now.max_points) is not None:
        yield Change(ChangeKind.MAXIMUM_CHANGED, now, before)


def _difference(before: Decimal | None, now: Decimal | None) -> Decimal | None:
    """Return the difference of two figures; None if one is unknown or they are equal within the tolerance."""
    if before is None or now is None or abs(now - before) <= TOLERANCE:
        return None
    return now - before
