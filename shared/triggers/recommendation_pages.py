"""Pages: one recommendation, and the tickets that are linked to it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Final

import azure.functions as func

from shared.errors import FixRequest
from shared.recommendations.model import ImprovementAction, Snapshot, SourceName
from shared.recommendations.overview import SHOWN_DAYS
from shared.recommendations.requests import read_link_request
from shared.recommendations.statuses import OPEN_STATUSES, is_quick_win, points_to_gain, status_of
from shared.recommendations.texts.https_links import https_link
from shared.tenants.lookup import get_known_tenant
from shared.tenants.model import Tenant
from shared.tickets.model import Ticket
from shared.tickets.views import ticket_view
from shared.triggers.addresses import from_query
from shared.triggers.front_door import Call, page, redirect
from shared.triggers.principal import CREATORS, READERS
from shared.triggers.recommendation_links import TENANT
from shared.triggers.recommendation_list_pages import query_of
from shared.triggers.routes import Keeps
from shared.web.charts import Line, Mark, line
from shared.web.recommendations import action_row, shown_html
from shared.words.error_words import words_of

blueprint = func.Blueprint()

NOTICES: Final = frozenset({"linked", "unlinked"})
_PAGE: Final = "/recommendations/{recommendation_id}"


@page(blueprint, "GET", "recommendations/{recommendation_id}", roles=READERS, kept=(TENANT,))
async def recommendation_page(call: Call) -> func.HttpResponse:
    """Show a recommendation of the tenant that the address names, or else of the only one that has it."""
    found = await _found(call, call.query.get(TENANT, ""))
    if len(found) == 1:
        return await _page(call, *found[0])
    return call.page(
        "choose_tenant.html",
        choices=[
            (tenant.name, f"/recommendations/{action.key}{query_of({TENANT: tenant.tenant_id})}")
            for tenant, action in found
        ],
        asks_for_one=True,
    )


@page(blueprint, "POST", "recommendations/{recommendation_id}/link", roles=CREATORS, belongs_to=_PAGE, keeps=Keeps.FORM)
async def recommendation_link_page(call: Call) -> func.HttpResponse:
    """Link the ticket with a number, or show the page again and say why not."""
    app, number = call.application, call.form.get("number", "").strip()
    tenant, action = await _posted(call)
    asked = {
        "tenant_id": tenant.tenant_id,
        "number": number,
        "link_another": call.form.get("another") == "true",
    }
    try:
        request = read_link_request(asked)
        reference, connection = await app.recommendation_ticketing.linked(action.key, request)
        await app.links.link(reference, connection, request.number, another=request.link_another)
    except FixRequest as error:
        return await _page(call, tenant, action, error=error, number=number)
    return redirect(f"/recommendations/{action.key}{query_of({TENANT: tenant.tenant_id, 'done': 'linked'})}")


@page(blueprint, "POST", "recommendations/{recommendation_id}/unlink", roles=CREATORS, belongs_to=_PAGE)
async def recommendation_unlink_page(call: Call) -> func.HttpResponse:
    """End a ticket's link to a recommendation; the ticket stays."""
    tenant, action = await _posted(call)
    await call.application.links.unlink(action.reference, call.form.get("ticket_id", ""))
    return redirect(f"/recommendations/{action.key}{query_of({TENANT: tenant.tenant_id, 'done': 'unlinked'})}")


async def _found(call: Call, tenant_id: str) -> Sequence[tuple[Tenant, ImprovementAction]]:
    """Return the recommendation in each tenant that has it, of one tenant if that is named; at least one.

    Raises:
        FixRequest: 400 ``invalid_tenant_id``, 404 ``tenant_not_found`` or ``recommendation_not_found``.
    """
    app, key = call.application, call.path_parameter("recommendation_id").lower()
    tenants = [await get_known_tenant(app.tenants, tenant_id)] if tenant_id else await app.tenants.list_tenants()
    actions = await asyncio.gather(*(app.recommendations.get_action(each.tenant_id, key) for each in tenants))
    found = [(tenant, action) for tenant, action in zip(tenants, actions, strict=True) if action is not None]
    if not found:
        raise FixRequest("recommendation_not_found", status=404, recommendation_id=key)
    return found


