"""Much due work goes to other instances of the app as messages; a message is a hint, and the row is the truth."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.connections.directory import AT_ONCE, DirectoryEntry
from shared.errors import StorageUnavailable
from shared.evidence.ports import EvidenceStore
from shared.maintenance.fan_out import DONE_HERE, MAX_ID_LENGTH, MESSAGE_TTL, PER_MESSAGE, FanOut, ids_of
from shared.maintenance.run import CONNECTIONS, NOT_SERVED_AFTER, Maintenance
from shared.maintenance.serve import ConnectionWork
from shared.maintenance.tenants import TENANTS, TenantWork
from shared.recommendations.reading.read import TenantReading
from shared.tenants.model import NOT_READ_AFTER, Tenant
from tests.memory.clock import START, ManualClock
from tests.memory.evidence_store import MemoryEvidenceStore
from tests.memory.maintenance import memory_maintenance
from tests.memory.recommendation_store import MemoryRecommendationStore
from tests.memory.servicenow import MemoryServiceNow
from tests.memory.source import MemorySource
from tests.memory.tenant_store import MemoryTenantStore
from tests.memory.ticket_store import MemoryTicketStore
from tests.memory.verification import memory_verification
from tests.unit.connections.surroundings import Surroundings

MANY = DONE_HERE + 1


class MemoryQueue:
    """Implements `WorkQueue`: keeps messages until a test takes them."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.times_to_live: set[timedelta] = set()
        self.failures = 0

    async def send(self, text: str, ttl: timedelta) -> None:
        """See the port."""
        if self.failures:
            self.failures -= 1
            raise StorageUnavailable
        self.messages.append(text)
        self.times_to_live.add(ttl)

    def take(self) -> list[str]:
        """Take all messages."""
        taken, self.messages = self.messages, []
        return taken


@dataclass(frozen=True)
class Item:
    """Something that is due."""

    name: str
    version: str | None = "1"


def fan_out(queue: MemoryQueue | None, clock: ManualClock) -> FanOut[Item]:
    """Share out items."""
    return FanOut(queue, "items", lambda item: (item.name, item.version), clock)


def named(messages: Sequence[str]) -> list[str]:
    """Return the ids in messages, in order."""
    return [each for message in messages for each in ids_of(message.encode(), "items")]


@given(st.integers(0, 100), st.integers(0, 6), st.booleans())
async def test_each_due_item_is_served_here_or_sent_once(count: int, failures: int, has_queue: bool) -> None:
    queue, due = MemoryQueue(), [Item(str(number)) for number in range(count)]
    queue.failures = failures
    here = await fan_out(queue if has_queue else None, ManualClock()).share_out(due)
    assert Counter([*(item.name for item in here), *named(queue.messages)]) == Counter(item.name for item in due)
    if not has_queue or count <= DONE_HERE:
        assert here == due
    elif not failures:
        assert here == []
        assert len(queue.messages) == -(-count // PER_MESSAGE)
        assert named(queue.messages) == [item.name for item in due], "what waits longest comes first"
        assert queue.times_to_live == {MESSAGE_TTL}


async def test_what_waits_in_the_queue_is_not_sent_again_until_its_message_is_gone() -> None:
    queue, clock = MemoryQueue(), ManualClock()
    shared_out, due = fan_out(queue, clock), [Item(str(number)) for number in range(MANY)]
    assert await shared_out.share_out(due) == []
    assert len(named(queue.take())) == MANY
    clock.advance(60)
    due = [Item("0", "2"), *due[1:]]
    assert await shared_out.share_out(due) == []
    assert named(queue.take()) == ["0"], "its row has changed: it was served, and is due again"
    clock.advance(MESSAGE_TTL.total_seconds() - 60)
    assert await shared_out.share_out(due) == []
    assert named(queue.take()) == [item.name for item in due[1:]]


async def test_what_could_not_be_sent_is_sent_next_time(caplog: pytest.LogCaptureFixture) -> None:
    queue, clock = MemoryQueue(), ManualClock()
    shared_out, due = fan_out(queue, clock), [Item(str(number)) for number in range(MANY)]
    queue.failures = 1
    assert await shared_out.share_out(due) == due
    assert "work_not_sent" in caplog.text
    assert await shared_out.share_out(due) == []
    assert len(named(queue.take())) == MANY


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", "no json", '{"items": []}', '{"items": "a"}', '{"items": [1]}', '{"items": [""]}', "\u00ff"),
        *(json.dumps({"items": ids}) for ids in (["a"] * (PER_MESSAGE + 1), ["a" * (MAX_ID_LENGTH + 1)])),
    ],
)
def test_what_is_no_message_of_ours_is_refused(text: str) -> None:
    """The host then moves it to the poison queue, for which there is an alert."""
    with pytest.raises(ValueError):  # noqa: PT011 - of json or of our own
        ids_of(text.encode("latin-1"), "items")


