"""How a ticket is kept in a row of the table ``tickets``.

Searchable values have their own columns; texts and lists that are only read with the ticket are JSON.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from heapq import merge
from typing import Any, Final

from shared.connections.model import Portal, TicketKind
from shared.errors import Failure
from shared.evidence.model import EvidenceBatch
from shared.storage.failures import details_with_words, details_without_words, english, failure_of, values_text
from shared.storage.members import Members, members_of, members_row, members_text
from shared.storage.rows import Columns, json_object, open_value, plain_time
from shared.tickets.identity import creation_time_of
from shared.tickets.kinds import table_of
from shared.tickets.model import (
    CORRELATION_PREFIX,
    EARLIEST,
    USUAL_LANGUAGE,
    Delivery,
    DeliveryProgress,
    EventKind,
    Phase,
    Priority,
    Recommendation,
    RecommendationCategory,
    RecommendationReference,
    RecommendedBy,
    Record,
    Requester,
    Ticket,
    TicketContent,
    TimelineEvent,
)
from shared.tickets.outcomes import Verification
from shared.tickets.ports import WatchedTicket
from shared.tickets.summary import Summary, SummaryChange
from shared.tickets.updates.model import Update
from shared.tickets.warnings import recommendation_keys

type Row = dict[str, Any]

PENDING_PREFIX: Final = "pending:"
NUMBER_PREFIX: Final = "number:"
UNLINKED_PREFIX: Final = "unlinked:"
RECOMMENDATION_PREFIX: Final = "recommendation:"
OUTCOME_PREFIX: Final = "outcome:"
SUMMARY_KEY: Final = "summary"
UNREAD_PREFIX: Final = "unread:"
UNRECORDED_PREFIX: Final = "unrecorded:"
UPDATE_PREFIX: Final = "update:"
VERIFICATION_PREFIX: Final = "verification:"
TICKET_KEYS_END: Final = "g"
"""Ticket ids are hexadecimal; every other row key of a partition sorts after this."""

CHANGING_COLUMNS: Final = (
    "PartitionKey",
    "RowKey",
    "Timestamp",  # Where the SDK takes the etag from if the service sends none.
    "instance",
    "kind",
    "delivery",
    "phase",
    "unlinked",
    "due_at",
    "timeline",
    "later_events",
    "references",
    "verification",
    "outcome",
    "sys_id",
    "sn_table",
    "number",
    "state",
    "active",
    "updated_at_text",
    "mod_count",
    "state_label",
    "sn_priority",
    "assigned_to",
    "assignment_group",
    "counted",
    "revision",
)
"""What can still change in the row of a delivered ticket, and what decides how it changes."""

TIMELINE_MAX_LENGTH: Final = 30_000
"""A text property holds 32,768 characters."""
CHUNK_BYTES: Final = 60_000
"""A binary property holds 65,536 bytes."""

_to_json: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_VERIFICATION: Final = Members(Verification)
_UPDATE: Final = Members(Update, apart=["connection_id", "ticket_id", "update_id"])
_BATCH: Final = Members(EvidenceBatch, apart=["batch_id"])

_EVENTS_OF_RELEASE_0_1: Final = frozenset(
    {
        EventKind.CREATED,
        EventKind.DELIVERED,
        EventKind.DELIVERY_POSTPONED,
        EventKind.DELIVERY_FAILED,
        EventKind.RETRIED,
        EventKind.STATE_CHANGED,
        EventKind.DUE_DATE_CHANGED,
        EventKind.MOVED,
        EventKind.DELETED,
        EventKind.FOUND_AGAIN,
        EventKind.DOUBLED,
    }
)
"""Release 0.1 cannot read a timeline that holds any other event, so the others have their own column. Once no supported
upgrade begins at 0.1, ``timeline`` can hold them all."""


def pending_key(ticket_id: str) -> str:
    """Return the row key in the outbox: oldest ticket first, the reverse of ticket ids."""
    return f"{PENDING_PREFIX}{0xFFFF_FFFF_FFFF - int(ticket_id[:12], 16):012x}{ticket_id[12:]}"


def ticket_id_of_pending_key(row_key: str) -> str:
    """Return the ticket id of an outbox row key."""
    key = row_key.removeprefix(PENDING_PREFIX)
    return f"{0xFFFF_FFFF_FFFF - int(key[:12], 16):012x}{key[12:]}"


def recommendation_prefixes(ticket: Ticket) -> Sequence[str]:
    """Return the prefix of the row keys for tickets of the same recommendation, newest first."""
    return [f"{RECOMMENDATION_PREFIX}{key}:" for key in recommendation_keys(ticket.content)]


def ticket_row(ticket: Ticket) -> Row:
    """Return the row of a ticket without values that are None, so a replaced row loses them.

    It also contains what another release wrote and this one does not know.
    """
    content, progress, record = ticket.content, ticket.delivery, ticket.record
    known = [event for event in ticket.timeline if event.kind in _EVENTS_OF_RELEASE_0_1]
    later = [event for event in ticket.timeline if event.kind not in _EVENTS_OF_RELEASE_0_1]
    row: Row = {
        **ticket.kept,
        "PartitionKey": ticket.connection_id,
        "RowKey": ticket.ticket_id,
        "instance": ticket.instance,
        "created_at": ticket.created_at,
        "kind": content.kind.value,
        "portal": content.portal.value,
        "name": content.name,
        "description": content.description,
        "priority": content.priority.value,
        "wanted_due_at": content.due_at,
        "source": content.recommendation.source.value,
        "category": content.recommendation.category.value,
        "recommendation_id": content.recommendation.id,
        "link": content.recommendation.link,
        "requester_id": content.requester.id,
        "requester_name": content.requester.name,
        "requester_email": content.requester.email,
        "references": _references_text(content.references) if content.references else None,
        "company": content.company,
        "chosen_group": content.assignment_group,
        "chosen_assignee": content.assigned_to,
        "chosen_item": content.configuration_item,
        "shares_requester": None if content.shares_requester else False,
        "language": None if content.language == USUAL_LANGUAGE else content.language,
        "delivery": progress.status.value,
        "attempts": progress.attempts,
        "attempt_started_at": progress.attempt_started_at,
        "next_attempt_at": progress.next_attempt_at,
        "leased_until_at": progress.leased_until_at,
        "refused_since_at": progress.refused_since_at,
        "delivered_at": progress.delivered_at,
        **({} if progress.failure is None else _failure_columns(progress.failure)),
        "error_status": progress.error_status,
        "phase": ticket.phase.value if ticket.phase else None,
        "open": ticket.is_open,
        "unlinked": ticket.is_unlinked or None,
        **({} if ticket.verification is None else _verification_columns(ticket.verification)),
        "due_at": ticket.due_at,
        "counted": " ".join(ticket.counted) or None,
        "revision": ticket.revision or None,
        "timeline": _timeline_text(known),
        "later_events": _timeline_text(later) if later else None,
    }
    if record is not None:
        row |= {
            "sys_id": record.sys_id,
            "sn_table": record.table,
            "number": record.number,
            "state": record.state,
            "active": record.active,
            "updated_at_text": record.updated_at_text,
            "mod_count": record.mod_count,
            "state_label": record.state_label,
            "sn_priority": record.priority,
            "assigned_to": record.assigned_to,
            "assignment_group": record.assignment_group,
        }
    return {name: value for name, value in row.items() if value is not None}


def ticket_of(row: Mapping[str, Any], etag: str | None, *, is_whole: bool = True) -> Ticket:
    """Return the ticket in a row; raises what :meth:`shared.storage.rows.RowReader.read` expects.

    Args:
        is_whole: Whether the row has all columns, and not only :data:`CHANGING_COLUMNS`.
    """
    columns = Columns(row)
    get, time = columns.get, columns.time
    ticket_id = columns["RowKey"]
    kind = open_value(TicketKind, columns["kind"])
    stored_phase = get("phase")
    phase = None if stored_phase is None else open_value(Phase, stored_phase)
    record = _record(columns, kind, phase)
    content = TicketContent(
        kind=kind,
        portal=open_value(Portal, get("portal", Portal.SECURITY)),
        name=get("name", ""),
        description=get("description", ""),
        priority=open_value(Priority, get("priority", Priority.MODERATE)),
        due_at=time("wanted_due_at"),
        recommendation=Recommendation(
            source=open_value(RecommendedBy, get("source", RecommendedBy.USER)),
            category=open_value(RecommendationCategory, get("category", "")),
            id=get("recommendation_id"),
            link=get("link"),
        ),
        requester=Requester(id=get("requester_id", ""), name=get("requester_name", ""), email=get("requester_email")),
        references=_references_of(get("references")),
        company=get("company"),
        assignment_group=get("chosen_group"),
        assigned_to=get("chosen_assignee"),
        configuration_item=get("chosen_item"),
        shares_requester=get("shares_requester", True),
        language=get("language", USUAL_LANGUAGE),
    )
    delivery = DeliveryProgress(
        status=open_value(Delivery, get("delivery", Delivery.PENDING if record is None else Delivery.DELIVERED)),
        attempts=get("attempts", 0),
        attempt_started_at=time("attempt_started_at"),
        next_attempt_at=time("next_attempt_at"),
        leased_until_at=time("leased_until_at"),
        refused_since_at=time("refused_since_at"),
        delivered_at=time("delivered_at"),
        failure=failure_of(get("error_code"), get("error_values"), get("error_message"), get("next_step")),
        error_status=get("error_status"),
    )
    get("open")  # Only for searches: phase says the same.
    get("outcome")  # Only for searches: the verification says the same.
    verification = get("verification")
    return Ticket(
        ticket_id=ticket_id,
        connection_id=columns["PartitionKey"],
        instance=columns["instance"],
        created_at=time("created_at") or creation_time_of(ticket_id),
        content=content,
        delivery=delivery,
        record=record,
        phase=phase,
        timeline=tuple(
            merge(_timeline_of(get("timeline")), _timeline_of(get("later_events")), key=lambda event: event.at)
        ),
        is_unlinked=get("unlinked", False),
        verification=None if verification is None else _VERIFICATION.read(json_object(verification)),
        counted=tuple(get("counted", "").split()),
        kept=columns.unknown,
        is_whole=is_whole,
        revision=get("revision", 0),
        etag=etag,
    )


def _record(columns: Columns, kind: TicketKind, phase: Phase | None) -> Record | None:
    get = columns.get
    sys_id = get("sys_id")
    record = Record(
        sys_id=sys_id or "",
        table=get("sn_table") or table_of(kind),
        number=get("number", ""),
        state=get("state", ""),
        active=get("active", True),
        updated_at_text=get("updated_at_text", ""),
        mod_count=get("mod_count", 0),
        state_label=get("state_label"),
        priority=get("sn_priority"),
        assigned_to=get("assigned_to"),
        assignment_group=get("assignment_group"),
        due_at=columns.time("due_at"),
        correlation_id=f"{CORRELATION_PREFIX}{columns['RowKey']}",
        phase=phase or Phase.UNMAPPED,
    )
    return None if sys_id is None else record


def _verification_columns(verification: Verification) -> Row:
    return {
        "verification": members_text(_VERIFICATION.written(verification)),
        "outcome": verification.outcome.value,
    }


def watched_prefix(tenant_id: str) -> str:
    """Return the prefix of the row keys of watched tickets for a tenant's recommendations, newest first."""
    return f"{VERIFICATION_PREFIX}{tenant_id}:"


