"""Many connections: the cost of an idle one, the cost of planning, and the pages that show all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.connector import SYNC_INTERVAL_S, Connector, new_connector
from benchmarks.create import REQUEST
from benchmarks.effort import Effort, median_ms
from benchmarks.home import count_items
from benchmarks.pages import application_of_pages, visit
from benchmarks.report import Figure, at_most
from benchmarks.tickets import REQUESTER, new_ids, store_counts
from sandbox.world import World
from shared.connections.model import Connection, TicketKind
from shared.tickets.model import Ticket
from shared.tickets.sync import LATE_COMMIT_S

VISITS: Final = 3


async def measure(world: World, *, few: int, many: int, counted: int) -> Sequence[Figure]:
    """Measure one connection alone, then with others.

    Args:
        few: Number of connections while visiting a ticket's page.
        many: Connections to plan, and to show on the home page.
        counted: Tickets of the connection whose counts a card shows.
    """
    async with new_connector(world) as connector, application_of_pages():
        connection = await connector.connect("contoso", world.servicenow.url)
        creation = await connector.app.creation.create(REQUEST, REQUESTER, caller=REQUESTER.id, idempotency_key=None)
        idle_alone, due_alone = await _maintained_alone(connector)

        row_reads = {1: await _row_reads(connector, creation.ticket)}
        await connector.copy(connection, [connection.instance] * (few - 1), prefix="few")
        row_reads[few] = await _row_reads(connector, creation.ticket)

        await connector.copy(connection, [connection.instance] * (many - few), prefix="many")
        await _maintain(connector)
        idle = await _maintain(connector)
        assert idle.servicenow_requests == 0, "a connection was due"
        home = [await visit(connector, "home_page", "/") for _ in range(VISITS)]
        counts = [await count_items(connector) for _ in range(VISITS)]
        reports = [await visit(connector, "reports_page", "/reports?weeks=26") for _ in range(VISITS)]
        card_ms = await _counted_ms(connector, connection, counted)

    idle_each = (idle.table_requests.total() - idle_alone.table_requests.total()) / (many - 1)
    sync_alone = due_alone.table_requests.total() - idle_alone.table_requests.total()
    planning = f"planning {many:,} connections, none due"
    return [
        Figure("idle connection, not due: table requests a minute", idle_each, digits=2, goal=at_most(0)),
        Figure("idle connection, synchronised: table requests", idle_each + sync_alone, digits=2, goal=at_most(4)),
        Figure(f"{planning}: table requests", idle.table_requests.total(), goal=at_most(5)),
        Figure(f"{planning}: processor time", idle.processor_s, "s", digits=2, goal=at_most(1)),
        Figure("  time", idle.wall_s, "s", digits=2),
        *(
            Figure(f"a ticket's page, connections {beside}: row reads", reads, goal=at_most(1))
            for beside, reads in row_reads.items()
        ),
        Figure(
            f"home page, {many:,} connections: time", median_ms(home, lambda each: each.wall_s), "ms", goal=at_most(150)
        ),
        Figure("  processor time", median_ms(home, lambda each: each.processor_s), "ms"),
        Figure("  table requests", home[-1].table_requests.total()),
        Figure(
            f"count in the navigation, {many:,} connections: time", median_ms(counts, lambda each: each.wall_s), "ms"
        ),
        Figure(f"page of reports, {many:,} connections: time", median_ms(reports, lambda each: each.wall_s), "ms"),
        Figure("  processor time", median_ms(reports, lambda each: each.processor_s), "ms"),
        Figure("  table requests", reports[-1].table_requests.total()),
        Figure(f"counts of a card, {counted:,} tickets: time", card_ms, "ms", digits=1, goal=at_most(100)),
    ]


async def _maintained_alone(connector: Connector) -> tuple[Effort, Effort]:
    """Return two timer runs: in one the only connection is not due, in the other it is due but has no changes."""
    await _maintain(connector)
    connector.clock.move_on(LATE_COMMIT_S)
    await _maintain(connector)
    idle = await _maintain(connector)
    connector.clock.move_on(SYNC_INTERVAL_S)
    due = await _maintain(connector)
    assert (idle.servicenow_requests, due.servicenow_requests) == (0, 1)
    return idle, due


async def _row_reads(connector: Connector, ticket: Ticket) -> int:
    """Return the number of requests to the table of tickets for a ticket's page: the ticket, and what waits of it."""
    effort = await visit(connector, "ticket_page", f"/tickets/{ticket.ticket_id}", ticket_id=ticket.ticket_id)
    return effort.table_requests["tickets"]


async def _maintain(connector: Connector) -> Effort:
    with connector.measured() as effort:
        await connector.app.maintenance.run()
    return effort


async def _counted_ms(connector: Connector, connection: Connection, tickets: int) -> float:
    """Return the median time for counting tickets, in milliseconds, after the timer has folded the counts."""
    await store_counts(connector, connection, new_ids(connection.connection_id, tickets))
    await connector.app.tickets.compact_summary(connection.connection_id, connector.clock())
    efforts = []
    for _ in range(VISITS):
        with connector.measured() as effort:
            (summary,) = await connector.app.summaries([connection.connection_id])
        efforts.append(effort)
        present = sum(sum(summary.phase_counts(kind).values()) for kind in TicketKind)
        assert present == tickets + 1, "the counted tickets and the one that was created"
    return median_ms(efforts, lambda each: each.wall_s)