# Connections


class World:
    """Connections, the timer, and an instance of the app that takes the messages."""

    def __init__(self, app: Surroundings, count: int) -> None:
        self.app, self.queue, self.names = app, MemoryQueue(), list[str]()
        self.ids = [f"contoso-{number:02}" for number in range(count)]
        connection = app.stored()
        app.store.connections = {each: replace(connection, connection_id=each) for each in self.ids}
        app.directory.entries.clear()
        self.evidence: EvidenceStore = MemoryEvidenceStore()
        self.timer, self.worker = self.instance(), self.instance()

    def instance(self) -> Maintenance:
        app = self.app
        return memory_maintenance(
            connections=app.store,
            directory=app.directory,
            authorizations=app.authorizations,
            tokens=app.tokens,
            renewal=app.renewal,
            health=app.health,
            store=MemoryTicketStore(),
            servicenow=MemoryServiceNow(app.clock),
            clock=app.clock,
            queue=self.queue,
        )

    def served(self) -> dict[str, datetime | None]:
        return {each: entry.served_at for each, entry in self.app.directory.entries.items()}


async def world_of(count: int) -> World:
    app = Surroundings()
    await app.configured()
    return World(app, count)


async def test_a_few_connections_are_served_by_the_timer() -> None:
    world = await world_of(DONE_HERE)
    await world.timer.run()
    assert world.queue.messages == []
    assert set(world.served()) == set(world.ids)


async def test_many_connections_are_served_by_whoever_gets_the_messages() -> None:
    world = await world_of(30)
    await world.timer.run()
    assert world.served() == {}
    messages = world.queue.take()
    assert len(messages) == 2
    for message in messages:
        await world.worker.serve_message(message.encode())
    before = world.served()
    assert set(before) == set(world.ids)
    world.app.clock.advance(1)
    for message in messages:
        await world.worker.serve_message(message.encode())
    assert world.served() == before, "a message that comes again finds nothing due"


def reported(caplog: pytest.LogCaptureFixture) -> dict[str, float | None]:
    """Return how long each connection has waited that was last reported as not served, and forget the log."""
    lines = [json.loads(record.getMessage()) for record in caplog.records]
    caplog.clear()
    return {each["connection_id"]: each.get("waited_s") for each in lines if each["event"] == "connection_not_served"}


async def test_a_lost_message_is_sent_again() -> None:
    world = await world_of(MANY)
    await world.timer.run()
    assert len(world.queue.take()) == 1
    world.app.clock.advance(60)
    await world.timer.run()
    assert world.queue.take() == []
    world.app.clock.advance(60)
    await world.timer.run()
    assert len(world.queue.take()) == 1


async def test_a_late_connection_is_reported_by_its_row_alone(caplog: pytest.LogCaptureFixture) -> None:
    """Each minute another process may be the timer, and a turn that dies changes the row."""
    world = await world_of(MANY)
    late, new, *others = world.ids
    old = world.app.clock() - NOT_SERVED_AFTER
    await world.app.directory.save_entry(DirectoryEntry(late, AT_ONCE, served_at=old))
    for each in others:
        await world.app.directory.save_entry(DirectoryEntry(each, AT_ONCE, served_at=old + timedelta(minutes=10)))
    for minute in (0, 1, 2):
        await world.instance().run()
        assert reported(caplog) == {late: (NOT_SERVED_AFTER + timedelta(minutes=minute)).total_seconds(), new: None}
        entry = await world.app.directory.get_entry(late)
        await world.app.directory.save_entry(replace(entry, holder=f"died {minute}"))
        world.app.clock.advance(60)
    for message in world.queue.take():
        await world.worker.serve_message(message.encode())
    await world.instance().run()
    assert reported(caplog) == {}


async def test_a_connection_that_somebody_serves_is_left_alone() -> None:
    world = await world_of(1)
    until_at = world.app.clock() + timedelta(seconds=20)
    held = DirectoryEntry(world.ids[0], AT_ONCE, holder="somebody", held_until_at=until_at)
    await world.app.directory.save_entry(held)
    await world.worker.serve_message(json.dumps({CONNECTIONS: world.ids}).encode())
    assert world.app.directory.entries[world.ids[0]].holder == "somebody"


