"""Pages: the list of recommendations, and the same list for a spreadsheet."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode

import azure.functions as func

from shared.errors import FixRequest
from shared.recommendations.listing import (
    Group,
    GroupColumn,
    SortColumn,
    choices_of,
    filtered,
    grouped,
    ordered,
    totals_of,
)
from shared.recommendations.lists import TenantRecommendations
from shared.recommendations.model import ActionStatus, ImprovementAction, SourceName, recommendation_key
from shared.recommendations.portal_links import PortalLink
from shared.recommendations.statuses import hidden_reason
from shared.tenants.model import Tenant
from shared.tickets.views import TicketView, ticket_view
from shared.triggers.file_language import file_language
from shared.triggers.front_door import Call, page, redirect
from shared.triggers.links import NotUnderstood, link_words, misunderstood
from shared.triggers.principal import READERS
from shared.triggers.recommendation_links import (
    ACTION_PARAMETERS,
    ALL_SOURCES,
    ASCENDING,
    DESCENDING,
    HAS_TICKET,
    LIST_PARAMETERS,
    TENANT,
    RecommendationsLink,
    asked_action,
    of_one_source,
    read_recommendations_link,
)
from shared.value_object import value_object
from shared.web.csv_export import recommendations_csv
from shared.web.lists import Chip
from shared.web.microsofts_words import category_name
from shared.web.recommendations import ActionRow, action_row, empty_reason
from shared.words.language import Language

blueprint = func.Blueprint()

GROUPS: Final = (GroupColumn.CATEGORY, GroupColumn.PRODUCT, GroupColumn.STATUS)
FILTER_LABELS: Final = {
    "text": "filter.search",
    "category": "recommendations.category",
    "product": "recommendations.product",
    "status": "recommendations.status",
    "has_ticket": "recommendations.ticket",
    "min_points": "recommendations.min_points",
    "quick_wins": "recommendations.quick_wins",
    "hidden": "recommendations.hidden_label",
    "regulation": "recommendations.regulation",
    "owner": "recommendations.owner",
}
"""What people call the filters. The source is not among them: the page chooses one by itself."""
_NOTHING: Final[dict[str, object]] = {"groups": (), "empty": None, "headings": {}}
"""What a page shows that lists no recommendations."""


@value_object
class Heading:
    """A column's heading, which sorts the list.

    Attributes:
        sorted: ``ascending`` or ``descending`` if the list is sorted by it.
        query: The address that sorts by it, or by it in the other order.
    """

    column: SortColumn
    sorted: str | None
    query: str


@page(blueprint, "GET", "recommendations", roles=READERS, kept=(*LIST_PARAMETERS, *ACTION_PARAMETERS))
async def recommendations_page(call: Call) -> func.HttpResponse:
    """Show a tenant's recommendations, or lead to the one that the address names.

    If the address is not understood, the page lists nothing and says so.
    """
    tenants = {each.tenant_id: each for each in await call.application.tenants.list_tenants()}
    link = read_recommendations_link(call.query, tenants)
    asked = asked_action(call.query)
    if asked is not None and not link.not_understood:
        candidates, unknown = await _tenants_with(call, tenants, link, asked)
        if len(candidates) == 1:
            key = recommendation_key(SourceName.SECURE_SCORE, asked.control_id)
            return redirect(f"/recommendations/{key}{query_of({TENANT: candidates[0].tenant_id})}")
        if unknown is not None:
            link = replace(link, not_understood=(unknown,))
        else:
            return _choose_tenant(call, candidates, asked)
    tenant = _chosen_tenant(tenants, link)
    if tenant is None and tenants and not link.not_understood:
        return _choose_tenant(call, list(tenants.values()))
    if tenant is None or link.not_understood:
        return _page(call, tenants, link)
    return _list(call, tenants, tenant, link, await call.application.recommendation_lists.of_tenant(tenant))


@page(blueprint, "GET", "recommendations.csv", roles=READERS, kept=LIST_PARAMETERS)
async def export_recommendations(call: Call) -> func.HttpResponse:
    """Answer with the recommendations of the same filter as a file."""
    tenants = {each.tenant_id: each for each in await call.application.tenants.list_tenants()}
    link = read_recommendations_link(call.query, tenants)
    if link.not_understood:
        raise FixRequest("invalid_parameter", variant="filter", parameter=link.not_understood[0].parameter)
    tenant = _chosen_tenant(tenants, link)
    if tenant is None:
        raise FixRequest("invalid_parameter", variant="filter", parameter=TENANT)
    listed = await call.application.recommendation_lists.of_tenant(tenant)
    now = call.application.clock()
    t = file_language(listed.beside.connections.get(tenant.connection_id or ""), call.language)
    return func.HttpResponse(
        recommendations_csv((_row(call, each, listed, now) for each in _chosen(listed, link)), t),
        headers={
            "Content-Type": "text/csv; charset=utf-8",
            "Content-Disposition": 'attachment; filename="recommendations.csv"',
            "Cache-Control": "no-store",
        },
    )


async def _tenants_with(
    call: Call, tenants: Mapping[str, Tenant], link: RecommendationsLink, asked: PortalLink
) -> tuple[Sequence[Tenant], NotUnderstood | None]:
    """Return the tenants that have the improvement action that is asked for, or what is not known here."""
    wanted = asked.tenant_id or link.chosen[TENANT]
    if wanted and wanted not in tenants:
        return (), misunderstood(TENANT, wanted, "tenant")
    searched = [tenants[wanted]] if wanted else list(tenants.values())
    key = recommendation_key(SourceName.SECURE_SCORE, asked.control_id)
    found = await asyncio.gather(
        *(call.application.recommendations.get_action(each.tenant_id, key) for each in searched)
    )
    having = [tenant for tenant, action in zip(searched, found, strict=True) if action is not None]
    return having, None if having else misunderstood("actionId", asked.control_id, "recommendation")


def _chosen_tenant(tenants: Mapping[str, Tenant], link: RecommendationsLink) -> Tenant | None:
    """Return the tenant whose recommendations are shown: the only one, or the one that was chosen."""
    if link.chosen[TENANT]:
        return tenants.get(link.chosen[TENANT])
    return next(iter(tenants.values())) if len(tenants) == 1 else None


def _chosen(listed: TenantRecommendations, link: RecommendationsLink) -> Sequence[ImprovementAction]:
    found = filtered(listed.actions, link.filters, listed.beside.keys_with_ticket)
    return ordered(found, link.sort, is_descending=link.is_descending, tickets=listed.ticket_numbers)


def _row(call: Call, action: ImprovementAction, listed: TenantRecommendations, now: datetime) -> ActionRow:
    ticket = listed.beside.ticket(action.key)
    view: TicketView | None = None
    if ticket is not None:
        view = ticket_view(ticket, listed.beside.connections.get(ticket.connection_id), now, call.language)
    return action_row(action, now, listed.max_score, view, call.language)


def _choose_tenant(call: Call, tenants: Sequence[Tenant], asked: PortalLink | None = None) -> func.HttpResponse:
    """Return the page on which a person chooses a tenant.

    Args:
        asked: The improvement action that the tenants have.
    """
    wanted = {"actionId": asked.control_id} if asked is not None else {}
    return call.page(
        "choose_tenant.html",
        choices=[
            (each.name, f"/recommendations{query_of({TENANT: each.tenant_id, **wanted})}")
            for each in sorted(tenants, key=lambda each: each.name.casefold())
        ],
        asks_for_one=asked is not None,
    )


def _list(
    call: Call, tenants: Mapping[str, Tenant], tenant: Tenant, link: RecommendationsLink, listed: TenantRecommendations
) -> func.HttpResponse:
    """Return the page that lists a tenant's recommendations."""
    sources = [each for each in SourceName if any(action.source is each for action in listed.actions)]
    link = of_one_source(link, sources)
    found = _chosen(listed, link)
    groups = grouped(found, link.group) if link.group else [Group("", found)] if found else []
    now = call.application.clock()
    parameters = {name: value for name, value in link.chosen.items() if value}
    choices = choices_of(listed.actions)
    return _page(
        call,
        tenants,
        link,
        tenant=tenant,
        groups=[
            (
                _group_name(call, link.group, each.value),
                each.totals,
                [_row(call, one, listed, now) for one in each.actions],
            )
            for each in groups
        ],
        totals=totals_of(found),
        hidden_count=sum(hidden_reason(each) is not None for each in listed.actions),
        empty=None if listed.actions else empty_reason(tenant),
        headings={column.value: _heading(column, link, parameters) for column in SortColumn},
        zones={each.connection_id: each.time_zone for each in listed.beside.connections.values()},
        categories=[(each, category_name(each, call.language)) for each in choices.categories],
        products=_options(choices.products),
        regulations=_options(choices.regulations),
        owners=_options(choices.owners),
        sources=[
            *((each.value, call.language(f"recommendation_source.{each}")) for each in sources),
            (ALL_SOURCES, call.language("recommendations.all_sources")),
        ],
        csv_query=query_of(parameters),
    )


