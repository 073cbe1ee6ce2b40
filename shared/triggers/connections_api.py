"""HTTP API: connections, their checks and their synchronisation."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Final

import azure.functions as func
from pydantic import BaseModel, ConfigDict, Field

from shared.connections.fixed_fields import COLUMN
from shared.connections.lookup import get_known_connection
from shared.connections.model import Connection, TicketKind
from shared.connections.options import Choice
from shared.connections.requests import ConnectionRequest, read_connection_request
from shared.connections.suggestions import CHOSEN_FOR_A_TICKET, TEXT_MAX_LENGTH
from shared.errors import FixRequest
from shared.request_faults import read_body
from shared.tickets.sync import SyncCounts
from shared.triggers.addresses import authorize_path
from shared.triggers.answers import JsonAnswer
from shared.triggers.front_door import Call, route
from shared.triggers.parameters import as_sent, choice, short_text
from shared.triggers.principal import ANY_ROLE, CREATORS, MANAGERS, Role
from shared.triggers.routes import model_of
from shared.views import View

if TYPE_CHECKING:
    from shared.connections.views import ConnectionView

blueprint = func.Blueprint()

_CONNECTION: Final = model_of("shared.connections.views", "ConnectionView")
_LIST: Final = model_of("shared.connections.views", "ConnectionListView")
_CHECK: Final = model_of("shared.web.check_views", "CheckView")
_KNOWN: Final = {400: ("invalid_connection_id",), 404: ("connection_not_found",)}
_KIND: Final = choice("kind", "The kind of ticket.", TicketKind, required=True)
_COLUMN: Final = as_sent(
    "column", "Name of the column in ServiceNow.", {"type": "string", "pattern": COLUMN}, required=True
)
_PART: Final = short_text("text", "Part of the name; records need two letters or digits.", max_length=TEXT_MAX_LENGTH)
_BUSY: Final = {503: ("connection_busy", "storage_access_refused", "secret_refused_by_policy")}


class CheckRequest(BaseModel):
    """How to check a connection."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    dry_run: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="true: create a test ticket of each enabled kind in ServiceNow, and cancel it."
    )


class SuggestionsView(View):
    """Values to choose from."""

    known: bool = Field(description="false: the instance does not show them, so a sys_id or a raw value is needed.")
    suggestions: tuple[Choice, ...] = Field(description="At most 20: what to send, and what people call it.")


@route(
    blueprint,
    "PUT",
    "api/connections/{connection_id}",
    summary="Create a connection, or change it",
    roles=MANAGERS,
    body=ConnectionRequest,
    answers={200: _CONNECTION, 201: _CONNECTION},
    problems={
        400: ("invalid_json", "invalid_connection_id"),
        409: ("too_many_connections", "connection_id_taken"),
        411: ("length_required",),
        415: ("unsupported_media_type",),
        422: ("invalid_connection", "instance_not_allowed", "client_secret_required", "would_lock_you_out"),
        **_BUSY,
    },
)
async def put_connection(call: Call) -> JsonAnswer:
    """Answer 201 if the connection is new."""
    app, connection_id = call.application, call.path_parameter("connection_id")
    request = await app.named_values.resolved(connection_id, read_connection_request(call.json()))
    outcome = await app.configuration.put(connection_id, request)
    return JsonAnswer(
        await _view(call, outcome.connection), status=201 if outcome.created else 200, language=call.language
    )


@route(
    blueprint,
    "GET",
    "api/connections",
    summary="List all connections, removed ones included",
    roles=ANY_ROLE,
    answers={200: _LIST},
)
async def list_connections(call: Call) -> JsonAnswer:
    """Answer with every connection and its status."""
    from shared.connections.views import ConnectionListView

    connections = await call.application.connection_store.list_connections()
    views = await asyncio.gather(*(_view(call, connection) for connection in connections))
    return JsonAnswer(ConnectionListView(connections=tuple(views)), language=call.language)


@route(
    blueprint,
    "GET",
    "api/connections/{connection_id}",
    summary="Show a connection and its status",
    roles=ANY_ROLE,
    answers={200: _CONNECTION},
    problems=_KNOWN,
)
async def get_connection(call: Call) -> JsonAnswer:
    """Answer with the connection, even a removed one."""
    connection = await get_known_connection(call.application.connection_store, call.path_parameter("connection_id"))
    return JsonAnswer(await _view(call, connection), language=call.language)


@route(
    blueprint,
    "DELETE",
    "api/connections/{connection_id}",
    summary="Remove a connection: revoke its tokens, disable its secrets, keep its tickets",
    roles=MANAGERS,
    answers={200: _CONNECTION},
    problems={**_KNOWN, **_BUSY},
)
async def delete_connection(call: Call) -> JsonAnswer:
    """Answer with what is left of the connection; ``last_error`` says what could not be revoked."""
    removed = await call.application.removal.remove(call.path_parameter("connection_id"))
    return JsonAnswer(await _view(call, removed), language=call.language)


