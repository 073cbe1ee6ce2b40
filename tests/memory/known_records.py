"""Records of tickets that identify an instance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.connections.model import Connection


@dataclass
class MemoryKnownRecords:
    """Implements :class:`shared.connections.ports.KnownRecords`.

    Attributes:
        numbers: For each instance's address, numbers by sys_id.
    """

    numbers: dict[str, dict[str, str]] = field(default_factory=dict)

    async def at(self, connection: Connection, address: str) -> Mapping[str, str]:
        """See the port."""
        return self.numbers.get(address, {})
