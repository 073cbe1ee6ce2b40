"""Reading the tenants that are due: one read of their rows plans for all of them.

It runs beside the connections and does not hold them up.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from typing import Final

from shared.clock import Clock
from shared.errors import StorageUnavailable
from shared.log import log_event
from shared.recommendations.reading.read import TenantReading, log_not_read
from shared.service import service
from shared.tenants.model import NOT_READ_AFTER, Tenant
from shared.tenants.ports import TenantStore

CONCURRENT_TENANTS: Final = 4


@service
class TenantWork:
    """Reads the tenants that are due; see the module's description."""

    tenants: TenantStore
    reading: TenantReading
    clock: Clock

    async def read_due(self, deadline: datetime) -> None:
        """Read every tenant that is due, the one that is overdue longest first; nothing begins after the deadline."""
        turn = asyncio.Semaphore(CONCURRENT_TENANTS)

        async def read(tenant: Tenant) -> None:
            async with turn:
                if self.clock() < deadline:
                    await self.reading.read_due(tenant)
                else:
                    self._report_not_read(tenant)

        try:
            tenants = await self.tenants.list_tenants()
        except StorageUnavailable as error:
            log_event("tenants_not_listed", level=logging.WARNING, code=error.code)
            return
        now = self.clock()
        due = [each for each in tenants if each.is_due(now) and not each.is_held(now)]
        await asyncio.gather(*(read(each) for each in sorted(due, key=lambda each: each.due_at or now)))

    def _report_not_read(self, tenant: Tenant) -> None:
        """Log a tenant that has waited long for a run with time for it; the alert ``tenant-not-read`` reads that."""
        now = self.clock()
        since_at = tenant.unread_since_at(now)
        if since_at is not None and now - since_at >= NOT_READ_AFTER:
            log_not_read(tenant, "no_time_left", now)
