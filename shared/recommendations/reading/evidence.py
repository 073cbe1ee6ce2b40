"""What the evidence keeps of a reading: the changes that it found, before they are stored."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import batched
from typing import Final

from shared.evidence.model import EvidenceBatch, EvidenceEvent
from shared.recommendations.model import ImprovementAction
from shared.recommendations.ports import Reading
from shared.recommendations.reading.changes import Change, ChangeKind, Changes
from shared.recommendations.statuses import status_of

EVENTS_TOGETHER: Final = 25
"""Events of one batch, which is one row: about 20 kB."""


def evidence_of(
    found: Changes, reading: Reading, stored: Sequence[ImprovementAction], now: datetime
) -> Sequence[EvidenceBatch]:
    """Return what to record of the changes that a reading found.

    A source's first reading finds hundreds of new recommendations at once. That is no change, so it is not recorded.

    Args:
        stored: All improvement actions of the tenant as they were stored before.
    """
    is_first = all(action.source is not reading.source for action in stored)
    events = (
        _event(change, reading, now) for change in found.changes if not is_first or change.kind is not ChangeKind.NEW
    )
    return [EvidenceBatch(_batch_id(now), now, part) for part in batched(events, EVENTS_TOGETHER, strict=False)]


def _event(change: Change, reading: Reading, now: datetime) -> EvidenceEvent:
    """Return the event of a change.

    A reading that breaks off finds the same change again. Then the details are the same, too: they do not have the
    time of the reading. ``seen_before_at`` moves on with each row stored, so the same change on another day is another
    event.
    """
    action, before, snapshot = change.action, change.before, reading.snapshot
    details = {
        "source": action.source.value,
        "source_id": action.source_id,
        "status": status_of(action).value,
        "points": _figure(action.points),
        "max_points": _figure(action.max_points),
        "measured_at": _time(action.measured_at),
        "snapshot_id": None if snapshot is None else snapshot.snapshot_id,
        "status_before": None if before is None else status_of(before).value,
        "points_before": None if before is None else _figure(before.points),
        "max_points_before": None if before is None else _figure(before.max_points),
        "measured_before_at": None if before is None else _time(before.measured_at),
        "seen_before_at": None if before is None else _time(before.seen_at),
    }
    return EvidenceEvent(
        kind=change.kind.value,
        at=now,
        tenant_id=action.tenant_id,
        keys=(action.key,),
        details={name: value for name, value in details.items() if value is not None},
    )


def _batch_id(now: datetime) -> str:
    return f"{int(now.timestamp() * 1000):012x}{secrets.token_hex(10)}"


def _figure(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat()
