"""Changing a connection's synchronisation state, which several write: runs, whoever asks for one, whoever resets it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from shared.connections.model import SyncState
from shared.connections.ports import ConnectionStore, RowChanged
from shared.errors import StorageUnavailable

TRIES: Final = 5


async def change_sync_state(
    connections: ConnectionStore, connection_id: str, change: Callable[[SyncState], SyncState]
) -> SyncState:
    """Store what ``change`` makes of the present state, anew when somebody else changed it meanwhile; return it.

    Raises:
        StorageUnavailable: Others were faster every time.
    """
    for _ in range(TRIES):
        state = await connections.get_sync_state(connection_id)
        changed = change(state)
        if changed == state:
            return state
        try:
            return await connections.save_sync_state(connection_id, changed)
        except RowChanged:
            continue
    raise StorageUnavailable("The state of the synchronisation changes too often; it is tried again.")
