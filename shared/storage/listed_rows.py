"""How lists of tickets are kept in rows of the table ``tickets``, beside the tickets.

A ticket's *entry* is what lists know of it. Entries are kept in *blocks*, in order of ticket ids: one series of blocks
for current tickets and one for finished ones. The transaction that writes tickets stores their new entries in a
*change* row. Readers join changes and blocks; folding moves the changes into the blocks.

Every entry has the revision that its ticket's row got in the same transaction. Of two entries of a ticket, the one with
the higher revision is right. So an old copy of an entry does no harm, wherever it is, and the same change can be folded
twice.
"""

from __future__ import annotations

import json
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from shared.connections.model import Portal, TicketKind
from shared.storage.rows import open_value
from shared.storage.ticket_rows import CHANGING_COLUMNS, CHUNK_BYTES, Row
from shared.tickets.counted import closed_at, days_until_proof
from shared.tickets.listed import ListedTicket, is_current, recommendation_ids
from shared.tickets.model import OPEN_PHASES, Delivery, Phase, Priority, Ticket
from shared.tickets.outcomes import Outcome

FINISHED_PREFIX: Final = "search-finished:"
CHANGE_PREFIX: Final = "search:change:"
CURRENT_PREFIX: Final = "search:current:"
"""The keys of changes, current blocks and the summary are consecutive, so that one request reads them all."""

FORMAT: Final = 2
"""Rows in another format cannot be read; their entries are collected again from the tickets."""
MOST_ENTRIES: Final = 1000
MOST_BYTES: Final = 240_000
"""A larger block is divided: a row holds 1 MiB, and folding writes whole blocks."""

LISTED_COLUMNS: Final = (
    *CHANGING_COLUMNS,
    *("created_at", "portal", "name", "priority", "requester_id", "requester_name", "recommendation_id"),
    *("error_code", "wanted_due_at"),
)
"""The columns of a ticket's row that its entry is made of."""


