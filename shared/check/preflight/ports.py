"""Where test tickets are remembered."""

from __future__ import annotations

from typing import Protocol

from shared.check.preflight.model import Trial
from shared.connections.model import TicketKind


class TrialStore(Protocol):
    """The newest test ticket of each kind. Every method can raise StorageUnavailable."""

    async def get(self, connection_id: str, kind: TicketKind) -> Trial | None:
        """Return the newest test ticket of a kind, or None. Raises RowUnreadable."""
        ...

    async def save(self, connection_id: str, trial: Trial) -> None:
        """Remember a test ticket instead of the one before."""
        ...
