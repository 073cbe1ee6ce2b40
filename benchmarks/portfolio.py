"""The pages of a provider about every customer: the portfolio and home, each from two reads."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Final

from benchmarks.connector import Connector, new_connector
from benchmarks.effort import Effort, median_ms
from benchmarks.pages import application_of_pages, visit
from benchmarks.report import Figure, at_most
from sandbox.world import World
from shared.connections.customers import Figures, customer_of
from shared.connections.directory import AT_ONCE, DirectoryEntry, SyncState
from shared.connections.model import Connection, ConnectionStatus
from shared.tenants.model import Tenant, TenantScore, TenantStatus

AT_A_TIME: Final = 32


async def measure(world: World, *, customers: int, visits: int) -> Sequence[Figure]:
    """Measure the pages with this many customers of one tenant each.

    Args:
        visits: How often to measure each time.
    """
    async with new_connector(world) as connector, application_of_pages():
        turn = asyncio.Semaphore(AT_A_TIME)

        async def add(number: int) -> None:
            async with turn:
                await _add(connector, number)

        await asyncio.gather(*map(add, range(customers)))
        await visit(connector, "portfolio_page", "/portfolio")
        pages = [await visit(connector, "portfolio_page", "/portfolio?sort=overdue") for _ in range(visits)]
        await visit(connector, "home_page", "/")
        homes = [await visit(connector, "home_page", "/") for _ in range(visits)]
        files = [await visit(connector, "export_portfolio", "/portfolio.csv") for _ in range(visits)]
    return [
        Figure(f"portfolio, {customers:,} customers: time, p50", median_ms(pages, _wall), "ms", goal=at_most(150)),
        Figure("  processor time, p50", median_ms(pages, _processor), "ms"),
        Figure("  table requests", pages[-1].table_requests.total()),
        Figure("the same as a file: time, p50", median_ms(files, _wall), "ms"),
        Figure(
            f"home page, {customers:,} customers with tenants: time, p50",
            median_ms(homes, _wall),
            "ms",
            goal=at_most(150),
        ),
        Figure("  processor time, p50", median_ms(homes, _processor), "ms"),
        Figure("  table requests", homes[-1].table_requests.total()),
    ]


async def _add(connector: Connector, number: int) -> None:
    now, app = connector.clock(), connector.app
    connection = Connection(
        connection_id=f"customer-{number}",
        display_name=f"Customer {number}",
        instance=f"https://customer-{number}.service-now.com",
        client_id="0" * 32,
        integration_user="m365.connector",
        customer_group=f"Region {number % 7}",
        status=ConnectionStatus.CONNECTED,
        consented_at=now,
        consent_ends_at=now + timedelta(days=number % 100),
        integration_user_sys_id="0" * 32,
    )
    await app.connection_store.create_connection(connection)
    entry = DirectoryEntry(
        connection.connection_id,
        due_at=AT_ONCE,
        served_at=now,
        customer=customer_of(connection),
        figures=Figures(open=number % 90, overdue=number % 9, awaiting_proof=number % 5, last_sync_at=now),
        sync=SyncState(watermark="2026-03-02 09:00:00", watermark_seen_at=now, last_completed_at=now),
    )
    await app.directory.save_entry(entry)
    tenant = Tenant(
        f"{number:08x}-0000-4000-8000-000000000000",
        f"Tenant {number}",
        connection_id=connection.connection_id,
        added_at=now,
        status=TenantStatus.READABLE,
        roles=("SecurityEvents.Read.All",),
        roles_seen_at=now,
        snapshot_id=f"{number}_2026-03-02",
        snapshot_at=now,
        read_at=now,
        due_at=now + timedelta(hours=6),
    )
    score = TenantScore(Decimal(300 + number % 300), Decimal(720), Decimal(420 - number % 300), Decimal("48.5"))
    await app.tenants.save_tenant(replace(tenant, score=score))


def _wall(effort: Effort) -> float:
    return effort.wall_s


def _processor(effort: Effort) -> float:
    return effort.processor_s
