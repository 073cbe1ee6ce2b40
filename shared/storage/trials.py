"""The newest test ticket of each kind, in table ``connections``: row ``test_ticket:<kind>`` of the connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableClient

from shared.check.preflight.model import Trial
from shared.connections.model import TicketKind
from shared.errors import RowUnreadable
from shared.storage.members import Members, members_of, members_row
from shared.storage.rows import RowReader
from shared.storage.tables import get_row, storage_errors

KEY: Final = "test_ticket:{kind}"
_MEMBERS: Final = Members(Trial, apart={"kind"})


class AzureTrialStore:
    """Implements :class:`shared.check.preflight.ports.TrialStore`."""

    def __init__(self, table: TableClient, reader: RowReader) -> None:
        self._table = table
        self._reader = reader

    async def get(self, connection_id: str, kind: TicketKind) -> Trial | None:
        """See the port."""
        row = await get_row(self._table, connection_id, KEY.format(kind=kind))
        return None if row is None else self._reader.read(self._table.table_name, row, trial_of)

    async def save(self, connection_id: str, trial: Trial) -> None:
        """See the port. What another release added to the row is kept."""
        try:
            stored = await self.get(connection_id, trial.kind)
        except RowUnreadable:
            stored = None
        kept = {} if stored is None else stored.kept
        with storage_errors():
            await self._table.upsert_entity(trial_row(connection_id, replace(trial, kept=kept)), mode=UpdateMode.MERGE)


def trial_row(connection_id: str, trial: Trial) -> dict[str, Any]:
    """Return the row of a test ticket."""
    return members_row(connection_id, KEY.format(kind=trial.kind), _MEMBERS.written(trial))


def trial_of(row: Mapping[str, Any]) -> Trial:
    """Return the test ticket in a row; raises what :meth:`shared.storage.rows.RowReader.read` expects."""
    return _MEMBERS.read(members_of(row), kind=TicketKind(row["RowKey"].partition(":")[2]))
