"""HTTP API: changes of tickets' records in ServiceNow that people and programs ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import azure.functions as func

from shared.tickets.updates.requests import UpdateRequest, read_update_request
from shared.tickets.updates.views import AskedUpdateView, asked_update_view
from shared.triggers.answers import JsonAnswer
from shared.triggers.front_door import Call, route
from shared.triggers.principal import CREATORS
from shared.triggers.tickets_api import IDEMPOTENCY_KEY

if TYPE_CHECKING:
    from shared.tickets.updates.people import AskedUpdate

blueprint = func.Blueprint()


@route(
    blueprint,
    "POST",
    "api/tickets/{ticket_id}/updates",
    summary="Comment, change the due date, resolve or cancel a ticket in ServiceNow",
    roles=CREATORS,
    body=UpdateRequest,
    answers={200: AskedUpdateView, 202: AskedUpdateView},
    parameters=(IDEMPOTENCY_KEY,),
    problems={
        400: ("unknown_parameter", "invalid_json", "invalid_idempotency_key"),
        404: ("ticket_not_found",),
        409: (
            "record_already_closed",
            "record_gone",
            "request_forgotten",
            "state_change_waiting",
            "ticket_dormant",
            "ticket_not_delivered",
            "ticket_other_instance",
            "too_many_updates",
            "update_under_way",
        ),
        411: ("length_required",),
        415: ("unsupported_media_type",),
        422: ("invalid_update", "idempotency_key_reused"),
    },
)
async def ask_for_update(call: Call) -> JsonAnswer:
    """Answer 200 if it is over, 202 if it is kept: waiting, or refused."""
    request = read_update_request(call.json())
    ticket, connection = await call.application.search.get_known(call.path_parameter("ticket_id"))
    asked = await call.application.updates.ask(
        connection,
        ticket,
        request,
        call.principal.requester,
        caller=call.principal.object_id,
        idempotency_key=IDEMPOTENCY_KEY.read(call.request.headers),
    )
    return _answer(call, asked)


@route(
    blueprint,
    "POST",
    "api/tickets/{ticket_id}/updates/{update_id}/retry",
    summary="Send a refused or waiting change now",
    roles=CREATORS,
    answers={200: AskedUpdateView, 202: AskedUpdateView},
    problems={
        400: ("unknown_parameter",),
        404: ("ticket_not_found", "update_not_found"),
        409: (
            "record_already_closed",
            "record_gone",
            "ticket_dormant",
            "ticket_not_delivered",
            "ticket_other_instance",
            "update_under_way",
        ),
    },
)
async def retry_update(call: Call) -> JsonAnswer:
    """Answer 200 if it is over, 202 if it is kept: waiting, or refused again."""
    ticket, connection = await call.application.search.get_known(call.path_parameter("ticket_id"))
    return _answer(call, await call.application.updates.retry(connection, ticket, call.path_parameter("update_id")))


@route(
    blueprint,
    "DELETE",
    "api/tickets/{ticket_id}/updates/{update_id}",
    summary="Discard a refused or waiting change",
    roles=CREATORS,
    answers={204: None},
    problems={
        400: ("unknown_parameter",),
        404: ("ticket_not_found", "update_not_found"),
        409: ("update_under_way",),
    },
)
async def discard_update(call: Call) -> JsonAnswer:
    """Answer 204: it will never be sent."""
    ticket, _ = await call.application.search.get_known(call.path_parameter("ticket_id"))
    await call.application.updates.discard(ticket, call.path_parameter("update_id"), call.principal.requester)
    return JsonAnswer(status=204)


def _answer(call: Call, asked: AskedUpdate) -> JsonAnswer:
    headers = {"Idempotency-Replayed": "true"} if asked.replayed else {}
    return JsonAnswer(
        asked_update_view(asked, call.language),
        status=200 if asked.update is None else 202,
        headers=headers,
        language=call.language,
    )
