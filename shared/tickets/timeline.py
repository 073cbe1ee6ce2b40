"""The timeline of a ticket: what happened, oldest first, bounded."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from shared.tickets.model import EventKind, Ticket, TimelineEvent

MAX_EVENTS: Final = 100
"""How many events are kept: the first one and the newest."""
MAX_DETAIL_LENGTH: Final = 500
"""Characters of one detail; longer ones are cut."""


def with_event(ticket: Ticket, kind: EventKind, at: datetime, **details: str | None) -> Ticket:
    """Return the ticket with one more event; details that are None are left out."""
    event = TimelineEvent(kind, at, {name: _short(value) for name, value in details.items() if value is not None})
    timeline = (*ticket.timeline, event)
    if len(timeline) > MAX_EVENTS:
        timeline = (timeline[0], *timeline[-(MAX_EVENTS - 1) :])
    return replace(ticket, timeline=timeline)


def _short(text: str) -> str:
    return text if len(text) <= MAX_DETAIL_LENGTH else f"{text[: MAX_DETAIL_LENGTH - 1]}…"
