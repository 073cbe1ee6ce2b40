"""The timer reads the tenants that are due, beside the connections."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.connections.directory import AT_ONCE
from shared.errors import StorageUnavailable
from shared.maintenance import tenants
from shared.maintenance.fan_out import FanOut
from shared.maintenance.tenants import TENANTS, TenantWork
from shared.recommendations.reading.read import TenantReading
from shared.tenants.model import NOT_READ_AFTER, Tenant, TenantStatus
from tests.memory.clock import START, ManualClock
from tests.memory.evidence_store import MemoryEvidenceStore
from tests.memory.recommendation_store import MemoryRecommendationStore
from tests.memory.source import MemorySource
from tests.memory.tenant_store import MemoryTenantStore
from tests.memory.verification import memory_verification


def tenant(number: int, **changes: object) -> Tenant:
    new = Tenant(f"{number:08x}-aaaa-4bbb-8ccc-000000000001", f"Tenant {number}", due_at=AT_ONCE)
    return replace(new, **changes)  # type: ignore[arg-type]


class World:
    """A timer and its tenants; the names of the requests to storage are kept."""

    def __init__(self, *present: Tenant) -> None:
        self.clock = ManualClock()
        self.names: list[str] = []
        self.failing: set[str] = set()
        self.store = MemoryTenantStore(*present, step=self._step)
        self.source = MemorySource(self.clock)
        recommendations = MemoryRecommendationStore(step=self._step)
        reading = TenantReading(
            self.store,
            recommendations,
            self.source,
            MemoryEvidenceStore(),
            memory_verification(self.clock),
            self.clock,
        )
        fan_out = FanOut[Tenant](None, TENANTS, lambda each: (each.tenant_id, each.etag), self.clock)
        self.work = TenantWork(self.store, fan_out, reading, self.clock)

    async def _step(self, name: str) -> None:
        if name in self.failing:
            raise StorageUnavailable
        if not name.endswith("answers"):
            self.names.append(name)

    async def run(self) -> list[str]:
        """Run once, and return the tenants that were read."""
        self.source.readings.clear()
        await self.work.read_due(self.clock() + timedelta(seconds=45))
        return [tenant_id for tenant_id, _ in self.source.readings]


@pytest.mark.parametrize(
    "present",
    [
        [],
        [tenant(1, due_at=START + timedelta(hours=2)), tenant(2, due_at=None)],
        [tenant(1, holder="somebody", held_until_at=START + timedelta(minutes=1))],
    ],
)
async def test_nothing_to_do_is_one_request(present: list[Tenant]) -> None:
    world = World(*present)
    assert await world.run() == []
    assert world.names == ["list_tenants"]


async def test_tenants_that_are_due_are_read_the_one_that_waits_longest_first() -> None:
    overdue = [tenant(number, due_at=START - timedelta(minutes=number)) for number in (1, 3, 2)]
    world = World(*overdue, tenant(4, due_at=START + timedelta(minutes=1)))
    assert await world.run() == [tenant(number).tenant_id for number in (3, 2, 1)]
    assert all(world.store.tenants[each.tenant_id].status is TenantStatus.READABLE for each in overdue)
    assert await world.run() == []


async def test_one_failure_does_not_hold_up_the_others() -> None:
    world = World(tenant(1), tenant(2), tenant(3))
    world.source.answers.append(ValueError("unexpected"))
    assert len(await world.run()) == 3
    statuses = [each.status for each in world.store.tenants.values()]
    assert sorted(map(str, statuses)) == ["readable", "readable", "unreadable"]


async def test_nothing_begins_after_the_deadline(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tenants, "CONCURRENT_TENANTS", 1)
    forgotten = START - NOT_READ_AFTER
    world = World(
        tenant(1), tenant(2, read_at=forgotten), tenant(3, added_at=forgotten), tenant(4, read_at=START), tenant(5)
    )

    async def slow(name: str) -> None:
        if name == "read":
            world.clock.advance(60)

    world.source._step = slow
    assert await world.run() == [tenant(1).tenant_id]
    logged = [json.loads(record.getMessage()) for record in caplog.records if "tenant_not_read" in record.getMessage()]
    assert [(each["tenant_id"], each["code"]) for each in logged] == [
        (tenant(number).tenant_id, "no_time_left") for number in (2, 3)
    ]
    assert all(each["unread_s"] >= NOT_READ_AFTER.total_seconds() for each in logged)


async def test_a_table_that_does_not_answer_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    world = World(tenant(1))
    world.failing = {"list_tenants"}
    assert await world.run() == []
    assert "tenants_not_listed" in caplog.text
