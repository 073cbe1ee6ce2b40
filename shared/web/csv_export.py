"""Tickets and recommendations as tables for a spreadsheet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from shared.recommendations.statuses import points_to_gain
from shared.tickets.views import TicketView
from shared.web.recommendations import ActionRow
from shared.words.language import Language

COLUMNS: Final = (
    "number",
    "kind",
    "name",
    "phase",
    "state",
    "delivery",
    "outcome",
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
    "connection",
    "assigned_to",
    "assignment_group",
)
RECOMMENDATION_COLUMNS: Final = (
    "id",
    "source",
    "source_id",
    "title",
    "category",
    "product",
    "tier",
    "rank",
    "points",
    "max_points",
    "points_to_gain",
    "score_impact_percent",
    "cost",
    "user_impact",
    "status",
    "hidden_reason",
    "measured_at",
    "file_at",
    "regulations",
    "owner",
    "ticket_number",
    "ticket_phase",
    "ticket_state",
    "ticket_outcome",
    "ticket_due_at",
    "ticket_link",
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


def headings(columns: Iterable[str], t: Language) -> Sequence[str]:
    """Return the headings of columns. English ones are the columns' names, by which programs read a file."""
    return [t.plain(f"csv.{column}") for column in columns]


def tickets_csv(tickets: Iterable[TicketView], customers: Mapping[str, str], t: Language) -> bytes:
    """Return tickets as CSV.

    Args:
        customers: Names of the connections by id.
    """
    return csv_table(headings(COLUMNS, t), (_cells(ticket, customers) for ticket in tickets))


def recommendations_csv(rows: Iterable[ActionRow], t: Language) -> bytes:
    """Return improvement actions as CSV, each with the ticket beside it, under headings in a language."""
    cells = ([*_action_cells(row), *_ticket_cells(row.ticket)] for row in rows)
    return csv_table(headings(RECOMMENDATION_COLUMNS, t), cells)


def csv_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """Return CSV with a header row, in UTF-8 with the mark that spreadsheets look for."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([safe_cell(cell) for cell in row])
    return text.getvalue().encode("utf-8-sig")


def _cells(ticket: TicketView, customers: Mapping[str, str]) -> Sequence[str]:
    record = ticket.servicenow
    return (
        record.number if record else "",
        ticket.kind.value,
        ticket.name,
        ticket.phase.value if ticket.phase else "",
        record.state_name if record else "",
        ticket.delivery.status.value,
        ticket.verification.outcome.value if ticket.verification else "",
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
        customers.get(ticket.connection_id, ""),
        (record.assigned_to or "") if record else "",
        (record.assignment_group or "") if record else "",
    )


def _action_cells(row: ActionRow) -> Sequence[str]:
    action = row.action
    details = action.compliance
    return (
        action.key,
        action.source.value,
        action.source_id,
        action.title,
        action.category,
        row.product,
        action.tier,
        _text(action.rank),
        _text(action.points),
        _text(action.max_points),
        _text(points_to_gain(action)),
        _text(row.impact),
        action.implementation_cost.value,
        action.user_impact.value,
        row.status.value,
        row.hidden.value if row.hidden else "",
        _time(action.measured_at),
        _time(action.file_at),
        "; ".join(details.regulations) if details else "",
        details.assigned_to if details else "",
    )


def _ticket_cells(ticket: TicketView | None) -> Sequence[str]:
    if ticket is None:
        return ("",) * 7
    record = ticket.servicenow
    return (
        record.number if record else "",
        ticket.phase.value if ticket.phase else "",
        record.state_name if record else "",
        ticket.verification.outcome.value if ticket.verification else "",
        _time(ticket.due_at),
        record.link if record else "",
        ticket.ticket_id,
    )


def _text(value: Decimal | int | None) -> str:
    return "" if value is None else format(value, "f") if isinstance(value, Decimal) else str(value)


def _time(value: datetime | None) -> str:
    return "" if value is None else value.isoformat()