def watched_row(ticket: Ticket, tenant_id: str) -> Row:
    """Return the index row of a watched ticket: a copy of its verification."""
    assert ticket.verification is not None, "only a ticket for stored recommendations is watched"
    key = f"{watched_prefix(tenant_id)}{ticket.ticket_id}"
    return members_row(ticket.connection_id, key, _VERIFICATION.written(ticket.verification))


def watched_of(row: Mapping[str, Any]) -> WatchedTicket:
    """Return what an index row says; raises what :meth:`shared.storage.rows.RowReader.read` expects."""
    ticket_id = row["RowKey"].rpartition(":")[2]
    return WatchedTicket(row["PartitionKey"], ticket_id, _VERIFICATION.read(members_of(row)))


def update_key(ticket_id: str, update_id: str) -> str:
    """Return the row key of an update: those of one ticket are beside each other, oldest first."""
    return f"{UPDATE_PREFIX}{ticket_id}:{update_id}"


def update_row(update: Update) -> Row:
    """Return the row of an update, with the members that only another release knows."""
    return members_row(update.connection_id, update_key(update.ticket_id, update.update_id), _UPDATE.written(update))


def update_of(row: Any) -> Update:
    """Return the update in a row; raises what :meth:`shared.storage.rows.RowReader.read` expects."""
    _, ticket_id, update_id = row["RowKey"].split(":")
    return _UPDATE.read(
        members_of(row),
        connection_id=row["PartitionKey"],
        ticket_id=ticket_id,
        update_id=update_id,
        etag=str(row.metadata["etag"]),
    )


