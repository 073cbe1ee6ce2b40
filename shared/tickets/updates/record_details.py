"""What the page of a ticket shows of its record beyond what the connector follows, read when somebody looks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from itertools import islice
from typing import Final

from shared.connections.options import Choice
from shared.texts import one_line, without_direction
from shared.value_object import value_object

MOST_ENTRIES: Final = 20
"""The newest entries of a journal that we show."""
ENTRY_MAX_LENGTH: Final = 4000
"""Characters of one entry; longer ones are shortened."""
_LOOKED_AT: Final = 400_000
"""Characters of a journal that are read; it can be ten megabytes."""
_NAME_MAX_LENGTH: Final = 200

_HEADER: Final = re.compile(
    r"^(?P<at>[0-9]{1,4}[-./][0-9]{1,2}[-./][0-9]{1,4}[ T]"
    r"[0-9]{1,2}[:.][0-9]{2}(?:[:.][0-9]{2})?(?: ?[AaPp]\.?[Mm]\.?)?)"
    r" - (?P<by>[^\n]{1,200}) \((?P<field>[^()\n]{1,100})\)[ \t]*$",
    re.MULTILINE,
)
"""The line before each entry (ServiceNow §14): date in the reader's zone and format, name, label of the column."""


@value_object
class JournalEntry:
    """A comment or a work note, as ServiceNow shows it to the integration user.

    Attributes:
        text: Bounded; the whole journal if its form is unknown to us.
        at_text: The time in the integration user's time zone and date format; empty if the form is unknown.
        by: The author's name; empty if the form is unknown.
    """

    text: str
    at_text: str = ""
    by: str = ""


@value_object
class RecordDetails:
    """How a record was closed, and what people have written in it.

    Attributes:
        close_code: ServiceNow's label; None if the record has none or the integration user may not see it.
        close_notes: As ``close_code``.
        comments, work_notes: Newest first; None if the integration user may not see them.
        assigned: Group, assignee and configuration item by ServiceNow's field, without those that it has not or does
            not show.
    """

    close_code: str | None = None
    close_notes: str | None = None
    comments: Sequence[JournalEntry] | None = None
    work_notes: Sequence[JournalEntry] | None = None
    assigned: Mapping[str, Choice] = field(default_factory=dict)


def journal_entries(journal: str) -> Sequence[JournalEntry]:
    """Return the newest entries of a journal that ServiceNow shows as one text, newest first.

    An entry may contain a line that looks like the beginning of another one. So a line counts only after an empty line
    and if it has the form and label of the first one; a text that imitates both passes for an entry.
    """
    text = _cleaned(journal[:_LOOKED_AT])
    if not text:
        return ()
    headers = list(_HEADER.finditer(text))
    if not headers or headers[0].start() != 0:
        return (JournalEntry(_bounded(text)),)
    form = _form(headers[0])
    begins = [each for each in headers if _form(each) == form and _begins_a_part(text, each.start())]
    ends = [each.start() for each in begins[1:]] + [len(text)]
    return tuple(
        JournalEntry(
            text=_bounded(text[each.end() : end].strip()),
            at_text=each["at"],
            by=one_line(each["by"], _NAME_MAX_LENGTH),
        )
        for each, end in islice(zip(begins, ends, strict=True), MOST_ENTRIES)
    )


def looks_like_header(line: str) -> bool:
    """Whether a reader could take a line for the beginning of another entry."""
    return _HEADER.search(line.strip()) is not None


def _begins_a_part(text: str, position: int) -> bool:
    return position == 0 or text[max(position - 2, 0) : position] == "\n\n"


def _form(header: re.Match[str]) -> tuple[str, str]:
    """Return the form of a date and the label of the column: both are the same in all entries of a journal."""
    return re.sub("[0-9]+", "0", header["at"]).lower().replace("pm", "am"), header["field"]


def _cleaned(text: str) -> str:
    whole = text.encode(errors="replace").decode().replace("\r\n", "\n").replace("\r", "\n")
    visible = "".join(each for each in without_direction(whole) if each in "\n\t" or ord(each) >= 32)
    return visible.strip()


def _bounded(text: str) -> str:
    return text if len(text) <= ENTRY_MAX_LENGTH else f"{text[: ENTRY_MAX_LENGTH - 1]}…"
