"""What a ServiceNow record means for a ticket: pure rules. Only they change a ticket's ServiceNow side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from shared.tickets.model import (
    OPEN_PHASES,
    USUAL_LANGUAGE,
    Delivery,
    DeliveryProgress,
    EventKind,
    Phase,
    Record,
    Ticket,
)
from shared.tickets.outcomes import Verification, closed, reopened
from shared.tickets.record_texts import lost_characters, record_texts
from shared.tickets.timeline import with_event


def delivered(ticket: Ticket, record: Record, now: datetime, *, found: bool = False) -> Ticket:
    """Return the ticket once its record is known to be in ServiceNow.

    Args:
        found: An earlier attempt, whose answer never came, wrote the record.
    """
    after = replace(
        ticket,
        record=replace(record, correlation_id=ticket.correlation_id, texts=None),
        phase=record.phase,
        delivery=DeliveryProgress(status=Delivery.DELIVERED, attempts=ticket.delivery.attempts, delivered_at=now),
        is_unlinked=_is_unlinked(ticket, record),
        verification=_verification_in(ticket.verification, record.phase, now),
    )
    after = with_event(after, EventKind.DELIVERED, now, number=record.number, found="true" if found else None)
    if lost := _lost(ticket, record, found=found):
        after = with_event(after, EventKind.SHORTENED, now, **lost)
    if record.due_at != ticket.content.due_at:
        after = _due_date_changed(after, record, now)
    return with_event(after, EventKind.UNLINKED, now) if after.is_unlinked else after


def _is_unlinked(ticket: Ticket, record: Record) -> bool:
    """Whether the query for our records may miss this one: on some instances the comparison is case-sensitive."""
    return record.correlation_id != ticket.correlation_id


def is_outdated(ticket: Ticket, record: Record) -> bool:
    """Whether this state of the ticket's record is older than the one we know.

    It is older when its ``sys_mod_count`` is smaller, unless its ``sys_updated_on`` is newer: a record restored from a
    backup has a smaller count, and the next change makes it newer.
    """
    known = ticket.record
    return (
        known is not None
        and record.sys_id == known.sys_id
        and ticket.phase is not Phase.DELETED
        and record.mod_count < known.mod_count
        and record.updated_at_text <= known.updated_at_text
    )


def own_first(ticket: Ticket, records: Iterable[Record]) -> list[Record]:
    """Return these records, the one whose ``sys_id`` is the ticket's own id first."""
    return sorted(records, key=lambda record: record.sys_id != ticket.ticket_id)


def with_record(ticket: Ticket, record: Record, now: datetime) -> Ticket:
    """Return the ticket after ServiceNow showed this state of its record.

    A ticket without a record counts as delivered. A second record with the same correlation id changes nothing.
    """
    known = ticket.record
    if known is None:
        return delivered(ticket, record, now, found=True)
    if record.sys_id != known.sys_id:
        return ticket
    record = record.in_table(known.table)
    unlinked = _is_unlinked(ticket, record)
    record = replace(record, correlation_id=ticket.correlation_id)
    phase = record.phase
    verification = _verification_in(ticket.verification, phase, now)
    if (record, phase, unlinked) == (known, ticket.phase, ticket.is_unlinked) and verification is ticket.verification:
        return ticket
    after = replace(ticket, record=record, phase=phase, is_unlinked=unlinked, verification=verification)
    if unlinked and not ticket.is_unlinked:
        after = with_event(after, EventKind.UNLINKED, now)
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
        after = _due_date_changed(after, record, now)
    if record.table != known.table:
        after = with_event(after, EventKind.MOVED, now, **{"from": known.table, "to": record.table})
    return after


def _verification_in(verification: Verification | None, phase: Phase, now: datetime) -> Verification | None:
    """Return the verification of a ticket whose record is in this phase: the same object if that is no news.

    A release that knows no verification may have stored the phase, so the phase before says nothing.
    """
    if verification is None or phase is Phase.DELETED:
        return verification
    if phase in OPEN_PHASES:
        return verification if verification.closing is None else reopened(verification, now)
    claims_fix = phase is not Phase.CANCELED
    if verification.closing is not None and verification.closing.claims_fix <= claims_fix:
        return verification
    return closed(verification, now, claims_fix=claims_fix)


def deleted(ticket: Ticket, now: datetime) -> Ticket:
    """Return the ticket once its record can no longer be found in ServiceNow."""
    if ticket.phase is Phase.DELETED:
        return ticket
    return with_event(replace(ticket, phase=Phase.DELETED), EventKind.DELETED, now)


def is_known_to_be_gone(ticket: Ticket) -> bool:
    """Whether the ticket already says that its record can no longer be found."""
    if ticket.phase is Phase.DELETED:
        return True
    return not ticket.is_open and any(event.kind is EventKind.ARCHIVED for event in ticket.timeline)


def archived(ticket: Ticket, now: datetime) -> Ticket:
    """Return a closed ticket once its record can no longer be found: unchanged, except for one event."""
    return ticket if is_known_to_be_gone(ticket) else with_event(ticket, EventKind.ARCHIVED, now)


def adopted(ticket: Ticket, copy: Record, now: datetime) -> Ticket:
    """Return the ticket once its record is gone and this copy, with the same correlation id, takes its place."""
    assert ticket.record is not None, "only a record can have a copy"
    moved = replace(ticket, record=replace(ticket.record, sys_id=copy.sys_id, number=copy.number))
    return with_record(with_event(moved, EventKind.ADOPTED, now, sys_id=copy.sys_id, number=copy.number), copy, now)


def doubled(ticket: Ticket, other: Record, now: datetime) -> Ticket:
    """Return the ticket once another record with its correlation id was found; each is recorded once."""
    if any(
        event.kind is EventKind.DOUBLED and event.details.get("sys_id") == other.sys_id for event in ticket.timeline
    ):
        return ticket
    return with_event(ticket, EventKind.DOUBLED, now, sys_id=other.sys_id, number=other.number)


def _due_date_changed(ticket: Ticket, record: Record, now: datetime) -> Ticket:
    to = record.due_at.isoformat() if record.due_at is not None else None
    return with_event(ticket, EventKind.DUE_DATE_CHANGED, now, to=to)


def _lost(ticket: Ticket, record: Record, *, found: bool) -> dict[str, str]:
    """Return how many characters of each text ServiceNow lost.

    An earlier attempt may have sent the requester's address, which this one leaves out. Release 0.1 writes every record
    in English.
    """
    if record.texts is None:
        return {}
    sent = [ticket.content]
    if found and not ticket.content.shares_requester:
        sent.append(replace(ticket.content, shares_requester=True))
    if found and ticket.content.language != USUAL_LANGUAGE:
        sent += [replace(each, language=USUAL_LANGUAGE) for each in sent]
    by_content = [
        {field: lost_characters(text, record.texts.get(field, "")) for field, text in record_texts(content).items()}
        for content in sent
    ]
    lost = min(by_content, key=lambda each: sum(each.values()))
    return {field: str(count) for field, count in lost.items() if count}
