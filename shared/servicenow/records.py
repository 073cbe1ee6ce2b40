"""The records that tickets become, and what changes in them (wire document 2, 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import batched, pairwise
from typing import Final

from shared.connections.model import KindSettings
from shared.connections.ports import InstanceAccess
from shared.errors import AccessRefused
from shared.servicenow.answers import unusable_answer
from shared.servicenow.fields import date_time_of, record_fields
from shared.servicenow.queries import OURS, any_of, changes_since, condition, next_by, one_of, ordered
from shared.servicenow.states import builtin_state_label
from shared.servicenow.table_api import Page, Row, TableApi
from shared.tickets.model import CORRELATION_PREFIX, TABLES, Record, Ticket

ALL_CLASSES: Final = "task"
"""The parent table: asking it returns incidents, changes and whatever class a ticket was moved to."""

FIELDS: Final = (
    "sys_id",
    "sys_class_name",
    "number",
    "state",
    "active",
    "sys_updated_on",
    "sys_mod_count",
    "priority",
    "assigned_to",
    "assignment_group",
    "due_date",
    "correlation_id",
)
"""What we read of a record; ServiceNow leaves ``sys_id`` out unless it is named (wire document 2.2)."""

SYS_IDS_PER_REQUEST: Final = 100
"""About 4 kB of address: half of what common front ends accept."""
HIDDEN_WINDOWS: Final = 20
"""How many pages without one visible row are passed over before it is called a lack of rights."""


@dataclass(frozen=True, slots=True)
class ServiceNowRecords:
    """Implements :class:`shared.tickets.ports.TicketRecords`."""

    table_api: TableApi

    async def create_record(
        self, access: InstanceAccess, ticket: Ticket, kind_settings: KindSettings, requester_sys_id: str | None
    ) -> Record:
        """See the port."""
        table = TABLES[ticket.content.kind]
        row = await self.table_api.insert(
            access, table, record_fields(ticket, kind_settings, requester_sys_id), fields=FIELDS
        )
        if not row.value("sys_id"):
            raise unusable_answer("ServiceNow's answer does not name the record.", "answer_incomplete", writing=True)
        return record_of(row, table)

    async def find_records(
        self, access: InstanceAccess, table: str, *, sys_id: str, correlation_id: str
    ) -> Sequence[Record]:
        """See the port: one request asks for both."""
        query = any_of(condition("sys_id", "=", sys_id), condition("correlation_id", "=", correlation_id))
        page = await self.table_api.list_rows(
            access, table, query=ordered(query, "sys_created_on", "sys_id"), fields=FIELDS, limit=10, counted=False
        )
        records = [record_of(row, table) for row in page.rows]
        if any(record.sys_id != sys_id and record.correlation_id != correlation_id for record in records):
            raise _not_honoured()
        return records

    async def list_changes(
        self,
        access: InstanceAccess,
        *,
        since: str | None,
        inclusive: bool,
        after: tuple[str, str] | None,
        page_size: int,
    ) -> tuple[Sequence[Record], bool]:
        """See the port."""
        query = changes_since(since, inclusive=inclusive) if after is None else next_by("sys_updated_on", after)
        return await self._keyset_page(access, query, "sys_updated_on", after, page_size)

    async def list_by_correlation(
        self, access: InstanceAccess, *, after: tuple[str, str] | None, page_size: int
    ) -> tuple[Sequence[Record], bool]:
        """See the port."""
        query = ordered(OURS, "correlation_id", "sys_id") if after is None else next_by("correlation_id", after)
        return await self._keyset_page(access, query, "correlation_id", after, page_size)

    async def list_by_sys_id(self, access: InstanceAccess, sys_ids: Sequence[str]) -> Sequence[Record]:
        """See the port."""
        found: list[Record] = []
        for some in batched(dict.fromkeys(sys_ids), SYS_IDS_PER_REQUEST, strict=False):
            page = await self.table_api.list_rows(
                access,
                ALL_CLASSES,
                query=one_of("sys_id", some),
                fields=FIELDS,
                limit=SYS_IDS_PER_REQUEST,
                counted=False,
            )
            records = [record_of(row, ALL_CLASSES) for row in page.rows]
            if not {record.sys_id for record in records} <= set(some):
                raise _not_honoured()
            found += records
        return found

    async def _keyset_page(
        self, access: InstanceAccess, query: str, key: str, after: tuple[str, str] | None, page_size: int
    ) -> tuple[Sequence[Record], bool]:
        """Return one page in the order of ``key, sys_id``, and whether more follow.

        One row more than the page is asked for, so that a full last page needs no empty page behind it. ServiceNow
        applies the limit before access controls, so an answer can hold fewer rows than asked for although more exist;
        its count, taken before access controls, too, tells (wire document 2.7). Visible rows are always a place to go
        on from; where a whole window is hidden, the next one is asked for by offset, a bounded number of times.
        """
        window = page_size + 1
        for offset in range(0, HIDDEN_WINDOWS * page_size, page_size):
            page = await self.table_api.list_rows(
                access, ALL_CLASSES, query=query, fields=FIELDS, limit=window, offset=offset
            )
            more = len(page.rows) > page_size or (page.total_count or 0) > offset + window
            if page.rows or not more:
                _check_order(page, key, after)
                return [record_of(row, ALL_CLASSES) for row in page.rows[:page_size]], more
        raise AccessRefused(
            "ServiceNow hides the connector's own tickets from the integration user.",
            code="records_not_visible",
            next_step="Check that the integration user may read incidents and change requests: roles, access controls, "
            "domain.",
        )


def record_of(row: Row, table: str) -> Record:
    """Return what a row says; ``table`` is the table asked, for instances that hide ``sys_class_name``."""
    state = row.value("state")
    record_table = row.value("sys_class_name") or table
    label = row.label("state")
    mod_count = row.value("sys_mod_count")
    return Record(
        sys_id=row.value("sys_id"),
        table=record_table,
        number=row.value("number"),
        state=state,
        # An instance without a readable label shows the number itself.
        state_label=label if label and label != state else builtin_state_label(record_table, state),
        active=row.value("active") != "false",
        updated_at_text=row.value("sys_updated_on"),
        mod_count=int(mod_count) if mod_count.isdecimal() else 0,
        priority=row.value("priority") or None,
        assigned_to=row.label("assigned_to") or None,
        assignment_group=row.label("assignment_group") or None,
        due_at=date_time_of(row.value("due_date")),
        correlation_id=row.value("correlation_id") or None,
    )


def _check_order(page: Page, key: str, after: tuple[str, str] | None) -> None:
    """Refuse rows that are not ours, not behind the place asked for, or not in order.

    ServiceNow drops what it does not accept of a query without a sign (wire document 2.3). Going on from such a page
    would loop for ever or pass rows over.
    """
    places = [(row.value(key), row.value("sys_id")) for row in page.rows]
    if not all(value and sys_id for value, sys_id in places):
        raise AccessRefused(
            "ServiceNow does not let the integration user read the fields that the connector needs.",
            code="insufficient_rights",
            next_step="Let the integration user read sys_id, sys_updated_on and correlation_id of the task table.",
        )
    ours = all(row.value("correlation_id").startswith(CORRELATION_PREFIX) for row in page.rows)
    # Databases sort without regard to case, and somebody else's correlation id may be written in capitals.
    order = [(value.casefold(), sys_id.casefold()) for value, sys_id in places]
    behind = after is None or not order or order[0] > (after[0].casefold(), after[1].casefold())
    if not ours or not behind or any(second[0] < first[0] for first, second in pairwise(order)):
        raise _not_honoured()


def _not_honoured() -> AccessRefused:
    return AccessRefused(
        "ServiceNow did not honour the connector's query.",
        code="query_refused",
        next_step="Let the integration user query and sort by correlation_id, sys_updated_on and sys_id of the task "
        "table (query_match and query_range access controls).",
    )
