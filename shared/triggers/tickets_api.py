"""HTTP API: tickets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import azure.functions as func

from shared.connections.lookup import connections_by_id, counted_ids
from shared.connections.model import Connection
from shared.errors import FixRequest, Values
from shared.recommendations.requests import RecommendedTicketRequest, read_recommended_ticket_request
from shared.tickets.addresses import real_address
from shared.tickets.create import Creation
from shared.tickets.identity import decode_cursor, encode_cursor
from shared.tickets.model import Delivery, Requester, Ticket
from shared.tickets.ports import TicketFilter
from shared.tickets.requests import RetryRequest, TicketRequest, read_retry_request, read_ticket_request
from shared.tickets.views import (
    CreatedTicketView,
    RetryView,
    SummaryView,
    TicketDetailView,
    TicketListView,
    TicketView,
    created_ticket_view,
    retry_view,
    summary_view,
    ticket_detail_view,
    ticket_view,
)
from shared.triggers.answers import JsonAnswer
from shared.triggers.front_door import Call, route
from shared.triggers.parameters import PATH_PARAMETERS, Parameter, as_sent, count, flag
from shared.triggers.principal import CREATORS, READERS, Principal
from shared.triggers.ticket_filters import FILTER_PARAMETERS, read_ticket_filter

blueprint = func.Blueprint()

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 200
MAX_KEY_LENGTH: Final = 255


def _checked_key(key: str) -> str:
    if not 1 <= len(key) <= MAX_KEY_LENGTH or not key.isascii() or not key.isprintable():
        raise FixRequest("invalid_idempotency_key", limit=MAX_KEY_LENGTH)
    return key


def _ticket_of_cursor(cursor: str) -> str:
    ticket_id = decode_cursor(cursor)
    if ticket_id is None:
        raise FixRequest("invalid_parameter", variant="cursor", parameter="cursor")
    return ticket_id


_CONNECTION: Final = as_sent("connection", "Only tickets of this connection.", PATH_PARAMETERS["connection_id"])
_EXCLUDED: Final = flag(
    "excluded", "true: with the tickets of excluded customers, which are left out if no connection is named."
)
LIMIT: Final = count("limit", "Tickets on a page.", maximum=MAX_LIMIT, default=DEFAULT_LIMIT)
_CURSOR: Final = Parameter(
    "cursor",
    "next_cursor of the page before.",
    {"type": "string", "pattern": "^[A-Za-z0-9_-]{22}$"},
    convert=_ticket_of_cursor,
    default=None,
)
IDEMPOTENCY_KEY: Final = Parameter(
    "Idempotency-Key",
    "Your name for this request: repeating it with the same key makes no second ticket.",
    {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH},
    convert=_checked_key,
    default=None,
    place="header",
)
_ALTHOUGH_OUTCOME_UNKNOWN: Final = flag(
    "although_outcome_unknown",
    "true: send a ticket to the connection's present instance although the one before may have a record of it.",
)


@route(
    blueprint,
    "POST",
    "api/tickets",
    summary="Create a ticket and deliver it to ServiceNow",
    roles=CREATORS,
    body=(TicketRequest, RecommendedTicketRequest),
    answers={201: CreatedTicketView, 202: CreatedTicketView},
    parameters=(IDEMPOTENCY_KEY,),
    problems={
        400: ("invalid_json", "invalid_idempotency_key", "invalid_tenant_id"),
        403: ("requested_by_not_allowed",),
        404: ("connection_not_found", "tenant_not_found", "recommendation_not_found"),
        409: (
            "connection_not_authorized",
            "connection_ambiguous",
            "recommendation_gone",
            "recommendation_has_open_ticket",
            "tenant_ambiguous",
            "tenant_other_connection",
            "ticket_being_created",
            "ticket_given_up",
        ),
        411: ("length_required",),
        415: ("unsupported_media_type",),
        422: (
            "invalid_ticket",
            "description_too_long",
            "kind_not_enabled",
            "portal_not_enabled",
            "idempotency_key_reused",
            "delivery_refused",
        ),
        502: ("delivery_refused",),
    },
)
async def create_ticket(call: Call) -> JsonAnswer:
    """Answer 201 if the record is in ServiceNow, 202 if it is kept and delivered later."""
    creation = await _created(call, call.json())
    now = call.application.clock()
    answer = _delivery_answer(call, creation.ticket, creation.connection)
    view = created_ticket_view(creation.ticket, creation.connection, now, call.language, creation.warnings)
    headers = {**answer.headers, "Location": f"/api/tickets/{creation.ticket.ticket_id}"}
    if creation.replayed:
        headers["Idempotency-Replayed"] = "true"
    return replace(answer, body=view, headers=headers)


@route(
    blueprint,
    "GET",
    "api/tickets/summary",
    summary="Count the tickets per kind and phase, overdue, pending and failed",
    roles=READERS,
    answers={200: SummaryView},
    parameters=(_CONNECTION, _EXCLUDED),
    problems={400: ("unknown_parameter", "invalid_parameter"), 404: ("connection_not_found",)},
)
async def count_tickets(call: Call) -> JsonAnswer:
    """Answer with exact counts; they do not depend on how many tickets there are."""
    connections = await _connections(call, _CONNECTION.read(call.query))
    summaries = await call.application.summaries(_listed_ids(connections, call.query))
    return JsonAnswer(summary_view(summaries, call.application.clock()))


@route(
    blueprint,
    "GET",
    "api/tickets",
    summary="List tickets, newest first",
    roles=READERS,
    answers={200: TicketListView},
    parameters=(*FILTER_PARAMETERS, _CONNECTION, _EXCLUDED, LIMIT, _CURSOR),
    problems={400: ("unknown_parameter", "invalid_parameter"), 404: ("connection_not_found",)},
)
async def list_tickets(call: Call) -> JsonAnswer:
    """Answer with one page and the cursor of the next."""
    wanted = read_ticket_filter(call.query, call.application.clock())
    limit, after = LIMIT.read(call.query), _CURSOR.read(call.query)
    connections = await _connections(call, _CONNECTION.read(call.query))
    ids = _listed_ids(connections, call.query)
    tickets = await call.application.tickets.list_tickets(ids, wanted, limit=limit + 1, after=after)
    return JsonAnswer(_page(tickets, connections, limit, call), language=call.language)


@route(
    blueprint,
    "POST",
    "api/tickets/{ticket_id}/retry",
    summary="Deliver a failed or waiting ticket now",
    roles=CREATORS,
    answers={200: TicketView, 202: TicketView},
    parameters=(_ALTHOUGH_OUTCOME_UNKNOWN,),
    problems={
        400: ("unknown_parameter", "invalid_parameter"),
        404: ("ticket_not_found",),
        409: (
            "already_delivered",
            "delivery_under_way",
            "ticket_dormant",
            "instance_left_outcome_unknown",
            "recommendation_has_open_ticket",
            "ticket_being_created",
        ),
        422: ("delivery_refused",),
        502: ("delivery_refused",),
    },
)
async def retry_ticket(call: Call) -> JsonAnswer:
    """Answer 200 if the record is in ServiceNow, 202 if it is still waiting."""
    ticket, connection = await call.application.search.get_known(call.path_parameter("ticket_id"))
    retried = await call.application.resending.retry(
        connection, ticket, although_outcome_unknown=_ALTHOUGH_OUTCOME_UNKNOWN.read(call.query)
    )
    answer = _delivery_answer(call, retried, connection)
    return replace(answer, status=200) if answer.status == 201 else answer


@route(
    blueprint,
    "POST",
    "api/tickets/retry",
    summary="Send failed tickets again",
    roles=CREATORS,
    body=RetryRequest,
    answers={200: RetryView},
    problems={
        400: ("unknown_parameter", "invalid_json"),
        404: ("connection_not_found", "ticket_not_found"),
        411: ("length_required",),
        415: ("unsupported_media_type",),
        422: ("invalid_retry",),
    },
)
async def retry_tickets(call: Call) -> JsonAnswer:
    """Answer with what became of each: a few are sent at once, the timer sends the others."""
    request = read_retry_request(call.json())
    application = call.application
    more = False
    if request.filter is not None:
        connections = await _connections(call, request.filter.connection_id)
        wanted = TicketFilter(
            kind=request.filter.kind,
            portal=request.filter.portal,
            delivery=Delivery.FAILED,
            text=request.filter.text,
        )
        ids = list(connections) if request.filter.connection_id else counted_ids(connections)
        tickets, more = await application.resending.failed_tickets(ids, wanted)
    else:
        connections = await _connections(call, None)
        tickets = await _named_tickets(call, connections, request.ticket_ids or ())
    resent = await application.resending.resend(connections, tickets)
    return JsonAnswer(retry_view(resent, call.language, more=more), language=call.language)


@route(
    blueprint,
    "GET",
    "api/tickets/{ticket_id}",
    summary="Show a ticket with its timeline",
    roles=READERS,
    answers={200: TicketDetailView},
    problems={404: ("ticket_not_found",)},
)
async def show_ticket(call: Call) -> JsonAnswer:
    """Answer with the ticket and everything that happened to it."""
    ticket, connection = await call.application.search.get_known(call.path_parameter("ticket_id"))
    updates = [] if ticket.record is None else await call.application.updates.present(ticket)
    view = ticket_detail_view(ticket, connection, call.application.clock(), call.language, updates)
    return JsonAnswer(view, language=call.language)


async def _created(call: Call, body: object) -> Creation:
    """Create the ticket that a body asks for, with or without recommendations that the connector has read."""
    caller, key = call.principal.object_id, IDEMPOTENCY_KEY.read(call.request.headers)
    if isinstance(body, dict) and "recommendation_ids" in body:
        asked = read_recommended_ticket_request(body)
        requester = requester_of(call.principal, asked.requested_by)
        return await call.application.recommendation_ticketing.create(
            asked, requester, caller=caller, idempotency_key=key
        )
    request = read_ticket_request(body)
    requester = requester_of(call.principal, request.requested_by)
    return await call.application.creation.create(request, requester, caller=caller, idempotency_key=key)


def requester_of(principal: Principal, named: Requester | None) -> Requester:
    """Return the initiating user: always the caller, unless an application names the user it makes the request for.

    Raises FixRequest (403 ``requested_by_not_allowed``).
    """
    if named is None:
        return principal.requester
    if not principal.is_application:
        raise FixRequest("requested_by_not_allowed", status=403)
    return replace(named, email=None if named.email is None else real_address(named.email))


def _delivery_answer(call: Call, ticket: Ticket, connection: Connection | None) -> JsonAnswer:
    """Answer 201 delivered, 202 pending; a refusal becomes a problem that names the kept ticket."""
    progress = ticket.delivery
    if progress.status is Delivery.FAILED:
        behind: Values = {} if progress.failure is None else FixRequest.of(progress.failure).as_reason
        kept: Values = {**behind, "ticket_id": ticket.ticket_id}
        raise FixRequest("delivery_refused", status=progress.error_status, **kept)
    return JsonAnswer(
        ticket_view(ticket, connection, call.application.clock(), call.language),
        status=201 if progress.status is Delivery.DELIVERED else 202,
        language=call.language,
    )


async def _named_tickets(
    call: Call, connections: Mapping[str, Connection], ticket_ids: Sequence[str]
) -> Sequence[Ticket]:
    """Return the tickets with these ids, each once. Raises FixRequest if any of them has no ticket."""
    wanted = list(dict.fromkeys(ticket_ids))
    found = await call.application.search.find_all(connections, wanted)
    missing = [ticket_id for ticket_id in wanted if ticket_id not in found]
    if missing:
        raise FixRequest("ticket_not_found", status=404, variant="some", ticket_ids=missing)
    return [found[ticket_id] for ticket_id in wanted]


async def _connections(call: Call, connection_id: str | None) -> Mapping[str, Connection]:
    connections = await connections_by_id(call.application.connection_store)
    if connection_id is None:
        return connections
    if connection_id not in connections:
        raise FixRequest("connection_not_found", status=404)
    return {connection_id: connections[connection_id]}


def _listed_ids(connections: Mapping[str, Connection], query: Mapping[str, str]) -> Sequence[str]:
    """Return the connections whose tickets a query lists or counts; one that it names is always among them."""
    return list(connections) if _CONNECTION.read(query) or _EXCLUDED.read(query) else counted_ids(connections)


def _page(tickets: Sequence[Ticket], connections: Mapping[str, Connection], limit: int, call: Call) -> TicketListView:
    shown, now = tickets[:limit], call.application.clock()
    return TicketListView(
        tickets=tuple(
            ticket_view(ticket, connections.get(ticket.connection_id), now, call.language) for ticket in shown
        ),
        next_cursor=encode_cursor(shown[-1].ticket_id) if len(tickets) > limit else None,
    )
