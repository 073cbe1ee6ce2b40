"""What an update writes: the texts for ServiceNow, and the marker that shows that it was written. Pure."""

from __future__ import annotations

from shared.texts import one_line, without_code_tags, without_direction
from shared.tickets.model import CORRELATION_DISPLAY
from shared.tickets.updates.model import Update
from shared.tickets.updates.record_details import looks_like_header

QUOTE = "> "
"""Goes before a line that looks like the beginning of another entry."""
POLICY_PREFIX = "policy:"


def marker_of(update: Update) -> str:
    """Return what ``correlation_display`` says once the update is written."""
    return f"{CORRELATION_DISPLAY} · {update.update_id}"


def trial_marker_of(update: Update) -> str:
    """Return what is written to see whether ``correlation_display`` can be written. It is no sign of the update."""
    return f"{CORRELATION_DISPLAY} · {update.update_id} ?"


def is_marker_of(update: Update, correlation_display: str) -> bool:
    """Whether a record says that this update was written."""
    return correlation_display.strip().endswith(update.update_id)


def record_text(update: Update) -> str:
    """Return an update's text as ServiceNow gets it.

    In ServiceNow the integration user is the author, so the text names the person. It has no ``[code]`` tags, which
    ServiceNow would show as HTML, and no line that a reader could take for the beginning of somebody else's entry.
    """
    lines = [_quoted(line) for line in without_direction(update.text).strip().splitlines()]
    if lines and update.asked_by_name is not None:
        lines.insert(0, f"{one_line(update.asked_by_name)}, in the Microsoft 365 connector:")
    return without_code_tags("\n".join(lines))


def is_in_journal(text: str, journal: str) -> bool:
    """Whether a journal has this text, whatever ServiceNow did to its line breaks and blanks."""
    return "".join(text.split()) in "".join(journal.split())


def _quoted(line: str) -> str:
    return f"{QUOTE}{line}" if looks_like_header(line) else line
