"""Timers (Functions host §5), with the test's own clock and, once, with the machine's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sandbox.functions_host.clock import Clock, SystemClock
from sandbox.functions_host.functions import TimerFunction
from sandbox.functions_host.host import FunctionFailedError
from sandbox.functions_host.messages import FunctionMetadata, TimerInput
from sandbox.functions_host.schedule import Schedule
from sandbox.functions_host.storage import DirectoryStorage, MemoryStorage, Storage
from sandbox.functions_host.timers import LEASE, NEVER, TimerListener
from sandbox.processes import Processes
from tests.sandbox.functions_host.apps import HEADER, routed, write_app
from tests.sandbox.functions_host.clock import ManualClock
from tests.sandbox.functions_host.conftest import StartHost, start_host

MINUTE = "0 * * * * *"
NOON = datetime(2026, 1, 5, 12, 0, 30, tzinfo=UTC)


def at(text: str) -> datetime:
    """Read a time on the day of these tests."""
    return datetime.fromisoformat(f"2026-01-05T{text}+00:00")


class Recorder:
    """Notes each firing of a timer, and takes a given time."""

    def __init__(self, clock: Clock, lasts_s: float = 0) -> None:
        self.fired: list[tuple[datetime, TimerInput]] = []
        self._clock = clock
        self._lasts = timedelta(seconds=lasts_s)

    async def __call__(self, given: TimerInput) -> None:
        self.fired.append((self._clock.now(), given))
        await self._clock.sleep_until(self._clock.now() + self._lasts)

    @property
    def times(self) -> list[datetime]:
        return [when for when, _ in self.fired]


@asynccontextmanager
async def listening(
    clock: Clock,
    fire: Callable[[TimerInput], Awaitable[object]],
    *,
    schedule: str = MINUTE,
    storage: Storage | None = None,
    holder: str = "one",
    run_on_startup: bool = False,
    use_monitor: bool = True,
) -> AsyncIterator[asyncio.Task[None]]:
    """Run a listener during the block."""
    metadata = FunctionMetadata("tick", "id", ({"type": "timerTrigger", "name": "timer"},))
    function = TimerFunction(metadata, Schedule.parse(schedule), run_on_startup, use_monitor)
    listener = TimerListener(
        function, fire, storage=storage or MemoryStorage(), host_id="h", holder=holder, clock=clock
    )
    task = asyncio.create_task(listener.run())
    yield task
    task.cancel()
    await asyncio.wait([task])


async def test_fires_on_its_schedule_with_its_status() -> None:
    """§T1, §T8, §T11, §T13: the status before a run, and its update afterwards."""
    clock, storage = ManualClock(NOON), MemoryStorage()
    recorder = Recorder(clock)
    async with listening(clock, recorder, storage=storage):
        await clock.advance(120)
    assert recorder.times == [at("12:01:00"), at("12:02:00")]
    (_, first), (_, second) = recorder.fired
    assert (first.is_past_due, second.is_past_due) == (False, False)
    assert first.schedule_status == {
        "Last": NEVER.isoformat(),
        "Next": "2026-01-05T12:01:00+00:00",
        "LastUpdated": "2026-01-05T12:00:30+00:00",
    }
    assert NEVER.isoformat() == "0001-01-01T00:00:00+00:00"
    assert second.schedule_status == {
        "Last": "2026-01-05T12:01:00+00:00",
        "Next": "2026-01-05T12:02:00+00:00",
        "LastUpdated": "2026-01-05T12:01:00+00:00",
    }


async def test_interval_counts_from_the_start() -> None:
    """§T1."""
    clock = ManualClock(NOON)
    recorder = Recorder(clock)
    async with listening(clock, recorder, schedule="00:01:30"):
        await clock.advance(200)
    assert recorder.times == [at("12:02:00"), at("12:03:30")]


@pytest.mark.parametrize(("lasts_s", "expected"), [(7, [30, 37.01, 44.02]), (1, [30, 32, 34])])
async def test_long_run_is_followed_at_once_and_never_overlapped(lasts_s: float, expected: list[float]) -> None:
    """§T12: a schedule of two seconds; ticks during a run are dropped, the grid is left."""
    clock = ManualClock(NOON - timedelta(seconds=1))
    recorder = Recorder(clock, lasts_s)
    async with listening(clock, recorder, schedule="*/2 * * * * *"):
        await clock.advance(18)
    seconds = [(when - NOON).total_seconds() + 30 for when in recorder.times]
    assert seconds[:3] == pytest.approx(expected)


async def test_missed_runs_are_made_up_once_as_past_due() -> None:
    """§T10."""
    clock, storage = ManualClock(NOON), MemoryStorage()
    recorder = Recorder(clock)
    async with listening(clock, recorder, storage=storage):
        await clock.advance(40)
    await clock.advance(200)
    async with listening(clock, recorder, storage=storage):
        await clock.advance(40)
    assert recorder.times == [at("12:01:00"), at("12:04:30"), at("12:05:00")]
    late = recorder.fired[1][1]
    assert late.is_past_due
    assert late.schedule_status is not None
    assert late.schedule_status["Next"] == "2026-01-05T12:02:00+00:00"
    assert [given.is_past_due for _, given in recorder.fired] == [False, True, False]


async def test_timer_that_never_ran_is_not_past_due() -> None:
    """§T10: a new timer, stopped before its first run."""
    clock, storage = ManualClock(NOON), MemoryStorage()
    recorder = Recorder(clock)
    async with listening(clock, recorder, storage=storage):
        await clock.advance(5)
    await clock.advance(200)
    async with listening(clock, recorder, storage=storage):
        await clock.advance(2)
    assert recorder.fired == []


async def test_changed_schedule_is_not_past_due() -> None:
    """§T10."""
    clock, storage = ManualClock(NOON), MemoryStorage()
    recorder = Recorder(clock)
    async with listening(clock, recorder, storage=storage):
        await clock.advance(40)
    await clock.advance(200)
    async with listening(clock, recorder, storage=storage, schedule="0 30 * * * *"):
        await clock.advance(5)
    assert len(recorder.fired) == 1


@pytest.mark.parametrize(("schedule", "use_monitor"), [("*/30 * * * * *", True), (MINUTE, False), ("00:00:59", True)])
async def test_no_monitor_under_a_minute_or_where_it_is_off(schedule: str, use_monitor: bool) -> None:
    """§T9, §T10: no status and never past due."""
    clock, storage = ManualClock(NOON), MemoryStorage()
    recorder = Recorder(clock)
    for _ in range(2):
        async with listening(clock, recorder, storage=storage, schedule=schedule, use_monitor=use_monitor):
            await clock.advance(65)
        await clock.advance(200)
    assert len(recorder.fired) >= 2
    assert all(given == TimerInput(False, None) for _, given in recorder.fired)


async def test_run_on_startup_fires_at_start_and_at_take_over() -> None:
    """§T7."""
    clock, storage = ManualClock(NOON), MemoryStorage()
    first, second = Recorder(clock), Recorder(clock)
    async with AsyncExitStack() as stack:
        stopped = await stack.enter_async_context(
            listening(clock, first, storage=storage, schedule="0 0 0 * * *", run_on_startup=True)
        )
        await clock.advance(1)
        await stack.enter_async_context(
            listening(clock, second, storage=storage, schedule="0 0 0 * * *", run_on_startup=True, holder="two")
        )
        await clock.advance(1)
        assert (first.times, second.times) == ([NOON], [])
        stopped.cancel()
        await clock.advance(120)
    assert len(second.fired) == 1
    assert not second.fired[0][1].is_past_due


async def test_one_of_several_hosts_fires_and_another_takes_over_after_the_lease(tmp_path: Path) -> None:
    """§T14, §T15: the holder is killed, so nothing releases its lock."""
    clock = ManualClock(NOON)
    first, second = Recorder(clock), Recorder(clock)
    lock = tmp_path / "azure-webjobs-hosts/locks/h/Host.Functions.tick.Listener"
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(listening(clock, first, storage=DirectoryStorage(tmp_path)))
        await clock.advance(10)
        await stack.enter_async_context(listening(clock, second, storage=DirectoryStorage(tmp_path), holder="two"))
        await clock.advance(170)
        assert len(first.fired) == 3
        assert second.fired == []
    first.fired.clear()
    lock.write_text(json.dumps({"holder": "killed", "expires_at": (clock.now() + timedelta(seconds=60)).isoformat()}))
    async with listening(clock, second, storage=DirectoryStorage(tmp_path), holder="two"):
        await clock.advance(59)
        assert second.fired == []
        await clock.advance(61)
    assert second.fired[0][1].is_past_due
    assert [given.is_past_due for _, given in second.fired[1:]] == [False] * (len(second.fired) - 1)


async def test_host_that_stops_gives_its_lock_back(tmp_path: Path) -> None:
    """§T14."""
    clock, storage = ManualClock(NOON), DirectoryStorage(tmp_path)
    first, second = Recorder(clock), Recorder(clock)
    async with listening(clock, first, storage=storage):
        await clock.advance(5)
    async with listening(clock, second, storage=storage, holder="two"):
        await clock.advance(30)
    assert (len(first.fired), len(second.fired)) == (0, 1)


async def test_holder_that_lost_its_lock_stops_firing() -> None:
    """§T14."""
    clock, storage = ManualClock(NOON), MemoryStorage()
    recorder = Recorder(clock)
    async with listening(clock, recorder, storage=storage):
        await clock.advance(1)
        stolen = {"holder": "thief", "expires_at": (NOON + timedelta(days=1)).isoformat()}
        storage.update("azure-webjobs-hosts/locks/h/Host.Functions.tick.Listener", lambda _old: stolen)
        await clock.advance(300)
    assert len(recorder.fired) <= 1


async def test_without_storage_the_timer_waits_until_it_is_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """§T18."""
    clock = ManualClock(NOON)
    recorder = Recorder(clock)
    place = tmp_path / "storage"
    place.write_text("a file where the directory should be")
    async with listening(clock, recorder, storage=DirectoryStorage(place)):
        await clock.advance(100)
        assert recorder.fired == []
        assert "was unable to start" in caplog.text
        place.unlink()
        await clock.advance(120)
    assert recorder.fired != []


TIMERS = (
    HEADER
    + """
