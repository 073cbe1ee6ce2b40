"""Changing a stored connection, or the state of its synchronisation, while others may be changing it too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from shared.connections.directory import SyncState
from shared.connections.model import Connection
from shared.connections.ports import ConnectionStore, RowChanged
from shared.errors import TryLater

MAX_TRIES: Final = 8


async def change_connection(
    store: ConnectionStore, connection: Connection, change: Callable[[Connection], Connection]
) -> Connection:
    """Store the connection as ``change`` returns it; if somebody else was faster, read it again and repeat.

    Args:
        connection: The connection as last read.
        change: Returns its argument if there is nothing to store; may raise to give up.

    Returns:
        The connection as stored now.

    Raises:
        TryLater: Somebody else was faster every time.
        StorageUnavailable: It is not known whether the change was stored.
    """
    current = connection
    for _ in range(MAX_TRIES):
        changed = change(current)
        if changed is current:
            return current
        try:
            return await store.update_connection(changed)
        except RowChanged:
            reread = await store.get_connection(connection.connection_id)
            if reread is None:
                break
            current = reread
    raise TryLater("connection_busy")


async def change_sync_state(
    store: ConnectionStore, connection_id: str, change: Callable[[SyncState], SyncState]
) -> SyncState:
    """Store and return the state as ``change`` returns it; if somebody else was faster, read it again and repeat.

    Raises:
        TryLater: Somebody else was faster every time.
        StorageUnavailable: It is not known whether the change was stored.
    """
    for _ in range(MAX_TRIES):
        state = await store.get_sync_state(connection_id)
        changed = change(state)
        if changed == state:
            return state
        try:
            return await store.save_sync_state(connection_id, changed)
        except RowChanged:
            continue
    raise TryLater("connection_busy")
