"""The transactions that store tickets: each ticket's row with everything that changes beside it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Self

from azure.data.tables import TransactionOperation, UpdateMode

from shared.evidence.model import EvidenceEvent
from shared.storage.entity_transactions import MOST_ROWS, RowOperation, text_bytes
from shared.storage.listed_rows import Entry, change_row, entry_of, is_listed_alike
from shared.storage.ticket_rows import (
    NUMBER_PREFIX,
    OUTCOME_PREFIX,
    UNLINKED_PREFIX,
    UNREAD_PREFIX,
    Row,
    pending_key,
    recommendation_prefixes,
    summary_change_row,
    ticket_row,
    unrecorded_row,
    update_row,
    watched_prefix,
    watched_row,
)
from shared.tickets.counted import counted_under
from shared.tickets.evidence import batch_of, events_between
from shared.tickets.listed import is_ticket_current
from shared.tickets.model import Delivery, Ticket
from shared.tickets.outcomes import Verification
from shared.tickets.ports import UpdateChange
from shared.tickets.summary import SummaryChange
from shared.value_object import value_object

TRANSACTION_BYTES: Final = 900_000
"""Table Storage takes 4 MiB; a body of more than 1 MiB would hold up the event loop."""
ROW_BYTES: Final = 3_000
"""What a row takes in a transaction besides its texts."""
ROWS_IN_COMMON: Final = 3
"""The changes of the summary and of the lists, and the events for the evidence."""
EVENTS_TOGETHER: Final = 300
"""Events for the evidence are one row of a transaction. It takes 1 MiB, with two bytes for a character, and an event
that happens to many tickets at once has up to 1,500 characters."""
CREATION_ID: Final = "creation_id"
"""Column that distinguishes a ticket's first write from that of a twin."""

_COPIED_COLUMNS: Final = ("name", "references", "timeline", "later_events", "verification")
"""Columns whose texts other rows of the same transaction may repeat: the events, the lists, and the index of watched
tickets."""

_NUMBER: Final = re.compile(r"[A-Z0-9._-]{1,40}")


@value_object
class TicketWrite:
    """The operations that store a ticket.

    Attributes:
        before: The version that is replaced; None for a new ticket.
        own: What happens to the ticket's own row.
        beside: What happens in the outbox, among the numbers and so on.
        events: What the evidence keeps of it.
        entry: What lists know of it from now on; None if that does not change.
    """

    before: Ticket | None
    after: Ticket
    own: RowOperation
    beside: Sequence[RowOperation]
    events: Sequence[EvidenceEvent]
    entry: Entry | None

    @classmethod
    def of_new(cls, ticket: Ticket) -> TicketWrite:
        """Return the write of a new ticket."""
        ticket = replace(ticket, counted=counted_under(ticket), revision=1)
        own = RowOperation(TransactionOperation.CREATE, ticket_row(ticket) | {CREATION_ID: secrets.token_hex(16)})
        beside = [*_side_rows(None, ticket), *_recommendation_rows(ticket)]
        if ticket.content.references:
            outcome = outcome_row(ticket.connection_id, ticket.ticket_id)
            beside.append(RowOperation(TransactionOperation.CREATE, outcome))
        return TicketWrite(None, ticket, own, beside, list(events_between(None, ticket)), entry_of(ticket))

    @property
    def size(self) -> int:
        """About how many bytes it takes in a request."""
        row = self.own.row
        copied = (str(row.get(column, "")) for column in _COPIED_COLUMNS)
        texts = "".join([*(value for value in row.values() if isinstance(value, str)), *copied])
        return ROW_BYTES + text_bytes(texts)


