"""What readings and files change is in the evidence before it is stored."""

from __future__ import annotations

import asyncio
from collections import Counter
from decimal import Decimal

import pytest

from shared.evidence.model import EvidenceEvent
from shared.recommendations.files.importing import FileImport
from shared.recommendations.reading.evidence import EVENTS_TOGETHER
from shared.recommendations.reading.read import TenantReading
from shared.tenants.model import Tenant
from tests.memory.clock import ManualClock
from tests.memory.evidence_store import MemoryEvidenceStore
from tests.memory.recommendation_store import MemoryRecommendationStore
from tests.memory.source import MemorySource
from tests.memory.tenant_store import MemoryTenantStore
from tests.memory.ticket_store import WriteFault
from tests.memory.verification import memory_verification

TENANT = "11111111-aaaa-4bbb-8ccc-000000000001"
DAY_S = 24 * 3600


class World:
    """A tenant that is read day by day."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.tenants = MemoryTenantStore(Tenant(TENANT, "Contoso", due_at=self.clock.now))
        self.store = MemoryRecommendationStore()
        self.evidence = MemoryEvidenceStore()
        self.source = MemorySource(self.clock)
        self.reading = TenantReading(
            self.tenants, self.store, self.source, self.evidence, memory_verification(self.clock), self.clock
        )

    async def next_day(self) -> Tenant:
        """Read the tenant a day later."""
        self.clock.advance(DAY_S)
        await self.reading.read_now(self.tenants.tenants[TENANT])
        return self.tenants.tenants[TENANT]

    @property
    def events(self) -> list[EvidenceEvent]:
        """What is in the evidence; what was recorded twice counts once."""
        return list({event.event_id: event for event in self.evidence.events}.values())


async def test_the_first_reading_is_no_change_and_each_later_change_is_recorded() -> None:
    world = World()
    await world.next_day()
    assert world.events == []
    world.source.points |= {"AdminMFAV2": Decimal(10), "later": Decimal(1)}
    await world.next_day()
    by_kind = {event.kind: event for event in world.events}
    assert set(by_kind) == {"points_up", "new"}
    up = by_kind["points_up"]
    [action] = [each for each in await world.store.list_actions(TENANT) if each.source_id == "AdminMFAV2"]
    assert (up.ticket_id, up.tenant_id, up.keys) == (None, TENANT, (action.key,))
    told = {"source": "secure_score", "source_id": "AdminMFAV2", "points_before": "7.5", "points": "10"}
    assert told.items() <= up.details.items()
    assert up.details["snapshot_id"].startswith(TENANT)


async def test_a_day_without_a_change_records_nothing() -> None:
    world = World()
    await world.next_day()
    await world.next_day()
    assert world.evidence.batches == {}


async def test_what_cannot_be_recorded_is_not_stored_and_is_read_again() -> None:
    world = World()
    await world.next_day()
    world.source.points["AdminMFAV2"] = Decimal(10)
    world.evidence.writes.faults.append(WriteFault.NOT_CARRIED_OUT)
    assert (await world.next_day()).error is not None
    assert {each.points for each in await world.store.list_actions(TENANT)} == {Decimal("7.5"), Decimal(0)}
    assert world.events == []
    assert (await world.next_day()).error is None
    assert [event.kind for event in world.events] == ["points_up"]


@pytest.mark.parametrize("fault", [WriteFault.NOT_CARRIED_OUT, WriteFault.ANSWER_LOST])
async def test_a_change_that_is_found_again_after_a_failure_counts_once(fault: WriteFault) -> None:
    world = World()
    await world.next_day()
    world.source.points["AdminMFAV2"] = Decimal(10)
    world.clock.advance(DAY_S)
    failing = world.store if fault is WriteFault.NOT_CARRIED_OUT else world.evidence
    failing.writes.faults.append(fault)
    await world.reading.read_now(world.tenants.tenants[TENANT])
    world.clock.advance(600)  # The same snapshot, a little later.
    await world.reading.read_now(world.tenants.tenants[TENANT])
    assert len(world.evidence.events) == 2
    assert [event.kind for event in world.events] == ["points_up"]


async def test_the_same_change_on_another_day_is_another_event() -> None:
    world = World()
    for points in (5, 10, 5, 10):
        world.source.points["AdminMFAV2"] = Decimal(points)
        await world.next_day()
    assert [event.kind for event in world.events] == ["points_up", "points_down", "points_up"]


async def test_many_changes_are_several_rows() -> None:
    world = World()
    world.source.points = {f"Control{number}": Decimal(1) for number in range(60)}
    await world.next_day()
    world.source.points = dict.fromkeys(world.source.points, Decimal(2))
    await world.next_day()
    assert Counter(len(batch.events) for batch in world.evidence.batches.values()) == {EVENTS_TOGETHER: 2, 10: 1}


async def test_what_a_file_changes_is_recorded() -> None:
    world = World()
    files = FileImport(
        world.tenants,
        world.store,
        world.evidence,
        memory_verification(world.clock),
        asyncio.Semaphore(1),
        world.clock,
    )
    headings = "Rank,Recommended action,Points achieved,Status,Product\n"
    await files.run(TENANT, (headings + "1,Turn on MFA,3/10,To address,Entra ID\n").encode())
    assert world.events == []
    world.clock.advance(DAY_S)
    await files.run(TENANT, (headings + "1,Turn on MFA,10/10,Completed,Entra ID\n").encode())
    assert {event.kind for event in world.events} == {"points_up", "status_changed"}
    assert {event.details["points_before"] for event in world.events} == {"3"}
