"""The lists of a connection's tickets: reading, folding and checking the rows of :mod:`shared.storage.listed_rows`.

Readers read changes before blocks, and current blocks before finished ones. Folding writes finished blocks first, then
current blocks, and only then deletes the changes. An entry of a finished ticket stays where it is when the ticket is
current again: its revision says that it is old. So no reader misses a ticket, whatever is folded meanwhile, and two who
fold at once, or one who stops in between, do no harm.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from heapq import nsmallest
from itertools import batched
from typing import Any, Final

from azure.data.tables import TableTransactionError, TransactionOperation, UpdateMode
from azure.data.tables.aio import TableClient

from shared.storage.entity_transactions import MOST_ROWS, EntityTransactions, RowOperation
from shared.storage.listed_rows import (
    CHANGE_PREFIX,
    CURRENT_PREFIX,
    FINISHED_PREFIX,
    LISTED_COLUMNS,
    Entry,
    block_key,
    change_row,
    entries_of,
    entry_of,
    joined,
    listed_of,
)
from shared.storage.listed_series import Series, in_transactions
from shared.storage.rows import RowReader
from shared.storage.tables import PAGE_ROWS, etag_of, get_row, keys_of, list_rows, storage_errors
from shared.storage.ticket_counts import TicketCounts
from shared.storage.ticket_rows import (
    SUMMARY_KEY,
    TICKET_KEYS_END,
    checked_columns,
    lists_place,
    ticket_of,
    were_lists_checked,
)
from shared.storage.ticket_writes import summary_change
from shared.tickets.counted import counted_under
from shared.tickets.listed import CurrentTickets, ListedTicket, agree, listed
from shared.tickets.lists import is_about_current, is_wanted
from shared.tickets.model import EARLIEST, Ticket
from shared.tickets.ports import TicketFilter
from shared.tickets.summary import Summary
from shared.value_object import value_object

CORRECTED_TOGETHER: Final = MOST_ROWS - 2
"""Tickets that are corrected in one transaction, beside the rows of their entries and of the counts."""
MOVED_TOGETHER: Final = 2000
"""Entries that are moved at once. All of them may belong into one block, which is divided in one transaction."""


class TicketLists:
    """Reads, folds and checks the lists; for :class:`shared.storage.tickets.AzureTicketStore`."""

    def __init__(
        self, table: TableClient, transactions: EntityTransactions, reader: RowReader, counts: TicketCounts
    ) -> None:
        self._table = table
        self._transactions = transactions
        self._reader = reader
        self._counts = counts

    # Reading

    async def list_current(self, connection_id: str) -> CurrentTickets:
        """Return the connection's current tickets, and the counts of all its tickets, in one request if they fit."""
        rows = await self._read_current(connection_id)
        tickets = rows.listed(each for each in rows.entries.values() if each.is_current)
        is_complete = rows.are_checked or agree(rows.summary, tickets, are_all=False)
        return CurrentTickets(connection_id, rows.summary, tickets, is_complete)

    async def list_every(self, connection_id: str) -> Sequence[ListedTicket]:
        """Return all tickets of the connection: from the tickets themselves as long as the lists may lack some."""
        rows = await self._read_current(connection_id)
        blocks = await list_rows(self._table, connection_id, FINISHED_PREFIX, FINISHED_PREFIX + "~")
        parts = list(map(self._read, blocks))
        tickets = rows.listed(joined(rows.entries.values(), *(part or () for part in parts)).values())
        if (rows.are_checked and None not in parts) or agree(rows.summary, tickets, are_all=True):
            return tickets
        return [listed(ticket) async for page in self._scan(connection_id, "") for ticket in page]

    async def find(self, connection_id: str, wanted: TicketFilter, *, limit: int, after: str | None) -> Sequence[str]:
        """Return the ids of up to ``limit`` tickets, newest first, older than the ticket id ``after``.

        Finished blocks are read only until there are enough.
        """
        rows = await self._read_current(connection_id)
        passes, place = is_wanted(wanted), after or ""
        if is_about_current(wanted) and rows.are_checked:
            return _first_ids(filter(passes, rows.listed(rows.entries.values())), limit, place)
        if rows.are_checked:
            with suppress(_Unreadable):
                return await self._first_of(self._newest_first(rows, place), passes, limit, place)
        return await self._first_of(self._every_page(connection_id, place), passes, limit, place)

    async def _first_of(
        self,
        pages: AsyncIterator[Sequence[ListedTicket]],
        passes: Callable[[ListedTicket], bool],
        limit: int,
        place: str,
    ) -> Sequence[str]:
        """Read no more pages than needed."""
        found: list[str] = []
        async for page in pages:
            found += _first_ids(filter(passes, page), limit - len(found), place)
            if len(found) == limit:
                break
        return found

    async def _newest_first(self, rows: _Current, after: str) -> AsyncIterator[Sequence[ListedTicket]]:
        """Go through all tickets after an id; those of a page in any order. Raises _Unreadable."""
        keys = await self._keys(rows.connection_id, FINISHED_PREFIX)
        keys = keys[keys.index(block_key(keys, FINISHED_PREFIX, after)) :] if keys else []
        left, place, size = rows.entries, 0, 1
        while True:
            end = keys[place + size] if place + size < len(keys) else FINISHED_PREFIX + "~"
            blocks = await list_rows(self._table, rows.connection_id, keys[place], end) if keys else []
            parts = list(map(self._read, blocks))
            if None in parts:
                raise _Unreadable
            left = joined(left.values(), *(part or () for part in parts))
            border = end.removeprefix(FINISHED_PREFIX)
            yield rows.listed(entry for ticket_id, entry in left.items() if ticket_id < border)
            left = {ticket_id: entry for ticket_id, entry in left.items() if ticket_id >= border}
            place, size = place + size, size * 2
            if place >= len(keys):
                return

    async def _every_page(self, connection_id: str, after: str) -> AsyncIterator[Sequence[ListedTicket]]:
        """Go through all tickets after an id, as long as the lists may lack some."""
        async for page in self._scan(connection_id, after):
            yield [listed(ticket) for ticket in page]

    async def _scan(self, connection_id: str, after: str) -> AsyncIterator[Sequence[Ticket]]:
        """Go through all readable tickets after an id, as far as lists show them."""
        while True:
            rows = await self._ticket_rows(connection_id, after)
            yield self._tickets(rows)
            if len(rows) < PAGE_ROWS:
                return
            after = rows[-1]["RowKey"]

    async def _ticket_rows(self, connection_id: str, after: str) -> list[Any]:
        """Return a page of tickets' rows."""
        with storage_errors():
            found = self._table.query_entities(
                "PartitionKey eq @connection and RowKey gt @after and RowKey lt @end",
                parameters={"connection": connection_id, "after": after, "end": TICKET_KEYS_END},
                select=list(LISTED_COLUMNS),
                results_per_page=PAGE_ROWS,
            )
            rows: list[Any] = []
            async for row in found:
                rows.append(row)
                if len(rows) == PAGE_ROWS:
                    break
        return rows

    def _tickets(self, rows: Iterable[Any]) -> list[Ticket]:
        return self._reader.readable(self._table.table_name, rows, _decoded)

    async def _read_current(self, connection_id: str) -> _Current:
        """Return the changes, the current blocks and the counts; their keys are consecutive."""
        rows = await self._counts.read(connection_id, first=CHANGE_PREFIX)
        parts = [self._read(row) for row in rows.before]
        return _Current(
            connection_id,
            self._counts.total(rows),
            joined(*(part or () for part in parts)),
            are_checked=were_lists_checked(rows.summary) and None not in parts,
        )

    def _joined(self, rows: Iterable[Any]) -> dict[str, Entry]:
        return joined(*(self._read(row) or () for row in rows))

    def _read(self, row: Any) -> Sequence[Entry] | None:
        """Return the entries in a row; None if it cannot be read."""
        return next(iter(self._reader.readable(self._table.table_name, [row], entries_of)), None)

    async def _keys(self, connection_id: str, prefix: str) -> list[str]:
        """Return the keys of a series of blocks, in order."""
        columns = ["PartitionKey", "RowKey"]
        rows = await list_rows(self._table, connection_id, prefix, prefix + "~", columns=columns)
        return [row["RowKey"] for row in rows]

    # Folding

    async def fold(self, connection_id: str) -> None:
        """Move the entries of the changes into the blocks, unless somebody else is doing so.

        The current blocks are read before the changes. So if somebody has folded one of these changes since, their
        versions are no longer the present ones, and nothing is written.
        """
        blocks = await list_rows(self._table, connection_id, CURRENT_PREFIX, CURRENT_PREFIX + "~")
        changes = await list_rows(self._table, connection_id, CHANGE_PREFIX, CHANGE_PREFIX + "~")
        if not changes:
            return
        read = [self._read(row) for row in changes]
        if None in read:
            await self._check_again(connection_id)
        changed = joined(*(part or () for part in read))
        oldest: dict[str, int] = {}
        for entry in (entry for part in read for entry in part or ()):
            oldest[entry.ticket_id] = min(entry.revision, oldest.get(entry.ticket_id, entry.revision))
        parts = [*batched(sorted(changed), MOVED_TOGETHER, strict=False)] or [()]
        for number, part in enumerate(parts, 1):
            if number > 1:
                blocks = await list_rows(self._table, connection_id, CURRENT_PREFIX, CURRENT_PREFIX + "~")
                if not set(await self._keys(connection_id, CHANGE_PREFIX)).issuperset(row["RowKey"] for row in changes):
                    return
            operations = await self._moves(connection_id, blocks, {each: changed[each] for each in part}, oldest)
            if number == len(parts):
                operations += [[RowOperation(TransactionOperation.DELETE, keys_of(row))] for row in changes]
            if not await self._submit_in_order(operations):
                return
        for row in changes:
            self._reader.forget(self._table.table_name, row)

    async def _moves(
        self, connection_id: str, blocks: Sequence[Any], changed: Mapping[str, Entry], oldest: Mapping[str, int]
    ) -> list[Sequence[RowOperation]]:
        """Return how entries get into the blocks.

        The entry of a finished ticket stays in the current block, too, as long as there are older changes of the
        ticket: one that outlives the newer ones would make the ticket current again.

        Args:
            blocks: All current blocks.
            changed: The newest entries of some tickets in the changes.
            oldest: For each ticket that has changes, the lowest revision in them.
        """
        current = Series(connection_id, CURRENT_PREFIX, [row["RowKey"] for row in blocks])
        touched = set(map(current.key_of, changed))
        for row in blocks:
            if row["RowKey"] in touched:
                current.hold(row["RowKey"], row, self._read(row))
        known = joined(changed.values(), current.known(changed))
        elsewhere = [ticket_id for ticket_id, entry in known.items() if not (entry.is_current and entry.is_whole)]
        finished = await self._finished(connection_id, elsewhere)
        for entry in current.entries():
            if not entry.is_current and entry.ticket_id not in oldest:
                current.remove(entry.ticket_id)
        for ticket_id, entry in joined(known.values(), finished.known(elsewhere)).items():
            if not entry.is_current:
                finished.put(entry)
            if entry.is_current or oldest[ticket_id] < entry.revision:
                current.put(entry)
            else:
                current.remove(ticket_id)
        if current.is_damaged or finished.is_damaged:
            await self._check_again(connection_id)
        return [*finished.operations(), *current.operations()]

    async def _finished(self, connection_id: str, ticket_ids: Sequence[str]) -> Series:
        """Return the finished blocks that these tickets belong to."""
        keys = await self._keys(connection_id, FINISHED_PREFIX) if ticket_ids else []
        series = Series(connection_id, FINISHED_PREFIX, keys)
        for key in dict.fromkeys(map(series.key_of, ticket_ids)):
            if (row := await get_row(self._table, connection_id, key)) is not None:
                series.hold(key, row, self._read(row))
        return series

    async def _submit_in_order(self, operations: Sequence[Sequence[RowOperation]]) -> bool:
        """Carry out operations in as few transactions as possible; stop, and return False, if a row has changed.

        Args:
            operations: Each inner sequence stays together.
        """
        for part in in_transactions(operations):
            if not await self._is_done(part):
                return False
        return True

    async def _is_done(self, operations: Sequence[RowOperation]) -> bool:
        """Carry out a transaction; return False if somebody else has changed a row."""
        try:
            with storage_errors():
                await self._transactions.submit(self._table.table_name, operations)
        except TableTransactionError as error:
            if error.status_code not in {404, 409, 412}:
                raise
            return False
        return True

    # Checking

    async def check(self, connection_id: str, now: datetime) -> bool:
        """Compare a page of tickets with the lists, from where the last call stopped, and correct the lists.

        Returns whether the end was reached.
        """
        summary = await get_row(self._table, connection_id, SUMMARY_KEY)
        if summary is None:
            await self._counts.fold(connection_id, now)
            summary = await get_row(self._table, connection_id, SUMMARY_KEY)
        if summary is None:
            return True
        rows = await self._ticket_rows(connection_id, lists_place(summary))
        if not await self._are_right(connection_id, self._tickets(rows)):
            return False
        await self.fold(connection_id)
        is_end = len(rows) < PAGE_ROWS
        state = checked_columns("" if is_end else rows[-1]["RowKey"], now if is_end else None)
        row = {"PartitionKey": connection_id, "RowKey": SUMMARY_KEY, **state}
        saved = RowOperation(TransactionOperation.UPDATE, row, UpdateMode.MERGE, etag_of(summary))
        return await self._is_done([saved]) and is_end

    async def _check_again(self, connection_id: str) -> None:
        """Let all tickets be compared with the lists again."""
        row = {"PartitionKey": connection_id, "RowKey": SUMMARY_KEY, **checked_columns("", EARLIEST)}
        await self._is_done([RowOperation(TransactionOperation.UPDATE, row)])

    async def _are_right(self, connection_id: str, tickets: Sequence[Ticket]) -> bool:
        """Correct the entries of tickets, and what they are counted under.

        Returns False if somebody else has changed one of them.
        """
        stored = await self._entries_of(connection_id, tickets) if tickets else {}
        counted = [(ticket, replace(ticket, counted=counted_under(ticket, ticket.counted))) for ticket in tickets]
        wrong = [
            (before, after)
            for before, after in counted
            if entry_of(before) != stored.get(before.ticket_id) or before.counted != after.counted
        ]
        is_right = True
        for part in batched(wrong, CORRECTED_TOGETHER, strict=False):
            operations, entries = [], []
            for before, ticket in part:
                known = stored.get(ticket.ticket_id)
                # Release 0.1 may have removed the row's revision.
                revision = max(ticket.revision, known.revision if known else 0) + 1
                entries.append(entry_of(ticket)._replace(revision=revision))
                row = {"PartitionKey": connection_id, "RowKey": ticket.ticket_id, "revision": revision}
                if ticket.counted != before.counted:
                    row["counted"] = " ".join(ticket.counted)
                operations.append(RowOperation(TransactionOperation.UPDATE, row, UpdateMode.MERGE, ticket.etag))
            change = change_row(connection_id, secrets.token_hex(12), entries)
            operations += [RowOperation(TransactionOperation.CREATE, change), *summary_change(connection_id, part)]
            is_right &= await self._is_done(operations)
        return is_right

    async def _entries_of(self, connection_id: str, tickets: Sequence[Ticket]) -> dict[str, Entry]:
        """Return the entries of all tickets from the first to the last of these."""
        first, last = tickets[0].ticket_id, tickets[-1].ticket_id
        rows = await list_rows(self._table, connection_id, CHANGE_PREFIX, CHANGE_PREFIX + "~")
        for prefix in (CURRENT_PREFIX, FINISHED_PREFIX):
            key = block_key(await self._keys(connection_id, prefix), prefix, first)
            rows += await list_rows(self._table, connection_id, key, f"{prefix}{last}~")
        return self._joined(rows)


class _Unreadable(Exception):
    """A block cannot be read."""


@value_object
class _Current:
    """The changes and the current blocks, joined, and the counts of all tickets.

    Attributes:
        are_checked: Whether the lists are known to lack no ticket.
    """

    connection_id: str
    summary: Summary
    entries: Mapping[str, Entry]
    are_checked: bool

    def listed(self, entries: Iterable[Entry]) -> list[ListedTicket]:
        """Return the tickets of entries; what is not whole is about a ticket whose first entry is yet to come."""
        return [listed_of(self.connection_id, entry) for entry in entries if entry.is_whole]


def _first_ids(tickets: Iterable[ListedTicket], limit: int, after: str) -> list[str]:
    """Return the first ids after this one."""
    return nsmallest(limit, (ticket.ticket_id for ticket in tickets if ticket.ticket_id > after))


def _decoded(row: Any) -> Ticket:
    # Requested columns that are missing come as null.
    return ticket_of({name: value for name, value in row.items() if value is not None}, etag_of(row))
