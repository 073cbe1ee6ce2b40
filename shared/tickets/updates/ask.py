"""Asking for an update: the pure rules, for people and for policies alike."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from shared.connections.model import Connection
from shared.errors import FixRequest
from shared.tickets.attempts import is_leased
from shared.tickets.model import EventKind, Phase, Ticket
from shared.tickets.ports import UpdateChange
from shared.tickets.timeline import with_event
from shared.tickets.updates.model import MOST_PRESENT, Update, UpdateKind, UpdateStatus, new_update_id
from shared.tickets.updates.progress import STATE_CHANGES, waiting_again

_UPDATE_EVENTS: Final = frozenset(
    {
        EventKind.UPDATE_ASKED,
        EventKind.UPDATE_SENT,
        EventKind.UPDATE_REFUSED,
        EventKind.UPDATE_UNCERTAIN,
        EventKind.UPDATE_DISCARDED,
    }
)
_WHOLE_TIMELINE: Final = 25
"""A timeline with no more events than this has lost none of them, unless updates made it long."""
_DONE: Final = frozenset({Phase.RESOLVED, Phase.CLOSED, Phase.CANCELED})


def asked(
    ticket: Ticket,
    kind: UpdateKind,
    *,
    by_id: str,
    now: datetime,
    by_name: str | None = None,
    text: str = "",
    due_at: datetime | None = None,
    present: Iterable[Update] = (),
    update_id: str | None = None,
) -> tuple[Ticket, UpdateChange]:
    """Return the ticket with the event of the request, and the new update; both are stored in one transaction.

    Args:
        ticket: The ticket.
        kind: What is wanted.
        by_id: The caller's object id, or ``policy:<name>``.
        now: The present time.
        by_name: The person's name; None for a policy.
        text: The note or comment, or the notes of a state change.
        due_at: The wanted due date of a ``DUE_DATE`` update; None removes it.
        present: The updates that the ticket already has, for the limits; refused ones count, too.
        update_id: The id that the update gets; None for a new one.

    Raises:
        FixRequest: 409 ``ticket_not_delivered``, ``too_many_updates`` or ``state_change_waiting``.
    """
    if ticket.record is None:
        raise FixRequest("ticket_not_delivered", status=409)
    present = tuple(present)
    if len(present) >= MOST_PRESENT:
        raise FixRequest("too_many_updates", status=409, limit=MOST_PRESENT)
    waiting = (each for each in present if each.status is UpdateStatus.WAITING)
    if kind in STATE_CHANGES and any(each.kind in STATE_CHANGES for each in waiting):
        raise FixRequest("state_change_waiting", status=409)
    update = Update(
        connection_id=ticket.connection_id,
        ticket_id=ticket.ticket_id,
        update_id=update_id or new_update_id(now),
        kind=kind,
        asked_by_id=by_id,
        asked_at=now,
        asked_by_name=by_name,
        text=text,
        due_at=due_at,
    )
    after = with_update_event(
        ticket,
        EventKind.UPDATE_ASKED,
        update,
        now,
        by_id=by_id,
        by_name=by_name,
        due_at=None if due_at is None else due_at.isoformat(),
        text_sha256=hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() if text else None,
    )
    return after, UpdateChange(None, update)


def may_have_updates(ticket: Ticket) -> bool:
    """Whether an update of the ticket may be waiting or refused: its timeline says so when one is asked for."""
    is_cut = len(ticket.timeline) > _WHOLE_TIMELINE
    return is_cut or any(event.kind in _UPDATE_EVENTS for event in ticket.timeline)


def raise_unless_possible(ticket: Ticket, connection: Connection, kind: UpdateKind) -> None:
    """Check whether a person may ask for an update of this kind.

    Raises:
        FixRequest: 409 ``ticket_dormant`` (the connection was removed), ``ticket_other_instance``,
            ``ticket_not_delivered``, ``record_gone``, or ``record_already_closed`` (there is nothing left to resolve or
            cancel).
    """
    if connection.is_removed:
        raise FixRequest("ticket_dormant", status=409)
    if not ticket.is_of(connection):
        raise FixRequest("ticket_other_instance", status=409)
    if ticket.record is None:
        raise FixRequest("ticket_not_delivered", status=409)
    if ticket.phase is Phase.DELETED:
        raise FixRequest("record_gone", status=409)
    if kind in {UpdateKind.RESOLVE, UpdateKind.CANCEL} and ticket.phase in _DONE:
        raise FixRequest("record_already_closed", status=409)


def asked_again(update: Update, now: datetime) -> Update:
    """Return a refused or waiting update as it is sent again. Raises FixRequest (409 ``update_under_way``)."""
    _raise_if_under_way(update, now)
    return waiting_again(update)


def discarded(
    ticket: Ticket, update: Update, now: datetime, *, by_id: str, by_name: str
) -> tuple[Ticket, UpdateChange]:
    """Return the ticket with the event, and the deletion of an update that a person no longer wants.

    Raises:
        FixRequest: 409 ``update_under_way``: it is being sent, or may have been written.
    """
    _raise_if_under_way(update, now)
    if update.attempt_started_at is not None:
        raise FixRequest("update_under_way", status=409)
    after = with_update_event(ticket, EventKind.UPDATE_DISCARDED, update, now, by_id=by_id, by_name=by_name)
    return after, UpdateChange(update, None)


def with_update_event(ticket: Ticket, kind: EventKind, update: Update, now: datetime, **details: str | None) -> Ticket:
    """Return the ticket with an event about an update."""
    return with_event(ticket, kind, now, update_id=update.update_id, update_kind=str(update.kind), **details)


def _raise_if_under_way(update: Update, now: datetime) -> None:
    if is_leased(update, now):
        raise FixRequest("update_under_way", status=409)
