"""An instance's columns, kept in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shared.connections.columns import Column
from shared.connections.model import Connection, TicketKind
from shared.connections.options import Choice
from shared.errors import ConnectorError


@dataclass
class MemoryColumns:
    """Implements :class:`shared.connections.columns.InstanceColumns`.

    Attributes:
        found: The columns of every kind; None if the instance says nothing.
        records: The records of each table that is readable.
        error: Raised by every method, if there is one.
    """

    found: Mapping[str, Column] | None = None
    records: Mapping[str, Sequence[Choice]] = field(default_factory=dict)
    error: ConnectorError | None = None

    async def columns(self, connection: Connection, kind: TicketKind) -> Mapping[str, Column] | None:
        """See the port."""
        if self.error is not None:
            raise self.error
        return self.found

    async def search(
        self, connection: Connection, table: str, text: str, *, exact: bool = False
    ) -> Sequence[Choice] | None:
        """See the port."""
        if self.error is not None:
            raise self.error
        if table not in self.records:
            return None
        wanted = text.casefold()
        labels = {choice: choice.label.casefold() for choice in self.records[table]}
        return [choice for choice, label in labels.items() if (wanted == label if exact else wanted in label)]
