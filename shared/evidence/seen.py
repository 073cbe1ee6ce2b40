"""The evidence as the present caller may see it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime

from shared.access.sight import Sight
from shared.evidence.model import EvidenceBatch, EvidenceEvent
from shared.evidence.ports import EvidenceStore
from shared.service import service


@service
class SeenEvidenceStore:
    """Implements :class:`shared.evidence.ports.EvidenceStore`.

    An event of a ticket is hidden if its connection is. One of a recommendation is hidden from a caller who does not
    see everything, unless its tenant is there, is seen, and was there already when it happened: of a removed tenant
    nobody knows whose it was, and adding it again does not bring its past back.

    Attributes:
        tenants_added_at: Returns when each tenant that the caller may see was added, by its id; None if unknown.
    """

    store: EvidenceStore
    sight: Sight
    tenants_added_at: Callable[[], Awaitable[Mapping[str, datetime | None]]]

    async def record(self, batches: Sequence[EvidenceBatch]) -> None:
        """See the port."""
        await self.store.record(batches)

    async def list_events(self, since: datetime, until: datetime) -> AsyncIterator[Sequence[EvidenceEvent]]:
        """See the port."""
        hidden = await self.sight.hidden()
        added_at = await self.tenants_added_at() if hidden else {}
        async for events in self.store.list_events(since, until):
            yield [each for each in events if _is_seen(each, hidden, added_at)] if hidden else events

    async def delete_before(self, before: datetime) -> int:
        """See the port."""
        return await self.store.delete_before(before)


def _is_seen(event: EvidenceEvent, hidden: Collection[str], added_at: Mapping[str, datetime | None]) -> bool:
    if event.connection_id is not None:
        return event.connection_id not in hidden
    since = None if event.tenant_id is None else added_at.get(event.tenant_id)
    return since is not None and event.at >= since
