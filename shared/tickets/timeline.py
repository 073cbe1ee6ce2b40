"""The timeline of a ticket: what happened, oldest first, bounded."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from shared.tickets.model import EventKind, Ticket, TimelineEvent

MAX_EVENTS: Final = 100
"""So many events are kept: the first one and the newest."""


def with_event(ticket: Ticket, kind: EventKind, at: datetime, **details: str | None) -> Ticket:
    """Return the ticket with one more event; details that are None are left out."""
    event = TimelineEvent(kind, at, {name: value for name, value in details.items() if value is not None})
    timeline = (*ticket.timeline, event)
    if len(timeline) > MAX_EVENTS:
        timeline = (timeline[0], *timeline[-(MAX_EVENTS - 1) :])
    return replace(ticket, timeline=timeline)
