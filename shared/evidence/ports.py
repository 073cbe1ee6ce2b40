"""What the evidence needs from outside: an append-only store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Protocol

from shared.evidence.model import EvidenceBatch, EvidenceEvent


class EvidenceStore(Protocol):
    """The table ``evidence``. Every method can raise StorageUnavailable."""

    async def record(self, batches: Sequence[EvidenceBatch]) -> None:
        """Add batches; one that is already there stays as it is."""
        ...

    def list_events(self, since: datetime, until: datetime) -> AsyncIterator[Sequence[EvidenceEvent]]:
        """Go through the events of a period (``since`` included, ``until`` not) in the order in which they were stored.

        An event that was stored twice comes once. Batches that make no sense are left out.
        """
        ...

    async def delete_before(self, before: datetime) -> int:
        """Delete the batches stored before this time, some thousand at most, and return how many."""
        ...
