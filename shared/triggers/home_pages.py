"""Pages: the home page with its cards: Secure Score, and the tickets of each kind."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import azure.functions as func

from shared.connections.lookup import list_present_connections
from shared.connections.model import Connection, ConnectionStatus, Grant, TicketKind
from shared.recommendations.overview import SHOWN_DAYS, Overview, overview_of
from shared.tenants.model import Tenant
from shared.tickets.ports import TicketFilter
from shared.tickets.views import KindSummaryView, TicketView, summary_view, ticket_view
from shared.triggers.front_door import Call, authorize_place, page
from shared.triggers.principal import ANY_ROLE, Role
from shared.value_object import value_object
from shared.web.cards import SHOWN_OUTCOMES
from shared.web.charts import Line, PlacedPart, consent_countdown, edges_around, line, phase_parts, stacked
from shared.web.tenants import NextStep, next_step
from shared.words.language import Language

blueprint = func.Blueprint()

NEWEST: Final = 5
MOST_SCORES: Final = 2
"""Every tenant whose score is shown takes a few reads; the page of tenants lists all of them."""
PERCENT_STEP: Final = 5
"""The curve's edges are multiples of this."""


@value_object
class Card:
    """One of the two cards."""

    kind: TicketKind
    enabled: bool
    counts: KindSummaryView
    phases: Sequence[PlacedPart]
    newest: Sequence[TicketView]


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


@value_object
class Banner:
    """Something that people should see at once, and the one button that helps.

    Attributes:
        tone: ``bad``, ``warn`` or ``info``.
        action: The button's text; None if the person may not do anything about it.
    """

    tone: str
    text: str
    action: str | None = None
    address: str = "/"


@page(blueprint, "GET", "/", roles=ANY_ROLE)
async def home_page(call: Call) -> func.HttpResponse:
    """Show the connection card, or the cards of both kinds and what needs attention."""
    app = call.application
    connections = await list_present_connections(app.connection_store)
    authorized = [each for each in connections if each.ever_consented]
    now = app.clock()
    tenants = await app.tenants.list_tenants()
    reads = call.may(Role.TICKETS_READ)
    cards = await _cards(call, authorized, now) if authorized and reads else []
    shown = tenants[:MOST_SCORES] if reads else []
    return call.page(
        "home.html",
        connected=bool(authorized),
        has_begun=bool(connections),
        cards=cards,
        scores=await asyncio.gather(*(_score_card(call, tenant, now) for tenant in shown)),
        more_tenants=len(tenants) > MOST_SCORES,
        has_tenant=bool(tenants),
        days=SHOWN_DAYS,
        shown_outcomes=SHOWN_OUTCOMES,
        zones={each.connection_id: each.time_zone for each in authorized},
        banners=_banners(call, connections, cards, now),
        manage_address=f"/configuration/{connections[0].connection_id}" if connections else "/ticketProvisioning",
    )


async def _cards(call: Call, connections: Sequence[Connection], now: datetime) -> list[Card]:
    app = call.application
    by_id = {each.connection_id: each for each in connections}
    summaries, newest = await asyncio.gather(
        app.summaries(list(by_id)),
        asyncio.gather(
            *(app.tickets.list_tickets(list(by_id), TicketFilter(kind=kind), limit=NEWEST) for kind in TicketKind)
        ),
    )
    counts = summary_view(summaries, now).kinds
    return [
        Card(
            kind=kind,
            enabled=any(each.kinds[kind].enabled for each in connections),
            counts=counts[kind],
            phases=stacked(phase_parts(counts[kind].phases, f"/tickets?kind={kind}", call.language)),
            newest=[ticket_view(ticket, by_id[ticket.connection_id], now, call.language) for ticket in tickets],
        )
        for kind, tickets in zip(TicketKind, newest, strict=True)
    ]


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


def _banners(call: Call, connections: Sequence[Connection], cards: Sequence[Card], now: datetime) -> list[Banner]:
    banners: list[Banner] = []
    unreadable = len(call.application.rows.unreadable)
    if unreadable and call.may(Role.CONNECTIONS_MANAGE):
        banners.append(Banner("bad", call.language("banner.unreadable", count=unreadable)))
    for connection in connections:
        banners += _connection_banners(call, connection, now)
    if failed := sum(card.counts.failed for card in cards):
        banners.append(
            Banner(
                "bad",
                call.language("banner.failed", count=failed),
                call.language("banner.failed.action"),
                "/tickets?show=failed",
            )
        )
    return banners


def _connection_banners(call: Call, connection: Connection, now: datetime) -> list[Banner]:
    t, name = call.language, connection.display_name
    manages = call.may(Role.CONNECTIONS_MANAGE)
    authorize = authorize_place(connection.connection_id)
    match connection.status:
        case ConnectionStatus.REAUTHORIZATION_REQUIRED if connection.grant is Grant.CLIENT_CREDENTIALS:
            return [Banner("bad", t("banner.reconnect", name=name), _if(manages, t("step.connect")), authorize)]
        case ConnectionStatus.REAUTHORIZATION_REQUIRED:
            text = _with_second_factor(t("banner.reauthorize", name=name), connection, t)
            return [Banner("bad", text, _if(manages, t("action.authorize")), authorize)]
        case ConnectionStatus.UNAVAILABLE:
            configuration = f"/configuration/{connection.connection_id}"
            return [Banner("warn", t("banner.unavailable", name=name), _if(manages, t("action.check")), configuration)]
        case ConnectionStatus.NOT_CONFIGURED | ConnectionStatus.AWAITING_AUTHORIZATION if manages:
            return [Banner("info", t("banner.unfinished", name=name), t("banner.unfinished.action"), authorize)]
    consent = consent_countdown(connection, now)
    if consent is None or consent.tone == "good":
        return []
    text = t("banner.consent", name=name, date=consent.ends_at.date().isoformat(), days=consent.days_left)
    text = _with_second_factor(text, connection, t)
    return [Banner(consent.tone, text, _if(manages, t("action.renew_consent")), authorize)]


def _with_second_factor(text: str, connection: Connection, t: Language) -> str:
    """Add who has the second factor, without which nobody can renew the consent."""
    holder = connection.second_factor_holder
    if holder is None or connection.grant is not Grant.AUTHORIZATION_CODE:
        return text
    return f"{text} {t('banner.second_factor', holder=holder)}"


def _if(condition: bool, text: str) -> str | None:
    return text if condition else None
