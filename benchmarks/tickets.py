"""Old tickets, in ServiceNow and in the connector's table."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import batched
from pathlib import Path
from typing import Any, Final

from azure.data.tables import TransactionOperation

from benchmarks.connector import Connector
from sandbox.processes import Processes
from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.stage.seed.essentials import plant_essentials
from sandbox.world import ServiceNow, start_servicenow
from shared.connections.model import Connection, Portal, TicketKind
from shared.storage.listed_rows import CURRENT_PREFIX, FINISHED_PREFIX, block_rows, change_row, entry_of
from shared.storage.ticket_rows import checked_columns, summary_change_row, summary_row, ticket_row
from shared.tickets.identity import new_ticket_id
from shared.tickets.model import (
    CORRELATION_PREFIX,
    Delivery,
    DeliveryProgress,
    EventKind,
    Phase,
    Priority,
    Recommendation,
    RecommendationCategory,
    RecommendedBy,
    Record,
    Requester,
    Ticket,
    TicketContent,
)
from shared.tickets.summary import Summary, SummaryChange
from shared.tickets.timeline import with_event

TRANSACTION: Final = 98
"""Tickets in a transaction, which has room for two more rows."""
AT_ONCE: Final = 3
REQUESTER: Final = Requester("0b1e6d3c-6a53-4f7e-9a7e-0d6a3b1c2f01", "Adele Vance", "adele.vance@contoso.example")


def new_ids(connection_id: str, count: int) -> list[str]:
    """Return ids of tickets that a connection created yesterday, newest first."""
    yesterday = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    return [new_ticket_id(yesterday - timedelta(milliseconds=number), connection_id) for number in range(count)]


def start_instance(processes: Processes, database: Path, ids: Sequence[str]) -> ServiceNow:
    """Start a ServiceNow instance with the tickets' records and the people of the sandbox."""
    instance = Instance(database=str(database))
    plant_essentials(instance)
    rows = (
        {
            "sys_id": ticket_id,
            "correlation_id": f"{CORRELATION_PREFIX}{ticket_id}",
            "short_description": "Benchmark",
            "number": _number(ticket_id),
            "state": "1",
            "active": "true",
        }
        for ticket_id in ids
    )
    instance.records.insert_many("incident", rows)
    instance.close()
    return start_servicenow(processes, database=database)


async def store_tickets(
    connector: Connector, connection: Connection, ids: Sequence[str], *, are_listed: bool = True
) -> None:
    """Store delivered tickets with their shares of the counts.

    Args:
        are_listed: Whether the lists know them; those of release 0.1 are unknown to the lists.
    """

    def rows(part: Sequence[str]) -> list[dict[str, Any]]:
        tickets = [replace(ticket(connection, ticket_id), revision=int(are_listed)) for ticket_id in part]
        change = SummaryChange.between((None, each) for each in tickets)
        entries = [change_row(connection.connection_id, part[0], list(map(entry_of, tickets)))] if are_listed else []
        return [*map(ticket_row, tickets), summary_change_row(connection.connection_id, part[0], change), *entries]

    await _submit(connector, (rows(part) for part in batched(ids, TRANSACTION, strict=False)))


async def store_listed(connector: Connector, connection: Connection, tickets: Sequence[Ticket]) -> None:
    """Store what lists show of tickets, and their counts, without the tickets, of which lists read only a page."""
    owner = connection.connection_id
    blocks: list[dict[str, Any]] = []
    for prefix, are_current in ((CURRENT_PREFIX, True), (FINISHED_PREFIX, False)):
        entries = [entry for each in tickets if (entry := entry_of(each)).is_current is are_current]
        blocks += block_rows(owner, prefix, "", entries)
    await _submit(connector, ([row] for row in blocks))
    change = SummaryChange.between((None, each) for each in tickets)
    summary = summary_row(owner, Summary().plus([change])) | checked_columns("", datetime.now(UTC))
    await _submit(connector, [[summary]])


async def store_counts(connector: Connector, connection: Connection, ids: Sequence[str]) -> None:
    """Store the tickets' shares of the counts without the tickets, which counting does not read."""
    changes = (
        summary_change_row(
            connection.connection_id,
            part[0],
            SummaryChange.between((None, ticket(connection, ticket_id)) for ticket_id in part),
        )
        for part in batched(ids, TRANSACTION, strict=False)
    )
    await _submit(connector, batched(changes, 100, strict=False))


async def _submit(connector: Connector, transactions: Iterable[Sequence[dict[str, Any]]]) -> None:
    table = connector.tables.tickets
    for some in batched(transactions, AT_ONCE, strict=False):
        await asyncio.gather(
            *(table.submit_transaction([(TransactionOperation.CREATE, row) for row in rows]) for rows in some)
        )


async def partition_size(connector: Connector, connection: Connection) -> int:
    """Return the number of rows in the connection's partition of the table."""
    found = connector.tables.tickets.query_entities(
        "PartitionKey eq @id", parameters={"id": connection.connection_id}, select="RowKey"
    )
    return sum([1 async for _ in found])


def ticket(connection: Connection, ticket_id: str) -> Ticket:
    """Return a delivered ticket as it was right after its creation."""
    now = datetime.now(UTC)
    record = Record(
        sys_id=ticket_id,
        table="incident",
        number=_number(ticket_id),
        state="1",
        active=True,
        updated_at_text="2020-01-01 00:00:00",
        mod_count=-1,
        correlation_id=f"{CORRELATION_PREFIX}{ticket_id}",
    )
    content = TicketContent(
        kind=TicketKind.INCIDENT,
        portal=Portal.SECURITY,
        name="Benchmark",
        description="",
        priority=Priority.MODERATE,
        due_at=None,
        recommendation=Recommendation(RecommendedBy.MICROSOFT, RecommendationCategory.IDENTITY),
        requester=REQUESTER,
    )
    made = Ticket(
        ticket_id=ticket_id,
        connection_id=connection.connection_id,
        instance=connection.instance,
        content=content,
        created_at=now,
        delivery=DeliveryProgress(status=Delivery.DELIVERED, attempts=1, delivered_at=now),
        record=record,
        phase=Phase.NEW,
    )
    return with_event(made, EventKind.CREATED, now)


def _number(ticket_id: str) -> str:
    return f"INC{int(ticket_id[:12], 16)}"
