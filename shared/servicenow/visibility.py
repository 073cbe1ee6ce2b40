"""Which records the integration user sees."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import batched

from shared.connections.model import Connection
from shared.secret import Secret
from shared.service import service
from shared.servicenow.queries import one_of
from shared.servicenow.records import ALL_CLASSES
from shared.servicenow.table_api import TableApi
from shared.tickets.ports import SYS_IDS_PER_REQUEST


@service
class ServiceNowVisibility:
    """Implements :class:`shared.connections.ports.RecordVisibility`."""

    table_api: TableApi

    def with_token(self, token: Secret) -> ServiceNowVisibility:
        """See the port."""
        return ServiceNowVisibility(self.table_api.with_token(token))

    async def visible(self, connection: Connection, sys_ids: Collection[str]) -> Mapping[str, str]:
        """See the port."""
        found: dict[str, str] = {}
        for some in batched(dict.fromkeys(sys_ids), SYS_IDS_PER_REQUEST, strict=False):
            page = await self.table_api.list_rows(
                connection,
                ALL_CLASSES,
                query=one_of("sys_id", some),
                fields=("sys_id", "number"),
                limit=len(some),
                counted=False,
            )
            found |= {row.sys_id: row.line("number") for row in page.rows if row.sys_id in some}
        return found
