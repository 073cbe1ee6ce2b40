"""What a ServiceNow record means for a ticket: pure rules, the only place where a ticket's ServiceNow side changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from shared.tickets.model import Delivery, DeliveryProgress, EventKind, Phase, Record, Ticket
from shared.tickets.phases import phase_of
from shared.tickets.timeline import with_event

CLASS_NOT_SHOWN: Final = "task"
"""The table that was asked, in place of the record's own where ``sys_class_name`` is hidden."""


def delivered(ticket: Ticket, record: Record, now: datetime, *, found: bool = False) -> Ticket:
    """Return the ticket after its record is known to stand in ServiceNow.

    Args:
        found: The record had been written by an earlier attempt whose answer never came.
    """
    after = replace(
        ticket,
        record=record,
        phase=phase_of(record.table, record.state, record.active),
        delivery=DeliveryProgress(status=Delivery.DELIVERED, attempts=ticket.delivery.attempts, delivered_at=now),
    )
    return with_event(after, EventKind.DELIVERED, now, number=record.number, found="true" if found else None)


def with_record(ticket: Ticket, record: Record, now: datetime) -> Ticket:
    """Return the ticket after ServiceNow showed this state of its record.

    A state older than the one known (by ``sys_mod_count``) and a second record that carries the same correlation id
    change nothing.
    """
    known = ticket.record
    if known is None:
        return delivered(ticket, record, now, found=True)
    if record.sys_id != known.sys_id:
        return ticket
    if record.mod_count < known.mod_count and ticket.phase is not Phase.DELETED:
        return ticket
    if record.table == CLASS_NOT_SHOWN:
        record = replace(record, table=known.table)
    phase = phase_of(record.table, record.state, record.active)
    if record == known and phase is ticket.phase:
        return ticket
    after = replace(ticket, record=record, phase=phase)
    if ticket.phase is Phase.DELETED:
        after = with_event(after, EventKind.FOUND_AGAIN, now, state=record.state, label=record.state_label)
    elif (record.state, phase) != (known.state, ticket.phase):
        after = with_event(
            after,
            EventKind.STATE_CHANGED,
            now,
            **{
                "from": known.state,
                "from_label": known.state_label,
                "to": record.state,
                "to_label": record.state_label,
                "phase": phase.value,
            },
        )
    if record.due_at != known.due_at:
        after = with_event(
            after,
            EventKind.DUE_DATE_CHANGED,
            now,
            to=record.due_at.isoformat() if record.due_at is not None else None,
        )
    if record.table != known.table:
        after = with_event(after, EventKind.MOVED, now, **{"from": known.table, "to": record.table})
    return after


def deleted(ticket: Ticket, now: datetime) -> Ticket:
    """Return the ticket after its record can no longer be found in ServiceNow."""
    if ticket.phase is Phase.DELETED:
        return ticket
    return with_event(replace(ticket, phase=Phase.DELETED), EventKind.DELETED, now)


def doubled(ticket: Ticket, other: Record, now: datetime) -> Ticket:
    """Return the ticket after another record with its correlation id was found; noted once for each record."""
    if any(
        event.kind is EventKind.DOUBLED and event.details.get("sys_id") == other.sys_id for event in ticket.timeline
    ):
        return ticket
    return with_event(ticket, EventKind.DOUBLED, now, sys_id=other.sys_id, number=other.number)