def unrecorded_row(connection_id: str, batch: EvidenceBatch) -> Row:
    """Return the row of events that the evidence may not have yet."""
    return members_row(connection_id, f"{UNRECORDED_PREFIX}{batch.batch_id}", _BATCH.written(batch))


def unrecorded_of(row: Mapping[str, Any]) -> EvidenceBatch:
    """Return the events in a row; raises what :meth:`shared.storage.rows.RowReader.read` expects."""
    return _BATCH.read(members_of(row), batch_id=row["RowKey"].removeprefix(UNRECORDED_PREFIX))


def summary_row(connection_id: str, summary: Summary, *, beside: Mapping[str, Any] | None = None) -> Row:
    """Return the row of a folded summary; the due dates are packed into as many properties as they need.

    Args:
        beside: The previous row; what another release wrote there is kept.
    """
    packed = zlib.compress(json.dumps([[*cell, count] for cell, count in summary.due.items()]).encode())
    chunks = [packed[start : start + CHUNK_BYTES] for start in range(0, len(packed), CHUNK_BYTES)]
    return {
        **({} if beside is None else _unknown_beside_summary(beside)),
        "PartitionKey": connection_id,
        "RowKey": SUMMARY_KEY,
        "cells": _cells_text(summary.cells),
        "folded_until": summary.folded_until,
        "due_chunks": len(chunks),
        **{f"due_{index}": chunk for index, chunk in enumerate(chunks)},
    }


