"""A check goes on in the background, and every host can show how far it is."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from shared.check import course as module
from shared.check.course import SILENT_FOR, CheckCourse, CheckRun, NotedFinding
from shared.check.findings import CheckName, Outcome
from shared.check.run import ConnectionCheck
from shared.connections.ports import RowChanged
from shared.errors import StorageUnavailable
from tests.memory.check_store import MemoryCheckStore
from tests.memory.probe import MemoryProbe
from tests.unit.check.test_run import check, probe, tickets, trials
from tests.unit.connections.surroundings import Surroundings

__all__ = ["check", "probe", "tickets", "trials"]


@pytest.fixture
def store() -> MemoryCheckStore:
    return MemoryCheckStore()


@pytest.fixture
def course(
    app: Surroundings, check: ConnectionCheck, store: MemoryCheckStore, monkeypatch: pytest.MonkeyPatch
) -> CheckCourse:
    monkeypatch.setattr(module, "NOTED_EVERY_S", 0.001)
    return CheckCourse(check=check, store=store, clock=app.clock)


async def ended(store: MemoryCheckStore) -> CheckRun:
    """Wait for the end of the check."""
    async with asyncio.timeout(5):
        while (run := store.runs["contoso"]).ended_at is None and not run.is_broken_off:
            await asyncio.sleep(0.001)
    return run


def held(probe: MemoryProbe, monkeypatch: pytest.MonkeyPatch, look: str) -> asyncio.Event:
    """Hold one look until the event is set."""
    released = asyncio.Event()
    answer = getattr(probe, look)

    async def wait(*arguments: object) -> object:
        await released.wait()
        return await answer(*arguments)

    monkeypatch.setattr(probe, look, wait)
    return released


async def test_a_check_answers_at_once_and_fills_check_by_check(
    app: Surroundings,
    course: CheckCourse,
    store: MemoryCheckStore,
    probe: MemoryProbe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connection = await app.connected()
    released = held(probe, monkeypatch, "query_by_time")
    run, is_new = await course.begin(connection, dry_run=False)
    assert (is_new, run.findings, run.total) == (True, [], len(CheckName))
    async with asyncio.timeout(5):
        while len(store.runs["contoso"].findings) < 15:
            await asyncio.sleep(0.001)
    so_far = {each.check for each in store.runs["contoso"].findings}
    assert CheckName.SIGNED_IN_USER in so_far
    assert CheckName.QUERY_TASK not in so_far, "nobody knows yet"
    released.set()
    whole = await ended(store)
    assert [each.check for each in whole.findings] == list(CheckName)
    assert len(store.saved) > 2


@pytest.mark.parametrize("dry_run", [False, True])
async def test_what_is_shown_on_the_way_is_not_taken_back(
    app: Surroundings, course: CheckCourse, store: MemoryCheckStore, dry_run: bool
) -> None:
    connection = await app.connected()
    shown: list[tuple[str, str]] = []
    report = await course.check.run(
        "contoso",
        dry_run=dry_run,
        note=lambda findings: shown.extend((each.check, each.reason) for each in findings),
    )
    assert set(shown) <= {(each.check, each.reason) for each in report.findings}
    assert connection


async def test_a_second_start_shows_the_running_one(
    app: Surroundings,
    course: CheckCourse,
    store: MemoryCheckStore,
    probe: MemoryProbe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connection = await app.connected()
    released = held(probe, monkeypatch, "greet")
    both = await asyncio.gather(*(course.begin(connection, dry_run=False) for _ in range(2)))
    third, is_new = await course.begin(connection, dry_run=True)
    assert sorted(new for _, new in both) == [False, True]
    assert not is_new
    assert {run.run_id for run, _ in both} == {third.run_id}
    released.set()
    await ended(store)


async def test_a_check_whose_host_died_says_so_and_another_one_can_begin(
    app: Surroundings, course: CheckCourse, store: MemoryCheckStore
) -> None:
    connection = await app.connected()
    now = app.clock()
    dead = await store.save("contoso", CheckRun("dead", now, now, noted=(NotedFinding("reachable", "passed"),)))
    assert dead.is_running(now)
    app.clock.advance(SILENT_FOR.total_seconds())
    assert not dead.is_running(app.clock())
    _, is_new = await course.begin(connection, dry_run=False)
    assert is_new
    assert (await ended(store)).run_id != "dead"


async def test_a_bug_ends_the_check_and_storage_that_fails_does_not(
    app: Surroundings, course: CheckCourse, store: MemoryCheckStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = await app.connected()
    release = course.check.run
    store_error = StorageUnavailable()

    async def interrupted(*arguments: object, **named: object) -> object:
        store.error = store_error
        await asyncio.sleep(0.01)
        store.error = None
        return await release(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(ConnectionCheck, "run", lambda _, *arguments, **named: interrupted(*arguments, **named))
    await course.begin(connection, dry_run=False)
    assert (await ended(store)).count(Outcome.FAILED) == 0

    async def bug(*_: object, **__: object) -> object:
        raise RuntimeError("a bug")

    monkeypatch.setattr(ConnectionCheck, "run", bug)
    await course.begin(connection, dry_run=False)
    run = await ended(store)
    assert (run.is_broken_off, run.is_running(app.clock())) == (True, False)


@pytest.mark.parametrize("error", [RowChanged("check"), StorageUnavailable()])
async def test_a_check_goes_on_when_answers_to_its_writes_are_lost(
    error: Exception,
    app: Surroundings,
    course: CheckCourse,
    store: MemoryCheckStore,
    probe: MemoryProbe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The SDK repeats a write whose answer is lost, and then finds its own version."""
    connection, save = await app.connected(), store.save

    async def save_and_lose(connection_id: str, run: CheckRun) -> CheckRun:
        saved = await save(connection_id, run)
        if isinstance(error, RowChanged) or len(store.saved) == 2:
            raise error
        return saved

    monkeypatch.setattr(store, "save", save_and_lose)
    released = held(probe, monkeypatch, "query_by_time")
    run, is_new = await course.begin(connection, dry_run=False)
    assert is_new
    async with asyncio.timeout(5):
        while len(store.runs["contoso"].findings) < 15:
            await asyncio.sleep(0.001)
    released.set()
    whole = await ended(store)
    assert (whole.run_id, [each.check for each in whole.findings]) == (run.run_id, list(CheckName))


async def test_the_result_of_a_check_that_somebody_waited_for_is_kept(
    app: Surroundings, course: CheckCourse, store: MemoryCheckStore
) -> None:
    await app.connected()
    report = await course.check.run("contoso", dry_run=False)
    await course.keep(report)
    assert store.runs["contoso"].ended_at == report.checked_at
    assert store.runs["contoso"].findings == report.findings
    now = app.clock()
    running = store.runs["contoso"] = replace(CheckRun("running", now, now), etag="1")
    await course.keep(report)
    assert store.runs["contoso"] == running
    store.error = StorageUnavailable()
    await course.keep(report)
