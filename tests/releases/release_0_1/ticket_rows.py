"""How release 0.1 (commit fdf9399) wrote and read the rows of tickets. A frozen copy: never change it.

What is searched for stands in columns of its own; texts and lists that are only read with the ticket stand as JSON.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from tests.releases.release_0_1.connection_model import Portal, TicketKind
from tests.releases.release_0_1.summary import Summary, SummaryChange
from tests.releases.release_0_1.ticket_model import (
    Delivery,
    DeliveryProgress,
    EventKind,
    Phase,
    Priority,
    Recommendation,
    RecommendationCategory,
    RecommendationSource,
    Record,
    Requester,
    Ticket,
    TicketContent,
    TimelineEvent,
)
from tests.releases.release_0_1.times import plain_time, plain_time_or_none

type Row = dict[str, Any]

PENDING_PREFIX: Final = "pending:"
NUMBER_PREFIX: Final = "number:"
SUMMARY_KEY: Final = "summary"
TICKET_KEYS_END: Final = "g"
"""Ticket ids are hexadecimal; every other row key of a partition sorts behind this."""

TIMELINE_MAX_LENGTH: Final = 30_000
"""A text property holds 32,768 characters."""
CHUNK_BYTES: Final = 60_000
"""A binary property holds 65,536 bytes."""


def pending_key(ticket_id: str) -> str:
    """Return the row key in the outbox: oldest ticket first, the other way round than ticket ids."""
    return f"{PENDING_PREFIX}{0xFFFF_FFFF_FFFF - int(ticket_id[:12], 16):012x}{ticket_id[12:]}"


def ticket_id_of_pending_key(row_key: str) -> str:
    """Return the ticket id of an outbox row key."""
    key = row_key.removeprefix(PENDING_PREFIX)
    return f"{0xFFFF_FFFF_FFFF - int(key[:12], 16):012x}{key[12:]}"


def ticket_row(ticket: Ticket) -> Row:
    """Return the row of a ticket; values that are None are left out, so a replaced row loses them."""
    content, progress, record = ticket.content, ticket.delivery, ticket.record
    row: Row = {
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
        "recommendation_id": content.recommendation.recommendation_id,
        "link": content.recommendation.link,
        "requester_id": content.requester.object_id,
        "requester_name": content.requester.name,
        "requester_email": content.requester.email,
        "delivery": progress.status.value,
        "attempts": progress.attempts,
        "attempt_started_at": progress.attempt_started_at,
        "next_attempt_at": progress.next_attempt_at,
        "leased_until_at": progress.leased_until_at,
        "delivered_at": progress.delivered_at,
        "error_code": progress.error_code,
        "error_message": progress.error_message,
        "next_step": progress.next_step,
        "error_status": progress.error_status,
        "phase": ticket.phase.value if ticket.phase else None,
        "open": ticket.is_open,
        "due_at": ticket.due_at,
        "timeline": _timeline_text(ticket.timeline),
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


def ticket_of(row: Mapping[str, Any], etag: str | None) -> Ticket:
    """Return the ticket in a row."""
    get = row.get
    record = None
    if (sys_id := get("sys_id")) is not None:
        record = Record(
            sys_id=sys_id,
            table=row["sn_table"],
            number=row["number"],
            state=row["state"],
            active=row["active"],
            updated_at_text=row["updated_at_text"],
            mod_count=row["mod_count"],
            state_label=get("state_label"),
            priority=get("sn_priority"),
            assigned_to=get("assigned_to"),
            assignment_group=get("assignment_group"),
            due_at=plain_time_or_none(get("due_at")),
            correlation_id=f"m365:{row['RowKey']}",
        )
    return Ticket(
        ticket_id=row["RowKey"],
        connection_id=row["PartitionKey"],
        instance=row["instance"],
        created_at=plain_time(row["created_at"]),
        content=TicketContent(
            kind=TicketKind(row["kind"]),
            portal=Portal(row["portal"]),
            name=row["name"],
            description=row["description"],
            priority=Priority(row["priority"]),
            due_at=plain_time_or_none(get("wanted_due_at")),
            recommendation=Recommendation(
                source=RecommendationSource(row["source"]),
                category=RecommendationCategory(row["category"]),
                recommendation_id=get("recommendation_id"),
                link=get("link"),
            ),
            requester=Requester(
                object_id=row["requester_id"], name=row["requester_name"], email=get("requester_email")
            ),
        ),
        delivery=DeliveryProgress(
            status=Delivery(row["delivery"]),
            attempts=row["attempts"],
            attempt_started_at=plain_time_or_none(get("attempt_started_at")),
            next_attempt_at=plain_time_or_none(get("next_attempt_at")),
            leased_until_at=plain_time_or_none(get("leased_until_at")),
            delivered_at=plain_time_or_none(get("delivered_at")),
            error_code=get("error_code"),
            error_message=get("error_message"),
            next_step=get("next_step"),
            error_status=get("error_status"),
        ),
        record=record,
        phase=Phase(row["phase"]) if "phase" in row else None,
        timeline=_timeline_of(row["timeline"]),
        etag=etag,
    )


def summary_row(connection_id: str, summary: Summary) -> Row:
    """Return the row of a folded summary; the due dates are packed into as many properties as they need."""
    packed = zlib.compress(json.dumps([[*cell, count] for cell, count in summary.due.items()]).encode())
    chunks = [packed[start : start + CHUNK_BYTES] for start in range(0, len(packed), CHUNK_BYTES)]
    return {
        "PartitionKey": connection_id,
        "RowKey": SUMMARY_KEY,
        "cells": _cells_text(summary.cells),
        "folded_until": summary.folded_until,
        "due_chunks": len(chunks),
        **{f"due_{index}": chunk for index, chunk in enumerate(chunks)},
    }


def summary_of(row: Mapping[str, Any]) -> Summary:
    """Return the summary in a row."""
    packed = b"".join(row[f"due_{index}"] for index in range(row["due_chunks"]))
    due = json.loads(zlib.decompress(packed))
    return Summary(
        cells=_cells_of(row["cells"]),
        due={(kind, minute): count for kind, minute, count in due},
        folded_until=row["folded_until"],
    )


def summary_change_row(connection_id: str, change_id: str, change: SummaryChange) -> Row:
    """Return the row of a change that has not been folded yet."""
    return {
        "PartitionKey": connection_id,
        "RowKey": f"{SUMMARY_KEY}:{change_id}",
        "cells": _cells_text(change.cells),
        "due": _cells_text(change.due),
    }


def summary_change_of(row: Mapping[str, Any]) -> SummaryChange:
    """Return the change in a row."""
    return SummaryChange(cells=_cells_of(row["cells"]), due=_cells_of(row["due"]))


def _cells_text(cells: Mapping[tuple[str, str], int]) -> str:
    return json.dumps([[*cell, count] for cell, count in cells.items()], separators=(",", ":"))


def _cells_of(text: str) -> dict[tuple[str, str], int]:
    return {(kind, counted): count for kind, counted, count in json.loads(text)}


def _timeline_text(timeline: tuple[TimelineEvent, ...]) -> str:
    events = [[event.kind.value, event.at.isoformat(), dict(event.details)] for event in timeline]
    text = json.dumps(events, ensure_ascii=False, separators=(",", ":"))
    while len(text.encode("utf-16-le")) // 2 > TIMELINE_MAX_LENGTH:
        del events[1]
        text = json.dumps(events, ensure_ascii=False, separators=(",", ":"))
    return text


def _timeline_of(text: str) -> tuple[TimelineEvent, ...]:
    return tuple(
        TimelineEvent(EventKind(kind), datetime.fromisoformat(at), details) for kind, at, details in json.loads(text)
    )
