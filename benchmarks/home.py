"""The home page of a provider: many connections with some tickets each, and what the count in the navigation costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from benchmarks.connector import Connector, new_connector
from benchmarks.effort import Effort, median_ms
from benchmarks.pages import application_of_pages, visit
from benchmarks.report import Figure, at_most
from benchmarks.tickets import new_ids, ticket
from sandbox.world import World
from shared.attention.board import REMEMBERED_FOR
from shared.connections.model import Connection


async def measure(world: World, *, connections: int, tickets: int, visits: int) -> Sequence[Figure]:
    """Measure the home page, and what the first page of a minute needs for the count.

    Args:
        connections: How many there are.
        tickets: Open tickets of each; every third is overdue.
        visits: How often to measure each time.
    """
    async with new_connector(world) as connector, application_of_pages():
        connection = await connector.connect("contoso", world.servicenow.url)
        others = await connector.copy(connection, [connection.instance] * (connections - 1), prefix="customer")
        for each in (connection, *others):
            await _fill(connector, each, tickets)
            await connector.app.tickets.compact_summary(each.connection_id, connector.clock())
        await visit(connector, "home_page", "/")
        pages = [await visit(connector, "home_page", "/") for _ in range(visits)]
        counts = [await count_items(connector) for _ in range(visits)]
    return [
        Figure(
            f"home page, {connections} connections, {connections * tickets:,} tickets: time, p50",
            median_ms(pages, _wall),
            "ms",
            goal=at_most(150),
        ),
        Figure("  processor time, p50", median_ms(pages, _processor), "ms"),
        Figure("  table requests", pages[-1].table_requests.total()),
        Figure("count in the navigation, once a minute: time, p50", median_ms(counts, _wall), "ms"),
        Figure("  processor time, p50", median_ms(counts, _processor), "ms"),
        Figure("  table requests", counts[-1].table_requests.total()),
    ]


async def _fill(connector: Connector, connection: Connection, tickets: int) -> None:
    now = connector.clock()
    made = [ticket(connection, each) for each in new_ids(connection.connection_id, tickets)]
    await connector.app.tickets.create_tickets(
        [
            replace(each, record=replace(each.record, due_at=now + timedelta(days=number % 3 * 10 - 5)))
            for number, each in enumerate(made)
            if each.record is not None
        ]
    )


async def count_items(connector: Connector) -> Effort:
    """Count what needs attention as the first page of a minute does."""
    connector.clock.move_on(REMEMBERED_FOR.total_seconds())
    with connector.measured() as effort:
        await connector.app.attention.remembered_items()
    return effort


def _wall(effort: Effort) -> float:
    return effort.wall_s


def _processor(effort: Effort) -> float:
    return effort.processor_s
