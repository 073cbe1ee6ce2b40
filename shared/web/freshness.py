"""How old a page's data are: the last complete synchronisation of the customers that it shows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from shared.clock import believed
from shared.connections.customers import ListedCustomer
from shared.connections.model import ConnectionStatus
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
        can_refresh: Whether people can ask for a synchronisation of all that the page shows.
    """

    as_of: datetime | None
    late: Sequence[str]
    more_late: int
    is_refreshing: bool
    connection_id: str
    can_refresh: bool

    @property
    def again_s(self) -> int:
        """After how many seconds the page refreshes itself."""
        return int((REFRESH_SOON if self.is_refreshing else REFRESH_EVERY).total_seconds())


def freshness(customers: Iterable[ListedCustomer], now: datetime, *, can_refresh: bool = True) -> Freshness | None:
    """Return how old the data of these customers are; None if none of them is ever synchronised.

    Args:
        can_refresh: As that of :class:`Freshness`.
    """
    watched = [
        each
        for each in customers
        if each.customer.ever_consented and each.customer.status is not ConnectionStatus.DISCONNECTED
    ]
    if not watched:
        return None
    known = [each.figures.last_sync_at for each in watched if each.figures.last_sync_at is not None]
    newest = max(known, default=None)
    late = [
        each.customer.name
        for each in watched
        if newest is not None and ((at := each.figures.last_sync_at) is None or newest - at > LATE_BY)
    ]
    return Freshness(
        as_of=min(known) if len(known) == len(watched) else None,
        late=late[:MOST_NAMED],
        more_late=max(0, len(late) - MOST_NAMED),
        is_refreshing=any(is_waiting(each.requested_at, now) for each in watched),
        connection_id=watched[0].connection_id if len(watched) == 1 else "",
        can_refresh=can_refresh,
    )


def is_waiting(requested_at: datetime | None, now: datetime) -> bool:
    """Whether somebody has asked for a synchronisation a short time ago and is still waiting for it."""
    asked_at = believed(requested_at, now)
    return asked_at is not None and now - asked_at < WAITED_FOR
