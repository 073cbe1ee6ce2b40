"""HTTP API: synchronise a connection at once."""

from __future__ import annotations

from dataclasses import asdict

import azure.functions as func
from pydantic import BaseModel, ConfigDict, Field

from shared.connections.lookup import get_known_connection
from shared.triggers.answers import Answer
from shared.triggers.operations import ANY_ROLE, Call, operation

blueprint = func.Blueprint()


class SyncView(BaseModel):
    """What a synchronisation did."""

    model_config = ConfigDict(frozen=True)

    requests: int = Field(description="Requests made to ServiceNow.")
    seen: int = Field(description="Records that ServiceNow showed.")
    applied: int = Field(description="Tickets that changed here.")
    unknown: int = Field(description="Records with our correlation id that no ticket here belongs to.")
    complete: bool = Field(description="False: there is more, and the timer goes on with it.")


@operation(
    blueprint,
    "POST",
    "api/connections/{connection_id}/sync",
    summary="Synchronise the tickets of a connection now",
    roles=ANY_ROLE,
    answers={200: SyncView, 202: None},
    problems={
        400: ("invalid_connection_id",),
        404: ("connection_not_found",),
        409: ("connection_not_authorized", "refresh_token_refused", "consent_ended"),
        502: ("servicenow_access_refused", "insufficient_rights", "ip_address_blocked"),
        503: ("servicenow_unavailable", "servicenow_throttled", "new_access_token_refused"),
    },
)
async def sync_connection(call: Call) -> Answer:
    """Answer with what was done, or 202 when a run is under way, after which another one follows."""
    call.known_query()
    app = call.application
    connection = await get_known_connection(app.connection_store, call.path_parameter("connection_id"))
    counts = await app.maintenance.sync_now(connection)
    return Answer(status=202) if counts is None else Answer(SyncView(**asdict(counts)))
