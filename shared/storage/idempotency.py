"""Idempotency reservations in Table Storage: one row per key, spread over 256 partitions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from azure.core.exceptions import ResourceExistsError
from azure.data.tables.aio import TableClient

from shared.storage.rows import RowReader
from shared.storage.tables import insert_row, storage_errors
from shared.tickets.ports import IdempotencyReservation

_LONG_AGO: Final = datetime(2020, 1, 1, tzinfo=UTC)


class AzureIdempotencyStore:
    """Implements :class:`shared.tickets.ports.IdempotencyStore` on the table ``idempotency``."""

    def __init__(self, table: TableClient, reader: RowReader | None = None) -> None:
        self._table = table
        self._reader = reader or RowReader()

    async def reserve(self, reservation: IdempotencyReservation) -> IdempotencyReservation:
        """Store the reservation, or return the key's existing one.

        Raises StorageUnavailable or RowUnreadable: nothing may be sent with this key while the ticket is unknown.
        """
        row: dict[str, Any] = {
            "PartitionKey": reservation.key_hash[:2],
            "RowKey": reservation.key_hash,
            "request_hash": reservation.request_hash,
            "ticket_id": reservation.ticket_id,
            "reserved_at": reservation.reserved_at,
        }
        with storage_errors():
            try:
                await insert_row(self._table, row)
            except ResourceExistsError:
                present = await self._table.get_entity(row["PartitionKey"], row["RowKey"])
                return self._reader.read(self._table.table_name, present, _reservation)
        return reservation

    async def delete_expired_reservations(self, before: datetime) -> int:
        """Delete the reservations made before that time; return how many. Raises StorageUnavailable."""
        deleted = 0
        with storage_errors():
            expired = self._table.query_entities("reserved_at lt @before", parameters={"before": before})
            async for row in expired:
                await self._table.delete_entity(row)
                deleted += 1
        return deleted


def _reservation(row: Any) -> IdempotencyReservation:
    return IdempotencyReservation(
        key_hash=row["RowKey"],
        request_hash=row["request_hash"],
        ticket_id=row["ticket_id"],
        reserved_at=row.get("reserved_at", _LONG_AGO),
    )
