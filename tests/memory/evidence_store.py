"""The evidence in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from shared.evidence.model import EvidenceBatch, EvidenceEvent
from tests.memory.steps import Step, at_once
from tests.memory.writes import Writes

PAGE_BATCHES = 3


class MemoryEvidenceStore:
    """Implements :class:`shared.evidence.ports.EvidenceStore`."""

    def __init__(self, step: Step = at_once) -> None:
        self._step = step
        self.writes = Writes(step)
        self.batches: dict[str, EvidenceBatch] = {}

    @property
    def events(self) -> Sequence[EvidenceEvent]:
        """Everything that was recorded, as often as it was recorded."""
        return [event for batch in self.batches.values() for event in batch.events]

    async def record(self, batches: Sequence[EvidenceBatch]) -> None:
        """See the port."""
        if not batches:
            return
        async with self.writes.write("record"):
            for batch in batches:
                self.batches.setdefault(batch.batch_id, batch)

    async def list_events(self, since: datetime, until: datetime) -> AsyncIterator[Sequence[EvidenceEvent]]:
        """See the port."""
        stored, seen = sorted(self.batches.values(), key=lambda batch: batch.at), set[str]()
        for place in range(0, len(stored), PAGE_BATCHES):
            await self._step("list_events")
            page = [event for batch in stored[place : place + PAGE_BATCHES] for event in batch.events]
            fresh = {event.event_id: event for event in page if event.event_id not in seen}
            seen |= set(fresh)
            yield [event for event in fresh.values() if since <= event.at < until]

    async def delete_before(self, before: datetime) -> int:
        """See the port."""
        await self._step("delete_before")
        old = [batch_id for batch_id, batch in self.batches.items() if batch.at < before]
        for batch_id in old:
            del self.batches[batch_id]
        return len(old)
