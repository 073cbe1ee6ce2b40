"""What a reading shows of the recommendations that tickets are for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from datetime import date, datetime
from enum import StrEnum

from shared.recommendations.model import Disposition, ImprovementAction, Presence, Snapshot, SourceName
from shared.recommendations.ports import Reading
from shared.tickets.outcomes import Measurement
from shared.value_object import value_object


@value_object
class Observation:
    """What is known of one recommendation at present.

    Attributes:
        service: Microsoft's code of the product.
        disposition: What somebody decided in the portal; None if the catalogue, which says it, does not have it.
        decided_at: Since when the disposition is so; None if unknown, or nobody decided anything.
        is_verifiable: Whether its source measures it again and again; a file does not.
        is_conclusive: Whether the reading had all that is known of it. If not, points and disposition may be of
            different times, so that nothing follows from them.
    """

    measurement: Measurement = field(default_factory=Measurement)
    service: str = ""
    disposition: Disposition | None = Disposition.DEFAULT
    decided_at: datetime | None = None
    is_gone: bool = False
    is_verifiable: bool = True
    is_conclusive: bool = True


class Reach(StrEnum):
    """Whether the connector can still learn something about a tenant."""

    READABLE = "readable"
    UNREADABLE = "unreadable"
    """The last reading failed; what is observed is of an earlier one."""
    REMOVED = "removed"


@value_object
class ObservedTenant:
    """What is known of a tenant at present.

    Attributes:
        by_key: Its recommendations, by their keys.
    """

    tenant_id: str
    by_key: Mapping[str, Observation] = field(default_factory=dict, repr=False)
    reach: Reach = Reach.READABLE


def observed_tenant(
    tenant_id: str,
    actions: Iterable[ImprovementAction],
    snapshot_id: str | None,
    snapshot_day: date | None,
    *,
    reach: Reach = Reach.READABLE,
) -> ObservedTenant:
    """Return what is known of a tenant after a reading; the arguments are those of :func:`observation_of`.

    Args:
        actions: As they are stored after the reading, all of them or only those that matter.
    """
    by_key = {action.key: observation_of(action, snapshot_id, snapshot_day) for action in actions}
    return ObservedTenant(tenant_id, by_key, reach)


def observed_after(tenant_id: str, reading: Reading, actions: Iterable[ImprovementAction]) -> ObservedTenant:
    """Return what is known of a tenant after a reading of Secure Score.

    Points of an incomplete reading may be of another snapshot. What it lacks is stored as it was before: full points
    may be there because somebody has decided about the control in the portal, which only the catalogue says.

    Args:
        tenant_id: The tenant that was read.
        reading: What was read.
        actions: As for :func:`observed_tenant`.
    """
    if reading.is_complete and reading.snapshot is not None:
        return observed_tenant(tenant_id, actions, reading.snapshot.snapshot_id, reading.snapshot.day)
    read = {action.key: action.presence for action in reading.actions}
    by_key = {
        action.key: replace(
            observation_of(action, None, None),
            is_conclusive=action.source is not reading.source or read.get(action.key) is action.presence,
        )
        for action in actions
    }
    return ObservedTenant(tenant_id, by_key)


def observation_of(action: ImprovementAction, snapshot_id: str | None, snapshot_day: date | None) -> Observation:
    """Return what is known of a stored improvement action.

    What a file says is no measurement: it can be edited, and nobody knows when Microsoft measured it. What the newest
    snapshot lacks was measured for an earlier one.

    Args:
        snapshot_id: The snapshot that its points come from; None if the reading was not complete, because then they may
            be those of an earlier snapshot.
        snapshot_day: The day of that snapshot; None as for ``snapshot_id``.
    """
    is_verifiable = action.source is SourceName.SECURE_SCORE and not action.is_of_file
    is_measured = is_verifiable and action.file_at is None and action.presence is not Presence.PROFILE_ONLY
    is_of_snapshot = action.missing_snapshot_id is None
    measurement = Measurement(
        points=action.points,
        max_points=action.max_points,
        count=action.count,
        total=action.total,
        measured_at=action.measured_at,
        day=snapshot_day if is_of_snapshot else None,
        snapshot_id=snapshot_id if is_of_snapshot else None,
    )
    return Observation(
        measurement=measurement if is_measured else Measurement(),
        service=action.service,
        disposition=None if action.presence is Presence.SCORE_ONLY else action.disposition,
        decided_at=action.decided_at,
        is_gone=action.gone_at is not None,
        is_verifiable=is_verifiable,
    )


def measurement_in(snapshot: Snapshot, source_id: str) -> Measurement | None:
    """Return what a stored snapshot says about a control; None if it was not measured.

    Past snapshots say neither when a control was measured nor how many objects comply (Microsoft Graph §1.4).
    """
    control = snapshot.controls.get(source_id)
    if control is None:
        return None
    return Measurement(control.points, control.max_points, day=snapshot.day, snapshot_id=snapshot.snapshot_id)
