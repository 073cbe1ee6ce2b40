"""Concurrent calls, timeouts, and the end of a worker (Functions host §6)."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.functions_host.supervisor import Delays
from sandbox.processes import Processes
from tests.memory.loop_time import LoopTime
from tests.sandbox.functions_host.apps import BEHAVIOUR, write_app
from tests.sandbox.functions_host.conftest import StartHost, Wire, start_host

QUICK = Delays(kill_after_timeout_s=0.3, answer_after_kill_s=0.6)


async def timed(call: Any) -> tuple[float, httpx.Response]:
    """Return a call's duration and answer."""
    began_at = time.monotonic()
    answer = await call
    return time.monotonic() - began_at, answer


@dataclass(frozen=True)
class Held:
    """Functions that run until the test releases them, however fast the machine is."""

    client: httpx.AsyncClient
    file: Path

    def call(self, how: str) -> asyncio.Task[httpx.Response]:
        """Call one of the functions ``sync``, ``async`` and ``blocked``."""
        return asyncio.create_task(self.client.get(f"/api/until/{how}", params={"file": str(self.file)}))

    async def started(self) -> list[str]:
        """Return what the worker's functions noted."""
        found: list[str] = (await self.client.get("/api/state")).json()["started"]
        return found

    async def wait_for(self, note: str, count: int) -> None:
        """Wait until the worker's functions have noted something this often."""
        while (await self.started()).count(note) < count:
            await asyncio.sleep(0.01)

    def release(self) -> None:
        """Let all of them end."""
        self.file.touch()


async def test_many_synchronous_functions_run_at_once(host_of: StartHost, tmp_path: Path) -> None:
    """§C1, §C4."""
    _, client = await host_of(BEHAVIOUR)
    held = Held(client, tmp_path / "released")
    calls = [held.call("sync") for _ in range(80)]
    await held.wait_for("sync", 80)
    held.release()
    names = {(await call).text for call in calls}
    assert len(names) == 80
    assert all(name.startswith("ThreadPoolExecutor-") for name in names)
    environment = (await client.get("/api/state")).json()["environment"]
    assert environment["PYTHON_THREADPOOL_THREAD_COUNT"] == "1000"


async def test_thread_pool_of_one_runs_one_after_another(host_of: StartHost) -> None:
    """§C1."""
    _, client = await host_of(BEHAVIOUR, environment={"PYTHON_THREADPOOL_THREAD_COUNT": "1"})
    took_s, _ = await timed(asyncio.gather(*(client.get("/api/sync/0.1") for _ in range(4))))
    assert took_s >= 0.4


async def test_asynchronous_functions_share_one_loop(host_of: StartHost, tmp_path: Path) -> None:
    """§C2, §C4."""
    _, client = await host_of(BEHAVIOUR)
    held = Held(client, tmp_path / "released")
    calls = [held.call(how) for how in ("sync",) * 20 + ("async",) * 30]
    await held.wait_for("sync", 20)
    await held.wait_for("async began", 30)
    assert (await client.get("/api/state")).json()["thread"] == "MainThread"
    held.release()
    assert {(await call).status_code for call in calls} == {200}


async def test_blocking_in_an_asynchronous_function_blocks_every_function_but_not_the_host(
    host_of: StartHost, tmp_path: Path
) -> None:
    """§C3."""
    _, client = await host_of(BEHAVIOUR, worker="own process")
    held = Held(client, tmp_path / "released")
    blocking = held.call("blocked")
    while not held.file.with_name("released.began").exists():
        await asyncio.sleep(0.01)
    waiting = asyncio.create_task(client.get("/api/sync/0"))
    for path, status in (("/admin/host/ping", 200), ("/api/nothing", 404)):
        assert (await client.get(path)).status_code == status
    await asyncio.sleep(0.1)  # in which it would be answered
    assert not waiting.done()
    held.release()
    assert (await waiting).status_code == 200
    assert (await blocking).text == "blocked"


