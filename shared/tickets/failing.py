"""Whether a failed attempt means that the whole connection fails, and the notes that are kept of that."""

from __future__ import annotations

from collections.abc import Awaitable

from shared.connections.model import Connection, Operation
from shared.errors import AccessRefused, ConnectorError, InstanceClosed, OutcomeUnknown, Reauthorize, TryLater
from shared.log import log_event
from shared.service import service
from shared.tickets.ports import InstanceHealth, TicketRecords


@service
class ConnectionNotes:
    """Notes on a connection how calls went; if that fails, it changes nothing else."""

    records: TicketRecords
    health: InstanceHealth

    async def failed(self, connection: Connection, error: ConnectorError, operation: Operation | None = None) -> None:
        """Note why a call failed."""
        await _noted(connection, self.health.failed(connection, error, operation))

    async def succeeded(self, connection: Connection, operation: Operation | None = None) -> None:
        """Note that ServiceNow gave a real answer."""
        await _noted(connection, self.health.succeeded(connection, operation))

    async def settled(self, connection: Connection, operation: Operation) -> None:
        """Note that nothing waits for the operation any more."""
        await _noted(connection, self.health.settled(connection, operation))

    async def is_failing(self, connection: Connection, error: ConnectorError | None, sys_id: str) -> bool:
        """Whether the connection fails, not just what was sent. If the error does not show it, a cheap read does.

        Args:
            connection: The connection.
            error: Why the attempt did not succeed; None if it did.
            sys_id: Any record to read.
        """
        if not isinstance(error, OutcomeUnknown) and not (isinstance(error, InstanceClosed) and error.may_be_written):
            return isinstance(error, TryLater | Reauthorize | InstanceClosed)
        try:
            await self.records.list_by_sys_id(connection, [sys_id])
        except (TryLater, Reauthorize, InstanceClosed) as failure:
            # Only a refusal is kept until a delivery succeeds; any success disproves the others.
            await self.failed(connection, failure, Operation.DELIVERY if isinstance(failure, AccessRefused) else None)
            return True
        except AccessRefused:
            return False  # ServiceNow answers; the attempts themselves show what it refuses.
        await self.succeeded(connection)
        return False


async def _noted(connection: Connection, note: Awaitable[Connection]) -> None:
    try:
        await note
    except TryLater as error:
        log_event("connection_not_noted", connection_id=connection.connection_id, code=error.code)