@value_object
class TicketUpdate(TicketWrite):
    """The operations that replace one version of a ticket by another."""

    before: Ticket

    @classmethod
    def between(cls, before: Ticket, after: Ticket) -> Self:
        """Return the update that sends only what changed, unless a value has to be removed.

        Most updates come from the synchronisation and change a few of some forty columns; a description may be long.
        """
        assert before.etag is not None, "only a stored ticket can be replaced"
        assert before.is_whole or before.delivery == after.delivery, "only what was read can be changed"
        is_listed_anew = not is_listed_alike(before, after)
        revision = before.revision + is_listed_anew
        after = replace(after, counted=counted_under(after, before.counted), revision=revision)
        old, new = ticket_row(before), ticket_row(after)
        mode = UpdateMode.REPLACE
        if old.keys() <= new.keys():
            mode = UpdateMode.MERGE
            changed = {name: value for name, value in new.items() if name not in old or old[name] != value}
            new = {"PartitionKey": after.connection_id, "RowKey": after.ticket_id} | changed
        own = RowOperation(TransactionOperation.UPDATE, new, mode, before.etag)
        beside, events = _side_rows(before, after), list(events_between(before, after))
        return cls(before, after, own, beside, events, entry_of(after) if is_listed_anew else None)

    @property
    def has_to_be_whole(self) -> bool:
        """Whether it needs more of the ticket than was read.

        The row is replaced, or the ticket is current again: then lists of current tickets need its whole entry.
        """
        if self.before.is_whole:
            return False
        is_current_again = self.entry is not None and self.entry.is_current and not is_ticket_current(self.before)
        return is_current_again or self.own.mode is UpdateMode.REPLACE


def operations_of(writes: Sequence[TicketWrite]) -> list[RowOperation]:
    """Return the transaction that stores the tickets; their own rows come first, in order."""
    operations = [write.own for write in writes]
    # ServiceNow does not ensure unique numbers, but a transaction can write a row only once.
    beside = {operation.row["RowKey"]: operation for write in writes for operation in write.beside}
    operations += beside.values()
    changes = [(write.before, write.after) for write in writes]
    owner = writes[0].after.connection_id
    return [
        *operations,
        *summary_change(owner, changes),
        *_unrecorded(owner, writes),
        *_list_change(owner, [write.entry for write in writes if write.entry is not None]),
    ]


def _side_rows(before: Ticket | None, after: Ticket) -> list[RowOperation]:
    """Return what has to change in the outbox and among the numbers."""
    operations: list[RowOperation] = []
    was_pending = before is not None and before.delivery.status is Delivery.PENDING
    is_pending = after.delivery.status is Delivery.PENDING
    outbox_row = {"PartitionKey": after.connection_id, "RowKey": pending_key(after.ticket_id)}
    if is_pending and not was_pending:
        operations.append(RowOperation(TransactionOperation.UPSERT, outbox_row))
    if was_pending and not is_pending:
        operations.append(RowOperation(TransactionOperation.DELETE, outbox_row))
    was_followed = before is not None and before.is_followed_by_sys_id
    if after.is_followed_by_sys_id != was_followed:
        row = {"PartitionKey": after.connection_id, "RowKey": f"{UNLINKED_PREFIX}{after.ticket_id}"}
        kind = TransactionOperation.DELETE if was_followed else TransactionOperation.UPSERT
        operations.append(RowOperation(kind, row))
    old_number = before.record.number if before is not None and before.record is not None else None
    if after.record is not None and after.record.number != old_number:
        key = number_key(after.record.number)
        if key is not None:
            row = {"PartitionKey": after.connection_id, "RowKey": key, "ticket_id": after.ticket_id}
            operations.append(RowOperation(TransactionOperation.UPSERT, row))
    return operations + _verification_rows(before, after)


