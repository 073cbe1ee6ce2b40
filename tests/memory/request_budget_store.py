"""Budgets of requests in memory."""

from __future__ import annotations

from dataclasses import replace

from shared.connections.ports import RowChanged
from shared.connections.request_budget import RequestBudget
from tests.memory.steps import Step, at_once


class MemoryRequestBudgetStore:
    """Implements :class:`shared.connections.request_budget.RequestBudgetStore`."""

    def __init__(self, step: Step = at_once) -> None:
        self.step = step
        self.stored: dict[tuple[str, str], RequestBudget] = {}

    async def get(self, instance: str, user: str) -> RequestBudget:
        """See the port."""
        await self.step("get budget")
        return self.stored.get((instance, user), RequestBudget())

    async def save(self, instance: str, user: str, budget: RequestBudget) -> RequestBudget:
        """See the port."""
        await self.step("save budget")
        present = self.stored.get((instance, user), RequestBudget())
        if present.etag != budget.etag:
            raise RowChanged(user)
        saved = replace(budget, etag=str(int(budget.etag or 0) + 1))
        self.stored[instance, user] = saved
        return saved
