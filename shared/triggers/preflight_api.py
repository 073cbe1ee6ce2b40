"""HTTP API: what ServiceNow will do with a connection's tickets, and the test ticket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import azure.functions as func
from pydantic import BaseModel, ConfigDict, Field

from shared.connections.lookup import get_known_connection
from shared.connections.model import Connection, TicketKind
from shared.request_faults import read_body
from shared.triggers.answers import JsonAnswer
from shared.triggers.front_door import Call, route
from shared.triggers.principal import MANAGERS
from shared.triggers.routes import model_of

if TYPE_CHECKING:
    from shared.web.preflight_views import PreflightView

blueprint = func.Blueprint()

_PREFLIGHT: Final = model_of("shared.web.preflight_views", "PreflightView")


class TestTicketRequest(BaseModel):
    """Which test tickets to create."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    kind: TicketKind | None = Field(default=None, description="Kind of the ticket; left out: one of each enabled kind.")


@route(
    blueprint,
    "GET",
    "api/connections/{connection_id}/preflight",
    summary="Show what ServiceNow will do with the fields of new tickets",
    roles=MANAGERS,
    answers={200: _PREFLIGHT},
    problems={400: ("invalid_connection_id",), 404: ("connection_not_found",)},
)
async def get_preflight(call: Call) -> JsonAnswer:
    """Answer with what is known about each enabled kind."""
    app = call.application
    connection = await get_known_connection(app.connection_store, call.path_parameter("connection_id"))
    return JsonAnswer(await _preflight(call, connection), language=call.language)


@route(
    blueprint,
    "POST",
    "api/connections/{connection_id}/preflight",
    summary="Create test tickets in ServiceNow, read them back and cancel them",
    roles=MANAGERS,
    body=TestTicketRequest,
    body_required=False,
    answers={200: _PREFLIGHT},
    problems={
        400: ("invalid_json", "invalid_connection_id"),
        404: ("connection_not_found",),
        409: ("connection_not_authorized",),
        411: ("length_required",),
        415: ("unsupported_media_type",),
        422: ("invalid_check",),
        503: ("connection_busy", "lease_lost"),
    },
)
async def post_preflight(call: Call) -> JsonAnswer:
    """Answer with what is known then; a test ticket that ServiceNow refuses is no error."""
    app = call.application
    request = read_body("invalid_check", TestTicketRequest, call.json())
    connection = await get_known_connection(app.connection_store, call.path_parameter("connection_id"))
    kinds = [kind for kind in TicketKind if connection.kinds[kind].enabled and request.kind in {None, kind}]
    await app.preflight.try_out_unless_just_done(connection, kinds, app.servicenow.probe, call.principal.requester)
    return JsonAnswer(await _preflight(call, connection), language=call.language)


async def _preflight(call: Call, connection: Connection) -> PreflightView:
    from shared.web.preflight_views import PreflightView

    app = call.application
    outlooks = await app.preflight.look(connection, app.servicenow.probe, call.principal.requester)
    return PreflightView.of(connection, outlooks, call.language)
