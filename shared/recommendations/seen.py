"""Recommendations and claims as the present caller may see them: those of a hidden tenant are as if not there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import date

from shared.connections.ports import RowChanged
from shared.recommendations.model import ImprovementAction, Snapshot
from shared.recommendations.ports import Batch, Claim, ClaimStore, RecommendationStore
from shared.service import service


@service
class SeenRecommendationStore:
    """Implements :class:`shared.recommendations.ports.RecommendationStore`.

    Nothing of a hidden tenant is stored or deleted: saving raises RowChanged.

    Attributes:
        is_hidden: Says whether the caller may not see a tenant.
    """

    store: RecommendationStore
    is_hidden: Callable[[str], Awaitable[bool]]

    async def list_actions(self, tenant_id: str) -> Sequence[ImprovementAction]:
        """See the port."""
        return () if await self.is_hidden(tenant_id) else await self.store.list_actions(tenant_id)

    async def get_action(self, tenant_id: str, key: str) -> ImprovementAction | None:
        """See the port."""
        return None if await self.is_hidden(tenant_id) else await self.store.get_action(tenant_id, key)

    async def save_reading(
        self,
        tenant_id: str,
        changed: Sequence[ImprovementAction],
        texts: Mapping[str, str],
        snapshots: Sequence[Snapshot],
    ) -> None:
        """See the port."""
        if await self.is_hidden(tenant_id):
            raise RowChanged(tenant_id)
        await self.store.save_reading(tenant_id, changed, texts, snapshots)

    async def get_texts(self, tenant_id: str, hashes: Collection[str]) -> Mapping[str, str]:
        """See the port."""
        return {} if await self.is_hidden(tenant_id) else await self.store.get_texts(tenant_id, hashes)

    async def list_snapshots(self, tenant_id: str, *, since: date | None = None) -> Sequence[Snapshot]:
        """See the port."""
        return () if await self.is_hidden(tenant_id) else await self.store.list_snapshots(tenant_id, since=since)

    async def delete_all(self, tenant_id: str) -> None:
        """See the port."""
        if not await self.is_hidden(tenant_id):
            await self.store.delete_all(tenant_id)


@service
class SeenClaimStore:
    """Implements :class:`shared.recommendations.ports.ClaimStore`.

    Nothing of a hidden tenant is stored: saving raises RowChanged.

    Attributes:
        is_hidden: Says whether the caller may not see a tenant.
    """

    store: ClaimStore
    is_hidden: Callable[[str], Awaitable[bool]]

    async def get_claim(self, tenant_id: str, key: str) -> Claim:
        """See the port."""
        return Claim(tenant_id, key) if await self.is_hidden(tenant_id) else await self.store.get_claim(tenant_id, key)

    async def list_claims(self, tenant_id: str) -> Sequence[Claim]:
        """See the port."""
        return () if await self.is_hidden(tenant_id) else await self.store.list_claims(tenant_id)

    async def save_claim(self, claim: Claim) -> Claim:
        """See the port."""
        if await self.is_hidden(claim.tenant_id):
            raise RowChanged(claim.tenant_id)
        return await self.store.save_claim(claim)

    async def create_batch(self, batch: Batch) -> Batch:
        """See the port."""
        if await self.is_hidden(batch.tenant_id):
            raise RowChanged(batch.tenant_id)
        return await self.store.create_batch(batch)

    async def get_batch(self, tenant_id: str, batch_id: str) -> Batch | None:
        """See the port."""
        return None if await self.is_hidden(tenant_id) else await self.store.get_batch(tenant_id, batch_id)
