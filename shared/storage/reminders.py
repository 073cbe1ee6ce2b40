"""Reminders, in table ``connections``, in the connection's partition.

One range holds all of it: ``reminder:message:<id>:<receiver>``, ``reminder:settings`` and ``reminder:state``. The id of
a message begins with the time, so messages are in order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from azure.data.tables import TableTransactionError, TransactionOperation
from azure.data.tables.aio import TableClient

from shared.connections.ports import RowChanged
from shared.reminders.model import Message, Receiver, Reminders, ReminderSettings, ReminderState
from shared.storage.entity_transactions import EntityTransactions, RowOperation
from shared.storage.members import Members, members_of, members_row
from shared.storage.rows import RowReader, open_value
from shared.storage.tables import is_table_missing, list_rows, save_row, storage_errors

FIRST_KEY: Final = "reminder:"
END_KEY: Final = "reminder;"
SETTINGS_KEY: Final = "reminder:settings"
STATE_KEY: Final = "reminder:state"
MESSAGE_PREFIX: Final = "reminder:message:"
_SETTINGS: Final = Members(ReminderSettings)
_STATE: Final = Members(ReminderState)
_MESSAGE: Final = Members(Message, apart=["message_id", "receiver"])

type Row = dict[str, Any]


class AzureReminderStore:
    """Implements :class:`shared.reminders.ports.ReminderStore`."""

    def __init__(self, table: TableClient, transactions: EntityTransactions, reader: RowReader) -> None:
        self._table = table
        self._transactions = transactions
        self._reader = reader

    async def get(self, connection_id: str) -> Reminders:
        """See the port; a message that cannot be read is left out. Raises RowUnreadable for the other rows."""
        rows = await list_rows(self._table, connection_id, FIRST_KEY, END_KEY)
        by_key = {row["RowKey"]: row for row in rows}
        name = self._table.table_name
        settings, state = by_key.get(SETTINGS_KEY), by_key.get(STATE_KEY)
        messages = [row for key, row in by_key.items() if key.startswith(MESSAGE_PREFIX)]
        return Reminders(
            ReminderSettings() if settings is None else self._reader.read(name, settings, settings_of),
            ReminderState() if state is None else self._reader.read(name, state, state_of),
            tuple(self._reader.readable(name, messages, message_of)),
        )

    async def save_settings(self, connection_id: str, settings: ReminderSettings) -> ReminderSettings:
        """See the port."""
        row = settings_row(connection_id, settings)
        return replace(settings, etag=await save_row(self._table, row, settings.etag))

    async def save_plan(
        self, connection_id: str, state: ReminderState, new: Sequence[Message], old: Sequence[Message]
    ) -> ReminderState:
        """See the port."""
        kind = TransactionOperation.CREATE if state.etag is None else TransactionOperation.UPDATE
        operations = [
            RowOperation(kind, state_row(connection_id, state), etag=state.etag),
            *(RowOperation(TransactionOperation.CREATE, message_row(connection_id, each)) for each in new),
            *(RowOperation(TransactionOperation.DELETE, message_row(connection_id, each)) for each in old),
        ]
        try:
            with storage_errors():
                etags = await self._transactions.submit(self._table.table_name, operations)
        except TableTransactionError as error:
            if error.status_code not in {404, 409, 412} or is_table_missing(error):
                raise
            raise RowChanged(STATE_KEY) from None
        return replace(state, etag=etags[0])

    async def save_message(self, connection_id: str, message: Message) -> Message:
        """See the port."""
        row = message_row(connection_id, message)
        return replace(message, etag=await save_row(self._table, row, message.etag))

    async def forget(self, connection_id: str) -> None:
        """See the port."""
        rows = await list_rows(self._table, connection_id, FIRST_KEY, END_KEY, columns=["PartitionKey", "RowKey"])
        with storage_errors():
            for row in rows:
                await self._table.delete_entity(row["PartitionKey"], row["RowKey"])


def settings_row(connection_id: str, settings: ReminderSettings) -> Row:
    """Return the row of settings."""
    return members_row(connection_id, SETTINGS_KEY, _SETTINGS.written(settings))


def settings_of(row: Any) -> ReminderSettings:
    """Return the settings in a row; raises what :meth:`shared.storage.rows.RowReader.read` expects."""
    return replace(_SETTINGS.read(members_of(row)), etag=_etag(row))


def state_row(connection_id: str, state: ReminderState) -> Row:
    """Return the row of a state."""
    return members_row(connection_id, STATE_KEY, _STATE.written(state))


def state_of(row: Any) -> ReminderState:
    """Return the state in a row; raises as :func:`settings_of` does."""
    return replace(_STATE.read(members_of(row)), etag=_etag(row))


def message_row(connection_id: str, message: Message) -> Row:
    """Return the row of a message."""
    key = f"{MESSAGE_PREFIX}{message.message_id}:{message.receiver}"
    return members_row(connection_id, key, _MESSAGE.written(message))


def message_of(row: Any) -> Message:
    """Return the message in a row; raises as :func:`settings_of` does."""
    message_id, _, receiver = row["RowKey"].removeprefix(MESSAGE_PREFIX).rpartition(":")
    read = _MESSAGE.read(members_of(row), message_id=message_id, receiver=open_value(Receiver, receiver))
    return replace(read, etag=_etag(row))


def _etag(row: Any) -> str | None:
    metadata: Mapping[str, Any] = getattr(row, "metadata", {})
    return str(metadata["etag"]) if "etag" in metadata else None