class Entry(NamedTuple):
    """What lists know of a ticket, as JSON has it.

    The members from ``portal`` on never change. The write of a partly read ticket does not know them, and they are all
    None then; they are known from the ticket's earlier entry.

    Attributes:
        sys_id: None if it is the ticket's own id.
    """

    ticket_id: str
    revision: int
    instance: str
    kind: str
    due_at: str | None
    delivery: str
    error_code: str | None
    phase: str | None
    number: str
    sys_id: str | None
    table: str
    state: str
    state_label: str | None
    assigned_to: str | None
    assignment_group: str | None
    linked: list[str]
    outcome: str | None
    closed_at: str | None
    is_superseded: bool
    proof_days: int | None
    portal: str | None = None
    name: str | None = None
    priority: str | None = None
    created_at: str | None = None
    requester_id: str | None = None
    requester_name: str | None = None
    recommendation_id: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it knows what never changes."""
        return self.portal is not None

    @property
    def is_current(self) -> bool:
        """Whether somebody may still have to do something about the ticket."""
        return is_current(self.phase, self.delivery, self.outcome, is_superseded=self.is_superseded)


_UNCHANGING: Final = Entry._fields.index("portal")


def entry_of(ticket: Ticket) -> Entry:
    """Return the entry of a ticket; for a partly read one, without what never changes."""
    instance, kind, due_at, *states, references, outcome, closed, is_superseded, proof_days = _changing(ticket)
    unchanging: Sequence[Any] = ()
    if ticket.is_whole:
        content = ticket.content
        unchanging = (
            content.portal,
            content.name,
            content.priority,
            _text(ticket.created_at),
            content.requester.id,
            content.requester.name,
            content.recommendation.id,
        )
    linked = [each.source_id for each in references]
    states = [kind, _text(due_at), *states, linked, outcome, _text(closed), is_superseded, proof_days]
    return Entry(ticket.ticket_id, ticket.revision, instance, *states, *unchanging)


def is_listed_alike(one: Ticket, other: Ticket) -> bool:
    """Whether two versions of a ticket have the same entry, apart from its revision."""
    return _changing(one) == _changing(other)


def _changing(ticket: Ticket) -> tuple[Any, ...]:
    """Return what can change in an entry, in its order; every write compares this, so nothing is put into words yet."""
    progress, record, phase, verification = ticket.delivery, ticket.record, ticket.phase, ticket.verification
    return (
        ticket.instance,
        ticket.content.kind,
        ticket.due_at,
        progress.status,
        None if progress.status is Delivery.DELIVERED else progress.error_code,
        phase,
        *(
            ("", "", "", "", None, None, None)
            if record is None
            else (
                record.number,
                None if record.sys_id == ticket.ticket_id else record.sys_id,
                record.table,
                record.state,
                record.state_label,
                record.assigned_to,
                record.assignment_group,
            )
        ),
        ticket.content.references,
        None if verification is None else verification.outcome,
        None if phase is None or phase in OPEN_PHASES else closed_at(ticket),
        verification is not None and verification.is_superseded,
        None if phase is None else days_until_proof(verification),
    )


def listed_of(connection_id: str, entry: Entry) -> ListedTicket:
    """Return the ticket of a whole entry. Raises what :meth:`shared.storage.rows.RowReader.read` expects."""
    return ListedTicket(
        entry.ticket_id,
        connection_id,
        entry.instance,
        _kind_of(entry.kind),
        _portal_of(entry.portal),
        entry.name or "",
        _priority_of(entry.priority),
        datetime.fromisoformat(entry.created_at or ""),
        entry.requester_id or "",
        entry.requester_name or "",
        _time(entry.due_at),
        _delivery_of(entry.delivery),
        entry.error_code,
        None if entry.phase is None else _phase_of(entry.phase),
        entry.number,
        entry.ticket_id if entry.sys_id is None else entry.sys_id,
        entry.table,
        entry.state,
        entry.state_label,
        entry.assigned_to,
        entry.assignment_group,
        recommendation_ids(entry.linked, entry.recommendation_id),
        None if entry.outcome is None else _outcome_of(entry.outcome),
        _time(entry.closed_at),
        entry.is_superseded,
        entry.proof_days,
    )


def joined(*parts: Iterable[Entry]) -> dict[str, Entry]:
    """Return the newest entry of every ticket, with what an older one knows of what never changes."""
    found: dict[str, Entry] = {}
    for part in parts:
        for entry in part:
            known = found.get(entry.ticket_id)
            found[entry.ticket_id] = entry if known is None else _joined(known, entry)
    return found


def _joined(one: Entry, other: Entry) -> Entry:
    newer, older = (one, other) if one.revision >= other.revision else (other, one)
    if newer.is_whole or not older.is_whole:
        return newer
    return Entry._make((*newer[:_UNCHANGING], *older[_UNCHANGING:]))


def change_row(connection_id: str, change_id: str, entries: Sequence[Entry]) -> Row:
    """Return the row that a transaction adds for the tickets that it writes."""
    return _packed_row(connection_id, f"{CHANGE_PREFIX}{change_id}", _packed(entries))


def block_rows(connection_id: str, prefix: str, first_id: str, entries: Sequence[Entry]) -> list[Row]:
    """Return the rows of a block, divided if it is too large.

    Args:
        first_id: The block begins here; empty for the first one of all.
        entries: In order of their tickets' ids.
    """
    packed = _packed(entries)
    if len(entries) <= 1 or (len(entries) <= MOST_ENTRIES and len(packed) <= MOST_BYTES):
        return [_packed_row(connection_id, f"{prefix}{first_id}", packed)]
    middle = len(entries) // 2
    return [
        *block_rows(connection_id, prefix, first_id, entries[:middle]),
        *block_rows(connection_id, prefix, entries[middle].ticket_id, entries[middle:]),
    ]


def entries_of(row: Mapping[str, Any]) -> list[Entry]:
    """Return the entries in a change or block; raises what :meth:`shared.storage.rows.RowReader.read` expects."""
    if row["format"] != FORMAT:
        raise ValueError("written in another format")
    columns = json.loads(zlib.decompress(b"".join(row[f"packed_{index}"] for index in range(row["chunks"]))))
    if len(columns) != len(Entry._fields):
        raise ValueError("not the columns of an entry")
    return list(map(Entry._make, zip(*columns, strict=True)))


def block_key(keys: Sequence[str], prefix: str, ticket_id: str) -> str:
    """Return the key of the block that a ticket belongs to.

    Args:
        keys: The keys of the existing blocks, in order.
    """
    place = bisect_right(keys, f"{prefix}{ticket_id}")
    return keys[place - 1] if place else prefix


def _packed(entries: Sequence[Entry]) -> bytes:
    """Return entries as compressed JSON, member by member, because similar texts beside each other need less room."""
    columns = [*zip(*entries, strict=True)] or [()] * len(Entry._fields)
    return zlib.compress(json.dumps(columns, ensure_ascii=False, separators=(",", ":")).encode())


def _packed_row(connection_id: str, key: str, packed: bytes) -> Row:
    chunks = [packed[start : start + CHUNK_BYTES] for start in range(0, len(packed), CHUNK_BYTES)]
    return {
        "PartitionKey": connection_id,
        "RowKey": key,
        "format": FORMAT,
        "chunks": len(chunks),
        **{f"packed_{index}": chunk for index, chunk in enumerate(chunks)},
    }


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat()


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _member_of[Value: StrEnum](kind: type[Value]) -> Callable[[Any], Value]:
    """Return how a stored value is read; the members are looked up many thousand times for a list."""
    known = {each.value: each for each in kind}

    def member_of(text: str) -> Value:
        found = known.get(text)
        return open_value(kind, text) if found is None else found

    return member_of


_kind_of: Final = _member_of(TicketKind)
_portal_of: Final = _member_of(Portal)
_priority_of: Final = _member_of(Priority)
_delivery_of: Final = _member_of(Delivery)
_phase_of: Final = _member_of(Phase)
_outcome_of: Final = _member_of(Outcome)
