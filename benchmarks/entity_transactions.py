"""Transactions and the reads of the synchronisation: processor time compared with the Azure SDK's."""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import Any, Final

from azure.data.tables import TransactionOperation

from benchmarks.connector import Connector, new_connector
from benchmarks.report import Figure, at_most
from benchmarks.tickets import new_ids, store_tickets
from sandbox.world import World
from shared.storage.entity_transactions import RowOperation

SIZES: Final = ((4, 30, 0.4), (100, 5, 0.15))
"""Rows of a transaction (of a create, and of the synchronisation), transactions per round, and the allowed cost."""
ROUNDS: Final = 5
PARTITION: Final = "benchmark"


async def measure(world: World, *, read: int) -> Sequence[Figure]:
    """Insert rows in both ways, in turn; then read tickets with and without the columns that no longer change.

    Args:
        read: Number of tickets to read.
    """
    async with new_connector(world) as connector:
        keys = map("{:08}".format, count())
        figures = [
            Figure(
                f"transaction of {rows} rows: processor time, by that of the SDK",
                await _ratio(
                    connector,
                    [
                        partial(_insert, connector, keys, rows, times),
                        partial(_insert_by_sdk, connector, keys, rows, times),
                    ],
                ),
                digits=2,
                goal=at_most(goal),
            )
            for rows, times, goal in SIZES
        ]
        connection = await connector.connect("contoso", world.servicenow.url)
        ids = new_ids(connection.connection_id, read)
        await store_tickets(connector, connection, ids)
        get = partial(connector.app.tickets.get_tickets, connection.connection_id, ids)
        ratio = await _ratio(connector, [partial(get, whole=False), get])
        figures.append(
            Figure(f"read of {read:,} tickets to synchronise: processor time, by that of whole ones", ratio, digits=2)
        )
    return figures


async def _ratio(connector: Connector, ways: Sequence[Callable[[], Awaitable[Any]]]) -> float:
    """Return the processor time of the first way divided by that of the second; the first round warms up."""
    processor_s: list[list[float]] = [[] for _ in ways]
    for _ in range(ROUNDS + 1):
        for way, times in zip(ways, processor_s, strict=True):
            with connector.measured() as effort:
                await way()
            times.append(effort.processor_s)
    first, second = (statistics.median(times[1:]) for times in processor_s)
    return first / second


async def _insert(connector: Connector, keys: Any, rows: int, times: int) -> None:
    for _ in range(times):
        operations = [RowOperation(TransactionOperation.CREATE, _row(next(keys))) for _ in range(rows)]
        await connector.tables.transactions.submit("tickets", operations)


async def _insert_by_sdk(connector: Connector, keys: Any, rows: int, times: int) -> None:
    for _ in range(times):
        await connector.tables.tickets.submit_transaction(
            [(TransactionOperation.CREATE, _row(next(keys))) for _ in range(rows)]
        )


def _row(key: str) -> dict[str, Any]:
    """Return a row as large as a ticket's change."""
    texts = {f"text_{number}": "thirty characters, more or less" for number in range(6)}
    return {"PartitionKey": PARTITION, "RowKey": key, "at": datetime.now(UTC), "number": 1, "open": True, **texts}
