"""A rate-limit rule of the simulated instance: background work stops before ServiceNow refuses it."""

from __future__ import annotations

from contextlib import aclosing
from datetime import timedelta

import httpx

from sandbox.servicenow.stage.control.client import ControlClient
from shared.connections.model import Connection
from shared.errors import RequestBudgetSpent
from shared.outbound.transport import Transport
from shared.servicenow.budgets import RequestBudgets
from shared.waiting_person import waiting
from tests.fixtures.servicenow import WholeClient
from tests.memory.clock import ManualClock
from tests.memory.request_budget_store import MemoryRequestBudgetStore
from tests.memory.tokens import MemoryTokens

LIMIT = 40


async def test_two_hosts_together_leave_a_fifth_for_people(
    control: ControlClient, connection: Connection, tokens: MemoryTokens
) -> None:
    control.stop_clock()
    control.add_rate_limit(LIMIT, written_every_s=0)
    # ServiceNow's hour has 25 minutes left, whatever the time is where this test runs.
    resets_at = control.now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    clock, store = ManualClock(resets_at - timedelta(minutes=25)), MemoryRequestBudgetStore()
    async with aclosing(Transport(network=httpx.AsyncHTTPTransport(verify=False))) as outbound:
        hosts = [WholeClient(outbound, tokens, budgets=RequestBudgets(store, clock), clock=clock) for _ in range(2)]

        async def read(host: int) -> None:
            clock.advance(15)
            await hosts[host].records.list_by_sys_id(connection, ["1" * 32])

        spent = 0
        for number in range(2 * LIMIT):
            try:
                await read(number % 2)
            except RequestBudgetSpent:
                spent += 1
        statuses = [each["status"] for each in control.requests("/api/now/table")]
        assert spent > 0
        assert 429 not in statuses
        assert len(statuses) <= LIMIT * 0.8 + 1, "the other host learns it with its next answer"
        with waiting():
            for _ in range(int(LIMIT * 0.2) - 1):
                await read(0)
        assert 429 not in [each["status"] for each in control.requests("/api/now/table")]
