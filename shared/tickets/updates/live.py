"""What a person who opens a ticket's page sees of its record: read from ServiceNow at that moment, and kept nowhere."""

from __future__ import annotations

import asyncio
from typing import Final

from shared.connections.model import Connection
from shared.errors import ConnectorError
from shared.log import log_context
from shared.service import service
from shared.tickets.model import Phase, Ticket
from shared.tickets.updates.ports import RecordUpdates
from shared.tickets.updates.record_details import RecordDetails

READ_S: Final = 3.0
"""A person waits for the page; without an answer, it shows the rest."""


@service
class LiveRecords:
    """Reads records while somebody waits."""

    records: RecordUpdates
    limit_s: float = READ_S

    async def read(self, connection: Connection, ticket: Ticket) -> RecordDetails | None:
        """Return how the record was closed and its newest journal entries; None if that cannot be read in time."""
        try:
            with log_context(connection_id=ticket.connection_id, ticket_id=ticket.ticket_id):
                async with asyncio.timeout(self.limit_s):
                    return await self.records.details(connection, ticket)
        except (ConnectorError, TimeoutError):
            return None


def has_live_record(connection: Connection, ticket: Ticket) -> bool:
    """Whether the connection can be asked for the ticket's record."""
    is_present = ticket.record is not None and ticket.phase is not Phase.DELETED
    return is_present and connection.ever_consented and not connection.is_removed and ticket.is_of(connection)
