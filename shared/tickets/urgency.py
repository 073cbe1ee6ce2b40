"""Which tickets need somebody most. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from shared.tickets.listed import ListedTicket
from shared.tickets.model import Delivery, Priority
from shared.tickets.outcomes import Outcome

_PRIORITIES: Final = {each: place for place, each in enumerate(Priority)}


def most_urgent(tickets: Iterable[ListedTicket], now: datetime, count: int) -> Sequence[ListedTicket]:
    """Return the most urgent tickets, without the ones about which nobody has to do anything.

    Refused ones come first, then those overdue longest, then those whose fix was lost again or did not happen, then
    those due soonest. The others are in the order of their priorities, the newest first.
    """
    ranked = ((rank, each) for each in tickets if (rank := _rank(each, now)) is not None)
    return [each for _, each in heapq.nsmallest(count, ranked, key=lambda pair: (pair[0], pair[1].ticket_id))]


def _rank(ticket: ListedTicket, now: datetime) -> tuple[int, float, int] | None:
    """Return the place of a ticket; None if nobody has to do anything about it."""
    priority = _PRIORITIES.get(ticket.priority, len(_PRIORITIES))
    due_s = 0.0 if ticket.due_at is None else ticket.due_at.timestamp()
    if ticket.delivery is Delivery.FAILED:
        return 0, 0.0, priority
    if ticket.is_overdue(now):
        return 1, due_s, priority
    if ticket.is_unsettled and ticket.outcome is Outcome.REGRESSED:
        return 2, 0.0, priority
    if ticket.is_unsettled and ticket.outcome in {Outcome.NOT_FIXED, Outcome.PARTLY}:
        return 3, 0.0, priority
    if ticket.is_open and ticket.due_at is not None:
        return 4, due_s, priority
    if ticket.is_open or ticket.delivery is Delivery.PENDING:
        return 5, 0.0, priority
    return None
