"""How old a page's data are: the last complete synchronisation of the connections that it shows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from shared.clock import believed
from shared.connections.directory import DirectoryEntry
from shared.connections.model import Connection
from shared.value_object import value_object

REFRESH_EVERY: Final = timedelta(seconds=60)
"""How often an open page refreshes itself where scripts run."""
REFRESH_SOON: Final = timedelta(seconds=10)
"""How often while somebody waits for a synchronisation."""
WAITED_FOR: Final = timedelta(minutes=2)
"""A request for a synchronisation that is older does not come true by itself soon; the page offers the button again."""
LATE_BY: Final = timedelta(minutes=10)
"""A connection is named if its data are this much older than those of the newest one."""
MOST_NAMED: Final = 5


@value_object
class Freshness:
    """How old what a page shows is.

    Attributes:
        as_of: The oldest of the last complete synchronisations; None if a connection never had one, or there is none.
        late: Names of the connections that are behind the others, at most :data:`MOST_NAMED`.
        more_late: How many further ones are.
        is_refreshing: Whether somebody has asked for a synchronisation and it has not come yet.
        connection_id: The only connection that the page shows; empty for several.
    """

    as_of: datetime | None
    late: Sequence[str]
    more_late: int
    is_refreshing: bool
    connection_id: str

    @property
    def again_s(self) -> int:
        """After how many seconds the page refreshes itself."""
        return int((REFRESH_SOON if self.is_refreshing else REFRESH_EVERY).total_seconds())


def freshness(
    connections: Iterable[Connection], entries: Mapping[str, DirectoryEntry], now: datetime
) -> Freshness | None:
    """Return how old the data of these connections are; None if none of them is ever synchronised.

    Args:
        entries: Rows of the directory by connection id.
    """
    watched = [each for each in connections if each.ever_consented and not each.is_removed]
    if not watched:
        return None
    rows = {each.connection_id: entries.get(each.connection_id, DirectoryEntry(each.connection_id)) for each in watched}
    times = {key: None if row.sync is None else row.sync.last_completed_at for key, row in rows.items()}
    known = [at for at in times.values() if at is not None]
    newest = max(known, default=None)
    late = [
        each.display_name
        for each in watched
        if newest is not None and ((at := times[each.connection_id]) is None or newest - at > LATE_BY)
    ]
    return Freshness(
        as_of=min(known) if len(known) == len(watched) else None,
        late=late[:MOST_NAMED],
        more_late=max(0, len(late) - MOST_NAMED),
        is_refreshing=any(is_waiting(row, now) for row in rows.values()),
        connection_id=watched[0].connection_id if len(watched) == 1 else "",
    )


def is_waiting(entry: DirectoryEntry, now: datetime) -> bool:
    """Whether somebody has asked for a synchronisation a short time ago and is still waiting for it."""
    asked_at = believed(entry.requested_at, now)
    return asked_at is not None and now - asked_at < WAITED_FOR