def lists_checked_at(summary: Mapping[str, Any] | None) -> datetime | None:
    """Return when all tickets were last compared with the lists, as the summary's row says.

    Release 0.1 writes the row without it, so the tickets that it has changed are compared again.
    """
    value = None if summary is None else summary.get("lists_checked_at")
    return plain_time(value) if isinstance(value, datetime) else None


def were_lists_checked(summary: Mapping[str, Any] | None) -> bool:
    """Whether the lists are known to lack no ticket."""
    checked_at = lists_checked_at(summary)
    return checked_at is not None and checked_at > EARLIEST


def lists_place(summary: Mapping[str, Any]) -> str:
    """Return the ticket id up to which the present comparison with the lists has come; empty at its beginning."""
    return str(summary.get("lists_place") or "")


def checked_columns(place: str, checked_at: datetime | None = None) -> Row:
    """Return the columns of the summary's row that say how far the tickets are compared with the lists.

    Args:
        place: As :func:`lists_place`.
        checked_at: When all were compared, :data:`EARLIEST` if that no longer counts; None leaves it as it is.
    """
    return {"lists_place": place, "lists_checked_at": checked_at}


def summary_of(row: Mapping[str, Any]) -> Summary:
    """Return the summary in a row; raises what :meth:`shared.storage.rows.RowReader.read` expects."""
    return _read_summary(Columns(row))


