"""When Microsoft measures a control, and when a measurement reaches a snapshot (Microsoft Graph §1.6)."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
_FIRST_HOUR, _LAST_HOUR = 3, 9


@dataclass(frozen=True)
class Cadence:
    """The rhythm of a service's measurements.

    Attributes:
        every: Time between two scheduled measurements.
        processing: Time from a measurement until snapshots can show it.
        after_change: Earliest and latest time from a change to an additional measurement, or `None` for none.
    """

    every: timedelta
    processing: timedelta
    after_change: tuple[timedelta, timedelta] | None = None


_MOST = Cadence(timedelta(days=1), timedelta(hours=12))
_CADENCES = {
    "AzureAD": Cadence(timedelta(days=6), timedelta(hours=12), (timedelta(hours=4), timedelta(hours=16))),
    "Azure ATP": Cadence(timedelta(hours=6), timedelta(hours=30)),
    "MS Teams": Cadence(timedelta(days=29), timedelta(hours=12), (timedelta(hours=24), timedelta(hours=24))),
}


def cadence_of(service: str) -> Cadence:
    """Return the rhythm of a service: most change their points after one to two days."""
    return _CADENCES.get(service, _MOST)


def newest_measurement(service: str, seed: str, *, shown_at: datetime, changed_at: Iterable[datetime] = ()) -> datetime:
    """Return when the newest measurement was made that a snapshot taken at `shown_at` can show.

    Args:
        service: Service of the control.
        seed: Chooses the control's own place in the schedule.
        shown_at: Time of the snapshot.
        changed_at: When the control's true state changed; each change brings a measurement if the service does so.
    """
    cadence = cadence_of(service)
    latest = shown_at - cadence.processing
    first = _EPOCH + _place_in(cadence.every, seed)
    newest = first + (latest - first) // cadence.every * cadence.every
    if cadence.after_change:
        shortest, longest = cadence.after_change
        for changed in changed_at:
            measured = changed + shortest + (longest - shortest) * random.Random(f"{seed}/{changed}").random()  # noqa: S311
            if newest < measured <= latest:
                newest = measured.replace(microsecond=0)
    return newest


@cache
def _place_in(every: timedelta, seed: str) -> timedelta:
    place = random.Random(seed)  # noqa: S311 - a repeatable choice, no secret
    days = place.randrange(max(1, every // timedelta(days=1)))
    return timedelta(days=days, seconds=place.randrange(_FIRST_HOUR * 3600, _LAST_HOUR * 3600))
