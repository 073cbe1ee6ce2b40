"""Resident memory while some instances hang and others send large answers at once.

The connector runs in its own process (``python -m benchmarks.memory``) and synchronises connections to all of them at
the same time. The instances are plain sockets, because those of the sandbox are too slow for this.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from benchmarks.connector import new_connector
from benchmarks.report import Figure, at_most
from sandbox.world import World
from shared.application import application

MB: Final = 1_000_000
ANSWER_BYTES: Final = 3_900_000
"""A little less than the most that the connector reads of an answer."""
ROWS: Final = 1_000
PROCESS_STATUS: Final = Path("/proc/self/status")


async def measure(world: World, *, hanging: int, answering: int) -> Sequence[Figure]:
    """Measure with some instances of each sort."""
    async with AsyncExitStack() as instances, new_connector(world) as connector:
        silent = [await instances.enter_async_context(_hanging_instance()) for _ in range(hanging)]
        answer = large_answer()
        loud = [await instances.enter_async_context(_answering_instance(answer)) for _ in range(answering)]
        connection = await connector.connect("contoso", world.servicenow.url)
        await connector.copy(connection, silent, prefix="hanging")
        await connector.copy(connection, loud, prefix="answering")
        found = await _synchronised_elsewhere()
    assert found["still_waiting"] == hanging, found
    return [
        Figure("resident memory, everything imported", found["at_rest"] / MB, "MB"),
        Figure(
            f"resident memory, {hanging} instances hang, {answering} give large answers",
            found["peak"] / MB,
            "MB",
            goal=at_most(400),
        ),
        Figure("  large answers read to their end", found["answered"]),
    ]


def large_answer() -> bytes:
    """Return an answer of the Table API to a query, as large as the connector accepts."""
    filler = "x" * (ANSWER_BYTES // ROWS - 1_000)
    rows = [
        {
            name: {"display_value": value, "value": value}
            for name, value in {
                "sys_id": f"{number:032x}",
                "sys_class_name": "incident",
                "number": f"INC{number:07}",
                "state": "1",
                "active": "true",
                "sys_updated_on": "2026-02-01 00:00:00",
                "sys_mod_count": "1",
                "correlation_id": f"m365:{number:032x}",
                "assigned_to": "",
            }.items()
        }
        | {"due_date": {"display_value": filler, "value": ""}}
        for number in range(ROWS)
    ]
    body = json.dumps({"result": rows}).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Total-Count: {ROWS}\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


@asynccontextmanager
async def _hanging_instance() -> AsyncIterator[str]:
    """An instance that takes a request and never answers."""

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1") as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def _answering_instance(answer: bytes) -> AsyncIterator[str]:
    """An instance that always sends the same answer."""

    async def give(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            while await reader.readline() not in (b"\r\n", b""):
                pass
            writer.write(answer)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(give, "127.0.0.1") as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def _synchronised_elsewhere() -> dict[str, int]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.memory", stdout=asyncio.subprocess.PIPE
    )
    output, _ = await child.communicate()
    assert child.returncode == 0, "the connector's process failed"
    found: dict[str, int] = json.loads(output)
    return found


async def _synchronise_all() -> dict[str, int]:
    """Synchronise all connections at once, until every instance that answers has done so."""
    import function_app  # noqa: F401 - what the worker holds in memory

    app = application()
    at_rest = _peak_resident_bytes()
    runs = {
        each.connection_id: asyncio.create_task(app.maintenance.work.sync_now(each))
        for each in await app.connection_store.list_connections()
    }
    hanging = [run for name, run in runs.items() if name.startswith("hanging")]
    answered = await asyncio.gather(
        *(run for name, run in runs.items() if name.startswith("answering")), return_exceptions=True
    )
    found = {
        "at_rest": at_rest,
        "peak": _peak_resident_bytes(),
        "answered": sum(not isinstance(each, BaseException) for each in answered),
        "still_waiting": sum(not run.done() for run in hanging),
    }
    for run in hanging:
        run.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)
    await app.aclose()
    return found


def _peak_resident_bytes() -> int:
    """Return the peak resident memory of this process.

    On Linux, ``getrusage`` also counts the parent's memory from before the program started; ``/proc`` does not.
    """
    if PROCESS_STATUS.exists():
        (line,) = (each for each in PROCESS_STATUS.read_text().splitlines() if each.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_synchronise_all())))
