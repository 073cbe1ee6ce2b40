"""Lists of tickets: what each view reads and takes, and how fast the lists are made after an upgrade."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from benchmarks.connector import Connector, new_connector
from benchmarks.effort import Effort, median_ms
from benchmarks.report import Figure, at_most
from benchmarks.tickets import new_ids, store_listed, store_tickets, ticket
from sandbox.world import World
from shared.connections.model import Connection, TicketKind
from shared.tickets.model import Phase, Ticket
from shared.tickets.ports import TicketFilter

VISITS: Final = 5
PAGE: Final = 26
"""Tickets of a page, and one more that shows whether there is another page."""
CURRENT_SHARE: Final = 0.03
STORED: Final = 1_000
"""The newest tickets are stored; of the others, only what lists show."""
NAMES: Final = (
    "Ensure multifactor authentication is enabled for all users in administrative roles",
    "Block legacy authentication",
    "監査ログを有効にする",
    "Turn on Safe Attachments for SharePoint, OneDrive and Microsoft Teams",
)


async def measure(
    world: World, *, sizes: Sequence[int], connections: int, each: int, collected: int
) -> Sequence[Figure]:
    """Measure every way to read lists in one connection, then many connections, then the making of lists.

    Args:
        sizes: Numbers of tickets of one connection.
        connections: Number of connections of which the current tickets are read at once.
        each: Current tickets of each of them.
        collected: Tickets of release 0.1 of which the lists are made.
    """
    figures: list[Figure] = []
    async with new_connector(world) as connector:
        connection = await connector.connect("contoso", world.servicenow.url)
        for size in sizes:
            [owner] = await connector.copy(connection, [connection.instance], prefix=f"of-{size}")
            figures += await _views(connector, owner, size)
        owners = await connector.copy(connection, [connection.instance] * connections, prefix="many")
        for owner in owners:
            ids = new_ids(owner.connection_id, each)
            await store_listed(connector, owner, [_ticket(owner, ticket_id, True) for ticket_id in ids])
        names = [owner.connection_id for owner in owners]
        name = f"current tickets, {connections} connections with {each:,} each"
        figures += await _figures(connector, name, lambda: connector.app.tickets.list_current(names), limit_ms=100)
        figures.append(await _collected(connector, connection, collected))
    return figures


async def _views(connector: Connector, connection: Connection, size: int) -> Sequence[Figure]:
    ids = new_ids(connection.connection_id, size)
    await store_tickets(connector, connection, ids[:STORED], are_listed=False)
    current = int(size * CURRENT_SHARE)
    tickets = [_ticket(connection, ticket_id, number < current) for number, ticket_id in enumerate(ids)]
    await store_listed(connector, connection, tickets)
    owner, store = [connection.connection_id], connector.app.tickets
    number = tickets[5].record.number if tickets[5].record else ""
    views: dict[str, Callable[[], Awaitable[Any]]] = {
        "current": lambda: store.list_current(owner),
        "all": lambda: store.list_every(owner),
        "page, no filter": lambda: store.list_tickets(owner, TicketFilter(), limit=PAGE),
        "page, open": lambda: store.list_tickets(owner, TicketFilter(open_only=True), limit=PAGE),
        "page, kind": lambda: store.list_tickets(owner, TicketFilter(kind=TicketKind.INCIDENT), limit=PAGE),
        "page, words": lambda: store.list_tickets(owner, TicketFilter(text="audit nothing"), limit=PAGE),
        "page, part of a number": lambda: store.list_tickets(owner, TicketFilter(text=number[3:]), limit=PAGE),
    }
    figures: list[Figure] = []
    for view, read in views.items():
        figures += await _figures(connector, f"list of {size:,} tickets, {view}", read)
    return figures


async def _figures(
    connector: Connector, name: str, read: Callable[[], Awaitable[Any]], *, limit_ms: float | None = None
) -> Sequence[Figure]:
    efforts: list[Effort] = []
    for _ in range(VISITS):
        with connector.measured() as effort:
            await read()
        efforts.append(effort)
    goal = None if limit_ms is None else at_most(limit_ms)
    return [
        Figure(f"{name}: time", median_ms(efforts, lambda each: each.wall_s), "ms", goal=goal),
        Figure("  processor time", median_ms(efforts, lambda each: each.processor_s), "ms"),
        Figure("  table requests", efforts[-1].table_requests.total()),
    ]


async def _collected(connector: Connector, connection: Connection, count: int) -> Figure:
    store, owner = connector.app.tickets, connection.connection_id
    await store_tickets(connector, connection, new_ids(owner, count), are_listed=False)
    with connector.measured() as effort:
        while not await store.check_lists(owner, connector.clock()):
            pass
    assert len(await store.list_every([owner])) == count
    return Figure(f"making the lists of {count:,} tickets after an upgrade", count / effort.wall_s, "tickets/s")


def _ticket(connection: Connection, ticket_id: str, is_current: bool) -> Ticket:
    made = ticket(connection, ticket_id)
    name = f"{NAMES[int(ticket_id[-1], 16) % len(NAMES)]} ({ticket_id[-4:]})"
    content = replace(made.content, name=name)
    return replace(made, content=content, phase=Phase.NEW if is_current else Phase.CLOSED, revision=1)
