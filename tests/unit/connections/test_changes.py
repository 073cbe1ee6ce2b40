"""Concurrent changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.connections.changes import MAX_TRIES, change_sync_state
from shared.connections.directory import SyncState
from shared.errors import TryLater
from tests.memory.clock import START
from tests.memory.connection_store import MemoryConnectionStore
from tests.unit.tickets.examples import CONNECTION_ID, a_connection


class Contested(MemoryConnectionStore):
    """Somebody else is faster, several times."""

    times = 1

    async def save_sync_state(self, connection_id: str, state: SyncState) -> SyncState:
        if self.times:
            self.times -= 1
            stored = await self.get_sync_state(connection_id)
            await super().save_sync_state(connection_id, replace(stored, reconcile_after=str(self.times)))
        return await super().save_sync_state(connection_id, state)


async def test_what_somebody_faster_stored_is_kept() -> None:
    store = Contested(a_connection())
    state = await change_sync_state(store, CONNECTION_ID, lambda stored: replace(stored, requested_at=START))
    assert (state.requested_at, state.reconcile_after) == (START, "0")
    assert await store.get_sync_state(CONNECTION_ID) == state


async def test_it_is_not_tried_for_ever() -> None:
    store = Contested(a_connection())
    store.times = MAX_TRIES
    with pytest.raises(TryLater) as caught:
        await change_sync_state(store, CONNECTION_ID, lambda stored: replace(stored, requested_at=START))
    assert caught.value.code == "connection_busy"
