"""The evidence as the present caller may see it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from datetime import datetime

from shared.access.sight import Sight
from shared.evidence.model import EvidenceBatch, EvidenceEvent
from shared.evidence.ports import EvidenceStore
from shared.service import service


@service
class SeenEvidenceStore:
    """Implements :class:`shared.evidence.ports.EvidenceStore`.

    An event of a ticket is hidden if its connection is. One of a recommendation is hidden from a caller who does not
    see everything, unless its tenant is there and seen: of a removed tenant nobody knows whose it was.

    Attributes:
        tenant_ids: Returns the ids of the tenants that the caller may see.
    """

    store: EvidenceStore
    sight: Sight
    tenant_ids: Callable[[], Awaitable[Collection[str]]]

    async def record(self, batches: Sequence[EvidenceBatch]) -> None:
        """See the port."""
        await self.store.record(batches)

    async def list_events(self, since: datetime, until: datetime) -> AsyncIterator[Sequence[EvidenceEvent]]:
        """See the port."""
        hidden = await self.sight.hidden()
        tenant_ids = await self.tenant_ids() if hidden else ()
        async for events in self.store.list_events(since, until):
            yield [each for each in events if _is_seen(each, hidden, tenant_ids)] if hidden else events

    async def delete_before(self, before: datetime) -> int:
        """See the port."""
        return await self.store.delete_before(before)


def _is_seen(event: EvidenceEvent, hidden: Collection[str], tenant_ids: Collection[str]) -> bool:
    if event.connection_id is not None:
        return event.connection_id not in hidden
    return event.tenant_id in tenant_ids
