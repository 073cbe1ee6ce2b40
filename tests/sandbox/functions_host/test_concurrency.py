"""Concurrent calls, timeouts, and the end of a worker (Functions host §6)."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.functions_host.supervisor import Delays
from sandbox.processes import Processes
from tests.sandbox.functions_host.apps import BEHAVIOUR, write_app
from tests.sandbox.functions_host.conftest import StartHost, Wire, start_host

QUICK = Delays(kill_after_timeout_s=0.3, answer_after_kill_s=0.6)


async def timed(call: Any) -> tuple[float, httpx.Response]:
    """Return a call's duration and answer."""
    began_at = time.monotonic()
    answer = await call
    return time.monotonic() - began_at, answer


async def test_many_synchronous_functions_run_at_once(host_of: StartHost) -> None:
    """§C1, §C4."""
    _, client = await host_of(BEHAVIOUR)
    took_s, answers = await timed(asyncio.gather(*(client.get("/api/sync/0.3") for _ in range(80))))
    assert took_s < 12  # half of the time that they would take one after another
    names = {answer.text for answer in answers}  # type: ignore[attr-defined]
    assert len(names) > 40
    assert all(name.startswith("ThreadPoolExecutor-") for name in names)
    environment = (await client.get("/api/state")).json()["environment"]
    assert environment["PYTHON_THREADPOOL_THREAD_COUNT"] == "1000"


async def test_thread_pool_of_one_runs_one_after_another(host_of: StartHost) -> None:
    """§C1."""
    _, client = await host_of(BEHAVIOUR, environment={"PYTHON_THREADPOOL_THREAD_COUNT": "1"})
    took_s, _ = await timed(asyncio.gather(*(client.get("/api/sync/0.1") for _ in range(4))))
    assert took_s >= 0.4


async def test_asynchronous_functions_share_one_loop(host_of: StartHost) -> None:
    """§C2, §C4."""
    _, client = await host_of(BEHAVIOUR)
    busy = [asyncio.create_task(client.get("/api/sync/1")) for _ in range(20)]
    took_s, _ = await timed(asyncio.gather(*(client.get("/api/async/0.2") for _ in range(30))))
    assert took_s < 1
    assert (await client.get("/api/state")).json()["thread"] == "MainThread"
    await asyncio.gather(*busy)


async def test_blocking_in_an_asynchronous_function_blocks_every_function_but_not_the_host(host_of: StartHost) -> None:
    """§C3."""
    _, client = await host_of(BEHAVIOUR, worker="own process")
    blocking = asyncio.create_task(client.get("/api/block/1"))
    await asyncio.sleep(0.1)
    waiting = asyncio.create_task(timed(client.get("/api/sync/0")))
    for path, status in (("/admin/host/ping", 200), ("/api/nothing", 404)):
        assert (await client.get(path)).status_code == status
    assert not blocking.done()
    took_s, _ = await waiting
    assert took_s > 0.3
    assert (await blocking).text == "blocked"


async def test_function_runs_on_when_its_caller_goes_away(host_of: StartHost) -> None:
    """§C5."""
    _, client = await host_of(BEHAVIOUR)
    call = asyncio.create_task(client.get("/api/async/0.2"))
    await asyncio.sleep(0.05)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (await client.get("/api/state")).json()["started"] == ["async began"]
    await asyncio.sleep(0.25)
    assert (await client.get("/api/state")).json()["started"] == ["async began", "async ended"]


def test_function_runs_on_when_its_connection_breaks(wire: Wire) -> None:
    """§C5."""
    ended = wire.get("state").json()["started"].count("async ended")
    with pytest.raises(httpx.ReadTimeout):
        wire.get("async/0.3", timeout=0.05)
    deadline = time.monotonic() + 5
    while wire.get("state").json()["started"].count("async ended") == ended:
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def test_timeout_replaces_the_worker_and_leaves_others_hanging(host_of: StartHost) -> None:
    """§C6, §C7: T = 1 s, with the delays of 2 s and 10 s shortened to 0.3 s and 0.6 s."""
    host, client = await host_of(BEHAVIOUR, {"functionTimeout": "00:00:01"}, worker="own process", delays=QUICK)
    before = (await client.get("/api/state")).json()
    overdue = asyncio.create_task(timed(client.get("/api/async/60")))
    await asyncio.sleep(0.8)
    bystander = asyncio.create_task(timed(client.get("/api/async/0.9")))
    await asyncio.sleep(0.7)  # 0.2 s after the kill
    took_s, after = await timed(client.get("/api/state"))
    assert took_s < 10
    assert after.json()["pid"] != before["pid"]
    assert after.json()["started"] == []
    took_s, answer = await overdue
    assert (answer.status_code, answer.content) == (500, b"")
    assert 1.9 <= took_s < 10
    took_s, answer = await bystander
    assert answer.status_code == 500
    assert 1.3 <= took_s < 10  # its own T + 0.3 s, not the moment of the kill
    assert host.worker_process_id == after.json()["pid"]


