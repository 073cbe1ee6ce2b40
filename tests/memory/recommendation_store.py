"""Recommendations in memory: improvement actions, texts and snapshots, and beside them claims and batches."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date

from shared.connections.ports import RowChanged
from shared.recommendations.model import ImprovementAction, Snapshot
from shared.recommendations.ports import Batch, Claim
from tests.memory.steps import Step, at_once
from tests.memory.writes import Writes


class MemoryClaimStore:
    """Implements :class:`shared.recommendations.ports.ClaimStore`."""

    def __init__(self, step: Step = at_once) -> None:
        self._step = step
        self._etags = (f'W/"{number}"' for number in itertools.count(1))
        self.claims: dict[tuple[str, str], Claim] = {}
        self.batches: dict[tuple[str, str], Batch] = {}
        self.writes = Writes(step)

    async def get_claim(self, tenant_id: str, key: str) -> Claim:
        """See the port."""
        await self._step("get_claim")
        return self.claims.get((tenant_id, key), Claim(tenant_id, key))

    async def list_claims(self, tenant_id: str) -> Sequence[Claim]:
        """See the port."""
        await self._step("list_claims")
        return [self.claims[place] for place in sorted(self.claims) if place[0] == tenant_id]

    async def save_claim(self, claim: Claim) -> Claim:
        """See the port."""
        place = claim.tenant_id, claim.key
        async with self.writes.write("save_claim"):
            if self.claims.get(place, Claim(*place)).etag != claim.etag:
                raise RowChanged(claim.key)
            self.claims[place] = saved = replace(claim, etag=next(self._etags))
        return saved

    async def create_batch(self, batch: Batch) -> Batch:
        """See the port."""
        async with self.writes.write("create_batch"):
            return self.batches.setdefault((batch.tenant_id, batch.batch_id), batch)

    async def get_batch(self, tenant_id: str, batch_id: str) -> Batch | None:
        """See the port."""
        await self._step("get_batch")
        return self.batches.get((tenant_id, batch_id))


class MemoryRecommendationStore:
    """Implements :class:`shared.recommendations.ports.RecommendationStore`."""

    def __init__(self, claims: MemoryClaimStore | None = None, *, step: Step = at_once) -> None:
        """Start empty.

        Args:
            claims: What is in the same partitions.
        """
        self._step = step
        self._claims = claims or MemoryClaimStore(step)
        self.actions: defaultdict[str, dict[str, ImprovementAction]] = defaultdict(dict)
        self.texts: defaultdict[str, dict[str, str]] = defaultdict(dict)
        self.snapshots: defaultdict[str, dict[date, Snapshot]] = defaultdict(dict)
        self.writes = Writes(step)

    async def list_actions(self, tenant_id: str) -> Sequence[ImprovementAction]:
        """See the port."""
        await self._step("list_actions")
        return [action for _, action in sorted(self.actions[tenant_id].items())]

    async def get_action(self, tenant_id: str, key: str) -> ImprovementAction | None:
        """See the port."""
        await self._step("get_action")
        return self.actions[tenant_id].get(key)

    async def save_reading(
        self,
        tenant_id: str,
        changed: Sequence[ImprovementAction],
        texts: Mapping[str, str],
        snapshots: Sequence[Snapshot],
    ) -> None:
        """See the port; texts and snapshots are one write, improvement actions another."""
        async with self.writes.write("save_reading texts"):
            self.texts[tenant_id] = {**texts, **self.texts[tenant_id]}
            self.snapshots[tenant_id] |= {snapshot.day: snapshot for snapshot in snapshots}
        async with self.writes.write("save_reading actions"):
            self.actions[tenant_id] |= {action.key: action for action in changed}

    async def get_texts(self, tenant_id: str, hashes: Collection[str]) -> Mapping[str, str]:
        """See the port."""
        await self._step("get_texts")
        return {each: self.texts[tenant_id][each] for each in hashes if each in self.texts[tenant_id]}

    async def list_snapshots(self, tenant_id: str, *, since: date | None = None) -> Sequence[Snapshot]:
        """See the port."""
        await self._step("list_snapshots")
        return [snapshot for day, snapshot in sorted(self.snapshots[tenant_id].items()) if day >= (since or date.min)]

    async def delete_all(self, tenant_id: str) -> None:
        """See the port."""
        async with self.writes.write("delete_all"):
            for rows in (self.actions, self.texts, self.snapshots):
                rows.pop(tenant_id, None)
            for place in [place for place in self._claims.batches if place[0] == tenant_id]:
                del self._claims.batches[place]
