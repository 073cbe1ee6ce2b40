"""Finding a connection: whether it is there, and whether it was removed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.connections.lookup import (
    connections_by_id,
    get_known_connection,
    get_present_connection,
    list_present_connections,
)
from shared.connections.model import ConnectionStatus
from shared.errors import FixRequest
from tests.memory.connection_store import MemoryConnectionStore
from tests.unit.tickets.examples import a_connection

PRESENT = a_connection(connection_id="present")
REMOVED = replace(a_connection(connection_id="removed"), status=ConnectionStatus.DISCONNECTED)


async def test_a_removed_connection_is_known_and_not_present() -> None:
    store = MemoryConnectionStore(PRESENT, REMOVED)
    assert await get_known_connection(store, "removed") == REMOVED
    assert await connections_by_id(store) == {"present": PRESENT, "removed": REMOVED}
    assert await get_present_connection(store, "present") == PRESENT
    assert list(await list_present_connections(store)) == [PRESENT]
    with pytest.raises(FixRequest) as caught:
        await get_present_connection(store, "removed")
    assert (caught.value.code, caught.value.status) == ("connection_not_found", 404)


@pytest.mark.parametrize(
    ("connection_id", "code", "status"),
    [("nobody", "connection_not_found", 404), ("", "invalid_connection_id", 400), ("A", "invalid_connection_id", 400)],
)
async def test_what_is_no_connection(connection_id: str, code: str, status: int) -> None:
    for find in (get_known_connection, get_present_connection):
        with pytest.raises(FixRequest) as caught:
            await find(MemoryConnectionStore(PRESENT), connection_id)
        assert (caught.value.code, caught.value.status) == (code, status)
