"""What the evidence keeps of a ticket: each event of its timeline, and at its creation what was asked for by whom."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from shared.evidence.model import EvidenceBatch, EvidenceEvent
from shared.tickets.model import EventKind, Ticket, TicketContent


def batch_of(changes: Iterable[tuple[Ticket | None, Ticket]]) -> EvidenceBatch | None:
    """Return the events that these writes of tickets add, as one batch; None if they add none.

    Args:
        changes: Each ticket before (None for a new one) and after the write.
    """
    events = tuple(event for before, after in changes for event in events_between(before, after))
    if not events:
        return None
    at = max(event.at for event in events)
    return EvidenceBatch(f"{_milliseconds(at):012x}{secrets.token_hex(10)}", at, events)


def events_between(before: Ticket | None, after: Ticket) -> Iterable[EvidenceEvent]:
    """Return what happened to a ticket between two versions of it; all of its events if there was none before."""
    known = () if before is None else before.timeline
    references = after.content.references
    tenants = {reference.tenant_id for reference in references}
    for event in after.timeline:
        if event in known:
            continue
        details = dict(event.details)
        if event.kind is EventKind.CREATED:
            details |= _asked_for(after.content)
        yield EvidenceEvent(
            kind=event.kind.value,
            at=event.at,
            connection_id=after.connection_id,
            ticket_id=after.ticket_id,
            tenant_id=next(iter(tenants)) if len(tenants) == 1 else None,
            keys=tuple(reference.key for reference in references),
            details=details,
        )


def text_hash(content: TicketContent) -> str:
    """Return the SHA-256 of the name and description that were sent, with a line break between them, in hexadecimal."""
    return hashlib.sha256(f"{content.name}\n{content.description}".encode("utf-8", "surrogatepass")).hexdigest()


def _asked_for(content: TicketContent) -> Mapping[str, str]:
    due_at = content.due_at
    return {
        "requester_id": content.requester.id,
        "requester_name": content.requester.name,
        "name": content.name,
        "text_sha256": text_hash(content),
        "kind": content.kind.value,
        "priority": content.priority.value,
        **({} if due_at is None else {"due_at": due_at.isoformat()}),
    }


def _milliseconds(at: datetime) -> int:
    return int((at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)