async def test_killed_worker_fails_every_call_in_flight_at_once(host_of: StartHost) -> None:
    """§C8: SIGKILL from outside."""
    host, client = await host_of(BEHAVIOUR, worker="own process", delays=Delays(unnoticed_death_s=0.5))
    await client.get("/api/async/0")
    calls = [asyncio.create_task(timed(client.get(path))) for path in ("/api/async/60", "/api/sync/60")]
    await asyncio.sleep(0.2)
    assert host.worker_process_id is not None
    os.kill(host.worker_process_id, signal.SIGKILL)
    for took_s, answer in await asyncio.gather(*calls):
        assert (answer.status_code, answer.content) == (500, b"")
        assert took_s < 30
    assert (await client.get("/api/state")).status_code == 500  # not noticed yet
    await asyncio.sleep(0.5)
    assert (await client.get("/api/state")).json()["started"] == []  # module state is gone


@pytest.mark.parametrize(
    ("how", "worker"), [("system", "in process"), ("keyboard", "in process"), ("system", "own process")]
)
async def test_function_that_exits_ends_its_worker(host_of: StartHost, how: str, worker: str) -> None:
    """§P19."""
    _, client = await host_of(BEHAVIOUR, worker=worker)
    await client.get("/api/async/0")
    assert (await client.get(f"/api/exit/{how}")).status_code == 500
    await asyncio.sleep(0.02)
    assert (await client.get("/api/state")).json()["started"] == []


async def test_fault_mode_fails_all_calls_in_flight(host_of: StartHost) -> None:
    """§C8, in process: `kill_worker`."""
    host, client = await host_of(BEHAVIOUR)
    calls = [asyncio.create_task(client.get("/api/async/60")) for _ in range(3)]
    await asyncio.sleep(0.05)
    await host.kill_worker()
    assert [answer.status_code for answer in await asyncio.gather(*calls)] == [500, 500, 500]
    await asyncio.sleep(0.02)
    assert (await client.get("/api/state")).json()["started"] == []


def test_signal_kills_the_worker_of_a_host_process(processes: Processes, tmp_path: Any) -> None:
    """§C8: SIGUSR1."""
    process, port = start_host(processes, write_app(tmp_path / "app", BEHAVIOUR))
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
        first = client.get("/api/state").json()["pid"]
        process.popen.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + 10
        while (answer := client.get("/api/state")).status_code == 500 or answer.json()["pid"] == first:
            assert time.monotonic() < deadline
            time.sleep(0.005)
    processes.stop(process)
    assert process.popen.returncode == 0


def test_killed_host_takes_its_worker_with_it(processes: Processes, tmp_path: Any) -> None:
    """If only the host gets SIGKILL, no worker remains to continue a call."""
    process, port = start_host(processes, write_app(tmp_path / "app", BEHAVIOUR))
    worker = httpx.get(f"http://127.0.0.1:{port}/api/state").json()["pid"]
    process.popen.kill()
    deadline = time.monotonic() + 5
    while is_running(worker):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    processes.kill(process)


def is_running(process_id: int) -> bool:
    """Say whether a process still does anything; a zombie does not."""
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


async def test_throttle_turns_calls_away(host_of: StartHost) -> None:
    """§C9, §C10, §P29."""
    http = {"maxOutstandingRequests": 2, "maxConcurrentRequests": 1, "customHeaders": {"X-Custom": "1"}}
    _, client = await host_of(BEHAVIOUR, {"extensions": {"http": http}})
    began_at = time.monotonic()
    answers = await asyncio.gather(*(client.get("/api/async/0.2") for _ in range(6)))
    assert time.monotonic() - began_at >= 0.4
    assert sorted(answer.status_code for answer in answers) == [200, 200, 429, 429, 429, 429]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["x-function-scaleout"] == "1"
    assert "retry-after" not in refused.headers
    assert "x-custom" not in refused.headers
    assert refused.content == b""
    assert (await client.get("/api/async/0")).status_code == 200