async def _posted(call: Call) -> tuple[Tenant, ImprovementAction]:
    """Return what a form of the page is about. Raises as :func:`_found`."""
    tenant = await get_known_tenant(call.application.tenants, call.form.get(TENANT, ""))
    ((_, action),) = await _found(call, tenant.tenant_id)
    return tenant, action


async def _page(
    call: Call, tenant: Tenant, action: ImprovementAction, *, error: FixRequest | None = None, number: str = ""
) -> func.HttpResponse:
    app, now, done = call.application, call.application.clock(), call.query.get("done")
    since = now.date() - timedelta(days=SHOWN_DAYS)
    beside, snapshots, texts = await asyncio.gather(
        app.recommendation_tickets.of_one(tenant.tenant_id, action.key),
        app.recommendations.list_snapshots(tenant.tenant_id, since=since),
        _texts(call, action),
    )
    tickets = beside.tickets.get(action.key, ())
    views = [ticket_view(each, beside.connections.get(each.connection_id), now, call.language) for each in tickets]
    connection = beside.connections.get(tenant.connection_id or "")
    has_open_ticket = any(map(beside.is_open, tickets))
    here = f"/recommendations/{action.key}{query_of({TENANT: tenant.tenant_id})}"
    return call.page(
        "recommendation.html",
        status=200 if error is None else error.status,
        here=here,
        tenant=tenant,
        row=action_row(action, now, snapshots[-1].max_score if snapshots else None, None, call.language),
        action=action,
        texts=texts,
        to_gain=points_to_gain(action),
        is_quick_win=is_quick_win(action),
        portal_link=app.recommendation_ticketing.link_of(action),
        action_link=https_link(action.link),
        points=_points(action, snapshots, tickets, here),
        tickets=views,
        has_open_ticket=has_open_ticket,
        needs_ticket=not has_open_ticket and status_of(action) in OPEN_STATUSES,
        has_connection=connection is not None and not connection.is_removed,
        zones={each.connection_id: each.time_zone for each in beside.connections.values()},
        number=number,
        fault=None if error is None else words_of(error, call.language).message,
        may_link_another=error is not None and error.code == "recommendation_has_open_ticket",
        notice=call.language(f"recommendation.notice.{done}") if done in NOTICES else None,
    )


async def _texts(call: Call, action: ImprovementAction) -> Mapping[str, str]:
    """Return an action's texts by their names, sanitised to be shown; empty for those that it does not have."""
    names = {
        "remediation": action.texts.remediation,
        "impact": action.texts.impact,
        "description": action.texts.description,
        "implementation_status": action.texts.implementation_status,
    }
    stored = await call.application.recommendations.get_texts(
        action.tenant_id, {each for each in names.values() if each is not None}
    )
    shown = {name: shown_html(stored.get(key or "", "")) for name, key in names.items()}
    return {name: html if html.striptags() else "" for name, html in shown.items()}


def _points(
    action: ImprovementAction, snapshots: Sequence[Snapshot], tickets: Sequence[Ticket], here: str
) -> Line | None:
    """Return the points over time with the days on which the tickets were created, which lead to them and back here."""
    if action.source is not SourceName.SECURE_SCORE:
        return None
    points = [(each.day, each.controls[action.source_id]) for each in snapshots if action.source_id in each.controls]
    highest = [action.max_points, *(each.max_points for _, each in points)]
    return line(
        [(day, each.points) for day, each in points],
        top=max((each for each in highest if each is not None), default=Decimal(0)),
        marks=[
            Mark(
                each.created_at.date(),
                each.content.name if each.record is None else each.record.number,
                f"/tickets/{each.ticket_id}{from_query(here)}",
            )
            for each in sorted(tickets, key=lambda each: each.created_at)
        ],
    )
