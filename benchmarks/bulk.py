"""The list of recommendations as a page, and a hundred tickets at once."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmarks.connector import Connector, new_connector
from benchmarks.effort import Effort, median_ms
from benchmarks.pages import application_of_pages, visit
from benchmarks.report import Figure, at_most
from benchmarks.tickets import REQUESTER
from sandbox.graph.stage.seed.tenants import E5
from sandbox.world import World
from shared.recommendations.requests import BatchRequest, Mode
from shared.tenants.lookup import get_known_tenant
from shared.tenants.requests import TenantRequest


async def measure(world: World, *, tickets: int, visits: int) -> Sequence[Figure]:
    """Read the tenant, make tickets of some recommendations, and visit the page that lists all of them."""
    async with new_connector(world) as connector, application_of_pages():
        connection = await connector.connect("contoso", world.servicenow.url)
        configuration = connector.app.tenant_configuration
        await configuration.put(E5, TenantRequest(name="Contoso", connection_id=connection.connection_id))
        await connector.app.tenant_reading.read_now(await get_known_tenant(connector.app.tenants, E5))
        actions = await connector.app.recommendations.list_actions(E5)
        bulk = await _create(connector, [action.key for action in actions[:tickets]])
        pages = [
            await visit(connector, "recommendations_page", "/recommendations?hidden=true") for _ in range(visits + 1)
        ]
    name = f"recommendations page, {len(actions)} rows, {tickets} with a ticket"
    return [
        Figure(f"{tickets} tickets at once: time until they are accepted", bulk.wall_s, "s", digits=2),
        Figure("  processor time", bulk.processor_s, "s", digits=2),
        Figure("  table requests", bulk.table_requests.total()),
        Figure("  ServiceNow requests", bulk.servicenow_requests, goal=at_most(0)),
        Figure(f"{name}: time, p50", median_ms(pages[1:], lambda each: each.wall_s), "ms", goal=at_most(200)),
        Figure("  processor time, p50", median_ms(pages[1:], lambda each: each.processor_s), "ms"),
        Figure("  table requests", statistics.median(each.table_requests.total() for each in pages[1:])),
    ]


async def _create(connector: Connector, keys: Sequence[str]) -> Effort:
    """Ask for a ticket for each recommendation."""
    request = BatchRequest.model_validate({"kind": "incident", "recommendation_ids": keys, "mode": Mode.EACH})
    with connector.measured() as effort:
        progress = await connector.app.batches.create(request, REQUESTER, caller=REQUESTER.id, idempotency_key="bulk")
    assert len(progress.tickets) == len(keys), progress.batch.refused
    return effort
