"""The words of a ticket's timeline, in a person's language."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from shared.tickets.model import EventKind, TimelineEvent
from shared.web.html import last_day, moment
from shared.words.error_words import words_of
from shared.words.language import Language

_TEXTS: Final = {"short_description": "ticket.name", "description": "ticket.description"}
"""What people call a text, by its field in ServiceNow."""


def event_words(event: TimelineEvent, t: Language, *, state_names: Mapping[str, str], time_zone: str) -> str:
    """Return one line of the timeline.

    Args:
        state_names: The connection's own names of states, by raw value.
        time_zone: The connection's, in which a due date ends with its day.
    """
    details = defaultdict(str, event.details)
    match event.kind:
        case EventKind.STATE_CHANGED:
            before = state_names.get(details["from"]) or details["from_label"] or details["from"]
            after = state_names.get(details["to"]) or details["to_label"] or details["to"]
        case EventKind.FOUND_AGAIN:
            before, after = "", state_names.get(details["state"]) or details["label"] or details["state"]
        case EventKind.DUE_DATE_CHANGED:
            before, after = "", _due_date(details["to"], t, time_zone)
        case _:
            before, after = details["from"], details["to"]
    message = "" if event.failure is None else words_of(event.failure, t).message
    lost = ", ".join(f"{t(name)} {details[field]}" for field, name in _TEXTS.items() if details[field])
    if event.kind not in set(EventKind):
        return t("event.other", kind=event.kind.value)
    return t(
        f"event.{event.kind}",
        number=details["number"],
        before=before,
        after=after,
        message=message,
        lost=lost,
        recommendation=details["source_id"],
    )


def _due_date(text: str, t: Language, time_zone: str) -> str:
    if not text:
        return t("ticket.no_due_date")
    try:
        due_at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return last_day(due_at, time_zone) or moment(due_at)