def _read_summary(columns: Columns) -> Summary:
    packed = b"".join(columns[f"due_{index}"] for index in range(columns.get("due_chunks", 0)))
    due = json.loads(zlib.decompress(packed)) if packed else []
    return Summary(
        cells=_cells_of(columns["cells"]),
        due={(kind, minute): count for kind, minute, count in due},
        folded_until=columns.get("folded_until", ""),
    )


def _unknown_beside_summary(row: Mapping[str, Any]) -> Row:
    columns = Columns(row)
    _read_summary(columns)
    return columns.unknown


def summary_change_row(connection_id: str, change_id: str, change: SummaryChange) -> Row:
    """Return the row of a change that has not been folded yet."""
    return {
        "PartitionKey": connection_id,
        "RowKey": f"{SUMMARY_KEY}:{change_id}",
        "cells": _cells_text(change.cells),
        "due": _cells_text(change.due),
    }


def summary_change_of(row: Mapping[str, Any]) -> SummaryChange:
    """Return the change in a row; raises what :meth:`shared.storage.rows.RowReader.read` expects."""
    return _read_change(Columns(row))


def is_summary_change_known(row: Mapping[str, Any]) -> bool:
    """Whether this release knows everything that a change counts, so that folding it loses nothing."""
    columns = Columns(row)
    try:
        _read_change(columns)
    except (LookupError, TypeError, ValueError):
        return False
    return not columns.unknown


def _read_change(columns: Columns) -> SummaryChange:
    return SummaryChange(cells=_cells_of(columns["cells"]), due=_cells_of(columns.get("due", "[]")))


def _cells_text(cells: Mapping[tuple[str, str], int]) -> str:
    return json.dumps([[*cell, count] for cell, count in cells.items()], separators=(",", ":"))


def _cells_of(text: str) -> dict[tuple[str, str], int]:
    return {(kind, counted): count for kind, counted, count in json.loads(text)}


def _references_text(references: Sequence[RecommendationReference]) -> str:
    triples = [[each.tenant_id, each.source, each.source_id] for each in references]
    return json.dumps(triples, separators=(",", ":"))


def _references_of(text: str | None) -> tuple[RecommendationReference, ...]:
    return tuple(
        RecommendationReference(tenant_id, source, source_id)
        for tenant_id, source, source_id in json.loads(text or "[]")
    )


def _failure_columns(failure: Failure) -> Row:
    words = english(failure)
    return {
        "error_code": failure.code,
        "error_values": values_text(failure),
        "error_message": words.message,
        "next_step": words.next_step or None,
    }


def _timeline_text(timeline: Sequence[TimelineEvent]) -> str:
    events = [[event.kind.value, event.at.isoformat(), details_with_words(event)] for event in timeline]
    text = _to_json(events)
    # Few texts are long enough to be measured: a character takes at most two code units.
    while len(text) * 2 > TIMELINE_MAX_LENGTH and len(text.encode("utf-16-le")) // 2 > TIMELINE_MAX_LENGTH:
        del events[1]
        text = _to_json(events)
    return text


def _timeline_of(text: str | None) -> list[TimelineEvent]:
    return [
        TimelineEvent(
            open_value(EventKind, kind),
            datetime.fromisoformat(at),
            details_without_words({name: str(text) for name, text in details.items()}),
        )
        for kind, at, details in json.loads(text or "[]")
    ]
