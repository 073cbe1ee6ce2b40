"""How two measurements of a recommendation compare."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.clock import believed
from shared.recommendations.statuses import TOLERANCE, are_full_points
from shared.tickets.outcomes import Measurement, Outcome

UNDATED_AFTER: Final = timedelta(days=2)
"""How much younger than an event the snapshot of a later measurement is if it has no time (Microsoft Graph §1.6)."""
_ONE_DAY: Final = timedelta(days=1)


def as_believed(measurement: Measurement, now: datetime) -> Measurement:
    """Return a measurement without times that are in the future: a clock is wrong then."""
    day = measurement.day
    return replace(
        measurement,
        measured_at=believed(measurement.measured_at, now),
        day=None if day is None or day > (now + _ONE_DAY).date() else day,
    )


def is_measured(measurement: Measurement | None) -> bool:
    """Whether it shows something: points are known, and there are some to get."""
    return (
        measurement is not None
        and measurement.points is not None
        and measurement.max_points is not None
        and measurement.max_points > TOLERANCE
    )


def is_full(measurement: Measurement | None) -> bool:
    """Whether it shows all the points that there are.

    Rounded points can be almost full while one of many objects does not comply; then the counts decide.
    """
    if measurement is None or not are_full_points(measurement.points, measurement.max_points):
        return False
    return measurement.points == measurement.max_points or not _misses_objects(measurement)


def _misses_objects(measurement: Measurement) -> bool:
    return measurement.count is not None and measurement.total is not None and measurement.count < measurement.total


def is_after(measurement: Measurement, at: datetime) -> bool:
    """Whether it was made after an event, as far as anybody can know.

    Without Microsoft's time, the day of the snapshot has to be two days later.
    """
    if measurement.measured_at is not None:
        return measurement.measured_at > at
    return measurement.day is not None and measurement.day >= (at + UNDATED_AFTER).date()


def is_newer(measurement: Measurement, other: Measurement) -> bool:
    """Whether it was made after another one. Days count where one of the two has no time."""
    if measurement.measured_at is not None and other.measured_at is not None:
        return measurement.measured_at > other.measured_at
    return measurement.day is not None and other.day is not None and measurement.day > other.day


def is_of_another_snapshot(measurement: Measurement, other: Measurement) -> bool:
    """Whether the two are known to come from different snapshots."""
    if measurement.snapshot_id is not None and other.snapshot_id is not None:
        return measurement.snapshot_id != other.snapshot_id
    return measurement.day is not None and other.day is not None and measurement.day != other.day


def rose(measurement: Measurement, before: Measurement | None) -> bool:
    """Whether points rose; as a share of the maximum, so that a changed maximum is no progress."""
    if before is None or before.points is None or not before.max_points:
        return False
    if measurement.points is None or measurement.max_points is None:
        return False
    return measurement.points > before.points * measurement.max_points / before.max_points + TOLERANCE


def loss(measurement: Measurement, reference: Measurement) -> Outcome | None:
    """Return what the loss of points since a reference means; None if there is none.

    A changed maximum explains it, and so do more users or devices, as long as no fewer of them comply.
    """
    if is_full(measurement) or measurement.points is None or reference.points is None:
        return None
    if measurement.max_points is None or reference.max_points is None:
        return None
    if abs(measurement.max_points - reference.max_points) > TOLERANCE:
        return Outcome.MAXIMUM_CHANGED
    if measurement.points >= reference.points - TOLERANCE and not is_full(reference):
        return None
    return Outcome.DILUTED if _has_grown(measurement, reference) else Outcome.REGRESSED


def _has_grown(measurement: Measurement, reference: Measurement) -> bool:
    """Whether more objects are counted, and no fewer of them comply."""
    if measurement.total is None or reference.total is None or measurement.total <= reference.total:
        return False
    if measurement.count is None or reference.count is None:
        return False
    return measurement.count >= reference.count
