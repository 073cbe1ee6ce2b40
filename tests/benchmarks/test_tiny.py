"""Each benchmark that needs servers runs with a few tickets and connections, and measures what it claims."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from benchmarks import (
    bulk,
    connections,
    create,
    fan_out,
    home,
    idle_day,
    memory,
    portfolio,
    reading,
    recommendations,
    sync,
)
from benchmarks.report import Figure
from sandbox.world import World
from shared.maintenance.fan_out import DONE_HERE


def _values(figures: Iterable[Figure]) -> dict[str, float]:
    return {figure.name.strip(): figure.value for figure in figures}


async def test_creating(world: World) -> None:
    found = _values(await create.measure(world, creates=3, warm_up=1))
    assert found["create: ServiceNow requests"] == 1
    assert found["table requests"] >= 4
    assert found["of that, storage: processor time, p50"] > 0


async def test_synchronising(world: World, tmp_path: Path) -> None:
    figures = await sync.measure(world, tmp_path, tickets=5, in_servicenow=6, changes_per_s=1)
    found = _values(figures)
    assert found["idle sync, 6 tickets in ServiceNow: ServiceNow requests"] == 1
    assert found["sync of 5 changes: ServiceNow requests"] == 1
    (rate,) = (each for each in figures if each.name.startswith("sync of 5 changes, partition of "))
    assert rate.is_reached


async def test_many_connections(world: World) -> None:
    found = _values(await connections.measure(world, few=2, many=3, counted=10))
    assert found["planning 3 connections, none due: table requests"] >= 1
    assert found["a ticket's page, connections 1: row reads"] == 1
    assert found["table requests"] >= 1
    assert found["count in the navigation, 3 connections: time"] > 0


async def test_fan_out(world: World) -> None:
    found = _values(await fan_out.measure(world, connections=DONE_HERE + 2, hanging=1, latency_s=0.01, pace=50))
    assert found["messages"] == 1
    assert found["one host's time by that of two"] > 0
    assert found["processor time of the host for each"] > 0


async def test_home(world: World) -> None:
    page, _, page_requests, count, _, count_requests = await home.measure(world, connections=2, tickets=3, visits=1)
    assert page.name == "home page, 2 connections, 6 tickets: time, p50"
    assert page_requests.value >= 2 + 4, "what is current of each connection; connections, directory twice, tenants"
    assert count.value > 0
    assert count_requests.value == 4, "connections, directory twice, and tenants, once a minute"


async def test_an_idle_day(world: World) -> None:
    requests, tables, *_, messages, timer, _ = await idle_day.measure(world, minutes=3)
    assert requests.value == 3
    assert 3 * 3 <= tables.value <= 3 * 5
    assert messages.value == 3 / 20
    assert timer.value >= 3


async def test_portfolio(world: World) -> None:
    page, _, requests, file, home_page, _, _ = await portfolio.measure(world, customers=3, visits=1)
    assert page.name == "portfolio, 3 customers: time, p50"
    assert requests.value == 2
    assert file.value > 0
    assert home_page.name == "home page, 3 customers with tenants: time, p50"


async def test_memory(world: World) -> None:
    found = _values(await memory.measure(world, hanging=1, answering=1))
    assert found["resident memory, everything imported"] > 20
    assert found["large answers read to their end"] == 1


async def test_recommendations(world: World) -> None:
    figures = list(await recommendations.measure(world, controls=30, days=2, runs=1))
    stored, first_day, listed, _, list_requests, saved, _, save_requests, page, _, page_requests = figures
    assert 0 < first_day.value < stored.value < 4
    assert list_requests.value == 1
    assert save_requests.value == 3, "which texts are stored; texts and snapshot; improvement actions"
    assert page_requests.value == 5 + 8, "tenants, connections, actions, snapshot and claims; tickets, a few one by one"
    assert page.value > 0
    assert listed.value > 0
    assert saved.value > 0


async def test_reading_a_tenant(world: World) -> None:
    (requests, processor, *_, table_requests, first, _, _) = await reading.measure(world, days=1)
    assert requests.name == "reading a tenant, 463 improvement actions: Graph requests"
    assert requests.value == 4
    assert first.value > requests.value
    assert processor.value > 0
    assert table_requests.value > 4


async def test_tickets_at_once(world: World) -> None:
    accepted, _, table_requests, servicenow_requests, page, _, page_requests = await bulk.measure(
        world, tickets=3, visits=1
    )
    assert accepted.name == "3 tickets at once: time until they are accepted"
    assert servicenow_requests.value == 0
    assert table_requests.value >= 3 * 2, "each has its claim and its rows"
    assert page.name == "recommendations page, 463 rows, 3 with a ticket: time, p50"
    assert page_requests.value > 1
