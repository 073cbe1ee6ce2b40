"""Checks of connections, kept in memory."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from shared.check.course import CheckRun
from shared.connections.ports import RowChanged
from shared.errors import ConnectorError


@dataclass
class MemoryCheckStore:
    """Implements :class:`shared.check.course.CheckStore`; ``error`` is raised by every method.

    Attributes:
        saved: Every check that was stored, the newest last.
    """

    runs: dict[str, CheckRun] = field(default_factory=dict)
    error: ConnectorError | None = None
    saved: list[CheckRun] = field(default_factory=list)

    async def get(self, connection_id: str) -> CheckRun | None:
        """See the port."""
        if self.error is not None:
            raise self.error
        return self.runs.get(connection_id)

    async def save(self, connection_id: str, run: CheckRun) -> CheckRun:
        """See the port."""
        if self.error is not None:
            raise self.error
        before = self.runs.get(connection_id)
        if run.etag != (None if before is None else before.etag):
            raise RowChanged("check")
        stored = self.runs[connection_id] = replace(run, etag=str(len(self.saved)))
        self.saved.append(stored)
        return stored
