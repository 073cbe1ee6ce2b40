"""Creation: the connector's own share of the time to create a ticket when everything answers."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from benchmarks.connector import Connector, new_connector
from benchmarks.effort import Effort, median_ms
from benchmarks.report import Figure, at_most
from benchmarks.tickets import REQUESTER, new_ids, ticket
from sandbox.world import World
from shared.connections.model import Connection
from shared.tickets.model import Delivery, DeliveryProgress
from shared.tickets.ports import IdempotencyReservation
from shared.tickets.requests import TicketRequest

REQUEST: Final = TicketRequest.model_validate(
    {
        "connection_id": "contoso",
        "kind": "incident",
        "portal": "security",
        "name": "Require multifactor authentication for administrators",
        "description": "Three administrators can still sign in with a password alone.",
        "priority": "high",
        "due_date": "2030-06-30",
        "recommendation": {"source": "microsoft", "category": "identity"},
    }
)


async def measure(world: World, *, creates: int, warm_up: int) -> Sequence[Figure]:
    """Create tickets one after another; the first ones warm up."""
    async with new_connector(world) as connector:
        connection = await connector.connect("contoso", world.servicenow.url)
        efforts = [await _create(connector, number) for number in range(warm_up + creates)][warm_up:]
        storage = [
            await _storage_alone(connector, connection, ticket_id)
            for ticket_id in new_ids(connection.connection_id, creates)
        ]
    ninety_ninth = statistics.quantiles((effort.own_s * 1000 for effort in efforts), n=100)[98]
    requests = statistics.fmean(effort.servicenow_requests for effort in efforts)
    return [
        Figure("create: ServiceNow requests", requests, digits=2, goal=at_most(1)),
        Figure(
            "create: connector's own share, p50",
            median_ms(efforts, lambda each: each.own_s),
            "ms",
            digits=1,
            goal=at_most(15),
        ),
        Figure("  p99", ninety_ninth, "ms", digits=1),
        Figure("  processor time, p50", median_ms(efforts, lambda each: each.processor_s), "ms", digits=1),
        Figure("  of that, storage: time, p50", median_ms(storage, lambda each: each.wall_s), "ms", digits=1),
        Figure(
            "  of that, storage: processor time, p50",
            median_ms(storage, lambda each: each.processor_s),
            "ms",
            digits=1,
        ),
        Figure("  table requests", statistics.fmean(each.table_requests.total() for each in efforts), digits=1),
    ]


async def _create(connector: Connector, number: int) -> Effort:
    # No other ticket is open for the same recommendation, as usual.
    request = REQUEST.model_copy(update={"name": f"{REQUEST.name}, {number}"})
    with connector.measured() as effort:
        creation = await connector.app.creation.create(
            request, REQUESTER, caller=REQUESTER.id, idempotency_key=f"benchmark-{number}"
        )
    assert creation.ticket.delivery.status is Delivery.DELIVERED, creation.ticket.delivery
    return effort


async def _storage_alone(connector: Connector, connection: Connection, ticket_id: str) -> Effort:
    """Do only the storage work of a create."""
    app, now = connector.app, connector.clock()
    done = replace(ticket(connection, ticket_id), instance="benchmark")
    pending = replace(done, delivery=DeliveryProgress(attempts=1), record=None, phase=None)
    reservation = IdempotencyReservation(ticket_id.rjust(64, "0"), "", ticket_id, now)
    with connector.measured() as effort:
        await asyncio.gather(
            app.creation.reservations.reserve(reservation),
            app.connection_store.get_connection(connection.connection_id),
        )
        stored = await app.tickets.create_ticket(pending)
        await app.tickets.update_ticket(stored, done)
    return effort
