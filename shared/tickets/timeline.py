"""The timeline of a ticket: what happened, oldest first, bounded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from shared.clock import CLOCKS_DIFFER
from shared.errors import Failure
from shared.tickets.model import EventKind, Ticket, TimelineEvent

MAX_EVENTS: Final = 100
"""Keep this many events: the first one and the newest."""
DISPLACING_EVENTS: Final = 10
"""A stored timeline always has room for this many events, even with long details."""
MAX_DETAIL_LENGTH: Final = 500
"""Characters of one detail; longer ones are shortened."""


def with_event(ticket: Ticket, kind: EventKind, at: datetime, **details: str | None) -> Ticket:
    """Return the ticket with one more event, without the details that are None."""
    event = TimelineEvent(kind, at, {name: shortened(value) for name, value in details.items() if value is not None})
    timeline = (*ticket.timeline, event)
    if len(timeline) > MAX_EVENTS:
        timeline = (timeline[0], *timeline[-(MAX_EVENTS - 1) :])
    return replace(ticket, timeline=timeline)


def reaches_back_to(ticket: Ticket, at: datetime) -> bool:
    """Whether the timeline still has every event since a time, however the clocks of the app's instances differ.

    Only newer events displace one, whether there are too many of them or they are too long to be stored.
    """
    return sum(event.at >= at - CLOCKS_DIFFER for event in ticket.timeline) < DISPLACING_EVENTS


def details_of(failure: Failure) -> Mapping[str, str]:
    """Return a failure as the details of an event."""
    return {"code": failure.code, **{name: _text(value) for name, value in failure.values.items()}}


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def shortened(text: str) -> str:
    """Return a detail, shortened if it is too long."""
    return text if len(text) <= MAX_DETAIL_LENGTH else f"{text[: MAX_DETAIL_LENGTH - 1]}…"
