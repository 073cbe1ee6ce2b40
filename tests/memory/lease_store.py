"""Leases in memory."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.clock import Clock, believed
from shared.storage.leases import LONGEST_LEASE
from tests.memory.steps import Step, at_once


@dataclass
class MemoryLeaseStore:
    """Implements :class:`shared.connections.ports.LeaseStore`."""

    clock: Clock
    step: Step = at_once
    leases: dict[tuple[str, str], tuple[str, datetime]] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def acquire_lease(self, connection_id: str, purpose: str, *, duration_s: float) -> str | None:
        """See the port."""
        await self.step("acquire_lease")
        held = self.leases.get((connection_id, purpose))
        until_at = believed(held[1], self.clock(), ahead=LONGEST_LEASE) if held is not None else None
        if until_at is not None and until_at > self.clock():
            return None
        lease_id = f"lease {next(self._numbers)}"
        self.leases[connection_id, purpose] = (lease_id, self.clock() + timedelta(seconds=duration_s))
        await self.step("acquire_lease answers")
        return lease_id

    async def renew_lease(self, connection_id: str, purpose: str, lease_id: str, *, duration_s: float) -> bool:
        """See the port."""
        await self.step("renew_lease")
        held = self.leases.get((connection_id, purpose))
        if held is None or held[0] != lease_id:
            return False
        self.leases[connection_id, purpose] = (lease_id, self.clock() + timedelta(seconds=duration_s))
        return True

    async def release_lease(self, connection_id: str, purpose: str, lease_id: str) -> None:
        """See the port."""
        await self.step("release_lease")
        held = self.leases.get((connection_id, purpose))
        if held is not None and held[0] == lease_id:
            del self.leases[connection_id, purpose]