def _page(
    call: Call,
    tenants: Mapping[str, Tenant],
    link: RecommendationsLink,
    *,
    tenant: Tenant | None = None,
    **values: object,
) -> func.HttpResponse:
    t = call.language
    return call.page(
        "recommendations.html",
        status=_status(link),
        tenants=tenants,
        tenant=tenant,
        not_understood=[link_words(each, t) for each in link.not_understood],
        chosen=link.chosen,
        chips=() if link.not_understood else _used_filters(link, t),
        group_by=link.group,
        statuses=[(each.value, t(f"action_status.{each}")) for each in ActionStatus],
        sorts=[(each.value, t(f"sort_column.{each}")) for each in SortColumn if each is not SortColumn.OWNER],
        groups_by=[(each.value, t(f"sort_column.{each}")) for each in GROUPS],
        sort=link.sort,
        **(_NOTHING | values),
    )


def _used_filters(link: RecommendationsLink, t: Language) -> Sequence[Chip]:
    """Return a chip for each filter that is used, of a link that is understood."""
    used = {name: value for name, value in link.chosen.items() if value}
    return [
        Chip(
            t(label),
            _value_words(name, used[name], t),
            f"/recommendations{query_of({other: value for other, value in used.items() if other != name})}",
        )
        for name, label in FILTER_LABELS.items()
        if name in used
    ]