@route(
    blueprint,
    "POST",
    "api/connections/{connection_id}/connect",
    summary="Connect with client credentials: ask for tokens, and keep them if they are the integration user's",
    roles=MANAGERS,
    answers={200: _CONNECTION},
    problems={
        **_KNOWN,
        403: (
            "authorization_wrong_user",
            "authorization_user_inactive",
            "authorization_user_locked",
            "authorization_create_refused",
            "authorization_read_refused",
        ),
        409: ("connection_not_configured", "other_grant", "authorization_superseded", "authorization_other_instance"),
        502: (
            "client_credentials_refused",
            "authorization_token_refused",
            "current_user_unknown",
            "ip_address_blocked",
            "access_scope_missing",
        ),
        503: ("connection_busy", "lease_lost", "servicenow_unavailable", "servicenow_throttled"),
    },
)
async def connect_connection(call: Call) -> JsonAnswer:
    """Answer with the connection, which then delivers its tickets; after a refusal it is as it was."""
    connected = await call.application.client_credentials.connect(
        call.path_parameter("connection_id"), started_by=call.principal.object_id
    )
    return JsonAnswer(await _view(call, connected), language=call.language)


@route(
    blueprint,
    "POST",
    "api/connections/{connection_id}/check",
    summary="Check everything that a connection needs, and say how to fix what is missing",
    roles=MANAGERS,
    body=CheckRequest,
    body_required=False,
    answers={200: _CHECK},
    problems={
        400: ("invalid_json", "invalid_connection_id"),
        404: ("connection_not_found",),
        411: ("length_required",),
        415: ("unsupported_media_type",),
        422: ("invalid_check",),
    },
)
async def check_connection(call: Call) -> JsonAnswer:
    """Answer with every finding; problems of the connection are findings, too."""
    from shared.web.check_views import CheckView

    request = read_body("invalid_check", CheckRequest, call.json())
    report = await call.application.check.run(
        call.path_parameter("connection_id"), dry_run=request.dry_run, requester=call.principal.requester
    )
    await call.application.checks.keep(report)
    return JsonAnswer(CheckView.of(report, call.language), language=call.language)


@route(
    blueprint,
    "POST",
    "api/connections/{connection_id}/sync",
    summary="Synchronise the tickets of a connection now",
    roles=ANY_ROLE,
    answers={200: SyncCounts, 202: None},
    problems={
        400: ("invalid_connection_id",),
        404: ("connection_not_found",),
        409: ("connection_not_authorized", "refresh_token_refused", "client_credentials_refused", "consent_ended"),
        502: ("servicenow_access_refused", "insufficient_rights", "ip_address_blocked"),
        503: ("servicenow_unavailable", "servicenow_throttled", "new_access_token_refused"),
    },
)
async def sync_connection(call: Call) -> JsonAnswer:
    """Answer with what was done, or 202 if a run is under way; another run then follows."""
    app = call.application
    connection = await get_known_connection(app.connection_store, call.path_parameter("connection_id"))
    counts = await app.maintenance.work.sync_now(connection)
    return JsonAnswer(status=202) if counts is None else JsonAnswer(counts)


@route(
    blueprint,
    "GET",
    "api/connections/{connection_id}/suggestions",
    summary="Suggest values for a field of new tickets, from what ServiceNow shows the integration user",
    roles=CREATORS | MANAGERS,
    answers={200: SuggestionsView},
    parameters=(_KIND, _COLUMN, _PART),
    problems={
        400: ("unknown_parameter", "invalid_parameter", "invalid_connection_id"),
        404: ("connection_not_found",),
    },
)
async def suggest_values(call: Call) -> JsonAnswer:
    """Answer with values; who manages no connections may ask only about what can be chosen for a ticket."""
    app = call.application
    kind, column = _KIND.read(call.query), _COLUMN.read(call.query) or ""
    if kind is None:
        raise FixRequest("invalid_parameter", variant="choice", parameter=_KIND.name, choices=list(TicketKind))
    if column not in CHOSEN_FOR_A_TICKET and not call.may(Role.CONNECTIONS_MANAGE):
        raise FixRequest(
            "invalid_parameter", variant="choice", parameter=_COLUMN.name, choices=list(CHOSEN_FOR_A_TICKET)
        )
    connection = await get_known_connection(app.connection_store, call.path_parameter("connection_id"))
    found = await app.suggestions.suggest(connection, kind, column, _PART.read(call.query) or "")
    return JsonAnswer(SuggestionsView(known=found is not None, suggestions=tuple(found or ())))


async def _view(call: Call, connection: Connection) -> ConnectionView:
    from shared.connections.views import connection_view

    app = call.application
    return connection_view(
        connection,
        await app.turns.sync_state(connection),
        app.clock(),
        call.language,
        limit=await app.sight.limit_of(connection.connection_id),
        authorize_url=f"{app.settings.public_base_url}{authorize_path(connection.connection_id)}",
        redirect_uri=app.settings.redirect_uri,
    )
