"""Budgets of requests to ServiceNow, in table ``directory``, partition ``budgets``: one row for instance and user."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from azure.data.tables.aio import TableClient

from shared.connections.request_budget import Pause, RequestBudget, RuleUse
from shared.errors import RowUnreadable
from shared.storage.rows import RowReader, json_object
from shared.storage.tables import get_row, save_row

PARTITION: Final = "budgets"


class AzureRequestBudgetStore:
    """Implements :class:`shared.connections.request_budget.RequestBudgetStore`."""

    def __init__(self, table: TableClient, reader: RowReader) -> None:
        self._table = table
        self._reader = reader

    async def get(self, instance: str, user: str) -> RequestBudget:
        """See the port."""
        row = await get_row(self._table, PARTITION, _key(instance, user))
        if row is None:
            return RequestBudget()
        try:
            found = self._reader.read(self._table.table_name, row, budget_of)
        except RowUnreadable:
            found = RequestBudget()  # Counting starts again, and the next write replaces the row.
        return replace(found, etag=str(row.metadata["etag"]))

    async def save(self, instance: str, user: str, budget: RequestBudget) -> RequestBudget:
        """See the port."""
        row = {"PartitionKey": PARTITION, "RowKey": _key(instance, user), **budget_columns(budget)}
        return replace(budget, etag=await save_row(self._table, row, budget.etag))


def budget_columns(budget: RequestBudget) -> dict[str, Any]:
    """Return the columns of a budget."""
    uses = {
        rule: {
            "limit": use.limit,
            "resets_at": use.resets_at.isoformat(),
            "used": use.used,
            **({} if use.refused_until is None else {"refused_until": use.refused_until.isoformat()}),
        }
        for rule, use in budget.uses.items()
    }
    columns: dict[str, Any] = {"uses": json.dumps(uses), "rules": json.dumps(dict(budget.rules))}
    if budget.pause is not None:
        columns |= {"paused_until": budget.pause.until.isoformat(), "paused_s": budget.pause.length.total_seconds()}
    return columns


def budget_of(row: Mapping[str, Any]) -> RequestBudget:
    """Return the budget in a row; raises what :meth:`shared.storage.rows.RowReader.read` expects."""
    uses = {rule: _use(members) for rule, members in json_object(row["uses"]).items()}
    rules = {str(sort): str(rule) for sort, rule in json_object(row["rules"]).items()}
    return RequestBudget(uses, rules, _pause(row))


def _pause(row: Mapping[str, Any]) -> Pause | None:
    until = row.get("paused_until")
    return None if until is None else Pause(_time(until), timedelta(seconds=float(row["paused_s"])))


def _use(members: Mapping[str, Any]) -> RuleUse:
    refused_until = members.get("refused_until")
    return RuleUse(
        limit=int(members["limit"]),
        resets_at=_time(members["resets_at"]),
        used=int(members["used"]),
        refused_until=None if refused_until is None else _time(refused_until),
    )


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a time without a time zone")
    return at


def _key(instance: str, user: str) -> str:
    """Return a key of which neither the instance nor the user can be read."""
    return hashlib.sha256(f"{instance}\n{user}".encode()).hexdigest()[:32]
