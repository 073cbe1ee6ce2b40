"""Changing a stored connection, or the state of its synchronisation, while others may change it too."""

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
    """Store what ``change`` makes of the connection; when somebody else was faster, read it again and repeat.

    Args:
        connection: The connection as it was last read.
        change: Returns its argument when there is nothing to store; may raise to give up.

    Returns:
        The connection as it is stored now.

    Raises:
        TryLater: Somebody else was faster again and again.
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
    """Store what ``change`` makes of the present state, again when somebody else changed it meanwhile; return it.

    Raises:
        TryLater: Somebody else was faster again and again.
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
