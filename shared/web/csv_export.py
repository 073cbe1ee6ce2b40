"""Tickets as a table for a spreadsheet."""

from __future__ import annotations

import csv
import io
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
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def safe_cell(text: str) -> str:
    """Return a cell's text so that no spreadsheet takes it for a formula: a leading apostrophe makes it text."""
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA_STARTS) else text


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
