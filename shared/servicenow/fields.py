"""A ticket in ServiceNow's field names (ServiceNow §5.1)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from shared.connections.model import KindSettings
from shared.servicenow.kinds import RECORD_KINDS
from shared.tickets.model import CORRELATION_DISPLAY, EARLIEST, Ticket
from shared.tickets.record_texts import record_texts

_TIME_TEXT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")


def record_fields(ticket: Ticket, kind_settings: KindSettings, requester_sys_id: str | None) -> dict[str, str]:
    """Return the fields to insert for a ticket, as raw values.

    The ticket id is proposed as ``sys_id``: ServiceNow's only idempotency key (ServiceNow §2.5).
    """
    content = ticket.content
    record_kind = RECORD_KINDS[content.kind]
    fields = {
        "sys_id": ticket.ticket_id,
        "correlation_id": ticket.correlation_id,
        "correlation_display": CORRELATION_DISPLAY,
        **record_texts(content),
        **record_kind.urgency[content.priority],
    }
    if content.due_at is not None:
        fields["due_date"] = date_time_text(content.due_at)
    if caller := requester_sys_id or kind_settings.default_caller:
        fields[record_kind.requester_field] = caller
    if group := content.assignment_group or kind_settings.assignment_group:
        fields["assignment_group"] = group
    if content.assigned_to:
        fields["assigned_to"] = content.assigned_to
    if content.configuration_item:
        fields["cmdb_ci"] = content.configuration_item
    if kind_settings.category:
        fields["category"] = kind_settings.category
    if content.company:
        fields["company"] = content.company
    return fields | {each.column: each.value for each in kind_settings.fixed_fields if each.column not in fields}


def date_time_text(at: datetime) -> str:
    """Return an aware time as ServiceNow writes raw date-times: ``YYYY-MM-DD HH:MM:SS`` in UTC (ServiceNow §2.4)."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="seconds")


def time_text_of(text: str) -> str:
    """Return a raw date-time unchanged; an empty text if ServiceNow's clock cannot show it."""
    return text if _TIME_TEXT.fullmatch(text) and date_time_of(text) is not None else ""


def date_time_of(text: str) -> datetime | None:
    """Read a raw date-time (UTC); None if it is empty, not a date-time, or one that Table Storage cannot hold."""
    try:
        moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return None
    return moment if moment >= EARLIEST else None
