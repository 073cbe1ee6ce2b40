"""What an update writes: the texts for ServiceNow, and the marker that shows that it was written. Pure."""

from __future__ import annotations

from shared.texts import one_line, without_code_tags, without_direction
from shared.tickets.model import CORRELATION_DISPLAY
from shared.tickets.shared_names import shared_name
from shared.tickets.updates.model import Update
from shared.tickets.updates.record_details import looks_like_header
from shared.words.language import language_of, languages

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


def record_text(update: Update, *, shares_requester: bool, language: str) -> str:
    """Return an update's text as ServiceNow gets it.

    In ServiceNow the integration user is the author, so the text names the person. It has no ``[code]`` tags, which
    ServiceNow would show as HTML, and no line that a reader could take for the beginning of somebody else's entry.

    Args:
        update: The update.
        shares_requester: Whether ServiceNow may learn a person's e-mail address and object id. A name that would give
            one of them away is left out.
        language: Code of the connection's language.
    """
    t = language_of(language)
    lines = [_quoted(line) for line in without_direction(update.text).strip().splitlines()]
    if lines and update.asked_by_name is not None:
        name = update.asked_by_name if shares_requester else shared_name(update.asked_by_name, update.asked_by_id)
        lines.insert(0, t.plain("record.author", name=one_line(name or t.plain("record.nameless"))))
    return without_code_tags("\n".join(lines))


def notes_without_text(language: str) -> str:
    """Return the close notes where nobody wrote any: ServiceNow may ask for some."""
    return language_of(language).plain("record.changed")


def is_in_journal(update: Update, journal: str) -> bool:
    """Whether a journal has the update's text, whatever ServiceNow did to its line breaks and blanks.

    What may be shared, and the connection's language, can have changed since the update was sent.
    """
    shown = "".join(journal.split())
    written = (
        record_text(update, shares_requester=shares, language=code) for shares in (True, False) for code in languages()
    )
    return any("".join(text.split()) in shown for text in written)


def _quoted(line: str) -> str:
    return f"{QUOTE}{line}" if looks_like_header(line) else line
