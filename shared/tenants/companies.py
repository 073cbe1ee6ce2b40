"""The ServiceNow company of a ticket that is for no stored recommendation.

A ServiceNow instance can keep the tickets of many customers, each under a company of its own. The ticket of a
recommendation has its tenant's company. Otherwise whoever makes the ticket can choose one of the connection's tenants,
or name one without a connection, as for a recommendation. If nobody does, the ticket has the company that all of the
connection's tenants have, or none. Then the connection's fixed fields decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from typing import Final

from shared.access.current import sees_everything
from shared.clock import Clock
from shared.errors import FixRequest
from shared.service import service
from shared.tenants.lookup import get_known_tenant
from shared.tenants.model import Tenant
from shared.tenants.ports import TenantStore

REMEMBERED_FOR: Final = timedelta(minutes=1)
"""A ticket must not wait for a list of a thousand tenants each time; a tenant's new company counts after this time."""


@service
class TenantCompanies:
    """Implements :class:`shared.tickets.ports.Companies`."""

    tenants: TenantStore
    clock: Clock
    _remembered: list[tuple[datetime, Sequence[Tenant]]] = field(default_factory=list)

    async def connection_of(self, tenant_id: str) -> str | None:
        """See the port."""
        return (await get_known_tenant(self.tenants, tenant_id)).connection_id

    async def company_for(self, connection_id: str, tenant_id: str | None) -> str | None:
        """See the port."""
        if tenant_id is None:
            return common_company(await self._of_connection(connection_id))
        tenant = await get_known_tenant(self.tenants, tenant_id)
        if not tenant.sends_to(connection_id):
            raise FixRequest("tenant_other_connection", status=409, connection_id=tenant.connection_id or "")
        return tenant.company

    async def to_choose_from(self, connection_id: str) -> Sequence[Tenant]:
        """Return the connection's tenants if a ticket's company depends on the choice; none otherwise.

        Raises StorageUnavailable.
        """
        tenants = await self._of_connection(connection_id)
        return () if len({each.company for each in tenants}) < 2 else tenants

    @sees_everything
    async def _of_connection(self, connection_id: str) -> Sequence[Tenant]:
        now = self.clock()
        if not self._remembered or abs(now - self._remembered[-1][0]) >= REMEMBERED_FOR:
            self._remembered[:] = [(now, await self.tenants.list_tenants())]
        return [each for each in self._remembered[-1][1] if each.connection_id == connection_id]


def common_company(tenants: Iterable[Tenant]) -> str | None:
    """Return the company that all of these tenants have; None if one has none or another one."""
    companies = {each.company for each in tenants}
    return companies.pop() if len(companies) == 1 else None
