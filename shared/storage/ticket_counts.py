"""The counts of a connection's tickets in the table ``tickets``: the folded summary and the changes since."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, cast

from azure.core.async_paging import AsyncPageIterator
from azure.data.tables import TableTransactionError, TransactionOperation, UpdateMode
from azure.data.tables.aio import TableClient

from shared.storage.entity_transactions import MOST_ROWS, EntityTransactions, RowOperation
from shared.storage.rows import RowReader
from shared.storage.tables import PAGE_ROWS, etag_of, get_row, storage_errors
from shared.storage.ticket_rows import (
    SUMMARY_KEY,
    UNLINKED_PREFIX,
    UNREAD_PREFIX,
    UNRECORDED_PREFIX,
    UPDATE_PREFIX,
    is_summary_change_known,
    lists_checked_at,
    summary_change_of,
    summary_of,
    summary_row,
)
from shared.tickets.model import Delivery
from shared.tickets.ports import Overview
from shared.tickets.summary import Summary, SummaryChange
from shared.value_object import value_object

_COUNTS_END: Final = SUMMARY_KEY + "~"


@value_object
class Counted:
    """The rows of the counts, with those around them.

    Attributes:
        before: Rows whose keys sort before them, in order.
        summary: The folded summary; None before the first fold.
        changes: What the summary does not contain yet.
        prefixes: Which kinds of rows follow.
        are_all: Whether no other kinds follow.
    """

    before: Sequence[Any]
    summary: Any | None
    changes: Sequence[Any]
    prefixes: frozenset[str]
    are_all: bool

    def may_have(self, prefix: str) -> bool:
        """Whether there may be rows of this kind."""
        return prefix in self.prefixes or not self.are_all


class TicketCounts:
    """Reads and folds the counts; for :class:`shared.storage.tickets.AzureTicketStore`."""

    def __init__(self, table: TableClient, transactions: EntityTransactions, reader: RowReader) -> None:
        self._table = table
        self._transactions = transactions
        self._reader = reader

    async def get_summary(self, connection_id: str) -> Summary:
        """Return the exact counts of a connection's readable rows."""
        return self.total(await self.read(connection_id))

    def total(self, rows: Counted) -> Summary:
        """Return what the rows count together."""
        return self._summary(rows.summary).plus(self._changes(rows.changes))

    async def get_overview(self, connection_id: str) -> Overview:
        """Return what the rows beside the tickets say, in one request: their keys are consecutive."""
        rows = await self.read(connection_id, end=UPDATE_PREFIX + "~")
        total = self.total(rows)
        is_readable = (rows.summary is None or self._is_readable(rows.summary)) and all(
            map(is_summary_change_known, rows.changes)
        )
        return Overview(
            summary=total,
            is_folded=not rows.changes,
            may_have_pending=not is_readable or total.total(Delivery.PENDING) > 0,
            has_unlinked=rows.may_have(UNLINKED_PREFIX),
            has_unread_closings=rows.may_have(UNREAD_PREFIX),
            has_unrecorded=rows.may_have(UNRECORDED_PREFIX),
            has_updates=rows.may_have(UPDATE_PREFIX),
            lists_checked_at=lists_checked_at(rows.summary),
        )

    async def fold(self, connection_id: str, now: datetime) -> None:
        """Fold the changes into the summary row, unless somebody else is doing so."""
        while True:
            rows = await self.read(connection_id)
            summary = rows.summary
            # Another release may count more: only a release that can read all of a change folds it.
            changes = [row for row in rows.changes if is_summary_change_known(row)]
            if not changes or (summary is not None and not self._is_readable(summary)):
                return
            part = changes[: MOST_ROWS - 1]
            total = self._summary(summary).plus(self._changes(part)).folded(now)
            folded = summary_row(connection_id, total, beside=summary)
            operations: list[RowOperation] = [
                RowOperation(TransactionOperation.CREATE, folded)
                if summary is None
                else RowOperation(TransactionOperation.UPDATE, folded, UpdateMode.REPLACE, etag_of(summary))
            ]
            operations += [RowOperation(TransactionOperation.DELETE, row) for row in part]
            try:
                with storage_errors():
                    await self._transactions.submit(self._table.table_name, operations)
            except TableTransactionError as error:
                if error.status_code not in {404, 409, 412}:
                    raise
                return
            if len(part) == len(changes):
                return

    async def read(self, connection_id: str, *, first: str = SUMMARY_KEY, end: str = _COUNTS_END) -> Counted:
        """Return the rows of the counts and those around them.

        One answer shows one moment. Several answers do not: changes folded in between would be missing. So they count
        only if the summary is unchanged afterwards.

        Args:
            first: The first key to read.
            end: The first key not to read; of what follows the counts, only a part may be read.
        """
        parameters = {"connection": connection_id, "first": first, "end": end}
        query = "RowKey ge @first and RowKey lt @end and PartitionKey eq @connection"
        while True:
            before: list[Any] = []
            rows: list[Any] = []
            number, prefixes, are_all = 0, frozenset[str](), True
            with storage_errors():
                found = self._table.query_entities(query, parameters=parameters, results_per_page=PAGE_ROWS)
                pages = cast(AsyncPageIterator[Any], found.by_page())
                async for page in pages:
                    number += 1
                    of_page = [row async for row in page]
                    before += [row for row in of_page if row["RowKey"] < SUMMARY_KEY]
                    rows += [row for row in of_page if SUMMARY_KEY <= row["RowKey"] < _COUNTS_END]
                    if others := [row for row in of_page if row["RowKey"] >= _COUNTS_END]:
                        prefixes = frozenset(row["RowKey"].partition(":")[0] + ":" for row in others)
                        are_all = pages.continuation_token is None
                        break
            summary = rows.pop(0) if rows and rows[0]["RowKey"] == SUMMARY_KEY else None
            if number <= 1 or etag_of(summary) == etag_of(await get_row(self._table, connection_id, SUMMARY_KEY)):
                return Counted(before, summary, rows, prefixes, are_all)

    def _summary(self, row: Any | None) -> Summary:
        rows = [] if row is None else [row]
        return next(iter(self._reader.readable(self._table.table_name, rows, summary_of)), Summary())

    def _changes(self, rows: Iterable[Any]) -> list[SummaryChange]:
        return self._reader.readable(self._table.table_name, rows, summary_change_of)

    def _is_readable(self, summary: Any) -> bool:
        return bool(self._reader.readable(self._table.table_name, [summary], summary_of))
