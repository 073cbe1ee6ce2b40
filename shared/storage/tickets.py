"""Tickets in Table Storage.

One partition per connection holds, by row key: the tickets (ticket id, newest first), the outbox (``pending:…``, oldest
first), the numbers (``number:…``), the recommendations (``recommendation:…``), the ids of tickets for stored
recommendations (``outcome:…``, written with the ticket or by whoever gives it up, so that only one of them can), the
summary with its unfolded changes (``summary``, ``summary:…``), open tickets followed by ``sys_id`` (``unlinked:…``),
tickets whose closing is not read yet (``unread:…``), events that the evidence may not have yet (``unrecorded:…``),
updates that wait for ServiceNow (``update:…``), and for each tenant the tickets whose outcome can still change
(``verification:…``). All rows of one write are changed in one entity transaction.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from azure.core.exceptions import ResourceExistsError
from azure.data.tables import TableTransactionError, TransactionOperation
from azure.data.tables.aio import TableClient

from shared.connections.ports import RowChanged
from shared.evidence.model import EvidenceBatch
from shared.storage.entity_transactions import MOST_ROWS, EntityTransactions, RowOperation
from shared.storage.rows import RowReader
from shared.storage.tables import etag_of, get_row, insert_row, is_table_missing, list_rows, save_row, storage_errors
from shared.storage.ticket_counts import TicketCounts
from shared.storage.ticket_lists import TicketLists
from shared.storage.ticket_rows import (
    CHANGING_COLUMNS,
    PENDING_PREFIX,
    TICKET_KEYS_END,
    UNLINKED_PREFIX,
    UNREAD_PREFIX,
    UNRECORDED_PREFIX,
    UPDATE_PREFIX,
    Row,
    pending_key,
    recommendation_prefixes,
    ticket_id_of_pending_key,
    ticket_of,
    unrecorded_of,
    unrecorded_row,
    update_key,
    update_of,
    update_row,
    watched_of,
    watched_prefix,
)
from shared.storage.ticket_writes import (
    CREATION_ID,
    TicketUpdate,
    TicketWrite,
    number_key,
    operations_of,
    outcome_row,
    transactions_of,
    update_operation,
)
from shared.tickets.listed import CurrentTickets, ListedTicket, listed
from shared.tickets.lists import is_wanted
from shared.tickets.model import Delivery, Ticket
from shared.tickets.ports import (
    Overview,
    TicketExists,
    TicketFilter,
    TicketGivenUp,
    UpdateChange,
    WatchedTicket,
)
from shared.tickets.summary import Summary
from shared.tickets.updates.model import Update

CONCURRENT_TRANSACTIONS: Final = 4
POINT_READS: Final = 40
"""Up to this number, tickets are read one by one; beyond it, in ranges."""
PAGE_ROWS: Final = 1000


class AzureTicketStore:
    """Implements :class:`shared.tickets.ports.TicketStore` on the table ``tickets``."""

    def __init__(self, table: TableClient, transactions: EntityTransactions, reader: RowReader | None = None) -> None:
        self._table = table
        self._transactions = transactions
        self._reader = reader or RowReader()
        self._counts = TicketCounts(table, transactions, self._reader)
        self._lists = TicketLists(table, transactions, self._reader, self._counts)

    async def create_ticket(self, ticket: Ticket) -> Ticket:
        """Store a new ticket. Raises TicketExists, TicketGivenUp or StorageUnavailable."""
        return await self._create(TicketWrite.of_new(ticket))

    async def create_tickets(self, tickets: Sequence[Ticket]) -> Sequence[Ticket]:
        """Store new tickets of one connection; return those that are stored, in the same order."""
        turn = asyncio.Semaphore(CONCURRENT_TRANSACTIONS)

        async def create(part: Sequence[TicketWrite]) -> Sequence[Ticket]:
            async with turn:
                if (stored := await self._created(part)) is not None:
                    return stored
            one_by_one = []
            for write in part:
                with suppress(TicketExists, TicketGivenUp):
                    one_by_one.append(await self._create(write))
            return one_by_one

        parts = transactions_of([TicketWrite.of_new(ticket) for ticket in tickets])
        return [ticket for part in await asyncio.gather(*map(create, parts)) for ticket in part]

    async def _created(self, writes: Sequence[TicketWrite]) -> Sequence[Ticket] | None:
        """Store all of these new tickets, or none if the id of any is taken or given up."""
        with storage_errors():
            try:
                etags = await self._submit(operations_of(writes))
            except TableTransactionError as error:
                if error.status_code != 409:
                    raise
                return None
        return [replace(write.after, etag=etag) for write, etag in zip(writes, etags, strict=False)]

    async def _create(self, write: TicketWrite) -> Ticket:
        if (stored := await self._created([write])) is not None:
            return stored[0]
        ticket = write.after
        present = await get_row(self._table, ticket.connection_id, ticket.ticket_id)
        if present is None:
            raise TicketGivenUp(ticket.ticket_id)
        if present.get(CREATION_ID) == write.own.row[CREATION_ID]:
            # The answer to our own insert was lost, and it was repeated.
            return self._ticket(present)
        raise TicketExists(ticket.ticket_id)

    async def give_up(self, connection_id: str, ticket_id: str) -> Ticket | None:
        """Ensure that a ticket is either stored by now or never will be; return it if it is stored."""
        with suppress(ResourceExistsError):
            await insert_row(self._table, outcome_row(connection_id, ticket_id))
        return await self.get_ticket(connection_id, ticket_id)

    async def get_ticket(self, connection_id: str, ticket_id: str) -> Ticket | None:
        """Return the ticket, or None. Raises StorageUnavailable or RowUnreadable."""
        row = await get_row(self._table, connection_id, ticket_id)
        return None if row is None else self._ticket(row)

    def _ticket(self, row: Any) -> Ticket:
        return self._reader.read(self._table.table_name, row, _decoded)

    def _tickets(self, rows: Iterable[Any]) -> list[Ticket]:
        """Return the tickets in rows; unreadable ones are left out."""
        return self._reader.readable(self._table.table_name, rows, _decoded)

    async def _read(self, connection_id: str, rows: Sequence[Any], whole: bool) -> list[Ticket]:
        """Return the tickets in rows. If the rows lack columns, read the undelivered tickets again."""
        if whole:
            return self._tickets(rows)
        parts = self._reader.readable(self._table.table_name, rows, _decoded_in_part)
        others = [part.ticket_id for part in parts if part.delivery.status is not Delivery.DELIVERED]
        found = await self.get_tickets(connection_id, others) if others else {}
        tickets = (part if part.delivery.status is Delivery.DELIVERED else found.get(part.ticket_id) for part in parts)
        return [ticket for ticket in tickets if ticket is not None]

    async def update_ticket(self, before: Ticket, after: Ticket, updates: Sequence[UpdateChange] = ()) -> Ticket:
        """Replace a ticket and change its updates if nobody else has. Raises RowChanged or StorageUnavailable."""
        changes, _ = await self._updates([(before, after)])
        if not changes:
            raise RowChanged(before.ticket_id)
        return await self._update(changes[0], updates)

    async def _update(self, update: TicketUpdate, updates: Sequence[UpdateChange] = ()) -> Ticket:
        operations = [*operations_of([update]), *map(update_operation, updates)]
        while True:
            with storage_errors():
                try:
                    etags = await self._submit(operations)
                except TableTransactionError as error:
                    if error.status_code not in {404, 409, 412} or is_table_missing(error):
                        raise
                    if (absent := _absent_index_row(error, operations)) is None:
                        raise RowChanged(update.before.ticket_id) from None
                    operations.remove(absent)
                else:
                    return replace(update.after, etag=etags[0])

    async def update_tickets(self, changes: Sequence[tuple[Ticket, Ticket]]) -> Sequence[tuple[Ticket, Ticket]]:
        """Replace many tickets of one connection; return those that somebody else has changed."""
        turn = asyncio.Semaphore(CONCURRENT_TRANSACTIONS)

        async def submit(part: Sequence[TicketUpdate]) -> Sequence[tuple[Ticket, Ticket]]:
            async with turn:
                try:
                    with storage_errors():
                        await self._submit(operations_of(part))
                except TableTransactionError as error:
                    if error.status_code not in {404, 412}:
                        raise
                else:
                    return []
            return await self._update_one_by_one(part)

        updates, changed = await self._updates(changes)
        conflicts = await asyncio.gather(*(submit(part) for part in transactions_of(updates)))
        return [*changed, *(change for part in conflicts for change in part)]

    async def _update_one_by_one(self, updates: Sequence[TicketUpdate]) -> Sequence[tuple[Ticket, Ticket]]:
        conflicts = []
        for update in updates:
            try:
                await self._update(update)
            except RowChanged:
                conflicts.append((update.before, update.after))
        return conflicts

    async def _updates(
        self, changes: Sequence[tuple[Ticket, Ticket]]
    ) -> tuple[list[TicketUpdate], list[tuple[Ticket, Ticket]]]:
        """Return how to make the changes, and which come too late.

        Only a whole row can lose a column, so a partly read ticket is read again for that. It is left out if the rest
        makes no sense.
        """
        updates = [TicketUpdate.between(before, after) for before, after in changes]
        lacking = [update.after.ticket_id for update in updates if update.has_to_be_whole]
        if not lacking:
            return updates, []
        whole = await self.get_tickets(updates[0].after.connection_id, lacking)
        ready, changed = [], []
        for update in updates:
            if not update.has_to_be_whole:
                ready.append(update)
            elif (before := whole.get(update.after.ticket_id)) is not None:
                if before.etag == update.before.etag:
                    ready.append(TicketUpdate.between(before, update.after.made_whole(before)))
                else:
                    changed.append((update.before, update.after))
        return ready, changed

    async def get_tickets(
        self, connection_id: str, ticket_ids: Sequence[str], *, whole: bool = True
    ) -> Mapping[str, Ticket]:
        """Return the existing tickets by id: a few are read one by one, more by ranges of row keys."""
        columns = None if whole else list(CHANGING_COLUMNS)
        if len(ticket_ids) <= POINT_READS:
            found = await asyncio.gather(
                *(get_row(self._table, connection_id, ticket_id, columns=columns) for ticket_id in ticket_ids)
            )
            present_rows = [row for row in found if row is not None]
            return {ticket.ticket_id: ticket for ticket in await self._read(connection_id, present_rows, whole)}
        wanted = sorted(set(ticket_ids))
        present = set(wanted)
        tickets: dict[str, Ticket] = {}
        place = 0
        while place < len(wanted):
            last = wanted[min(place + PAGE_ROWS, len(wanted)) - 1]
            rows = await self._range(connection_id, wanted[place], last, PAGE_ROWS, columns)
            wanted_rows = [row for row in rows if row["RowKey"] in present]
            tickets |= {ticket.ticket_id: ticket for ticket in await self._read(connection_id, wanted_rows, whole)}
            reached = rows[-1]["RowKey"] if len(rows) == PAGE_ROWS else last
            while place < len(wanted) and wanted[place] <= reached:
                place += 1
        return tickets

    async def _range(
        self, connection_id: str, first: str, last: str, limit: int, columns: list[str] | None
    ) -> list[Row]:
        query = "RowKey ge @first and RowKey le @last and PartitionKey eq @connection"
        return await self._rows(query, {"connection": connection_id, "first": first, "last": last}, limit, columns)

    async def list_tickets(
        self, connection_ids: Sequence[str], wanted: TicketFilter, *, limit: int, after: str | None = None
    ) -> Sequence[Ticket]:
        """Return up to ``limit`` tickets, newest first, older than the ticket id ``after``."""
        pages = await asyncio.gather(
            *(self._list_of(connection_id, wanted, limit, after) for connection_id in connection_ids)
        )
        return list(heapq.merge(*pages, key=lambda ticket: ticket.ticket_id))[:limit]

    async def _list_of(self, connection_id: str, wanted: TicketFilter, limit: int, after: str | None) -> list[Ticket]:
        if wanted == TicketFilter():
            return await self._newest(connection_id, limit, after)
        if wanted.text and (ticket := await self.find_by_number(connection_id, wanted.text)) is not None:
            is_past = after is not None and ticket.ticket_id <= after
            others = replace(wanted, text=None)
            return [] if is_past or not is_wanted(others)(listed(ticket)) else [ticket]
        found: list[Ticket] = []
        while len(found) < limit:
            lacking = limit - len(found)
            ids = await self._lists.find(connection_id, wanted, limit=lacking, after=after)
            tickets = await self.get_tickets(connection_id, ids)
            found += [tickets[each] for each in ids if each in tickets]
            if len(ids) < lacking:
                break
            after = ids[-1]
        return found

    async def _newest(self, connection_id: str, limit: int, after: str | None) -> list[Ticket]:
        found: list[Ticket] = []
        with storage_errors():
            async for row in self._table.query_entities(
                _TICKETS_AFTER, parameters=_after(connection_id, after), results_per_page=min(limit, PAGE_ROWS)
            ):
                found += self._tickets([row])
                if len(found) == limit:
                    break
        return found

    async def list_current(self, connection_ids: Sequence[str]) -> Sequence[CurrentTickets]:
        """Return, for each of these connections, its current tickets, and the counts of all its tickets."""
        return await asyncio.gather(*map(self._lists.list_current, connection_ids))

    async def list_every(self, connection_ids: Sequence[str]) -> Sequence[ListedTicket]:
        """Return all tickets of these connections, current and finished ones."""
        return [ticket for connection_id in connection_ids for ticket in await self._lists.list_every(connection_id)]

    async def check_lists(self, connection_id: str, now: datetime) -> bool:
        """Compare a page of tickets with the lists, and correct the lists; return whether the end was reached."""
        return await self._lists.check(connection_id, now)

    async def find_by_number(self, connection_id: str, number: str) -> Ticket | None:
        """Return the ticket whose record has this number, or None."""
        key = number_key(number)
        row = None if key is None else await get_row(self._table, connection_id, key)
        ticket_id = None if row is None else row.get("ticket_id")
        return None if ticket_id is None else await self.get_ticket(connection_id, ticket_id)

    async def scan_tickets(self, connection_id: str, *, after: str | None = None) -> AsyncIterator[Sequence[Ticket]]:
        """Go through all tickets of a connection in order of their ids, page by page."""
        while True:
            parameters = _after(connection_id, after)
            rows = await self._rows(_TICKETS_AFTER, parameters, PAGE_ROWS, list(CHANGING_COLUMNS))
            if rows:
                yield await self._read(connection_id, rows, whole=False)
                after = rows[-1]["RowKey"]
            if len(rows) < PAGE_ROWS:
                return

    async def list_pending(self, connection_id: str, *, limit: int, after: str | None = None) -> Sequence[Ticket]:
        """Return up to ``limit`` pending tickets, oldest first, newer than the ticket id ``after``."""
        place = PENDING_PREFIX if after is None else pending_key(after)
        pending: list[Ticket] = []
        while len(pending) < limit:
            rows = await self._rows_after(connection_id, place, PENDING_PREFIX, limit)
            ticket_ids = [ticket_id_of_pending_key(row["RowKey"]) for row in rows]
            tickets = await self.get_tickets(connection_id, ticket_ids)
            present = [tickets[ticket_id] for ticket_id in ticket_ids if ticket_id in tickets]
            pending += [ticket for ticket in present if ticket.delivery.status is Delivery.PENDING]
            if len(rows) < limit:
                break
            place = rows[-1]["RowKey"]
        return pending[:limit]

    async def list_unlinked(self, connection_id: str, *, limit: int, after: str | None = None) -> Sequence[Ticket]:
        """Return up to ``limit`` tickets that are followed by ``sys_id``, newest first, older than ``after``."""
        return await self._listed(connection_id, UNLINKED_PREFIX, after or "", limit)

    async def _listed(self, connection_id: str, prefix: str, after: str, limit: int) -> Sequence[Ticket]:
        """Return the tickets in an index, without the parts that no longer change."""
        rows = await self._rows_after(connection_id, f"{prefix}{after}", prefix, limit)
        ticket_ids = [row["RowKey"].removeprefix(prefix) for row in rows]
        tickets = await self.get_tickets(connection_id, ticket_ids, whole=False)
        return [tickets[ticket_id] for ticket_id in ticket_ids if ticket_id in tickets]

    async def _rows_after(self, connection_id: str, place: str, prefix: str, limit: int) -> list[Any]:
        """Return up to ``limit`` rows whose keys have this prefix and come after a place."""
        return await self._rows(
            "RowKey gt @place and RowKey lt @last and PartitionKey eq @connection",
            {"connection": connection_id, "place": place, "last": f"{prefix}~"},
            limit,
        )

    async def list_watched(self, connection_id: str, tenant_id: str) -> Sequence[WatchedTicket]:
        """Return the tickets for a tenant's recommendations whose outcome can still change, newest first."""
        prefix = watched_prefix(tenant_id)
        rows = await list_rows(self._table, connection_id, prefix, prefix + "~")
        return self._reader.readable(self._table.table_name, rows, watched_of)

    async def list_unread_closings(self, connection_id: str, *, limit: int) -> Sequence[Ticket]:
        """Return up to ``limit`` tickets whose records have to be asked how they were closed, newest first."""
        return await self._listed(connection_id, UNREAD_PREFIX, "", limit)

    async def list_updates(self, connection_id: str, *, limit: int, after: Update | None = None) -> Sequence[Update]:
        """Return up to ``limit`` updates of a connection, those of one ticket oldest first."""
        place = UPDATE_PREFIX if after is None else update_key(after.ticket_id, after.update_id)
        rows = await self._rows_after(connection_id, place, UPDATE_PREFIX, limit)
        return self._reader.readable(self._table.table_name, rows, update_of)

    async def list_updates_of(self, connection_id: str, ticket_id: str) -> Sequence[Update]:
        """Return the updates of a ticket, oldest first."""
        prefix = update_key(ticket_id, "")
        rows = await list_rows(self._table, connection_id, prefix, prefix + "~")
        return self._reader.readable(self._table.table_name, rows, update_of)

    async def save_update(self, before: Update, after: Update) -> Update:
        """Replace a stored update if nobody else has changed it. Raises RowChanged or StorageUnavailable."""
        return replace(after, etag=await save_row(self._table, update_row(after), before.etag))

    async def list_unrecorded(self, connection_id: str, *, limit: int) -> Sequence[EvidenceBatch]:
        """Return up to ``limit`` batches of events that the evidence may not have yet, oldest first."""
        rows = await self._rows_after(connection_id, UNRECORDED_PREFIX, UNRECORDED_PREFIX, limit)
        return self._reader.readable(self._table.table_name, rows, unrecorded_of)

    async def delete_unrecorded(self, connection_id: str, batches: Sequence[EvidenceBatch]) -> None:
        """Delete batches that the evidence has."""
        rows = [unrecorded_row(connection_id, batch) for batch in batches]
        for start in range(0, len(rows), MOST_ROWS):
            operations = [RowOperation(TransactionOperation.DELETE, row) for row in rows[start : start + MOST_ROWS]]
            while operations:
                with storage_errors():
                    try:
                        await self._submit(operations)
                    except TableTransactionError as error:
                        # Somebody else has deleted it, or we have and the answer was lost.
                        if (absent := _absent_index_row(error, operations)) is None:
                            raise
                        operations.remove(absent)
                    else:
                        break

    async def list_of_recommendation(self, ticket: Ticket, *, limit: int) -> Sequence[Ticket]:
        """Return older tickets that may be about the same recommendation, newest first."""
        query = "RowKey gt @own and RowKey lt @last and PartitionKey eq @connection"
        places = [(f"{prefix}{ticket.ticket_id}", f"{prefix}~") for prefix in recommendation_prefixes(ticket)]
        found = await asyncio.gather(
            *(
                self._rows(query, {"connection": ticket.connection_id, "own": own, "last": last}, limit)
                for own, last in places
            )
        )
        ticket_ids = {row["RowKey"].rpartition(":")[2] for rows in found for row in rows}
        tickets = await self.get_tickets(ticket.connection_id, sorted(ticket_ids))
        return sorted(tickets.values(), key=lambda each: each.ticket_id)

    async def get_summary(self, connection_id: str) -> Summary:
        """Return the exact counts of a connection's readable rows."""
        return await self._counts.get_summary(connection_id)

    async def get_overview(self, connection_id: str) -> Overview:
        """Return what the rows beside the tickets say, in one request: their keys are consecutive."""
        return await self._counts.get_overview(connection_id)

    async def compact_summary(self, connection_id: str, now: datetime) -> None:
        """Fold the changes of the counts and of the lists, unless somebody else is doing so."""
        await self._counts.fold(connection_id, now)
        await self._lists.fold(connection_id)

    async def _submit(self, operations: Sequence[RowOperation]) -> Sequence[str | None]:
        return await self._transactions.submit(self._table.table_name, operations)

    async def _rows(
        self, query: str, parameters: dict[str, Any], limit: int, columns: list[str] | None = None
    ) -> list[Any]:
        """Return the rows of a query, at most ``limit`` of them; the service may spread them over many pages."""
        rows: list[Any] = []
        with storage_errors():
            found = self._table.query_entities(
                query, parameters=parameters, select=columns, results_per_page=min(limit, PAGE_ROWS)
            )
            async for row in found:
                rows.append(row)
                if len(rows) == limit:
                    break
        return rows


_TICKETS_AFTER: Final = "PartitionKey eq @connection and RowKey gt @after and RowKey lt @end"


def _after(connection_id: str, after: str | None) -> dict[str, Any]:
    return {"connection": connection_id, "after": after or "", "end": TICKET_KEYS_END}


def _decoded(row: Any) -> Ticket:
    return ticket_of(row, etag_of(row))


def _decoded_in_part(row: Any) -> Ticket:
    # Requested columns that are missing come as null.
    present = {name: value for name, value in row.items() if value is not None}
    return ticket_of(present, etag_of(row), is_whole=False)


def _absent_index_row(error: TableTransactionError, operations: Sequence[RowOperation]) -> RowOperation | None:
    """Return the operation that failed because its index row is missing; None for any other failure.

    A release that does not know the index keeps no rows in it.
    """
    failed = operations[error.index] if error.index is not None and error.index < len(operations) else None
    is_absent = (
        error.status_code == 404
        and failed is not None
        and failed.kind is TransactionOperation.DELETE
        and failed.etag is None
    )
    return failed if is_absent else None
