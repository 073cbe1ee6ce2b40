"""The evidence in Table Storage."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.evidence.model import EvidenceBatch, EvidenceEvent
from shared.storage.evidence import AzureEvidenceStore
from shared.storage.tables import Tables

NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture
async def store(bare_tables: Tables) -> AzureEvidenceStore:
    await bare_tables.evidence.create_table()
    return AzureEvidenceStore(bare_tables.evidence, bare_tables.transactions)


def batch(number: int, at: datetime, *events: EvidenceEvent) -> EvidenceBatch:
    own = EvidenceEvent("state_changed", at, "contoso", f"{number:032x}", "tenant", ("key",), {"to": "7", "note": "漢"})
    return EvidenceBatch(f"{number:032x}", at, events or (own,))


async def events(store: AzureEvidenceStore, since: datetime, until: datetime) -> list[EvidenceEvent]:
    return [event async for page in store.list_events(since, until) for event in page]


async def test_a_period_goes_over_months_and_each_batch_is_there_once(store: AzureEvidenceStore) -> None:
    batches = [batch(number, NEW_YEAR + timedelta(hours=number - 30)) for number in range(60)]
    await store.record(batches)
    await store.record(batches[:5])
    found = await events(store, NEW_YEAR - timedelta(hours=10), NEW_YEAR + timedelta(hours=10))
    assert found == [each.events[0] for each in batches[20:40]]


async def test_an_event_in_a_later_batch_belongs_to_its_own_time(store: AzureEvidenceStore) -> None:
    late = EvidenceEvent("outcome", NEW_YEAR - timedelta(seconds=1), "contoso", "1" * 32)
    await store.record([batch(1, NEW_YEAR + timedelta(hours=1), late)])
    assert await events(store, NEW_YEAR - timedelta(days=1), NEW_YEAR) == [late]
    assert not await events(store, NEW_YEAR, NEW_YEAR + timedelta(days=1))


async def test_an_event_of_a_reading_that_was_repeated_comes_once(store: AzureEvidenceStore) -> None:
    event = EvidenceEvent("points_up", NEW_YEAR, tenant_id="tenant", keys=("key",), details={"points": "10"})
    await store.record([batch(1, NEW_YEAR, event), batch(2, NEW_YEAR, event, replace(event, keys=("other",)))])
    assert await events(store, NEW_YEAR, NEW_YEAR + timedelta(days=1)) == [event, replace(event, keys=("other",))]


async def test_what_is_older_than_the_retention_is_deleted(store: AzureEvidenceStore) -> None:
    batches = [batch(number, NEW_YEAR + timedelta(days=number - 100)) for number in range(200)]
    await store.record(batches)
    assert await store.delete_before(NEW_YEAR) == 100
    assert await store.delete_before(NEW_YEAR) == 0
    left = await events(store, NEW_YEAR - timedelta(days=365), NEW_YEAR + timedelta(days=365))
    assert left == [each.events[0] for each in batches[100:]]
