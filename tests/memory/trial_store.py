"""Test tickets, kept in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.check.preflight.model import Trial
from shared.connections.model import TicketKind
from shared.errors import ConnectorError, StorageUnavailable


@dataclass
class MemoryTrialStore:
    """Implements :class:`shared.check.preflight.ports.TrialStore`; ``error`` is raised by every method.

    Attributes:
        unwritable: Whether nothing can be stored.
    """

    trials: dict[tuple[str, TicketKind], Trial] = field(default_factory=dict)
    error: ConnectorError | None = None
    unwritable: bool = False

    async def get(self, connection_id: str, kind: TicketKind) -> Trial | None:
        """See the port."""
        if self.error is not None:
            raise self.error
        return self.trials.get((connection_id, kind))

    async def save(self, connection_id: str, trial: Trial) -> None:
        """See the port."""
        if self.error is not None:
            raise self.error
        if self.unwritable:
            raise StorageUnavailable()
        self.trials[connection_id, trial.kind] = trial
