"""What happened to tickets reaches the evidence, also across failures."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.errors import StorageUnavailable
from shared.tickets.recording import MOST_PAGES, PAGE_BATCHES, EvidenceRecording
from tests.memory.clock import ManualClock
from tests.memory.evidence_store import MemoryEvidenceStore
from tests.memory.ticket_store import MemoryTicketStore
from tests.unit.tickets.examples import CONNECTION_ID, delivered_ticket


class World:
    """A connection with tickets, and the evidence."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryTicketStore()
        self.fails_at = ""
        self.evidence = MemoryEvidenceStore(self._step)
        self.recording = EvidenceRecording(self.store, self.evidence, self.clock)

    async def _step(self, name: str) -> None:
        if name == self.fails_at:
            raise StorageUnavailable()

    async def tickets(self, count: int) -> None:
        for _ in range(count):
            await self.store.create_ticket(delivered_ticket(self.clock()))

    async def run(self, seconds: float = 60) -> int:
        return await self.recording.run(CONNECTION_ID, deadline=self.clock() + timedelta(seconds=seconds))

    @property
    def left(self) -> int:
        return len(self.store.unrecorded[CONNECTION_ID])


async def test_everything_is_copied_once() -> None:
    world = World()
    await world.tickets(PAGE_BATCHES + 1)
    assert await world.run() == PAGE_BATCHES + 1
    assert (len(world.evidence.batches), world.left, await world.run()) == (PAGE_BATCHES + 1, 0, 0)


async def test_what_the_evidence_does_not_take_stays(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    await world.tickets(2)
    world.fails_at = "record"
    assert await world.run() == 0
    assert world.left == 2
    assert "evidence_not_recorded" in caplog.text
    world.fails_at = ""
    assert await world.run() == 2


async def test_a_batch_that_was_copied_before_a_crash_is_there_once() -> None:
    world = World()
    await world.tickets(2)
    await world.evidence.record(list(world.store.unrecorded[CONNECTION_ID].values()))
    await world.run()
    assert (len(world.evidence.batches), world.left) == (2, 0)


async def test_a_turn_copies_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.tickets.recording.PAGE_BATCHES", 1)
    world = World()
    await world.tickets(MOST_PAGES + 2)
    assert await world.run(seconds=0) == 1
    assert await world.run() == MOST_PAGES
    assert world.left == 1
