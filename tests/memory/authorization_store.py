"""Pending authorizations, in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from shared.connections.ports import PendingAuthorization
from tests.memory.steps import Step, at_once


@dataclass
class MemoryAuthorizationStore:
    """Implements :class:`shared.connections.ports.AuthorizationStore`."""

    step: Step = at_once
    pending: dict[str, PendingAuthorization] = field(default_factory=dict)

    async def create_authorization(self, authorization: PendingAuthorization) -> None:
        """See the port."""
        await self.step("create_authorization")
        self.pending[authorization.state_hash] = authorization

    async def get_authorization(self, state_hash: str) -> PendingAuthorization | None:
        """See the port."""
        await self.step("get_authorization")
        return self.pending.get(state_hash)

    async def take_authorization(self, state_hash: str) -> PendingAuthorization | None:
        """See the port."""
        await self.step("take_authorization")
        return self.pending.pop(state_hash, None)

    async def delete_expired_authorizations(self, now: datetime) -> int:
        """See the port."""
        await self.step("delete_expired_authorizations")
        over = [each.state_hash for each in self.pending.values() if each.expires_at <= now]
        for state_hash in over:
            del self.pending[state_hash]
        return len(over)
