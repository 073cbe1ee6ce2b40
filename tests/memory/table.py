"""A table of Table Storage in memory: its rows, queries in pages, and entity transactions."""

from __future__ import annotations

import json
from bisect import bisect_left, insort
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final

from azure.core.exceptions import ResourceNotFoundError
from azure.core.rest import HttpRequest
from azure.data.tables import TableTransactionError, TransactionOperation, UpdateMode

from shared.storage.entity_transactions import MOST_ROWS, RowOperation, _Answer, _error
from tests.memory.steps import Step, at_once
from tests.releases.stored_rows import StoredRow

_COMPARE: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "eq": lambda one, other: one == other,
    "gt": lambda one, other: one > other,
    "ge": lambda one, other: one >= other,
    "lt": lambda one, other: one < other,
    "le": lambda one, other: one <= other,
}


class MemoryTable:
    """What the stores use of a ``TableClient`` and of :class:`shared.storage.entity_transactions.EntityTransactions`.

    Attributes:
        rows: The stored rows by their keys.
        repeats: How many of the next transactions are carried out, lose their answer, and are sent again.
        written: Called with each row as it is stored.
    """

    table_name = "tickets"

    def __init__(self, step: Step = at_once, *, page_rows: int = 1000) -> None:
        self._step = step
        self._page_rows = page_rows
        self._versions = 0
        self._keys: list[tuple[str, str]] = []
        self.rows: dict[tuple[str, str], StoredRow] = {}
        self.repeats = 0
        self.written: Callable[[StoredRow], None] = lambda row: None

    def query_entities(
        self, query: str, *, parameters: Mapping[str, str], results_per_page: int, select: Sequence[str] | None = None
    ) -> _Query:
        """Return the rows of a query on the keys."""
        terms = [
            (name, _COMPARE[how], parameters[each[1:]]) for name, how, each in map(str.split, query.split(" and "))
        ]
        return _Query(self, terms, select, min(results_per_page, self._page_rows))

    async def page(self, query: _Query, after: tuple[str, str] | None) -> tuple[list[StoredRow], bool]:
        """Return a page of a query as it is at this moment, and whether there may be more."""
        await self._step("page")
        [partition] = [value for name, _, value in query.terms if name == "PartitionKey"]
        found: list[StoredRow] = []
        for key in self._keys[bisect_left(self._keys, after or (partition, "")) :]:
            row = self.rows[key]
            if key == after or not all(compare(row[name], value) for name, compare, value in query.terms):
                continue
            if len(found) == query.page_rows:
                return found, True
            found.append(_copy(row, query.select))
        return found, False

    async def get_entity(self, partition_key: str, row_key: str, *, select: Sequence[str] | None = None) -> StoredRow:
        """Return a row."""
        await self._step("get")
        if (row := self.rows.get((partition_key, row_key))) is None:
            raise ResourceNotFoundError
        return _copy(row, select)

    async def submit(self, table_name: str, operations: Sequence[RowOperation]) -> Sequence[str | None]:
        """Carry out a transaction."""
        assert len(operations) <= MOST_ROWS
        assert len({operation.row["RowKey"] for operation in operations}) == len(operations)
        await self._step("submit")
        etags = self.apply(operations)
        if self.repeats:
            self.repeats -= 1
            self.apply(operations)
        await self._step("answer")
        return etags

    def apply(self, operations: Sequence[RowOperation]) -> list[str | None]:
        """Carry out a transaction at once."""
        for number, operation in enumerate(operations):
            if (status := self._refusal(operation)) is not None:
                body = json.dumps({"odata.error": {"code": "Refused", "message": {"value": f"{number}:Refused"}}})
                answer = _Answer(HttpRequest("POST", "https://memory"), status, "", {}, body.encode())
                raise _error(TableTransactionError, answer)
        return [self._carry_out(operation) for operation in operations]

    def _refusal(self, operation: RowOperation) -> int | None:
        present = self.rows.get(_keys(operation.row))
        match operation.kind:
            case TransactionOperation.CREATE:
                return None if present is None else 409
            case TransactionOperation.UPSERT:
                return None
        if present is None:
            return 404
        return None if operation.etag in {None, present.metadata["etag"]} else 412

    def _carry_out(self, operation: RowOperation) -> str | None:
        key = _keys(operation.row)
        if operation.kind is TransactionOperation.DELETE:
            del self.rows[key]
            self._keys.remove(key)
            return None
        is_merged = operation.kind is not TransactionOperation.CREATE and operation.mode is UpdateMode.MERGE
        old = self.rows.get(key, StoredRow()) if is_merged else StoredRow()
        row = StoredRow({**old, **{name: value for name, value in operation.row.items() if value is not None}})
        self._versions += 1
        row.metadata = {"etag": f'W/"{self._versions}"'}
        if key not in self.rows:
            insort(self._keys, key)
        self.rows[key] = row
        self.written(row)
        etag: str = row.metadata["etag"]
        return etag


class _Query:
    """The pages of a query, as the Azure SDK hands them out."""

    def __init__(self, table: MemoryTable, terms: Any, select: Sequence[str] | None, page_rows: int) -> None:
        self._table = table
        self.terms = terms
        self.select = select
        self.page_rows = page_rows
        self.continuation_token: str | None = None

    def by_page(self) -> _Pages:
        """Return the pages."""
        return _Pages(self._table, self)

    async def __aiter__(self) -> AsyncIterator[StoredRow]:
        async for page in self.by_page():
            async for row in page:
                yield row


class _Pages:
    def __init__(self, table: MemoryTable, query: _Query) -> None:
        self._table = table
        self._query = query
        self._after: tuple[str, str] | None = None
        self._is_begun = False
        self.continuation_token: str | None = None

    def __aiter__(self) -> _Pages:
        return self

    async def __anext__(self) -> AsyncIterator[StoredRow]:
        if self._is_begun and self.continuation_token is None:
            raise StopAsyncIteration
        self._is_begun = True
        rows, is_more = await self._table.page(self._query, self._after)
        self._after = _keys(rows[-1]) if rows else self._after
        self.continuation_token = "more" if is_more else None
        return _each(rows)


async def _each(rows: Sequence[StoredRow]) -> AsyncIterator[StoredRow]:
    for row in rows:
        yield row


def _keys(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["PartitionKey"], row["RowKey"]


def _copy(row: StoredRow, select: Sequence[str] | None) -> StoredRow:
    """Return what a query returns of a row: requested columns that are missing come as null."""
    copy = StoredRow(row if select is None else {name: row.get(name) for name in select})
    copy.metadata = row.metadata
    return copy
