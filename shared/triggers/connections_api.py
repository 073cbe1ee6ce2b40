"""HTTP API: connections."""

from __future__ import annotations

import asyncio
from typing import Final

import azure.functions as func

from shared.connections.lookup import get_known_connection
from shared.connections.model import Connection
from shared.connections.requests import ConnectionRequest, read_connection_request
from shared.connections.views import ConnectionListView, ConnectionView, connection_view
from shared.triggers.answers import Answer
from shared.triggers.operations import ANY_ROLE, Call, operation
from shared.triggers.principal import Role

blueprint = func.Blueprint()

MANAGERS: Final = frozenset({Role.CONNECTIONS_MANAGE})
_KNOWN: Final = {400: ("invalid_connection_id",), 404: ("connection_not_found",)}
_BUSY: Final = {503: ("connection_busy", "storage_access_refused", "secret_refused_by_policy")}


@operation(
    blueprint,
    "PUT",
    "api/connections/{connection_id}",
    summary="Create a connection, or change it",
    roles=MANAGERS,
    body=ConnectionRequest,
    answers={200: ConnectionView, 201: ConnectionView},
    problems={
        400: ("invalid_json", "invalid_connection_id"),
        409: ("too_many_connections",),
        411: ("length_required",),
        415: ("unsupported_media_type",),
        422: ("invalid_connection", "instance_not_allowed", "client_secret_required"),
        **_BUSY,
    },
)
async def put_connection(call: Call) -> Answer:
    """Answer 201 when the connection is new."""
    call.known_query()
    request = read_connection_request(call.json())
    outcome = await call.application.configuration.put(call.path_parameter("connection_id"), request)
    return Answer(await _view(call, outcome.connection), status=201 if outcome.created else 200)


@operation(
    blueprint,
    "GET",
    "api/connections",
    summary="List all connections, removed ones included",
    roles=ANY_ROLE,
    answers={200: ConnectionListView},
)
async def list_connections(call: Call) -> Answer:
    """Answer with every connection and where it stands."""
    call.known_query()
    connections = await call.application.connection_store.list_connections()
    views = await asyncio.gather(*(_view(call, connection) for connection in connections))
    return Answer(ConnectionListView(connections=tuple(views)))


@operation(
    blueprint,
    "GET",
    "api/connections/{connection_id}",
    summary="Show a connection and where it stands",
    roles=ANY_ROLE,
    answers={200: ConnectionView},
    problems=_KNOWN,
)
async def get_connection(call: Call) -> Answer:
    """Answer with the connection, a removed one too."""
    call.known_query()
    connection = await get_known_connection(call.application.connection_store, call.path_parameter("connection_id"))
    return Answer(await _view(call, connection))


@operation(
    blueprint,
    "DELETE",
    "api/connections/{connection_id}",
    summary="Remove a connection: revoke its tokens, disable its secrets, keep its tickets",
    roles=MANAGERS,
    answers={200: ConnectionView},
    problems={**_KNOWN, **_BUSY},
)
async def delete_connection(call: Call) -> Answer:
    """Answer with what is left of the connection; ``last_error`` tells what could not be revoked."""
    call.known_query()
    return Answer(await _view(call, await call.application.removal.remove(call.path_parameter("connection_id"))))


async def _view(call: Call, connection: Connection) -> ConnectionView:
    app = call.application
    return connection_view(
        connection,
        await app.connection_store.get_sync_state(connection.connection_id),
        app.clock(),
        public_base_url=app.settings.public_base_url,
        redirect_uri=app.settings.redirect_uri,
    )
