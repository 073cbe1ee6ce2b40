"""Pages: the home page with its cards: Secure Score and the tickets of each kind, or all customers of a provider."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import azure.functions as func

from shared.portfolio.model import portfolio_of
from shared.recommendations.overview import SHOWN_DAYS, Overview, overview_of
from shared.tenants.model import Tenant
from shared.triggers.attention import shown_items, visible_items
from shared.triggers.front_door import Call, page
from shared.triggers.principal import ANY_ROLE, Role
from shared.value_object import value_object
from shared.web.cards import cards
from shared.web.charts import Line, edges_around, line
from shared.web.customers_card import customers_card
from shared.web.freshness import freshness
from shared.web.tenants import NextStep, next_step

blueprint = func.Blueprint()

FIRST_ITEMS: Final = 5
"""How much of what needs attention is on the home page; the rest is one click away."""
MOST_SCORES: Final = 2
"""Every tenant whose score is shown takes a few reads; the page of tenants lists all of them."""
PERCENT_STEP: Final = 5
"""The curve's edges are multiples of this."""


@value_object
class ScoreCard:
    """The Secure Score of a tenant.

    Attributes:
        percent: By day; None before the first snapshot.
        next_step: What an administrator does next about the tenant.
    """

    tenant: Tenant
    overview: Overview
    percent: Line | None
    next_step: NextStep


@page(blueprint, "GET", "/", roles=ANY_ROLE)
async def home_page(call: Call) -> func.HttpResponse:
    """Show the connection card, or what needs attention and the cards: of both kinds, or of all customers together."""
    app = call.application
    around = await app.attention.surroundings()
    now, reads = around.read_at, call.may(Role.TICKETS_READ)
    is_exact = around.connections is not None
    asked = around.asked_connections if reads else ()
    tenants = around.counted_tenants
    current, scores = await asyncio.gather(
        app.tickets.list_current([each.connection_id for each in asked]),
        asyncio.gather(*(_score_card(call, tenant, now) for tenant in tenants[:MOST_SCORES] if reads and is_exact)),
    )
    items = visible_items(await app.attention.items(around, current), call.principal)
    return call.page(
        "home.html",
        items=shown_items(items[:FIRST_ITEMS], call.principal, call.language),
        attention_count=len(items),
        freshness=freshness(around.counted, now, can_refresh=is_exact),
        now=now,
        connected=any(each.customer.ever_consented for each in around.customers),
        has_begun=bool(around.customers),
        cards=cards(asked, current, now, call.language) if asked else [],
        customers=customers_card(portfolio_of(around.counted, tenants).rows, now) if reads and not is_exact else None,
        scores=scores,
        more_tenants=len(tenants) > MOST_SCORES,
        has_tenant=bool(around.tenants),
        days=SHOWN_DAYS,
        manage_address=_manage_address([each.connection_id for each in around.customers]),
    )


def _manage_address(connection_ids: Sequence[str]) -> str:
    """Return where connections are managed: on its page if there is one, in their list if there are several."""
    match connection_ids:
        case []:
            return "/ticketProvisioning"
        case [only]:
            return f"/configuration/{only}"
        case _:
            return "/configuration"


async def _score_card(call: Call, tenant: Tenant, now: datetime) -> ScoreCard:
    app = call.application
    since = (now - timedelta(days=SHOWN_DAYS)).date()
    snapshots, actions, beside = await asyncio.gather(
        app.recommendations.list_snapshots(tenant.tenant_id, since=since),
        app.recommendations.list_actions(tenant.tenant_id),
        app.recommendation_tickets.of_tenant(tenant.tenant_id),
    )
    overview = overview_of(snapshots, actions, beside.keys_with_open_ticket)
    bottom, top = edges_around((percent for _, percent in overview.percent_by_day), step=PERCENT_STEP, highest=100)
    return ScoreCard(
        tenant=tenant,
        overview=overview,
        percent=line(overview.percent_by_day, bottom=bottom, top=top),
        next_step=next_step(tenant),
    )
