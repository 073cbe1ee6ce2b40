"""Pages: a new ticket, and one ticket."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import azure.functions as func

from shared.connections.model import Connection, Portal, TicketKind
from shared.errors import ConnectorError, FixRequest
from shared.servicenow.fields import record_fields
from shared.texts import utf16_length
from shared.tickets.identity import is_ticket_id, new_ticket_id
from shared.tickets.model import (
    DESCRIPTION_MAX_LENGTH,
    NAME_MAX_LENGTH,
    DeliveryProgress,
    Priority,
    RecommendationCategory,
    RecommendationSource,
    Ticket,
)
from shared.tickets.rendering import SEPARATOR, description_with_block
from shared.tickets.requests import TicketRequest, read_ticket_request, ticket_content
from shared.tickets.views import state_names, ticket_view
from shared.triggers.pages import Visit, page, redirect
from shared.triggers.principal import Role
from shared.web.language import Language
from shared.web.timeline import event_words

blueprint = func.Blueprint()

READERS: Final = frozenset({Role.TICKETS_READ})
CREATORS: Final = frozenset({Role.TICKETS_CREATE})
FIELDS: Final = (
    "connection_id",
    "kind",
    "portal",
    "name",
    "description",
    "priority",
    "due_date",
    "source",
    "category",
    "link",
    "recommendation_id",
)
HIDDEN_FIELD: Final = "recommendation_id"
"""Comes with a link and is shown nowhere, so its faults stand above the form."""
DEFAULTS: Final = {
    "kind": TicketKind.INCIDENT.value,
    "portal": Portal.SECURITY.value,
    "priority": Priority.MODERATE.value,
    "source": RecommendationSource.MICROSOFT.value,
    "category": RecommendationCategory.IDENTITY.value,
}
FIELD_OF_POINTER: Final = {
    "recommendation/source": "source",
    "recommendation/category": "category",
    "recommendation/link": "link",
    "recommendation/id": "recommendation_id",
}
FIELD_OF_CODE: Final = {
    "description_too_long": "description",
    "kind_not_enabled": "kind",
    "portal_not_enabled": "portal",
    "connection_not_found": "connection_id",
}


@page(blueprint, "GET", "tickets/new", roles=CREATORS)
async def new_ticket_form(visit: Visit) -> func.HttpResponse:
    """Show the form, prefilled from the address: that is how a portal's Share button hands over a recommendation."""
    values = {name: visit.query.get(name) or DEFAULTS.get(name, "") for name in FIELDS}
    values["due_date"] = _day(values["due_date"])
    return await _form(visit, values, {}, secrets.token_hex(16))


@page(blueprint, "POST", "tickets/new", roles=CREATORS)
async def new_ticket_send(visit: Visit) -> func.HttpResponse:
    """Show what will be sent, or send it; the key in the form makes one ticket of a double submit."""
    values = {name: visit.form.get(name, "").replace("\r\n", "\n") for name in FIELDS}
    key = visit.form.get("idempotency_key") or secrets.token_hex(16)
    try:
        request = read_ticket_request(_request_of(values))
        if visit.form.get("step") != "send":
            return await _form(visit, values, {}, key, await _preview(visit, request))
        creation = await visit.application.creation.create(
            request, visit.principal.requester, caller=visit.principal.object_id, idempotency_key=f"form:{key}"
        )
    except FixRequest as error:
        if error.code == "idempotency_key_reused":
            key = secrets.token_hex(16)
        return await _form(visit, values, _faults(visit.language, error), key, status=error.status)
    return redirect(f"/tickets/{creation.ticket.ticket_id}?done=created")


@page(blueprint, "POST", "tickets/{ticket_id}/retry", roles=CREATORS)
async def retry_ticket_page(visit: Visit) -> func.HttpResponse:
    """Deliver a failed or waiting ticket now, and show it."""
    ticket, connection = await _ticket(visit)
    await visit.application.delivery.retry(
        connection, ticket, although_outcome_unknown=visit.form.get("although_outcome_unknown") == "true"
    )
    return redirect(f"/tickets/{ticket.ticket_id}?done=retried")


@page(blueprint, "GET", "tickets/{ticket_id}", roles=READERS)
async def ticket_page(visit: Visit) -> func.HttpResponse:
    """Show a ticket and everything that happened to it."""
    ticket, connection = await _ticket(visit)
    done = visit.query.get("done")
    view = ticket_view(ticket, connection, visit.application.clock())
    names = state_names(ticket, connection)
    notice = (
        visit.language.get(f"ticket.done.{done}.{view.delivery.status}") if done in {"created", "retried"} else None
    )
    return visit.page(
        "ticket.html",
        ticket=view,
        connection_name=connection.display_name,
        # A ticket that waits for an instance that was left can go to the present one.
        may_retry=not connection.is_removed and ticket.is_sendable,
        outcome_unknown_elsewhere=not ticket.is_of(connection) and ticket.delivery.attempt_started_at is not None,
        zones={connection.connection_id: connection.time_zone},
        notice=notice,
        timeline=[
            (event.at, event_words(event, visit.language, state_names=names, time_zone=connection.time_zone))
            for event in reversed(ticket.timeline)
        ],
    )