def _verification_rows(before: Ticket | None, after: Ticket) -> list[RowOperation]:
    """Return what has to change in the indexes of a ticket for stored recommendations."""
    old, new = None if before is None else before.verification, after.verification
    operations: list[RowOperation] = []
    was_unread, is_unread = (each is not None and each.has_unread_closing for each in (old, new))
    if was_unread != is_unread:
        row = {"PartitionKey": after.connection_id, "RowKey": f"{UNREAD_PREFIX}{after.ticket_id}"}
        operations.append(RowOperation(TransactionOperation.UPSERT if is_unread else TransactionOperation.DELETE, row))
    if new == old:
        return operations
    watched_before, watched = _watching_tenants(old), _watching_tenants(new)
    operations += [RowOperation(TransactionOperation.UPSERT, watched_row(after, each)) for each in watched]
    for tenant_id in watched_before:
        if tenant_id not in watched:
            row = {"PartitionKey": after.connection_id, "RowKey": f"{watched_prefix(tenant_id)}{after.ticket_id}"}
            operations.append(RowOperation(TransactionOperation.DELETE, row))
    return operations


def _watching_tenants(verification: Verification | None) -> Sequence[str]:
    """Return the tenants whose readings look at a ticket."""
    if verification is None or not verification.is_watched:
        return ()
    return tuple(dict.fromkeys(item.tenant_id for item in verification.items))


def update_operation(change: UpdateChange) -> RowOperation:
    """Return what happens to the row of an update of the ticket."""
    before, after = change.before, change.after
    if before is None:
        assert after is not None, "a change has a before or an after"
        return RowOperation(TransactionOperation.CREATE, update_row(after))
    if after is None:
        return RowOperation(TransactionOperation.DELETE, update_row(before), etag=before.etag)
    return RowOperation(TransactionOperation.UPDATE, update_row(after), UpdateMode.MERGE, before.etag)


def _unrecorded(connection_id: str, writes: Sequence[TicketWrite]) -> list[RowOperation]:
    events = [event for write in writes for event in write.events]
    if not events:
        return []
    return [RowOperation(TransactionOperation.CREATE, unrecorded_row(connection_id, batch_of(events)))]


def _list_change(connection_id: str, entries: Sequence[Entry]) -> list[RowOperation]:
    if not entries:
        return []
    return [RowOperation(TransactionOperation.CREATE, change_row(connection_id, secrets.token_hex(12), entries))]


def _recommendation_rows(ticket: Ticket) -> list[RowOperation]:
    """Return the operation that lists a new ticket under its recommendation; it never changes later."""
    keys = {"PartitionKey": ticket.connection_id}
    return [
        RowOperation(TransactionOperation.UPSERT, keys | {"RowKey": f"{prefix}{ticket.ticket_id}"})
        for prefix in recommendation_prefixes(ticket)
    ]


def outcome_row(connection_id: str, ticket_id: str) -> Row:
    """Return the row that either a ticket for stored recommendations or whoever gives it up writes first."""
    return {"PartitionKey": connection_id, "RowKey": f"{OUTCOME_PREFIX}{ticket_id}"}


def summary_change(connection_id: str, changes: Sequence[tuple[Ticket | None, Ticket]]) -> list[RowOperation]:
    """Return the operation that changes the counts when each second ticket replaces the first, if it does."""
    change = SummaryChange.between(changes)
    if not change:
        return []
    return [RowOperation(TransactionOperation.CREATE, summary_change_row(connection_id, secrets.token_hex(12), change))]


def transactions_of[Write: TicketWrite](writes: Sequence[Write]) -> list[list[Write]]:
    """Divide the writes into transactions that are not too large, including the rows that they have in common."""
    parts: list[list[Write]] = []
    rows_left = bytes_left = events_left = 0
    for write in writes:
        rows, size, events = 1 + len(write.beside), write.size, len(write.events)
        if rows > rows_left or size > bytes_left or events > events_left:
            parts.append([])
            rows_left, bytes_left, events_left = MOST_ROWS - ROWS_IN_COMMON, TRANSACTION_BYTES, EVENTS_TOGETHER
        parts[-1].append(write)
        rows_left -= rows
        bytes_left -= size
        events_left -= events
    return parts


def number_key(number: str) -> str | None:
    """Return the row key of a ticket number; None if the text cannot be a key (some characters are not allowed)."""
    plain = number.strip().upper()
    return f"{NUMBER_PREFIX}{plain}" if _NUMBER.fullmatch(plain) else None
