"""Reading a tenant from Microsoft Graph, in another process: the first time with its past 90 days, then day by day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from benchmarks.connector import Connector, new_connector
from benchmarks.effort import Effort, median_ms
from benchmarks.report import Figure, at_most
from sandbox.graph.stage.seed.tenants import E5
from sandbox.world import World
from shared.tenants.lookup import get_known_tenant
from shared.tenants.model import TenantStatus
from shared.tenants.requests import TenantRequest

DAY_S = timedelta(days=1).total_seconds()


async def measure(world: World, *, days: int) -> Sequence[Figure]:
    """Read the tenant once, and once more on each of the days that follow."""
    async with new_connector(world) as connector:
        await connector.app.tenant_configuration.put(E5, TenantRequest(name="Contoso"))
        first = await _read(connector)
        efforts = []
        with world.graph.control() as graph:
            for _ in range(days):
                graph.advance(days=1)
                connector.clock.move_on(DAY_S)
                efforts.append(await _read(connector))
            graph.reset()  # The others who use it live today.
        controls = len(await connector.app.recommendations.list_actions(E5))
    name = f"reading a tenant, {controls} improvement actions"
    return [
        Figure(f"{name}: Graph requests", max(each.graph_requests for each in efforts), goal=at_most(4)),
        Figure("  processor time, p50", median_ms(efforts, lambda each: each.processor_s), "ms", goal=at_most(1_000)),
        Figure("  time, p50", median_ms(efforts, lambda each: each.wall_s), "ms"),
        Figure("  table requests", max(each.table_requests.total() for each in efforts)),
        Figure("first reading, with 90 days: Graph requests", first.graph_requests),
        Figure("  processor time", first.processor_s * 1000, "ms"),
        Figure("  time", first.wall_s * 1000, "ms"),
    ]


async def _read(connector: Connector) -> Effort:
    tenant = await get_known_tenant(connector.app.tenants, E5)
    with connector.measured() as effort:
        read = await connector.app.tenant_reading.read_now(tenant)
    assert read is not None, "the reading took too long"
    assert read.status is TenantStatus.READABLE, read.error
    assert read.snapshot_id != tenant.snapshot_id, "a new day has a new snapshot"
    return effort