async def test_what_is_no_connection_gets_no_row() -> None:
    world = await world_of(1)
    await world.worker.serve_message(json.dumps({CONNECTIONS: ["forged", *world.ids]}).encode())
    assert set(world.served()) == set(world.ids)


async def test_no_connection_waits_for_those_that_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    world, serve = await world_of(PER_MESSAGE), ConnectionWork.serve
    healthy, hanging = world.ids[-1], asyncio.Event()

    async def serve_or_hang(self: ConnectionWork, entry: DirectoryEntry, deadline: datetime) -> None:
        if entry.connection_id == healthy:
            await serve(self, entry, deadline)
        else:
            await hanging.wait()

    monkeypatch.setattr(ConnectionWork, "serve", serve_or_hang)
    serving = asyncio.create_task(world.worker.serve_message(json.dumps({CONNECTIONS: world.ids}).encode()))
    async with asyncio.timeout(5):
        while healthy not in world.served() or world.served()[healthy] is None:
            await asyncio.sleep(0)
    assert not serving.done()
    hanging.set()
    await serving


async def test_a_row_that_cannot_be_read_does_not_hold_up_the_others(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await world_of(3)
    read = world.app.directory.get_entry

    async def get_entry(connection_id: str) -> DirectoryEntry:
        if connection_id == world.ids[0]:
            raise StorageUnavailable
        return await read(connection_id)

    monkeypatch.setattr(world.app.directory, "get_entry", get_entry)
    await world.worker.serve_message(json.dumps({CONNECTIONS: world.ids}).encode())
    assert set(world.served()) == set(world.ids[1:])
    assert "connection_row_not_read" in caplog.text


async def test_a_connection_whose_row_does_not_know_that_it_is_due_stays_with_the_timer() -> None:
    """A host of release 0.1 was asked to synchronise it: the row says nothing of that."""
    app = Surroundings()
    await app.connected()
    world = World(app, MANY + 1)
    later = world.app.clock() + timedelta(minutes=4)
    await world.app.directory.save_entry(DirectoryEntry(world.ids[0], later))
    await world.timer.run()
    assert set(world.served()) == {world.ids[0]}
    assert world.served()[world.ids[0]] is not None
    assert world.ids[0] not in world.queue.messages[0]


# Tenants


async def test_many_tenants_are_read_by_whoever_gets_the_messages() -> None:
    clock, queue = ManualClock(), MemoryQueue()
    due = [Tenant(f"{number:08x}-aaaa-4bbb-8ccc-000000000001", f"T{number}", due_at=AT_ONCE) for number in range(MANY)]
    store, source = MemoryTenantStore(*due), MemorySource(clock)
    reading = TenantReading(
        store, MemoryRecommendationStore(), source, MemoryEvidenceStore(), memory_verification(clock), clock
    )
    fan_out = FanOut[Tenant](queue, TENANTS, lambda each: (each.tenant_id, each.etag), clock)
    work, deadline = TenantWork(store, fan_out, reading, clock), START + timedelta(seconds=45)
    await work.read_due(deadline)
    assert source.readings == []
    (message,) = queue.take()
    for _ in range(2):
        await work.read_message(message.encode(), deadline)
    assert sorted(tenant_id for tenant_id, _ in source.readings) == [each.tenant_id for each in due]
    await work.read_message(json.dumps({TENANTS: ["removed"]}).encode(), deadline)


async def test_a_late_tenant_is_reported_by_its_row_alone(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    late, *others = (
        Tenant(f"{number:08x}-aaaa-4bbb-8ccc-000000000001", f"T{number}", due_at=AT_ONCE, read_at=clock())
        for number in range(MANY)
    )
    store = MemoryTenantStore(replace(late, read_at=clock() - NOT_READ_AFTER), *others)
    reading = TenantReading(
        store,
        MemoryRecommendationStore(),
        MemorySource(clock),
        MemoryEvidenceStore(),
        memory_verification(clock),
        clock,
    )
    fan_out = FanOut[Tenant](MemoryQueue(), TENANTS, lambda each: (each.tenant_id, each.etag), clock)
    await TenantWork(store, fan_out, reading, clock).read_due(START + timedelta(seconds=45))
    lines = [json.loads(record.getMessage()) for record in caplog.records]
    late_lines = [each for each in lines if each["event"] == "tenant_not_read"]
    assert [(each["tenant_id"], each["code"]) for each in late_lines] == [(late.tenant_id, "no_time_left")]
