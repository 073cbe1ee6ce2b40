"""The portfolio: its page, its file and its operation."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from html import unescape
from urllib.parse import parse_qsl

import pytest

from shared.connections.customers import Customer, Figures
from shared.connections.directory import DirectoryEntry
from shared.connections.model import ConnectionStatus
from shared.errors import FixRequest
from shared.portfolio.views import PortfolioView
from shared.tenants.model import Tenant, TenantScore
from shared.triggers.portfolio_api import get_portfolio
from shared.triggers.portfolio_pages import PAGE_CUSTOMERS, export_portfolio, portfolio_page
from shared.words.language import languages
from tests.unit.triggers.page_calls import MANAGER, READER, Pages, pages, text_of

__all__ = ["pages"]

OTHER_TENANT = "22222222-aaaa-4bbb-8ccc-000000000002"


async def add(pages: Pages, connection_id: str, customer: Customer, figures: Figures | None = None) -> None:
    await pages.world.directory.save_entry(DirectoryEntry(connection_id, customer=customer, figures=figures))


@pytest.fixture
async def provider(pages: Pages) -> Pages:
    """Pages of a provider with three customers, one of them excluded, and one that was removed."""
    now = pages.world.clock()
    connected = ConnectionStatus.CONNECTED
    await add(
        pages,
        "alpha",
        Customer("Alpha 株式会社", "North", status=connected, consent_ends_at=now + timedelta(days=5, hours=1)),
        Figures(open=4, overdue=2, failed=1, last_sync_at=now),
    )
    await add(pages, "beta", Customer("Beta <b>", "South", status=ConnectionStatus.UNAVAILABLE), Figures(open=10))
    await add(pages, "gamma", Customer("Gamma", "South", is_excluded=True, status=connected), Figures(open=100))
    await add(pages, "gone", Customer("Gone", status=ConnectionStatus.DISCONNECTED), Figures(open=1000))
    score = TenantScore(Decimal(30), Decimal(60), Decimal("12.5"), former_percent=Decimal(40))
    pages.world.tenants.tenants[OTHER_TENANT] = Tenant(OTHER_TENANT, "Beta tenant", "beta", score=score)
    return pages


async def read(pages: Pages, path: str, *, status: int = 200, language: str = "en") -> str:
    answer = await pages.get(portfolio_page, path, caller=MANAGER, language=language)
    assert answer.status_code == status
    return text_of(answer)


async def rows(pages: Pages, query: str = "") -> list[Mapping[str, str]]:
    answer = await pages.get(export_portfolio, f"/portfolio.csv{query}", caller=READER)
    return list(csv.DictReader(io.StringIO(answer.get_body().decode("utf-8-sig"))))


async def asked(pages: Pages, **query: str) -> PortfolioView:
    answer = await pages.ask(get_portfolio, "GET", query=query, caller=READER)
    assert isinstance(answer.body, PortfolioView)
    return answer.body


@pytest.mark.parametrize("code", languages())
async def test_the_page_shows_each_customer_that_counts(provider: Pages, code: str) -> None:
    t = languages()[code]
    html = await read(provider, "/portfolio", language=code)
    assert "Alpha 株式会社" in html
    assert "Beta &lt;b&gt;" in html
    assert "Gamma" not in html
    assert "Gone" not in html
    assert t("portfolio.totals", open=14, overdue=2, failed=1, points="12.5") in html
    assert t("connection.days_left", count=5) in html
    assert 'href="/tickets?show=overdue&amp;connection=alpha"' in html
    assert t("portfolio.excluded.hidden", count=1) in html


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["alpha", "beta"]),
        ("?excluded=shown", ["alpha", "beta", "gamma"]),
        ("?group=South", ["beta"]),
        ("?group=South&excluded=shown", ["beta", "gamma"]),
        ("?status=connected", ["alpha"]),
        ("?show=overdue", ["alpha"]),
        ("?show=consent", ["alpha"]),
        ("?text=BETA+tenant", ["beta"]),
        (f"?text={OTHER_TENANT}", ["beta"]),
        ("?text=nobody", []),
        ("?sort=open", ["beta", "alpha"]),
        ("?sort=open&order=ascending", ["alpha", "beta"]),
        ("?sort=percent", ["beta", "alpha"]),
        ("?sort=status", ["beta", "alpha"]),
    ],
)
async def test_filters_and_orders(provider: Pages, query: str, found: list[str]) -> None:
    assert [each["connection_id"] for each in await rows(provider, query)] == found
    html = await read(provider, f"/portfolio{query}")
    shown = [each for each in ("alpha", "beta", "gamma") if f'href="/configuration/{each}"' in html]
    assert sorted(shown, key=lambda each: html.index(f'href="/configuration/{each}"')) == found
    view = await asked(provider, **dict(parse_qsl(query.replace("excluded=shown", "excluded=true").lstrip("?"))))
    assert [each.connection_id for each in view.customers] == found


async def test_a_row_of_the_file(provider: Pages) -> None:
    [row] = await rows(provider, "?text=beta")
    assert (row["percent"], row["percent_change"], row["points_to_gain"]) == ("50.0", "10.0", "12.5")
    assert (row["open"], row["overdue"], row["tenants"], row["excluded"]) == ("10", "0", "Beta tenant", "false")


async def test_the_operation_lists_the_same(provider: Pages) -> None:
    view = await asked(provider)
    assert [each.connection_id for each in view.customers] == ["alpha", "beta"]
    assert (view.totals.customers, view.totals.open, view.totals.percent) == (2, 14, 50.0)
    assert view.customers[0].consent_days_left == 5
    assert view.customers[1].tenants[0].tenant_id == OTHER_TENANT
    every = await asked(provider, excluded="true", group="South")
    assert [each.connection_id for each in every.customers] == ["beta", "gamma"]
    assert every.totals.open == 110


@pytest.mark.parametrize(
    "query", ["status=nonsense", "show=nonsense", "sort=nonsense", "order=up", "page=0", "excluded=1", "gruop=South"]
)
async def test_what_is_not_understood_lists_nobody(provider: Pages, query: str) -> None:
    assert "alpha" not in await read(provider, f"/portfolio?{query}", status=400)
    with pytest.raises(FixRequest):
        await provider.get(export_portfolio, f"/portfolio.csv?{query}", caller=READER)


async def test_many_customers_have_pages_and_count_together(pages: Pages) -> None:
    count = PAGE_CUSTOMERS + 1
    for number in range(count):
        await add(pages, f"c-{number:03}", Customer(f"Customer {number:03}"), Figures(open=1))
    first, last = await read(pages, "/portfolio"), await read(pages, "/portfolio?page=2")
    assert f"Customer {count - 1:03}" not in first
    assert f"Customer {count - 1:03}" in last
    t = languages()["en"]
    assert t("portfolio.totals", open=count, overdue=0, failed=0, points="0") in last


async def test_without_customers_the_page_says_what_to_do(pages: Pages) -> None:
    assert languages()["en"]("portfolio.none_yet") in await read(pages, "/portfolio")


async def test_the_portfolio_is_two_reads(provider: Pages) -> None:
    requests: list[str] = []

    async def noted(name: str) -> None:
        requests.append(name)

    provider.world.directory._step = provider.world.tenants._step = noted
    await asked(provider)
    assert sorted(requests) == ["list_customers", "list_tenants"]


async def test_a_trend_needs_every_tenant(provider: Pages) -> None:
    present = provider.world.tenants.tenants[OTHER_TENANT]
    assert present.score is not None
    other = replace(present, tenant_id="x", name="X", score=replace(present.score, former_percent=None))
    provider.world.tenants.tenants["x"] = other
    [row] = await rows(provider, "?text=beta")
    assert (row["percent"], row["percent_change"]) == ("50.0", "")


async def test_a_filter_that_is_used_is_a_chip_and_the_others_are_folded(provider: Pages) -> None:
    html = unescape(await read(provider, "/portfolio?group=South&excluded=shown&sort=open"))
    chips = re.findall(r'<li><a href="([^"]*)"><span class="hidden-text">', html)
    assert chips == ["/portfolio?excluded=shown&sort=open", "/portfolio?group=South&sort=open"]
    assert f"<strong>{languages()['en']('portfolio.excluded.shown')}</strong>" in html
    folded = html.partition('<details class="more">')[2].partition("</details>")[0]
    assert re.findall(r'<select id="([a-z]+)"', folded) == ["group", "status", "show", "excluded", "sort", "order"]
