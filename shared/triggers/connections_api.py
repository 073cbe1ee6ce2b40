"""HTTP API: connections."""

from __future__ import annotations

from typing import Final

import azure.functions as func

from shared.connections.model import Connection
from shared.connections.remove import get_known_connection
from shared.connections.requests import ConnectionRequest, read_connection_request
from shared.connections.views import ConnectionListView, ConnectionView, connection_view
from shared.triggers.answers import Answer
from shared.triggers.operations import ANY_ROLE, Call, operation
from shared.triggers.principal import Role

blueprint = func.Blueprint()

MANAGERS: Final = frozenset({Role.CONNECTIONS_MANAGE})


@operation(
    blueprint,
    "GET",
    "api/connections",
    summary="List the connections, removed ones included",
    roles=ANY_ROLE,
    answers={200: ConnectionListView},
)
async def list_connections(call: Call) -> Answer:
    """Answer with every connection and where it stands."""
    call.known_query()
    connections = await call.application.connection_store.list_connections()
    return Answer(ConnectionListView(connections=tuple([await _view(call, each) for each in connections])))


@operation(
    blueprint,
    "GET",
    "api/connections/{connection_id}",
    summary="Show a connection",
    roles=ANY_ROLE,
    answers={200: ConnectionView},
    problems={400: ("invalid_connection_id",), 404: ("connection_not_found",)},
)
async def show_connection(call: Call) -> Answer:
    """Answer with the connection; no secret, not even a part of one."""
    call.known_query()
    connection = await get_known_connection(call.application.connection_store, call.path_parameter("connection_id"))
    return Answer(await _view(call, connection))


@operation(
    blueprint,
    "PUT",
    "api/connections/{connection_id}",
    summary="Create or change a connection",
    roles=MANAGERS,
    body=ConnectionRequest,
    answers={200: ConnectionView, 201: ConnectionView},
    problems={
        400: ("invalid_json", "invalid_connection_id"),
        411: ("length_required",),
        415: ("unsupported_media_type",),
        422: ("invalid_connection", "instance_not_allowed", "client_secret_required"),
        503: ("connection_busy",),
    },
)
async def put_connection(call: Call) -> Answer:
    """Answer 201 for a new connection, 200 for a changed one; it may need a new authorization."""
    call.known_query()
    request = read_connection_request(call.json())
    configured = await call.application.configuration.put(call.path_parameter("connection_id"), request)
    return Answer(await _view(call, configured.connection), status=201 if configured.created else 200)


@operation(
    blueprint,
    "DELETE",
    "api/connections/{connection_id}",
    summary="Remove a connection: revoke its tokens, disable its secrets, keep its tickets as they are",
    roles=MANAGERS,
    answers={200: ConnectionView},
    problems={400: ("invalid_connection_id",), 404: ("connection_not_found",), 503: ("connection_busy",)},
)
async def remove_connection(call: Call) -> Answer:
    """Answer with what is left: a removed connection whose tickets are dormant."""
    call.known_query()
    removed = await call.application.removal.remove(call.path_parameter("connection_id"))
    return Answer(await _view(call, removed))


async def _view(call: Call, connection: Connection) -> ConnectionView:
    app = call.application
    return connection_view(
        connection,
        await app.connection_store.get_sync_state(connection.connection_id),
        app.clock(),
        public_base_url=app.settings.public_base_url,
        redirect_uri=app.settings.redirect_uri,
    )
