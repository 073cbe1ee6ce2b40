"""Many due connections, shared out among hosts by a queue; each instance takes its time for an answer.

The hosts are the sandbox's, one or two processes with a worker each. The instances are plain sockets in this process,
because those of the sandbox are too slow for this, and all of them answer that nothing has changed, or never answer.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx

from benchmarks.connector import Connector, new_connector
from benchmarks.report import Figure, at_most
from sandbox.functions_host.authentication import Tenant
from sandbox.world import PEOPLE, FunctionsHost, World
from shared.maintenance.fan_out import PER_MESSAGE

WITHIN_S: Final = 600.0
INTERVAL_S: Final = 60.0
ENTRIES_READ_PER_S: Final = 2_000
"""How often the directory is looked at: more would slow down the hosts."""
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_EMPTY: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Total-Count: 0\r\nContent-Length: 13\r\n\r\n"
_BODY: Final = b'{"result":[]}'


async def measure(world: World, *, connections: int, hanging: int, latency_s: float, pace: float) -> Sequence[Figure]:
    """Measure a plan, then rounds in which every connection is due: one host, two, and two while some hang.

    Args:
        connections: How many, each on an instance of its own.
        hanging: How many of them never answer in the last round.
        latency_s: How long the others take to answer.
        pace: How much faster than in Azure the hosts look at their queues; 1 to measure.
    """
    async with AsyncExitStack() as stack:
        connector = await stack.enter_async_context(new_connector(world, has_queues=True))
        hangs = asyncio.Event()
        instances = [
            await stack.enter_async_context(_instance(latency_s, hangs if number < hanging else None))
            for number in range(connections - 1)
        ]
        connection = await connector.connect("contoso", world.servicenow.url)
        await connector.copy(connection, instances, prefix="many")
        with connector.measured() as plan:
            await connector.app.maintenance.run()
        hosts = [_start(world, connector, pace)]
        await _served(connector, datetime.min.replace(tzinfo=UTC), hosts, connections)
        alone = await _round(connector, hosts, connections)
        hosts.append(_start(world, connector, pace))
        together = await _round(connector, hosts, connections)
        hangs.set()
        disturbed = await _round(connector, hosts, connections - hanging)
        for host in hosts:
            world.processes.kill(host.process)  # A worker would still wait for those that hang.

    many = f"{connections:,} due connections"
    return [
        Figure(f"planning {many}: table requests", plan.table_requests.total(), goal=at_most(5)),
        Figure("  processor time, messages included", plan.processor_s, "s", digits=2, goal=at_most(1)),
        Figure("  messages", -(-connections // PER_MESSAGE)),
        Figure(f"{many}, one host: time", alone["wall_s"], "s", digits=1, goal=at_most(INTERVAL_S)),
        Figure("  processor time of the host for each", 1000 * alone["processor_s"] / connections, "ms", digits=1),
        Figure("two hosts: time", together["wall_s"], "s", digits=1, goal=at_most(INTERVAL_S)),
        Figure("  one host's time by that of two", alone["wall_s"] / together["wall_s"], digits=2),
        Figure("  processor time of both for each", 1000 * together["processor_s"] / connections, "ms", digits=1),
        Figure(
            f"two hosts, {hanging} instances hang: last healthy connection after",
            disturbed["wall_s"],
            "s",
            digits=1,
            goal=at_most(2 * INTERVAL_S),
        ),
    ]


@asynccontextmanager
async def _instance(latency_s: float, hangs: asyncio.Event | None) -> AsyncIterator[str]:
    """An instance on which nothing changes; with an event, it hangs once that is set."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            while await reader.readline() not in (b"\r\n", b""):
                pass
            if hangs is not None and hangs.is_set():
                await reader.read(-1)
                break
            await asyncio.sleep(latency_s)
            writer.write(_EMPTY + _BODY)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1") as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def _start(world: World, connector: Connector, pace: float) -> FunctionsHost:
    settings = connector.app.settings
    return world.start_host(
        "Functions host of the benchmark",
        account=connector.account,
        vault_url=settings.key_vault_url,
        options=["--no-timers", "--pace", str(pace)],
    )


async def _round(connector: Connector, hosts: Sequence[FunctionsHost], wanted: int) -> Mapping[str, float]:
    """Let the timer plan, and wait until enough connections were served; the sample's interval makes all due."""
    began_at, began_s, before_s = datetime.now(UTC), time.perf_counter(), sum(map(_processor_s, hosts))
    headers = {
        "x-functions-key": hosts[0].master_key,
        "Authorization": f"Bearer {Tenant.read(PEOPLE).applications[0].token}",
    }
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{hosts[0].url}/admin/functions/maintain", json={}, headers=headers)
        answer.raise_for_status()
    await _served(connector, began_at, hosts, wanted)
    wall_s = time.perf_counter() - began_s
    return {"wall_s": wall_s, "processor_s": sum(map(_processor_s, hosts)) - before_s}


async def _served(connector: Connector, since_at: datetime, hosts: Sequence[FunctionsHost], wanted: int) -> None:
    """Wait until this many connections had their turn."""
    deadline_s = time.perf_counter() + WITHIN_S
    while True:
        entries = await connector.app.directory.list_entries()
        if sum(each.served_at is not None and each.served_at > since_at for each in entries) >= wanted:
            return
        assert time.perf_counter() < deadline_s, "\n".join(host.process.tail() for host in hosts)
        await asyncio.sleep(wanted / ENTRIES_READ_PER_S)


def _processor_s(host: FunctionsHost) -> float:
    """Return the processor time of a host and its worker, in seconds."""
    host_id = host.process.popen.pid
    ticks = 0
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, _, rest = status.read_text().partition(" ")
        except OSError:
            continue  # It has ended.
        fields = rest.rpartition(")")[2].split()
        if host_id in (int(number), int(fields[1])):
            ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS_PER_S
