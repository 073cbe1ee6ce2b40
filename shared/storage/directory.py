"""The directory of connections, in table ``directory``: one partition, one row for each connection.

A minute's work is planned from one read of the partition, so rows are cheap to read: times are text, and the state of
the synchronisation is one column of JSON that is parsed only when needed. What pages about all customers show is two
such columns, which planning does not read. Rows are merged, so a column of another release is not changed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any, Final

from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableClient

from shared.connections.customers import Customer, Figures, ListedCustomer
from shared.connections.directory import AT_ONCE, DirectoryEntry, Place, SyncState
from shared.storage.members import Members, members_text
from shared.storage.rows import RowReader, json_object
from shared.storage.tables import REPEATED, get_row, save_row, storage_errors

PARTITION: Final = "connections"
PAGE_ROWS: Final = 1000

_NOT_SET: Final = ""
"""Means None: a merge cannot remove a column."""
_COLUMNS: Final = (
    *("RowKey", "due_at", "served_at", "requested_at"),
    *("reminder_due_at", "reminder_seen", "reminder_failed_at"),
    *("holder", "held_until_at", "sync"),
)
_CUSTOMER: Final = Members(Customer)
_FIGURES: Final = Members(Figures)
_TIMES: Final = frozenset(
    {
        *("watermark_seen_at", "last_started_at", "last_completed_at", "reconciled_at"),
        *("read_step_at", "reconcile_again_at"),
    }
)
_PLACES: Final = frozenset({"resume_at", "reconcile_place"})
_MEMBERS: Final = tuple(
    member.name for member in fields(SyncState) if member.name not in {"requested_at", "kept", "etag"}
)

type Row = dict[str, Any]


class AzureConnectionDirectory:
    """Implements :class:`shared.connections.ports.ConnectionDirectory`; every method can raise StorageUnavailable."""

    def __init__(self, table: TableClient, reader: RowReader | None = None) -> None:
        self._table = table
        self._reader = reader or RowReader()

    async def list_entries(self) -> Sequence[DirectoryEntry]:
        """Return all entries, ordered by connection id; those that cannot be read are left out."""
        with storage_errors():
            found = self._table.query_entities(
                "PartitionKey eq @partition",
                parameters={"partition": PARTITION},
                select=["PartitionKey", *_COLUMNS],
                results_per_page=PAGE_ROWS,
            )
            rows = [row async for row in found]
        return self._reader.readable(self._table.table_name, rows, entry_of)

    async def list_customers(self) -> Sequence[ListedCustomer]:
        """Return all customers, ordered by connection id; those that cannot be read or were never served are left out.

        Every further column costs a quarter of the time that all of these take.
        """
        with storage_errors():
            found = self._table.query_entities(
                "PartitionKey eq @partition",
                parameters={"partition": PARTITION},
                select=["PartitionKey", "RowKey", "customer", "figures"],
                results_per_page=PAGE_ROWS,
            )
            rows = [row async for row in found if row.get("customer")]
        return self._reader.readable(self._table.table_name, rows, customer_of_row)

    async def get_entry(self, connection_id: str) -> DirectoryEntry:
        """Return the entry; a new one if there is none. Raises RowUnreadable."""
        row = await get_row(self._table, PARTITION, connection_id)
        if row is None:
            return DirectoryEntry(connection_id)
        return self._reader.read(self._table.table_name, row, entry_of)

    async def save_entry(self, entry: DirectoryEntry) -> DirectoryEntry:
        """Store the entry if its etag is still the stored one (None: not stored yet). Raises RowChanged otherwise."""
        return replace(entry, etag=await save_row(self._table, entry_row(entry), entry.etag))

    async def wake(
        self,
        connection_id: str,
        *,
        requested_at: datetime | None = None,
        reminders: bool = False,
        customer: Customer | None = None,
    ) -> None:
        """Make the connection due at once, even during somebody's turn."""
        row: Row = {"PartitionKey": PARTITION, "RowKey": connection_id, "due_at": _text(AT_ONCE)}
        if requested_at is not None:
            row["requested_at"] = _text(requested_at)
        if reminders:
            row["reminder_due_at"] = _text(AT_ONCE)
        if customer is not None:
            row["customer"] = members_text(_CUSTOMER.written(customer))
        with storage_errors():
            await self._table.upsert_entity(row, mode=UpdateMode.MERGE, **REPEATED)