RUNS = []

@app.route(route="runs")
async def runs(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(RUNS))

@app.timer_trigger(schedule="%SCHEDULE%", arg_name="timer")
async def tick(timer: func.TimerRequest) -> None:
    RUNS.append([time.time(), timer.past_due, timer.schedule_status, timer.schedule])
    if os.environ.get("FAILS"):
        raise RuntimeError("as asked")

@app.timer_trigger(schedule="%MISSING%", arg_name="timer")
async def unresolved(timer: func.TimerRequest) -> None: ...

@app.timer_trigger(schedule="not a schedule", arg_name="timer")
async def malformed(timer: func.TimerRequest) -> None: ...
"""
)


@pytest.mark.parametrize("fails", ["", "yes"])
async def test_whole_host_fires_its_timer_and_goes_on_after_a_failure(host_of: StartHost, fails: str) -> None:
    """§T2, §T8, §T11, §T13."""
    clock = ManualClock(NOON)
    environment = {"SCHEDULE": MINUTE, "FAILS": fails}
    _, client = await host_of(TIMERS, environment=environment, clock=clock, runs_timers=True)
    await clock.advance(130)
    runs = (await client.get("/api/runs")).json()
    assert [run[1] for run in runs] == [False, False]
    assert runs[1][2]["Last"] == "2026-01-05T12:01:00+00:00"
    assert runs[1][3] == {"AdjustForDST": True}


async def test_unresolved_setting_or_malformed_schedule_loses_one_function(host_of: StartHost) -> None:
    """§T3, §T4."""
    host, client = await host_of(TIMERS, environment={"SCHEDULE": MINUTE})
    assert (await client.get("/api/runs")).status_code == 200
    assert host.errors == ()
    assert host.table.in_error == {
        "malformed": "The schedule expression 'not a schedule' was not recognized as a valid cron expression or "
        "timespan string.",
        "unresolved": "'%MISSING%' does not resolve to a value.",
    }
    answer = await client.get("/admin/functions/unresolved/status", headers={"x-functions-key": host.keys.master})
    assert answer.json() == {"errors": ["'%MISSING%' does not resolve to a value."]}


async def test_zone_of_the_process_moves_the_schedule(host_of: StartHost) -> None:
    """§T5."""
    clock = ManualClock(NOON)
    environment = {"SCHEDULE": "0 1 21 * * *", "TZ": "Asia/Tokyo", "WEBSITE_TIME_ZONE": "Europe/Berlin"}
    _, client = await host_of(TIMERS, environment=environment, clock=clock, runs_timers=True)
    await clock.advance(60)
    assert len((await client.get("/api/runs")).json()) == 1


async def test_timer_is_run_and_waited_for(host_of: StartHost) -> None:
    """For tests: shows the end of the run and its failure."""
    host, client = await host_of(TIMERS, environment={"SCHEDULE": MINUTE})
    await host.run_timer("tick", is_past_due=True)
    assert (await client.get("/api/runs")).json()[0][1] is True
    with pytest.raises(LookupError):
        await host.run_timer("runs")


async def test_failed_run_of_a_timer_is_reported(host_of: StartHost) -> None:
    """For tests: raises the run's failure."""
    host, _ = await host_of(TIMERS, environment={"SCHEDULE": MINUTE, "FAILS": "yes"})
    with pytest.raises(FunctionFailedError, match="as asked"):
        await host.run_timer("tick")


