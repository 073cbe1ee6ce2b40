"""HTTP API: recommendations, their tickets, and tickets for many of them at once."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Final

import azure.functions as func

from shared.errors import FixRequest
from shared.recommendations.listing import Filters, SortColumn, filtered, ordered
from shared.recommendations.model import ActionStatus, SourceName
from shared.recommendations.requests import BatchRequest, LinkRequest, read_batch_request, read_link_request
from shared.tenants.lookup import chosen_tenant
from shared.tickets.views import TicketView, ticket_view
from shared.triggers.answers import JsonAnswer
from shared.triggers.front_door import Call, route
from shared.triggers.parameters import (
    PATH_PARAMETERS,
    Parameter,
    as_sent,
    choice,
    flag,
    optional_flag,
    short_text,
)
from shared.triggers.principal import CREATORS, READERS
from shared.triggers.routes import model_of
from shared.triggers.tickets_api import IDEMPOTENCY_KEY, LIMIT, requester_of

blueprint = func.Blueprint()

_LIST: Final = model_of("shared.recommendations.views", "RecommendationListView")
_DETAIL: Final = model_of("shared.recommendations.views", "RecommendationDetailView")
_BATCH: Final = model_of("shared.recommendations.views", "BatchView")
MAX_TEXT: Final = 200


def _points(text: str) -> Decimal:
    if not (text.isascii() and text.isdigit() and len(text) < 5):
        raise FixRequest("invalid_parameter", variant="number", parameter="min_points", limit=9999)
    return Decimal(text)


def _place_of_cursor(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 9):
        raise FixRequest("invalid_parameter", variant="cursor", parameter="cursor")
    return int(cursor)


_TENANT: Final = as_sent(
    "tenant_id", "The tenant; may be left out when there is exactly one.", PATH_PARAMETERS["tenant_id"]
)
_TEXT: Final = short_text("text", "Words in title, id, product, category, threats or owner.", max_length=MAX_TEXT)
_CATEGORY: Final = short_text("category", "Only this category.", max_length=MAX_TEXT)
_PRODUCT: Final = short_text("product", "Only this product, by name or code.", max_length=MAX_TEXT)
_STATUS: Final = choice("status", "Only this status, even one that lists leave out.", ActionStatus)
_SOURCE: Final = choice("source", "Only this source.", SourceName)
_HAS_TICKET: Final = optional_flag("has_ticket", "true: only with a ticket. false: only without one.")
_MIN_POINTS: Final = Parameter(
    "min_points",
    "At least so many points to gain.",
    {"type": "integer", "minimum": 0, "maximum": 9999},
    convert=_points,
    default=None,
)
_QUICK_WINS: Final = flag("quick_wins", "true: only what costs little and users hardly notice.")
_REGULATION: Final = short_text("regulation", "Only actions for this regulation.", max_length=MAX_TEXT)
_OWNER: Final = short_text("owner", "Only actions assigned to this person.", max_length=MAX_TEXT)
_HIDDEN: Final = flag("hidden", "true: also what lists leave out.")
_SORT: Final = choice("sort", "Column to sort by; rank, Microsoft's own order, if left out.", SortColumn)
_DESCENDING: Final = flag("descending", "true: the greatest value first.")
_CURSOR: Final = Parameter(
    "cursor",
    "next_cursor of the page before.",
    {"type": "string", "pattern": "^[0-9]{1,8}$"},
    convert=_place_of_cursor,
    default=0,
)
_TENANT_PROBLEMS: Final = ("tenant_not_found",)


@route(
    blueprint,
    "GET",
    "api/recommendations",
    summary="List what Microsoft recommends to a tenant",
    roles=READERS,
    answers={200: _LIST},
    parameters=(
        _TENANT,
        _TEXT,
        _CATEGORY,
        _PRODUCT,
        _STATUS,
        _SOURCE,
        _HAS_TICKET,
        _MIN_POINTS,
        _QUICK_WINS,
        _REGULATION,
        _OWNER,
        _HIDDEN,
        _SORT,
        _DESCENDING,
        LIMIT,
        _CURSOR,
    ),
    problems={
        400: ("unknown_parameter", "invalid_parameter", "invalid_tenant_id"),
        404: _TENANT_PROBLEMS,
        409: ("tenant_ambiguous",),
    },
)
async def list_recommendations(call: Call) -> JsonAnswer:
    """Answer with one page, the totals of all pages and the ticket beside each recommendation."""
    from shared.recommendations.views import recommendation_list_view, recommendation_view

    app, query = call.application, call.query
    filters = Filters(
        text=_TEXT.read(query) or "",
        category=_CATEGORY.read(query) or "",
        product=_PRODUCT.read(query) or "",
        status=_STATUS.read(query),
        has_ticket=_HAS_TICKET.read(query),
        min_points=_MIN_POINTS.read(query),
        is_quick_win=_QUICK_WINS.read(query),
        source=_SOURCE.read(query),
        regulation=_REGULATION.read(query) or "",
        owner=_OWNER.read(query) or "",
        shows_hidden=_HIDDEN.read(query),
    )
    column, descending = _SORT.read(query) or SortColumn.RANK, _DESCENDING.read(query)
    limit, place = LIMIT.read(query), _CURSOR.read(query)
    tenant = await chosen_tenant(app.tenants, _TENANT.read(query))
    found = await app.recommendation_lists.of_tenant(tenant)
    shown = filtered(found.actions, filters, found.beside.keys_with_ticket)
    shown = ordered(shown, column, is_descending=descending, tickets=found.ticket_numbers)
    now, link_of = app.clock(), app.recommendation_ticketing.link_of
    views = [
        recommendation_view(action, found.beside, found.max_score, now, link_of(action))
        for action in shown[place : place + limit]
    ]
    following = str(place + limit) if place + limit < len(shown) else None
    return JsonAnswer(recommendation_list_view(tenant.tenant_id, shown, views, following))


@route(
    blueprint,
    "GET",
    "api/recommendations/{recommendation_id}",
    summary="Show a recommendation with its texts, tickets and points over time",
    roles=READERS,
    answers={200: _DETAIL},
    parameters=(_TENANT,),
    problems={
        400: ("unknown_parameter", "invalid_tenant_id"),
        404: ("recommendation_not_found", *_TENANT_PROBLEMS),
        409: ("tenant_ambiguous",),
    },
)
async def show_recommendation(call: Call) -> JsonAnswer:
    """Answer with everything that is known about a recommendation."""
    from shared.recommendations.views import recommendation_detail_view

    app, key = call.application, call.path_parameter("recommendation_id").lower()
    tenant = await chosen_tenant(app.tenants, _TENANT.read(call.query))
    action = await app.recommendation_ticketing.known_action(tenant.tenant_id, key)
    wanted = {text for text in (action.texts.remediation, action.texts.impact) if text is not None}
    beside, snapshots, texts = await asyncio.gather(
        app.recommendation_tickets.of_one(tenant.tenant_id, key),
        app.recommendations.list_snapshots(tenant.tenant_id),
        app.recommendations.get_texts(tenant.tenant_id, wanted),
    )
    link = app.recommendation_ticketing.link_of(action)
    view = recommendation_detail_view(action, beside, snapshots, texts, app.clock(), link, call.language)
    return JsonAnswer(view, language=call.language)


@route(
    blueprint,
    "POST",
    "api/recommendations/{recommendation_id}/tickets",
    summary="Link a ticket to a recommendation",
    roles=CREATORS,
    body=LinkRequest,
    answers={200: TicketView},
    problems={
        400: ("invalid_json", "invalid_tenant_id"),
        404: ("recommendation_not_found", "connection_not_found", "ticket_number_not_found", *_TENANT_PROBLEMS),
        409: (
            "tenant_ambiguous",
            "tenant_other_connection",
            "tenant_without_connection",
            "too_many_recommendations",
            "recommendation_has_open_ticket",
            "ticket_being_created",
        ),
        411: ("length_required",),
        415: ("unsupported_media_type",),
        422: ("invalid_link",),
    },
)
async def link_ticket(call: Call) -> JsonAnswer:
    """Answer with the ticket; asking twice does no harm."""
    app, request = call.application, read_link_request(call.json())
    key = call.path_parameter("recommendation_id").lower()
    reference, connection = await app.recommendation_ticketing.linked(key, request)
    ticket = await app.links.link(reference, connection, request.number, another=request.link_another)
    return JsonAnswer(ticket_view(ticket, connection, app.clock(), call.language), language=call.language)


@route(
    blueprint,
    "DELETE",
    "api/recommendations/{recommendation_id}/tickets/{ticket_id}",
    summary="End a ticket's link to a recommendation; the ticket stays",
    roles=CREATORS,
    answers={204: None},
    parameters=(_TENANT,),
    problems={
        400: ("unknown_parameter", "invalid_tenant_id"),
        404: ("recommendation_not_found", "ticket_not_found", *_TENANT_PROBLEMS),
        409: ("tenant_ambiguous",),
    },
)
async def end_link(call: Call) -> JsonAnswer:
    """Answer 204, also if the ticket is not linked."""
    app, key = call.application, call.path_parameter("recommendation_id").lower()
    tenant = await chosen_tenant(app.tenants, _TENANT.read(call.query))
    action = await app.recommendation_ticketing.known_action(tenant.tenant_id, key)
    await app.links.unlink(action.reference, call.path_parameter("ticket_id"))
    return JsonAnswer(status=204)


@route(
    blueprint,
    "POST",
    "api/tickets/bulk",
    summary="Create tickets for many recommendations",
    roles=CREATORS,
    body=BatchRequest,
    answers={202: _BATCH},
    parameters=(IDEMPOTENCY_KEY,),
    problems={
        400: ("invalid_json", "invalid_idempotency_key", "invalid_tenant_id"),
        403: ("requested_by_not_allowed",),
        404: ("connection_not_found", *_TENANT_PROBLEMS),
        409: ("tenant_ambiguous", "tenant_other_connection", "connection_ambiguous", "connection_not_authorized"),
        411: ("length_required",),
        415: ("unsupported_media_type",),
        422: ("invalid_batch", "too_many_recommendations", "kind_not_enabled", "idempotency_key_reused"),
    },
)
async def create_tickets(call: Call) -> JsonAnswer:
    """Answer 202 when all tickets are stored; the connector delivers them afterwards."""
    from shared.recommendations.views import batch_view

    request = read_batch_request(call.json())
    progress = await call.application.batches.create(
        request,
        requester_of(call.principal, request.requested_by),
        caller=call.principal.object_id,
        idempotency_key=IDEMPOTENCY_KEY.read(call.request.headers),
    )
    headers = {"Location": f"/api/tickets/bulk/{progress.batch.batch_id}"}
    if progress.replayed:
        headers["Idempotency-Replayed"] = "true"
    view = batch_view(progress, call.application.clock(), call.language)
    return JsonAnswer(view, status=202, language=call.language, headers=headers)


@route(
    blueprint,
    "GET",
    "api/tickets/bulk/{batch_id}",
    summary="Show how far tickets that were asked for together have come",
    roles=READERS,
    answers={200: _BATCH},
    problems={404: ("batch_not_found",)},
)
async def show_batch(call: Call) -> JsonAnswer:
    """Answer with the state of each ticket, and why a recommendation got none."""
    from shared.recommendations.views import batch_view

    progress = await call.application.batches.progress(call.path_parameter("batch_id").lower())
    return JsonAnswer(batch_view(progress, call.application.clock(), call.language), language=call.language)
