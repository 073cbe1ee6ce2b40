"""A series of blocks of a connection's lists, while entries are put into it and taken out of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from azure.data.tables import TransactionOperation, UpdateMode

from shared.storage.entity_transactions import MOST_ROWS, RowOperation
from shared.storage.listed_rows import Entry, block_key, block_rows, joined
from shared.storage.tables import etag_of, keys_of

TRANSACTION_BYTES: Final = 900_000
"""Table Storage takes 4 MiB; a body of more than 1 MiB would hold up the event loop."""


class Series:
    """The blocks of a series that have to change.

    The first block always begins before every ticket. Other blocks are only made by dividing one, in the same
    transaction, so that two who divide a block cannot both succeed.

    Attributes:
        is_damaged: Whether a block could not be read; it is replaced when it changes.
    """

    def __init__(self, connection_id: str, prefix: str, keys: Sequence[str]) -> None:
        """Prepare.

        Args:
            keys: The keys of all blocks of the series, in order.
        """
        self._connection_id = connection_id
        self._prefix = prefix
        self._keys = keys
        self._rows: dict[str, Any] = {}
        self._blocks: dict[str, dict[str, Entry]] = {}
        self._changed: dict[str, None] = {}
        self.is_damaged = False

    def key_of(self, ticket_id: str) -> str:
        """Return the key of the block that a ticket belongs to."""
        return block_key(self._keys, self._prefix, ticket_id)

    def hold(self, key: str, row: Any, entries: Iterable[Entry] | None) -> None:
        """Take in a block as it is stored; the entries are None if its row cannot be read."""
        self.is_damaged = self.is_damaged or entries is None
        self._rows[key] = row
        self._blocks[key] = joined(entries or ())

    def known(self, ticket_ids: Iterable[str]) -> list[Entry]:
        """Return the entries of these tickets in the blocks taken in."""
        found = (self._blocks.get(self.key_of(ticket_id), {}).get(ticket_id) for ticket_id in ticket_ids)
        return [entry for entry in found if entry is not None]

    def entries(self) -> list[Entry]:
        """Return all entries of the blocks taken in."""
        return [entry for block in self._blocks.values() for entry in block.values()]

    def put(self, entry: Entry) -> None:
        """Replace the entry of a ticket, or add it."""
        key = self.key_of(entry.ticket_id)
        block = self._blocks.setdefault(key, {})
        if block.get(entry.ticket_id) != entry:
            block[entry.ticket_id] = entry
            self._changed[key] = None

    def remove(self, ticket_id: str) -> None:
        """Take out the entry of a ticket, if it is there."""
        key = self.key_of(ticket_id)
        if self._blocks.get(key, {}).pop(ticket_id, None) is not None:
            self._changed[key] = None

    def operations(self) -> Iterator[Sequence[RowOperation]]:
        """Yield, for each changed block, the operations that store it; they belong into one transaction."""
        for key in self._changed:
            stored, block = self._rows.get(key), self._blocks[key]
            if stored is not None and not block and key != self._prefix:
                yield [RowOperation(TransactionOperation.DELETE, keys_of(stored), etag=etag_of(stored))]
                continue
            entries = [entry for _, entry in sorted(block.items())]
            own, *others = block_rows(self._connection_id, self._prefix, key.removeprefix(self._prefix), entries)
            yield [
                RowOperation(TransactionOperation.CREATE, own)
                if stored is None
                else RowOperation(TransactionOperation.UPDATE, own, UpdateMode.REPLACE, etag_of(stored)),
                *(RowOperation(TransactionOperation.CREATE, row) for row in others),
            ]


def in_transactions(operations: Iterable[Sequence[RowOperation]]) -> list[list[RowOperation]]:
    """Return operations, in the same order, in as few transactions as they fit into.

    Args:
        operations: Each inner sequence stays together.
    """
    parts: list[list[RowOperation]] = []
    rows_left = bytes_left = 0
    for together in operations:
        size = sum(len(value) for operation in together for value in operation.row.values() if isinstance(value, bytes))
        if len(together) > rows_left or size > bytes_left:
            parts.append([])
            rows_left, bytes_left = MOST_ROWS, TRANSACTION_BYTES
        parts[-1] += together
        rows_left -= len(together)
        bytes_left -= size
    return parts
