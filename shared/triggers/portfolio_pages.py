"""Pages: all customers, and the same list for a spreadsheet."""

from __future__ import annotations

from typing import Final

import azure.functions as func

from shared.errors import FixRequest
from shared.portfolio.model import Portfolio, read_portfolio, totals_of
from shared.portfolio.rules import Show, SortColumn
from shared.tickets.lists import page_of
from shared.triggers.front_door import Call, page
from shared.triggers.links import link_words
from shared.triggers.portfolio_links import (
    PARAMETERS,
    Excluded,
    read_portfolio_link,
    sort_choices,
    sort_headings,
    status_choices,
    used_filters,
)
from shared.triggers.principal import READERS, Role
from shared.web.lists import page_numbers
from shared.web.portfolio_csv import portfolio_csv

blueprint = func.Blueprint()

PAGE_CUSTOMERS: Final = 50


@page(blueprint, "GET", "portfolio", roles=READERS, kept=PARAMETERS)
async def portfolio_page(call: Call) -> func.HttpResponse:
    """Show one page of customers; if the address is not understood, the page lists nothing and says so."""
    t, now, link = call.language, call.now, read_portfolio_link(call.query)
    if link.not_understood:
        words = [link_words(each, t) for each in link.not_understood]
        return call.page("portfolio.html", status=400, not_understood=words)
    portfolio = await _portfolio(call)
    rows = link.rows(portfolio, now)
    shown = page_of(rows, link.page, PAGE_CUSTOMERS)
    return call.page(
        "portfolio.html",
        not_understood=(),
        shown=shown,
        now=now,
        totals=totals_of(rows),
        chosen=link.chosen,
        chips=used_filters(link, t),
        has_customers=bool(portfolio.rows),
        excluded=sum(each.customer.is_excluded for each in portfolio.rows),
        excluded_shown=Excluded.SHOWN,
        groups=[(each, each) for each in portfolio.groups],
        statuses=status_choices(portfolio, t),
        shows=[(each.value, t(f"portfolio.show.{each}")) for each in Show],
        sorts=sort_choices(SortColumn, t),
        headings=sort_headings(link, t),
        page_numbers=page_numbers(shown.number, shown.pages),
        page_address=lambda number: link.address(page=str(number) if number > 1 else ""),
        export_address=link.address("/portfolio.csv", page=""),
        manages=call.may(Role.CONNECTIONS_MANAGE),
    )


@page(blueprint, "GET", "portfolio.csv", roles=READERS, kept=PARAMETERS)
async def export_portfolio(call: Call) -> func.HttpResponse:
    """Answer with the same list as a file. Raises FixRequest."""
    link = read_portfolio_link(call.query)
    if link.not_understood:
        raise FixRequest("invalid_parameter", variant="filter", parameter=link.not_understood[0].parameter)
    rows = link.rows(await _portfolio(call), call.now)
    return func.HttpResponse(
        portfolio_csv(rows, call.now, call.language),
        headers={
            "Content-Type": "text/csv; charset=utf-8",
            "Content-Disposition": 'attachment; filename="portfolio.csv"',
            "Cache-Control": "no-store",
        },
    )


async def _portfolio(call: Call) -> Portfolio:
    return await read_portfolio(call.application.directory, call.application.tenants)
