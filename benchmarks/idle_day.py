"""A day on which nothing happens: what one connection costs in requests, minute by minute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.connector import new_connector
from benchmarks.effort import Effort
from benchmarks.report import Figure
from sandbox.world import World
from shared.maintenance.fan_out import PER_MESSAGE
from shared.tickets.sync import LATE_COMMIT_S

MINUTE_S: Final = 60
DAY: Final = 24 * 60
WARM_UP: Final = 5
"""Turns after which a new connection is idle."""


async def measure(world: World, *, minutes: int) -> Sequence[Figure]:
    """Let the timer run each minute, first for no connection and then for one.

    Args:
        minutes: How long; a day to measure.
    """
    async with new_connector(world) as connector:

        async def passed() -> Effort:
            with connector.measured() as effort:
                for _ in range(minutes):
                    connector.clock.move_on(MINUTE_S)
                    await connector.app.maintenance.run()
            return effort

        without = await passed()
        await connector.connect("contoso", world.servicenow.url)
        for _ in range(WARM_UP):
            connector.clock.move_on(LATE_COMMIT_S)
            await connector.app.maintenance.run()
        found = await passed()
    own = {
        name: count - without.table_requests[name]
        for name, count in found.table_requests.items()
        if count > without.table_requests[name]
    }
    day = f"an idle day of one connection ({minutes} minutes)"
    return [
        Figure(f"{day}: ServiceNow requests", found.servicenow_requests),
        Figure("  table requests", sum(own.values())),
        *(Figure(f"    {name}", count) for name, count in sorted(own.items())),
        Figure("  messages, if it comes through the queue", minutes / PER_MESSAGE),
        Figure("  table requests of the timer itself", without.table_requests.total()),
        Figure("  processor time of both", found.processor_s, "s", digits=1),
    ]
