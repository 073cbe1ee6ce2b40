"""The instance's data policies, if the integration user may read them (ServiceNow §13)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from shared.check.preflight.model import DataPolicy
from shared.connections.fixed_fields import COLUMN
from shared.connections.model import Connection, TicketKind
from shared.errors import AccessRefused, InstanceClosed
from shared.service import service
from shared.servicenow.conditions import truth
from shared.servicenow.queries import all_of, condition, one_of
from shared.servicenow.records import ALL_CLASSES
from shared.servicenow.table_api import Row, TableApi
from shared.servicenow.transport import Subject
from shared.tickets.kinds import KINDS

MOST_POLICIES: Final = 100
MOST_RULES: Final = 1000
_COLUMN: Final = re.compile(COLUMN)


@service
class ServiceNowDataPolicies:
    """Reads data policies."""

    table_api: TableApi

    async def policies(
        self, connection: Connection, kind: TicketKind, sent: Mapping[str, str]
    ) -> Sequence[DataPolicy] | None:
        """Return the policies for new records of a kind, as they concern one with these fields; None if hidden."""
        table = KINDS[kind].table
        rows = await self._rows(
            connection,
            "sys_data_policy2",
            all_of(one_of("model_table", (table, ALL_CLASSES)), condition("active", "=", "true")),
            ("sys_id", "model_table", "short_description", "conditions", "active", "inherit", "reverse_if_false"),
            MOST_POLICIES,
        )
        if rows is None:
            return None
        concerning = [row for row in rows if row.sys_id and row.value("active") != "false" and _concerns(row, table)]
        if not concerning:
            return []
        rules = await self._rows(
            connection,
            "sys_data_policy_rule",
            one_of("sys_data_policy", [row.sys_id for row in concerning]),
            ("sys_data_policy", "field", "mandatory", "disabled"),
            MOST_RULES,
        )
        if rules is None:
            return None
        return [_policy(row, rules, sent, wanted) for row in concerning for wanted in _wanted(row)]

    async def _rows(
        self, connection: Connection, table: Subject, query: str, fields: Sequence[str], most: int
    ) -> Sequence[Row] | None:
        try:
            page = await self.table_api.list_rows(connection, table, query=query, fields=fields, limit=most + 1)
        except InstanceClosed:
            raise
        except AccessRefused:
            return None
        return None if len(page.rows) > most or (not page.rows and page.total_count) else page.rows


def _concerns(row: Row, table: str) -> bool:
    """Whether a policy is about the table; one of the parent table is, too, if it is inherited."""
    owner = row.value("model_table")
    return owner == table or (owner == ALL_CLASSES and row.value("inherit") == "true")


def _wanted(row: Row) -> Sequence[bool]:
    """Return the results of the condition that have an effect: where it is false, rules may be reversed."""
    return (True, False) if row.value("reverse_if_false") == "true" else (True,)


def _policy(row: Row, rules: Sequence[Row], sent: Mapping[str, str], wanted: bool) -> DataPolicy:
    matches = truth(row.value("conditions"), sent)
    value = "true" if wanted else "false"
    own = [
        rule for rule in rules if rule.value("sys_data_policy") == row.sys_id and _COLUMN.fullmatch(rule.line("field"))
    ]
    return DataPolicy(
        name=row.line("short_description"),
        applies=None if matches is None else matches is wanted,
        mandatory=[rule.value("field") for rule in own if rule.value("mandatory") == value],
        read_only=[rule.value("field") for rule in own if rule.value("disabled") == value],
    )
