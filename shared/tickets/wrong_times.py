"""Times in stored tickets that only a wrong clock can have written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from shared.tickets import attempts
from shared.tickets.model import Ticket
from shared.tickets.ports import TicketStore


def without_wrong_times(ticket: Ticket, now: datetime) -> Ticket:
    """Return the ticket without impossible future times, or the same object if it has none."""
    after = attempts.without_wrong_times(ticket.delivery, now)
    return ticket if after == ticket.delivery else replace(ticket, delivery=after)


async def correct_wrong_times(store: TicketStore, tickets: Sequence[Ticket], now: datetime) -> Sequence[Ticket]:
    """Correct and store the tickets with impossible future times; return the others.

    The next run deals with the corrected ones.
    """
    corrected = [(each, without_wrong_times(each, now)) for each in tickets]
    if changes := [(before, after) for before, after in corrected if after is not before]:
        await store.update_tickets(changes)
    return [before for before, after in corrected if after is before]
