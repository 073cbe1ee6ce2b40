"""The limits of customers in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.access.model import AllowedCaller, CustomerLimit
from tests.memory.steps import Step, at_once


@dataclass
class MemoryCustomerLimits:
    """Implements :class:`shared.access.sight.CustomerLimits`."""

    step: Step = at_once
    limits: dict[str, CustomerLimit] = field(default_factory=dict)

    async def list(self) -> Mapping[str, CustomerLimit]:
        """See the port."""
        await self.step("list limits")
        return dict(self.limits)

    async def save(self, connection_id: str, limit: CustomerLimit | None) -> None:
        """See the port."""
        await self.step("save limit")
        if limit is None:
            self.limits.pop(connection_id, None)
        else:
            self.limits[connection_id] = limit


def limited_to(*object_ids: str) -> CustomerLimit:
    """Return a limit without notes."""
    return tuple(map(AllowedCaller, object_ids))
