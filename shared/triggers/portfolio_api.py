"""HTTP API: all customers at a glance."""

from __future__ import annotations

from typing import Final

import azure.functions as func

from shared.connections.model import ConnectionStatus
from shared.portfolio.model import read_portfolio
from shared.portfolio.rules import PortfolioFilter, Show, SortColumn, first_order, matching, ordered
from shared.tickets.lists import Order
from shared.triggers.answers import JsonAnswer
from shared.triggers.front_door import Call, route
from shared.triggers.parameters import choice, flag, short_text
from shared.triggers.principal import READERS
from shared.triggers.routes import model_of

blueprint = func.Blueprint()

_PORTFOLIO: Final = model_of("shared.portfolio.views", "PortfolioView")
_TEXT: Final = short_text(
    "text", "Words of which each is part of a name or an id of the customer or its tenants.", max_length=160
)
_GROUP: Final = short_text("group", "Only customers of this group.", max_length=60)
_STATUS: Final = choice("status", "Only connections with this status.", ConnectionStatus)
_SHOW: Final = choice("show", "Only customers that have such tickets, or whose consent ends within 30 days.", Show)
_EXCLUDED: Final = flag("excluded", "Whether excluded customers are listed and counted, too.")
_SORT: Final = choice("sort", "What to sort by; the name, if left out.", SortColumn)
_ORDER: Final = choice(
    "order", "Direction; if left out, the one that has at the top what needs most, as on the page.", Order
)


@route(
    blueprint,
    "GET",
    "api/portfolio",
    summary="List all customers with their scores and counts",
    roles=READERS,
    answers={200: _PORTFOLIO},
    parameters=(_TEXT, _GROUP, _STATUS, _SHOW, _EXCLUDED, _SORT, _ORDER),
    problems={400: ("unknown_parameter", "invalid_parameter")},
)
async def get_portfolio(call: Call) -> JsonAnswer:
    """Answer with the customers that pass the filters, in the wanted order, and their totals."""
    from shared.portfolio.views import portfolio_view

    query, now = call.query, call.now
    wanted = PortfolioFilter(
        text=_TEXT.read(query),
        group=_GROUP.read(query),
        status=_STATUS.read(query),
        show=_SHOW.read(query),
        with_excluded=_EXCLUDED.read(query),
    )
    portfolio = await read_portfolio(call.application.directory, call.application.tenants)
    rows = matching(portfolio.rows, wanted, now)
    column = _SORT.read(query) or SortColumn.NAME
    return JsonAnswer(portfolio_view(ordered(rows, column, _ORDER.read(query) or first_order(column)), now))