async def test_function_runs_on_when_its_caller_goes_away(host_of: StartHost, tmp_path: Path) -> None:
    """§C5."""
    _, client = await host_of(BEHAVIOUR)
    held = Held(client, tmp_path / "released")
    call = held.call("async")
    await held.wait_for("async began", 1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await held.started() == ["async began"]
    held.release()
    await held.wait_for("async ended", 1)


def test_function_runs_on_when_its_connection_breaks(wire: Wire, tmp_path: Path) -> None:
    """§C5."""
    released = tmp_path / "released"
    ended = wire.get("state").json()["started"].count("async ended")
    with pytest.raises(httpx.ReadTimeout):
        wire.get("until/async", params={"file": str(released)}, timeout=httpx.Timeout(20, read=0.05))
    released.touch()
    while wire.get("state").json()["started"].count("async ended") == ended:
        time.sleep(0.02)


async def test_timeout_replaces_the_worker_and_leaves_others_hanging(host_of: StartHost) -> None:
    """§C6, §C7: T = 1 s, with the delays of 2 s and 10 s shortened to 0.3 s and 0.6 s."""
    host, client = await host_of(BEHAVIOUR, {"functionTimeout": "00:00:01"}, worker="own process", delays=QUICK)
    before = (await client.get("/api/state")).json()
    overdue = asyncio.create_task(timed(client.get("/api/async/600")))
    await asyncio.sleep(0.4)
    bystander = asyncio.create_task(timed(client.get("/api/async/600")))
    while (after := await client.get("/api/state")).status_code != 200 or after.json()["pid"] == before["pid"]:
        await asyncio.sleep(0.02)
    assert after.json()["started"] == []
    took_s, answer = await overdue
    assert (answer.status_code, answer.content) == (500, b"")
    assert took_s >= 1.9
    took_s, answer = await bystander
    assert answer.status_code == 500
    assert took_s >= 1.3  # its own T + 0.3 s, not the moment of the kill, 0.9 s after it was called
    assert host.worker_process_id == after.json()["pid"]


async def test_killed_worker_fails_every_call_in_flight_at_once(
    host_of: StartHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """§C8: SIGKILL from outside."""
    loop_time = LoopTime(monkeypatch)
    host, client = await host_of(BEHAVIOUR, worker="own process", delays=Delays(unnoticed_death_s=60))
    held = Held(client, tmp_path / "released")
    calls = [held.call(how) for how in ("async", "sync")]
    await held.wait_for("async began", 1)
    await held.wait_for("sync", 1)
    assert host.worker_process_id is not None
    os.kill(host.worker_process_id, signal.SIGKILL)
    for answer in await asyncio.gather(*calls):
        assert (answer.status_code, answer.content) == (500, b"")
    assert (await client.get("/api/state")).status_code == 500  # not noticed yet
    loop_time.advance(60)
    assert await held.started() == []  # module state is gone


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


async def test_fault_mode_fails_all_calls_in_flight(host_of: StartHost, tmp_path: Path) -> None:
    """§C8, in process: `kill_worker`."""
    host, client = await host_of(BEHAVIOUR)
    held = Held(client, tmp_path / "released")
    calls = [held.call("async") for _ in range(3)]
    await held.wait_for("async began", 3)
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
        while (answer := client.get("/api/state")).status_code == 500 or answer.json()["pid"] == first:
            time.sleep(0.005)
    processes.stop(process)
    assert process.popen.returncode == 0


def test_killed_host_takes_its_worker_with_it(processes: Processes, tmp_path: Any) -> None:
    """If only the host gets SIGKILL, no worker remains to continue a call."""
    process, port = start_host(processes, write_app(tmp_path / "app", BEHAVIOUR))
    worker = httpx.get(f"http://127.0.0.1:{port}/api/state").json()["pid"]
    process.popen.kill()
    while is_running(worker):
        time.sleep(0.005)
    processes.kill(process)


def is_running(process_id: int) -> bool:
    """Say whether a process still does anything; a zombie does not."""
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


async def test_throttle_turns_calls_away(host_of: StartHost, tmp_path: Path) -> None:
    """§C9, §C10, §P29."""
    http = {"maxOutstandingRequests": 2, "maxConcurrentRequests": 1, "customHeaders": {"X-Custom": "1"}}
    _, client = await host_of(BEHAVIOUR, {"extensions": {"http": http}})
    held = Held(client, tmp_path / "released")
    calls = {held.call("async") for _ in range(6)}
    refusals = [await call for call in itertools.islice(asyncio.as_completed(calls), 4)]
    assert [answer.status_code for answer in refusals] == [429] * 4
    held.release()
    assert sorted([(await call).status_code for call in calls]) == [200, 200, 429, 429, 429, 429]
    assert await held.started() == ["async began", "async ended"] * 2  # one after the other
    refused = refusals[0]
    assert refused.headers["x-function-scaleout"] == "1"
    assert "retry-after" not in refused.headers
    assert "x-custom" not in refused.headers
    assert refused.content == b""
    assert (await client.get("/api/async/0")).status_code == 200
