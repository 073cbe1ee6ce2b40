"""Tickets as a table for a spreadsheet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Final

from shared.tickets.views import TicketView

COLUMNS: Final = (
    "number",
    "kind",
    "name",
    "phase",
    "state",
    "delivery",
    "priority",
    "due_at",
    "overdue",
    "portal",
    "source",
    "category",
    "requester",
    "created_at",
    "link",
    "ticket_id",
)
_SEPARATORS: Final = r",;|\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029"
"""Characters at which some spreadsheet begins a new cell; they depend on its language."""
_OVERLOOKED: Final = r'\s"\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff'
"""What a spreadsheet may drop from the beginning of a cell: blanks, quotes and invisible characters."""
_FORMULA_STARTS: Final = r"=+\-@＝＋－＠﹦﹢﹣﹫"
_FORMULA: Final = re.compile(rf"((?:\A|[{_SEPARATORS}])[{_OVERLOOKED}]*)(?=[{_FORMULA_STARTS}])")


def safe_cell(text: str) -> str:
    """Return a cell's text so that no spreadsheet reads any of it as a formula: an apostrophe in front makes it text.

    A spreadsheet that splits at a character other than the comma sees more cells than there are, and does not recognise
    where quotes begin and end.
    """
    return _FORMULA.sub(r"\1'", text)


def tickets_csv(tickets: Iterable[TicketView]) -> bytes:
    """Return the tickets as CSV with a header row, in UTF-8 with the mark that spreadsheets look for."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for ticket in tickets:
        writer.writerow([safe_cell(cell) for cell in _cells(ticket)])
    return text.getvalue().encode("utf-8-sig")


def _cells(ticket: TicketView) -> Sequence[str]:
    record = ticket.servicenow
    return (
        record.number if record else "",
        ticket.kind.value,
        ticket.name,
        ticket.phase.value if ticket.phase else "",
        record.state_name if record else "",
        ticket.delivery.status.value,
        ticket.priority.value,
        ticket.due_at.isoformat() if ticket.due_at else "",
        "true" if ticket.overdue else "false",
        ticket.portal.value,
        ticket.recommendation.source.value,
        ticket.recommendation.category.value,
        ticket.requester.name,
        ticket.created_at.isoformat(),
        record.link if record else "",
        ticket.ticket_id,
    )
