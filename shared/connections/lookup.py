"""Finding a connection by its id."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from shared.connections.model import Connection
from shared.connections.ports import ConnectionStore
from shared.errors import FixRequest

CONNECTION_ID: Final = re.compile(r"[a-z0-9-]{1,40}")


def checked_connection_id(connection_id: str) -> str:
    """Return the id. Raises FixRequest (400 ``invalid_connection_id``) if it is not a connection id."""
    if not CONNECTION_ID.fullmatch(connection_id):
        raise FixRequest("invalid_connection_id")
    return connection_id


async def get_known_connection(connections: ConnectionStore, connection_id: str) -> Connection:
    """Return a connection, even a removed one.

    Raises:
        FixRequest: 400 ``invalid_connection_id`` or 404 ``connection_not_found``.
    """
    connection = await connections.get_connection(checked_connection_id(connection_id))
    if connection is None:
        raise FixRequest("connection_not_found", status=404)
    return connection


async def get_present_connection(connections: ConnectionStore, connection_id: str) -> Connection:
    """Return a connection that is not removed. Raises as :func:`get_known_connection`."""
    connection = await get_known_connection(connections, connection_id)
    if connection.is_removed:
        raise FixRequest("connection_not_found", status=404)
    return connection


async def connections_by_id(connections: ConnectionStore) -> Mapping[str, Connection]:
    """Return every connection, removed ones included, by its id. Raises StorageUnavailable."""
    return {each.connection_id: each for each in await connections.list_connections()}


async def list_present_connections(connections: ConnectionStore) -> Sequence[Connection]:
    """Return the connections that are not removed, ordered by id. Raises StorageUnavailable."""
    return [each for each in await connections.list_connections() if not each.is_removed]


def counted_ids(connections: Mapping[str, Connection]) -> Sequence[str]:
    """Return the ids of the connections that count where several are listed or counted together."""
    return [each.connection_id for each in connections.values() if not each.is_excluded]


async def excluded_ids(connections: ConnectionStore) -> frozenset[str]:
    """Return the ids of the connections that do not count there. Raises StorageUnavailable."""
    return frozenset(each.connection_id for each in await connections.list_connections() if each.is_excluded)
