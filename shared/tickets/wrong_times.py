"""Times in a ticket that only a wrong clock can have written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from shared.clock import believed
from shared.tickets.model import Ticket
from shared.tickets.ports import TicketStore


def without_wrong_times(ticket: Ticket, now: datetime, *, lease: timedelta, longest_wait: timedelta) -> Ticket:
    """Return the ticket without impossible future times, or the same object if it has none.

    Somebody may be working under a lease that ends too far in the future, and a write that began in the future may
    still be committed, so both count as if they began now. A next attempt too far in the future is due now.

    Args:
        lease: How long one deliverer has a ticket.
        longest_wait: The longest time between two attempts.
    """
    progress = ticket.delivery
    after = progress
    if progress.leased_until_at != believed(progress.leased_until_at, now, ahead=lease):
        after = replace(after, leased_until_at=now + lease)
    if progress.attempt_started_at != believed(progress.attempt_started_at, now):
        after = replace(after, attempt_started_at=now)
    if progress.next_attempt_at != believed(progress.next_attempt_at, now, ahead=longest_wait):
        after = replace(after, next_attempt_at=None)
    return ticket if after == progress else replace(ticket, delivery=after)


async def correct_wrong_times(
    store: TicketStore, tickets: Sequence[Ticket], now: datetime, *, lease: timedelta, longest_wait: timedelta
) -> Sequence[Ticket]:
    """Correct and store the tickets with impossible future times; return the others.

    The next run deals with the corrected ones.
    """
    corrected = [(each, without_wrong_times(each, now, lease=lease, longest_wait=longest_wait)) for each in tickets]
    if changes := [(before, after) for before, after in corrected if after is not before]:
        await store.update_tickets(changes)
    return [before for before, after in corrected if after is before]
