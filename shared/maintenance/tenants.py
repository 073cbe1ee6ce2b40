"""Reading the tenants that are due: one read of their rows plans for all of them.

It runs beside the connections and does not hold them up. Many tenants go to other instances of the app as messages.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from shared.clock import Clock
from shared.errors import ConnectorError, StorageUnavailable
from shared.log import log_event
from shared.maintenance.fan_out import FanOut, ids_of
from shared.recommendations.reading.read import TenantReading, log_not_read
from shared.service import service
from shared.tenants.model import NOT_READ_AFTER, Tenant
from shared.tenants.ports import TenantStore

CONCURRENT_TENANTS: Final = 4
TENANTS: Final = "tenants"
"""Name of the list in a message."""


@service
class TenantWork:
    """Reads the tenants that are due; see the module's description."""

    tenants: TenantStore
    fan_out: FanOut[Tenant]
    reading: TenantReading
    clock: Clock

    async def read_due(self, deadline: datetime) -> None:
        """Read every tenant that is due, the one that is overdue longest first; nothing begins after the deadline."""
        try:
            tenants = await self.tenants.list_tenants()
        except StorageUnavailable as error:
            log_event("tenants_not_listed", level=logging.WARNING, code=error.code)
            return
        now = self.clock()
        due = [each for each in tenants if each.is_due(now) and not each.is_held(now)]
        here = await self.fan_out.share_out(sorted(due, key=lambda each: each.due_at or now))
        ids = {tenant.tenant_id for tenant in here}
        for tenant in due:
            if tenant.tenant_id not in ids:
                self._report_not_read(tenant)
        await self._read(here, deadline)

    async def read_message(self, text: bytes, deadline: datetime) -> None:
        """Read the tenants that a message names, as far as they are due. Raises ValueError if it names none."""
        found = await asyncio.gather(*(self._known(tenant_id) for tenant_id in ids_of(text, TENANTS)))
        await self._read([tenant for tenant in found if tenant is not None], deadline)

    async def _known(self, tenant_id: str) -> Tenant | None:
        try:
            return await self.tenants.get_tenant(tenant_id)
        except ConnectorError as error:
            log_event("tenant_row_not_read", level=logging.WARNING, tenant_id=tenant_id, code=error.code)
            return None

    async def _read(self, tenants: Sequence[Tenant], deadline: datetime) -> None:
        """Read tenants that are still due and that nobody is reading."""
        turn = asyncio.Semaphore(CONCURRENT_TENANTS)

        async def read(tenant: Tenant) -> None:
            async with turn:
                if self.clock() < deadline:
                    await self.reading.read_due(tenant)
                else:
                    self._report_not_read(tenant)

        await asyncio.gather(*map(read, tenants))

    def _report_not_read(self, tenant: Tenant) -> None:
        """Log a due tenant that has not been read for long, and is not read by this run either.

        The alert ``tenant-not-read`` is raised if that goes on for some minutes.
        """
        now = self.clock()
        since_at = tenant.unread_since_at(now)
        if since_at is not None and now - since_at >= NOT_READ_AFTER:
            log_not_read(tenant, "no_time_left", now)