async def _ticket(visit: Visit) -> tuple[Ticket, Connection]:
    ticket_id = visit.request.route_params["ticket_id"].lower()
    found = await visit.application.creation.find(ticket_id) if is_ticket_id(ticket_id) else None
    if found is None:
        raise FixRequest("There is no such ticket.", code="ticket_not_found", status=404)
    return found


def _request_of(values: Mapping[str, str]) -> dict[str, object]:
    recommendation = {
        "source": values["source"],
        "category": values["category"],
        "id": values["recommendation_id"] or None,
        "link": values["link"].strip() or None,
    }
    return {
        "connection_id": values["connection_id"] or None,
        "kind": values["kind"],
        "portal": values["portal"],
        "name": values["name"],
        "description": values["description"],
        "priority": values["priority"],
        "due_date": values["due_date"] or None,
        "recommendation": recommendation,
    }


def _day(text: str) -> str:
    """Return the date of an ISO 8601 date or date-time, and nothing for any other text: a date field shows no more."""
    try:
        return datetime.fromisoformat(text).date().isoformat()
    except ValueError:
        return ""


def _faults(t: Language, error: ConnectorError) -> dict[str, str]:
    """Return one text per field; what concerns no field stands under the empty name."""
    errors = error.extra.get("errors")
    if not isinstance(errors, list):
        text = t.get(f"error.{error.code}.message", **error.extra) or error.message
        return {FIELD_OF_CODE.get(error.code, ""): text}
    faults: dict[str, str] = {}
    for fault in errors:
        pointer = str(fault["pointer"]).strip("/")
        name = FIELD_OF_POINTER.get(pointer, pointer.partition("/")[0])
        faults[name if name in FIELDS and name != HIDDEN_FIELD else ""] = t.get(f"fault.{name}") or str(fault["detail"])
    return faults


async def _preview(visit: Visit, request: TicketRequest) -> Sequence[tuple[str, str]]:
    """Return exactly what will be sent, but for the ids that are made when it is sent."""
    connection = await _connection(visit, request.connection_id)
    content = ticket_content(request, visit.principal.requester, connection)
    now = visit.application.clock()
    ticket = Ticket(
        ticket_id=new_ticket_id(now),
        connection_id=connection.connection_id,
        instance=connection.instance,
        content=content,
        created_at=now,
        delivery=DeliveryProgress(),
    )
    fields = record_fields(ticket, connection.kinds[content.kind], None)
    made_when_sent = {"sys_id", "correlation_id"}
    return [(name, value) for name, value in fields.items() if name not in made_when_sent]


async def _connection(visit: Visit, connection_id: str | None) -> Connection:
    connections = await _present_connections(visit)
    for connection in connections:
        if connection_id is None or connection.connection_id == connection_id:
            return connection
    raise FixRequest("There is no such connection; nothing was kept.", code="connection_not_found", status=404)


async def _present_connections(visit: Visit) -> Sequence[Connection]:
    everything = await visit.application.connection_store.list_connections()
    return [each for each in everything if each.ever_consented and not each.is_removed]


async def _form(
    visit: Visit,
    values: Mapping[str, str],
    faults: Mapping[str, str],
    idempotency_key: str,
    preview: Sequence[tuple[str, str]] = (),
    *,
    status: int = 200,
) -> func.HttpResponse:
    t = visit.language
    connections = await _present_connections(visit)
    response = visit.page(
        "new_ticket.html",
        status=status,
        values=values,
        faults=faults,
        preview=preview,
        idempotency_key=idempotency_key,
        connections=[(each.connection_id, each.display_name) for each in connections],
        name_limit=NAME_MAX_LENGTH,
        description_limit=_description_limit(visit, values),
        kinds=[(kind, t(f"kind.{kind}")) for kind in TicketKind],
        portals=[(portal, t(f"portal.{portal}")) for portal in Portal],
        priorities=[(priority, t(f"priority.{priority}")) for priority in Priority],
        sources=[(source, t(f"source.{source}")) for source in RecommendationSource],
        categories=[(category, t(f"category.{category}")) for category in RecommendationCategory],
    )
    # Without its own copy of an answer to a POST, a browser shows an error when somebody comes back to it.
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def _description_limit(visit: Visit, values: Mapping[str, str]) -> int:
    """Return how long the description may be beside the block of what the form asks for."""
    try:
        request = read_ticket_request(_request_of({**values, "name": "x", "description": "", "due_date": ""}))
    except FixRequest:
        request = read_ticket_request(_request_of({**dict.fromkeys(FIELDS, ""), **DEFAULTS, "name": "x"}))
    unbound = Connection(connection_id="", display_name="", instance="", client_id="", integration_user="")
    content = ticket_content(request, visit.principal.requester, unbound)
    return DESCRIPTION_MAX_LENGTH - utf16_length(description_with_block(content) + SEPARATOR)
