"""Checks and test tickets as the present caller may see them."""

from __future__ import annotations

from shared.access.sight import Sight
from shared.check.course import CheckRun, CheckStore
from shared.check.preflight.model import Trial
from shared.check.preflight.ports import TrialStore
from shared.connections.model import TicketKind
from shared.service import service


@service
class SeenCheckStore:
    """Implements :class:`shared.check.course.CheckStore`.

    Every method raises FixRequest (404 ``connection_not_found``) for a hidden connection.
    """

    store: CheckStore
    sight: Sight

    async def get(self, connection_id: str) -> CheckRun | None:
        """See the port."""
        await self.sight.require(connection_id)
        return await self.store.get(connection_id)

    async def save(self, connection_id: str, run: CheckRun) -> CheckRun:
        """See the port."""
        await self.sight.require(connection_id)
        return await self.store.save(connection_id, run)


@service
class SeenTrialStore:
    """Implements :class:`shared.check.preflight.ports.TrialStore`.

    Every method raises FixRequest (404 ``connection_not_found``) for a hidden connection.
    """

    store: TrialStore
    sight: Sight

    async def get(self, connection_id: str, kind: TicketKind) -> Trial | None:
        """See the port."""
        await self.sight.require(connection_id)
        return await self.store.get(connection_id, kind)

    async def save(self, connection_id: str, trial: Trial) -> None:
        """See the port."""
        await self.sight.require(connection_id)
        await self.store.save(connection_id, trial)