async def test_machine_clock_is_accurate() -> None:
    """§T6: at the second, not before it."""
    clock = SystemClock()
    recorder = Recorder(clock)
    async with listening(clock, recorder, schedule="* * * * * *"):
        while not recorder.times:
            await asyncio.sleep(0.01)
    assert recorder.times[0].microsecond / 1e6 < 0.9, "rather late on a slow machine than early"


def test_killed_host_is_followed_by_the_other_on_its_storage(processes: Processes, tmp_path: Path) -> None:
    """§T14, §T15 with processes and SIGKILL; the lease is shortened."""
    app = write_app(tmp_path / "app", TIMERS)
    options = ("--storage", str(tmp_path / "storage"), "--host-id", "pair", "--lease", "1")
    environment = {"SCHEDULE": "* * * * * *"}
    first, _ = start_host(processes, app, *options, environment=environment)
    second, _ = start_host(processes, app, *options, environment=environment)
    fired = "Executing 'Functions.tick'"
    processes.wait_for_line(first, fired)
    assert fired not in second.text()
    processes.kill(first)
    processes.wait_for_line(second, fired, within_s=LEASE.total_seconds() / 2)
    processes.stop(second)


async def test_routes_and_timers_live_side_by_side(host_of: StartHost) -> None:
    """§T14: a host without the lock serves HTTP."""
    _, client = await host_of(
        routed(("one", "one", None)) + TIMERS.removeprefix(HEADER), environment={"SCHEDULE": MINUTE}
    )
    assert (await client.get("/api/one")).status_code == 200