def entry_row(entry: DirectoryEntry) -> Row:
    """Return the row of an entry."""
    row: Row = {
        "PartitionKey": PARTITION,
        "RowKey": entry.connection_id,
        "due_at": _text(entry.due_at),
        "served_at": _text(entry.served_at),
        "requested_at": _text(entry.requested_at),
        "reminder_due_at": _text(entry.reminder_due_at),
        "reminder_seen": entry.reminder_seen,
        "reminder_failed_at": _text(entry.reminder_failed_at),
        "holder": entry.holder or _NOT_SET,
        "held_until_at": _text(entry.held_until_at),
    }
    if entry.customer is not None:
        row["customer"] = members_text(_CUSTOMER.written(entry.customer))
    if entry.figures is not None:
        row["figures"] = members_text(_FIGURES.written(entry.figures))
    return row if entry.sync is None else row | {"sync": _sync_text(entry.sync)}


def entry_of(row: Any) -> DirectoryEntry:
    """Return the entry in a row; raises what :meth:`shared.storage.rows.RowReader.read` expects."""
    sync = row.get("sync")
    return DirectoryEntry(
        connection_id=row["RowKey"],
        due_at=_time(row.get("due_at", _text(AT_ONCE))),
        served_at=_time(row.get("served_at")),
        requested_at=_time(row.get("requested_at")),
        reminder_due_at=_time(row.get("reminder_due_at")),
        reminder_seen=row.get("reminder_seen", ""),
        reminder_failed_at=_time(row.get("reminder_failed_at")),
        holder=row.get("holder") or None,
        held_until_at=_time(row.get("held_until_at")),
        customer=_customer(row) if row.get("customer") else None,
        figures=_figures(row) if row.get("figures") else None,
        sync=None if sync is None else _sync_state(json_object(sync)),
        etag=str(row.metadata["etag"]),
    )


def customer_of_row(row: Any) -> ListedCustomer:
    """Return the customer in a row; raises what :meth:`shared.storage.rows.RowReader.read` expects."""
    return ListedCustomer(row["RowKey"], _customer(row), _figures(row))


def _customer(row: Any) -> Customer:
    return _CUSTOMER.read(json_object(row["customer"]), name=row["RowKey"])


def _figures(row: Any) -> Figures:
    return _FIGURES.read(json_object(row.get("figures") or "{}"))


def _sync_text(state: SyncState) -> str:
    """Return a state as JSON; members of another release are unchanged."""
    members: Row = dict(state.kept)
    for name in _MEMBERS:
        value = getattr(state, name)
        if isinstance(value, datetime):
            value = _text(value)
        elif isinstance(value, Place):
            value = [value.after, value.offset]
        if value is None or value == 0:
            members.pop(name, None)
        else:
            members[name] = value
    return json.dumps(members, separators=(",", ":"))


def _sync_state(members: Row) -> SyncState:
    values: Row = {name: _member(name, members[name]) for name in _MEMBERS if name in members}
    kept = {name: value for name, value in members.items() if name not in values}
    return SyncState(**values, kept=kept)


def _member(name: str, value: Any) -> Any:
    if name in _TIMES:
        return _time(value)
    if name in _PLACES:
        after, offset = value
        return Place(None if after is None else (after[0], after[1]), offset)
    return value


def _text(at: datetime | None) -> str:
    return _NOT_SET if at is None else at.isoformat()


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
