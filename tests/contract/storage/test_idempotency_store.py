"""The contract of the idempotency store, for Table Storage and the in-memory store that other tests rely on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from azure.data.tables.aio import TableServiceClient
from azure.identity.aio import ManagedIdentityCredential

from sandbox.azurite import StorageAccount
from shared.errors import StorageUnavailable
from shared.storage.idempotency import AzureIdempotencyStore
from shared.tickets.identity import key_hash, new_ticket_id
from shared.tickets.ports import IdempotencyReservation, IdempotencyStore
from tests.memory.clock import START
from tests.memory.idempotency_store import MemoryIdempotencyStore


@pytest.fixture
async def azure_store(
    storage_account: StorageAccount, credential: ManagedIdentityCredential
) -> AsyncIterator[AzureIdempotencyStore]:
    async with TableServiceClient(storage_account.tables_url, credential=credential) as service:
        yield AzureIdempotencyStore(await service.create_table("idempotency"))


@pytest.fixture(params=["memory", "azure"])
def store(request: pytest.FixtureRequest) -> IdempotencyStore:
    if request.param == "memory":
        return MemoryIdempotencyStore()
    chosen: IdempotencyStore = request.getfixturevalue("azure_store")
    return chosen


def reservation(key: str, at: datetime = START) -> IdempotencyReservation:
    return IdempotencyReservation(
        key_hash=key_hash("caller", key), request_hash="0" * 64, ticket_id=new_ticket_id(at, "contoso"), reserved_at=at
    )


async def test_the_first_reservation_of_a_key_stands(store: IdempotencyStore) -> None:
    first = reservation("key")
    assert await store.reserve(first) == first
    later = replace(first, ticket_id="f" * 32, request_hash="1" * 64, reserved_at=START + timedelta(days=1))
    assert await store.reserve(later) == first
    assert await store.reserve(first) == first
    other = reservation("other key")
    assert await store.reserve(other) == other


async def test_of_many_at_once_one_stands(store: IdempotencyStore) -> None:
    wanted = [reservation("key", START + timedelta(seconds=number)) for number in range(8)]
    stored = await asyncio.gather(*(store.reserve(each) for each in wanted))
    assert len(set(stored)) == 1
    assert stored[0] in wanted


async def test_only_expired_reservations_are_deleted(store: IdempotencyStore) -> None:
    times = [START + timedelta(days=number) for number in range(5)]
    made = [await store.reserve(reservation(f"key {number}", at)) for number, at in enumerate(times)]
    assert await store.delete_expired_reservations(times[2]) == 2
    assert await store.delete_expired_reservations(times[2]) == 0
    for number, kept in enumerate(made):
        again = replace(kept, ticket_id="f" * 32)
        assert await store.reserve(again) == (again if number < 2 else kept)


async def test_many_expired_reservations_are_deleted(store: IdempotencyStore) -> None:
    for some in range(3):
        await asyncio.gather(*(store.reserve(reservation(f"key {some} {number}")) for number in range(20)))
    one, other = await asyncio.gather(
        *(store.delete_expired_reservations(START + timedelta(seconds=1)) for _ in range(2))
    )
    assert one + other >= 60
    assert await store.delete_expired_reservations(START + timedelta(seconds=1)) == 0


async def test_a_missing_table_is_reported(
    storage_account: StorageAccount, credential: ManagedIdentityCredential
) -> None:
    async with TableServiceClient(storage_account.tables_url, credential=credential) as service:
        store = AzureIdempotencyStore(service.get_table_client("idempotency"))
        with pytest.raises(StorageUnavailable) as caught:
            await store.reserve(reservation("key"))
        assert caught.value.code == "storage_table_missing"
        with pytest.raises(StorageUnavailable):
            await store.delete_expired_reservations(START)
