"""Copies what happened to tickets into the evidence.

Every write of a ticket stores its events beside it, in the same transaction. They are deleted there only once the
evidence has them. A batch that is copied twice is there once.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Final

from shared.clock import Clock
from shared.errors import StorageUnavailable
from shared.evidence.ports import EvidenceStore
from shared.log import log_event
from shared.service import service
from shared.tickets.ports import TicketStore

PAGE_BATCHES: Final = 100
MOST_PAGES: Final = 10
"""A turn copies this many pages; the next one goes on."""


@service
class EvidenceRecording:
    """Copies the events of a connection's tickets; see the module's description."""

    store: TicketStore
    evidence: EvidenceStore
    clock: Clock

    async def run(self, connection_id: str, *, deadline: datetime) -> int:
        """Copy what is not copied yet, until the deadline, and return how many batches; a failure is only logged."""
        copied = 0
        try:
            for _ in range(MOST_PAGES):
                batches = await self.store.list_unrecorded(connection_id, limit=PAGE_BATCHES)
                if not batches:
                    break
                await self.evidence.record(batches)
                await self.store.delete_unrecorded(connection_id, batches)
                copied += len(batches)
                if len(batches) < PAGE_BATCHES or self.clock() >= deadline:
                    break
        except StorageUnavailable as error:
            log_event("evidence_not_recorded", level=logging.WARNING, code=error.code)
        return copied