def _value_words(name: str, value: str, t: Language) -> str:
    match name:
        case "category":
            return category_name(value, t)
        case "status":
            return t.named("action_status", value)
        case "has_ticket":
            return t("recommendations.with_ticket" if HAS_TICKET[value] else "recommendations.without_ticket")
        case "quick_wins" | "hidden":
            return ""
    return value


def _options(values: Sequence[str]) -> Sequence[tuple[str, str]]:
    return [(value, value) for value in values]


def _status(link: RecommendationsLink) -> int:
    if not link.not_understood:
        return 200
    return 404 if link.not_understood[0].reason in {"recommendation", "tenant"} else 400


def _group_name(call: Call, group: GroupColumn | None, value: str) -> str:
    if group is GroupColumn.STATUS:
        return call.language.named("action_status", value)
    if group is GroupColumn.SOURCE:
        return call.language.named("recommendation_source", value)
    if group is GroupColumn.CATEGORY and value:
        return category_name(value, call.language)
    return value or call.language("recommendations.no_value")


def _heading(column: SortColumn, link: RecommendationsLink, parameters: Mapping[str, str]) -> Heading:
    others = {name: value for name, value in parameters.items() if name not in {"sort", "order"}}
    if column is not link.sort:
        return Heading(column, None, query_of({**others, "sort": column.value}))
    now, other = (DESCENDING, ASCENDING) if link.is_descending else (ASCENDING, DESCENDING)
    return Heading(column, now, query_of({**others, "sort": column.value, "order": other}))


def query_of(parameters: Mapping[str, str]) -> str:
    """Return the query of an address; empty without parameters."""
    return f"?{urlencode(parameters, quote_via=quote)}" if parameters else ""
