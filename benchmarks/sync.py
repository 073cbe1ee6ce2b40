"""Synchronisation: runs without changes, and runs with many changes, with the partition's size."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from itertools import batched
from pathlib import Path
from typing import Final

from benchmarks.connector import Connector, new_connector
from benchmarks.effort import Effort, median_ms
from benchmarks.report import Figure, at_least, at_most
from benchmarks.tickets import new_ids, partition_size, start_instance, store_tickets
from sandbox.servicenow.stage.control.client import ControlClient
from sandbox.world import World
from shared.connections.model import Connection
from shared.tickets.sync import LATE_COMMIT_S, SyncCounts

CONNECTION_ID: Final = "contoso"
IDLE_RUNS: Final = 11
TOUCHED_AT_ONCE: Final = 500


async def measure(
    world: World, directory: Path, *, tickets: int, in_servicenow: int, changes_per_s: float | None = None
) -> Sequence[Figure]:
    """Measure runs without changes; then change every ticket in ServiceNow, and measure the runs that read the states.

    Args:
        directory: Receives the instance's database.
        tickets: Number of the connection's tickets here.
        in_servicenow: Number of its tickets in ServiceNow; runs without changes do not touch those here.
        changes_per_s: The rate that the design promises.
    """
    ids = new_ids(CONNECTION_ID, in_servicenow)
    own = ids[:tickets]
    instance = start_instance(world.processes, directory / f"servicenow-{tickets}.sqlite", ids)
    async with new_connector(world) as connector:
        connection = await connector.connect(CONNECTION_ID, instance.url)
        await store_tickets(connector, connection, own)
        await _settle(connector, connection)
        idle = [(await _run(connector, connection))[0] for _ in range(IDLE_RUNS)]
        await asyncio.sleep(1.1)  # The clock here was moved on; ServiceNow's own times are whole seconds.
        with ControlClient(instance.url) as control:
            for part in batched(own, TOUCHED_AT_ONCE, strict=False):
                control.bulk_touch("incident", f"sys_idIN{','.join(part)}", {"state": "2"})
        rows = await partition_size(connector, connection)
        effort, counts = await _run(connector, connection)
        page_size = connector.app.maintenance.work.sync.page_size
    world.processes.stop(instance.process)
    assert counts.applied == tickets, counts
    return [
        Figure(
            f"idle sync, {in_servicenow:,} tickets in ServiceNow: ServiceNow requests",
            max(effort.servicenow_requests for effort in idle),
            goal=at_most(1),
        ),
        Figure("  time", median_ms(idle, lambda each: each.wall_s), "ms", digits=1),
        Figure("  processor time", median_ms(idle, lambda each: each.processor_s), "ms", digits=1),
        Figure(
            f"sync of {tickets:,} changes: ServiceNow requests",
            effort.servicenow_requests,
            goal=at_most(-(-tickets // page_size)),
        ),
        Figure(
            f"sync of {tickets:,} changes, partition of {rows:,} rows",
            tickets / effort.wall_s,
            "tickets/s",
            goal=None if changes_per_s is None else at_least(changes_per_s),
        ),
        Figure("  time", effort.wall_s, "s", digits=2),
        Figure("  processor time", effort.processor_s, "s", digits=2),
        Figure("  table requests", effort.table_requests.total()),
    ]


async def _settle(connector: Connector, connection: Connection) -> None:
    """Synchronise until no run reads records again because of late commits."""
    await _run(connector, connection)
    connector.clock.move_on(LATE_COMMIT_S)
    await _run(connector, connection)


async def _run(connector: Connector, connection: Connection) -> tuple[Effort, SyncCounts]:
    turns = connector.app.turns
    deadline = connector.clock() + timedelta(minutes=10)
    entry = await turns.directory.get_entry(connection.connection_id)
    with connector.measured() as effort:
        async with turns.taken(entry) as turn:
            assert turn is not None, "nobody else is there"
            counts = await connector.app.maintenance.work.sync.run(connection, turn.sync, deadline=deadline)
    return effort, counts
