"""What the evidence keeps of a ticket: each event of its timeline, and what was asked for by whom.

Beside the timeline it keeps what only the ticket's row says: the points of each recommendation before the ticket, and
outcomes that follow from the ticket itself, such as waiting for a measurement.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from shared.evidence.model import EvidenceBatch, EvidenceEvent
from shared.tickets.model import EventKind, RecommendationReference, Ticket, TicketContent, TimelineEvent
from shared.tickets.outcomes import RecommendationOutcome


def batch_of(events: Sequence[EvidenceEvent]) -> EvidenceBatch:
    """Return events, of which there is at least one, as a new batch."""
    at = max(event.at for event in events)
    return EvidenceBatch(f"{_milliseconds(at):012x}{secrets.token_hex(10)}", at, tuple(events))


def events_between(before: Ticket | None, after: Ticket) -> Iterator[EvidenceEvent]:
    """Return what happened to a ticket between two versions of it; all of its events if there was none before."""
    known = () if before is None else before.timeline
    new = [event for event in after.timeline if event not in known]
    for event in new:
        match event.kind:
            case EventKind.CREATED:
                yield _event(after, event, _asked_for(after.content))
                for reference in after.content.references:
                    yield _link(after, TimelineEvent(EventKind.RECOMMENDATION_LINKED, event.at), reference)
            case EventKind.RECOMMENDATION_LINKED | EventKind.RECOMMENDATION_UNLINKED if before is not None:
                for reference in set(before.content.references) ^ set(after.content.references):
                    yield _link(after, event, reference)
            case EventKind.DELIVERED | EventKind.FOUND_AGAIN | EventKind.DELETED if after.phase is not None:
                yield _event(after, event, {"phase": after.phase.value})
            case _:
                yield _event(after, event)
    if before is not None:
        yield from _other_outcomes(before, after, new)


def text_hash(content: TicketContent) -> str:
    """Return the SHA-256 of name and description as asked for, with a line feed between them, in hexadecimal."""
    return hashlib.sha256(f"{content.name}\n{content.description}".encode("utf-8", "surrogatepass")).hexdigest()


def _event(ticket: Ticket, event: TimelineEvent, more: Mapping[str, str] | None = None) -> EvidenceEvent:
    references = ticket.content.references
    tenants = {reference.tenant_id for reference in references}
    # An event that names its recommendation is about no other.
    key = event.details.get("key")
    return EvidenceEvent(
        kind=event.kind.value,
        at=event.at,
        connection_id=ticket.connection_id,
        ticket_id=ticket.ticket_id,
        tenant_id=next(iter(tenants)) if len(tenants) == 1 else None,
        keys=tuple(reference.key for reference in references) if key is None else (key,),
        details={**event.details, **(more or {})},
    )


def _link(ticket: Ticket, event: TimelineEvent, reference: RecommendationReference) -> EvidenceEvent:
    """Return the event of one recommendation, with its points before the ticket."""
    outcome = _outcomes(ticket).get((reference.tenant_id, reference.key))
    before = None if outcome is None else outcome.before
    measured = (
        {}
        if before is None
        else {
            "points": None if before.points is None else format(before.points, "f"),
            "max_points": None if before.max_points is None else format(before.max_points, "f"),
            "measured_at": None if before.measured_at is None else before.measured_at.isoformat(),
        }
    )
    details = {"source": reference.source, "source_id": reference.source_id, **measured}
    return _of_one(ticket, event.kind, event.at, reference.tenant_id, reference.key, details)


def _other_outcomes(before: Ticket, after: Ticket, new: Iterable[TimelineEvent]) -> Iterator[EvidenceEvent]:
    """Return the outcomes that changed without an event in the timeline, because the ticket was closed or reopened."""
    told = {
        (event.details.get("tenant_id"), event.details.get("key")) for event in new if event.kind is EventKind.OUTCOME
    }
    earlier = _outcomes(before)
    for place, item in _outcomes(after).items():
        known = earlier.get(place)
        if known is None or place in told or item.decided_at is None:
            continue
        if (known.outcome, known.reason) != (item.outcome, item.reason):
            reason = None if item.reason is None else item.reason.value
            details = {"outcome": item.outcome.value, "reason": reason}
            yield _of_one(after, EventKind.OUTCOME, item.decided_at, item.tenant_id, item.key, details)


def _outcomes(ticket: Ticket) -> Mapping[tuple[str, str], RecommendationOutcome]:
    items = () if ticket.verification is None else ticket.verification.items
    return {(item.tenant_id, item.key): item for item in items}


def _of_one(
    ticket: Ticket, kind: EventKind, at: datetime, tenant_id: str, key: str, details: Mapping[str, str | None]
) -> EvidenceEvent:
    """Return an event of one of a ticket's recommendations, without the details that are None."""
    return EvidenceEvent(
        kind=kind.value,
        at=at,
        connection_id=ticket.connection_id,
        ticket_id=ticket.ticket_id,
        tenant_id=tenant_id,
        keys=(key,),
        details={name: value for name, value in details.items() if value is not None},
    )


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
