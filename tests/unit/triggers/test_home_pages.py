"""The home page: what needs attention first, counts that lead to exactly what they count, the most urgent tickets."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from html import unescape

import pytest

from shared.access.current import seen_by
from shared.access.model import Access
from shared.access.sight import Sight
from shared.connections.customers import Figures, customer_of
from shared.connections.directory import DirectoryEntry
from shared.connections.model import ConnectionStatus, TicketKind
from shared.connections.present import EXACT_UP_TO, CustomerReading
from shared.connections.seen import SeenConnectionDirectory, SeenConnectionStore
from shared.portfolio.model import read_portfolio, totals_of
from shared.portfolio.rules import Show as PortfolioShow
from shared.tenants.model import Tenant, TenantScore
from shared.tenants.seen import SeenTenantStore
from shared.tickets.listed import CurrentTickets, listed
from shared.tickets.lists import Reader, Show, filtered, is_in
from shared.tickets.model import Delivery, Phase, Ticket
from shared.tickets.outcomes import Outcome, RecommendationOutcome, Verification
from shared.tickets.ports import TicketFilter
from shared.triggers.home_pages import FIRST_ITEMS, home_page
from shared.triggers.links import read_list_link
from shared.triggers.portfolio_links import read_portfolio_link
from shared.triggers.principal import Role
from shared.triggers.routes import read_query
from shared.words.language import languages
from tests.memory.clock import START
from tests.memory.customer_limits import MemoryCustomerLimits, limited_to
from tests.unit.recommendations.strategies import TENANT
from tests.unit.tickets.examples import CONNECTION_ID, a_connection, delivered_ticket, new_ticket
from tests.unit.triggers.page_calls import MANAGER, READER, URL, Pages, pages, text_of

__all__ = ["pages"]

DAY = timedelta(days=1)
MANY = 52
LINK = re.compile(
    r'<a href="(/tickets\?kind=[^"&]+&(?:show|phase|outcome)=[^"]+)"[^>]*>(.*?)</a>(?: <strong>(\d+)</strong>)?',
    re.DOTALL,
)


def _closed(outcome: Outcome, *, superseded: bool = False) -> Ticket:
    items = (RecommendationOutcome(TENANT, "0" * 32, outcome=outcome),)
    verification = Verification(START, items, is_superseded=superseded)
    return replace(delivered_ticket(START), phase=Phase.CLOSED, verification=verification)


async def _filled(pages: Pages) -> list[Ticket]:
    refused = new_ticket(START)
    tickets = [
        replace(refused, delivery=replace(refused.delivery, status=Delivery.FAILED)),
        new_ticket(START),
        *(delivered_ticket(START, due_at=START - days * DAY) for days in range(1, 4)),
        *(delivered_ticket(START, kind=TicketKind.CHANGE, due_at=START + days * DAY) for days in range(1, 9)),
        _closed(Outcome.WAITING),
        _closed(Outcome.VERIFIED),
        _closed(Outcome.NOT_FIXED),
        _closed(Outcome.NOT_FIXED, superseded=True),
        _closed(Outcome.REGRESSED),
    ]
    for ticket in tickets:
        await pages.world.store.create_ticket(ticket)
    return tickets


async def test_each_number_leads_to_exactly_the_tickets_that_it_counts(pages: Pages) -> None:
    """The address is read as the list reads it, and its rules are asked which tickets it shows."""
    tickets = [listed(each) for each in await _filled(pages)]
    html = unescape(text_of(await pages.get(home_page, "/", caller=READER)))
    followed = 0
    for address, inside, beside in LINK.findall(html):
        chosen = read_list_link(read_query(URL + address), {CONNECTION_ID}, ())
        assert chosen.not_understood == ()
        values = chosen.chosen
        wanted = TicketFilter(
            kind=TicketKind(values["kind"]),
            phase=Phase(values["phase"]) if values["phase"] else None,
            outcome=Outcome(values["outcome"]) if values["outcome"] else None,
        )
        shown = [
            each
            for each in filtered(tickets, wanted)
            if not values["show"] or is_in(each, Show(values["show"]), START, Reader("", ""))
        ]
        number = beside or re.findall(r"\d+", re.sub(r"<[^>]*>", "", inside))[0]
        assert number == str(len(shown)), address
        followed += 1
    assert followed >= 2 * 4 + 4 + 3, "four tiles of each kind, four outcomes and the phases"


@pytest.mark.parametrize("code", languages())
async def test_a_card_shows_the_most_urgent_tickets(pages: Pages, code: str) -> None:
    tickets = await _filled(pages)
    t = languages()[code]
    html = text_of(await pages.get(home_page, "/", caller=READER, language=code))
    shown = re.findall(r'data-label="[^"]*"><a href="/tickets/([0-9a-f]{32})\?from=%2F"', html)
    assert shown[:4] == [tickets[0].ticket_id, *(tickets[at].ticket_id for at in (4, 3, 2))]
    assert shown[5:] == [each.ticket_id for each in tickets[5:10]], "those due soonest"
    assert t("relative_due.late_days", days=3) in html


async def test_what_needs_attention_comes_first_and_the_rest_is_one_click_away(pages: Pages) -> None:
    world, t = pages.world, languages()["en"]
    for number in range(FIRST_ITEMS + 2):
        name = f"c-{number}"
        since_at = START - (number + 2) * DAY
        world.connections.connections[name] = a_connection(
            connection_id=name, status=ConnectionStatus.UNAVAILABLE, status_since_at=since_at
        )
    html = text_of(await pages.get(home_page, "/", caller=MANAGER))
    assert html.count(t("attention.what.unavailable")) == FIRST_ITEMS
    assert html.index(t("attention.what.unavailable")) < html.index(t("home.score"))
    count = int(re.findall(r'id="attention-count">(\d+)<', html)[0])
    assert count >= FIRST_ITEMS + 2
    assert f'<a href="/attention">{t("attention.all", count=count)}</a>' in html


async def test_one_connection_is_managed_on_its_page_and_several_in_their_list(pages: Pages) -> None:
    managed = '<a class="button quiet" href="{}">' + languages()["en"]("action.manage_configuration")
    assert managed.format(f"/configuration/{CONNECTION_ID}") in text_of(await pages.get(home_page, "/", caller=MANAGER))
    pages.world.connections.connections["fabrikam"] = a_connection(connection_id="fabrikam")
    assert managed.format("/configuration") in text_of(await pages.get(home_page, "/", caller=MANAGER))


async def test_a_manager_who_may_not_see_tickets_sees_no_counts_of_them(pages: Pages) -> None:
    await _filled(pages)
    only_manager = replace(MANAGER, roles=frozenset({Role.CONNECTIONS_MANAGE}))
    html = text_of(await pages.get(home_page, "/", caller=only_manager))
    assert "/tickets" not in html
    assert languages()["en"]("home.no_role") in html


# A provider with many customers


@pytest.fixture
async def provider(pages: Pages) -> Pages:
    """Pages of a provider with more customers than the home page asks one by one, one of them excluded."""
    assert MANY > EXACT_UP_TO + 1
    pages.world.connections.connections.clear()
    for number in range(MANY):
        connection = a_connection(
            connection_id=f"c-{number:03}",
            display_name=f"Customer <{number}>",
            is_excluded=number == 0,
            consent_ends_at=START + (number * DAY if number % 2 else 99 * DAY),
        )
        figures = Figures(
            open=number,
            overdue=number % 3,
            pending=number % 4,
            failed=int(number in {0, 5}),
            awaiting_proof=number % 5,
            not_fixed=number % 6,
            regressed=number % 7,
            last_sync_at=START,
        )
        customer = customer_of(connection)
        await pages.world.connections.create_connection(connection)
        await pages.world.directory.save_entry(DirectoryEntry(f"c-{number:03}", customer=customer, figures=figures))
    score = TenantScore(Decimal(30), Decimal(60), Decimal("12.5"))
    tenant_id = "22222222-aaaa-4bbb-8ccc-000000000002"
    pages.world.tenants.tenants[tenant_id] = Tenant(tenant_id, "A tenant", "c-001", score=score)
    return pages


@pytest.mark.parametrize("code", languages())
async def test_the_home_page_of_a_provider_asks_no_customer_and_leads_to_those_behind_each_number(
    provider: Pages, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    t, requests = languages()[code], Counter[str]()
    world = provider.world

    async def noted(name: str) -> None:
        requests[name] += 1

    async def tickets_of(connection_ids: Sequence[str]) -> Sequence[CurrentTickets]:
        requests["list_current"] += len(connection_ids)
        return []

    await provider.get(home_page, "/", caller=MANAGER, language=code)  # once in a while, one page reads more
    monkeypatch.setattr(world.store, "list_current", tickets_of)
    for store in (world.store, world.connections, world.directory, world.tenants, world.recommendations):
        store._step = noted
    html = text_of(await provider.get(home_page, "/", caller=MANAGER, language=code))
    assert requests == {"list_customers": 1, "list_tenants": 1, "list_current": 0}
    customers = html[html.index('id="customers"') :]
    portfolio = await read_portfolio(world.directory, world.tenants)
    followed = {}
    for address, number in re.findall(r'<dd><a href="(/portfolio[^"]*)">([^<]*)<', customers):
        link = read_portfolio_link(read_query(URL + address))
        assert not link.not_understood
        followed[address] = number, totals_of(link.rows(portfolio, START))
    assert followed.pop("/portfolio")[0] == str(MANY - 1)
    assert followed.pop("/portfolio?sort=percent")[0] == t("percent", value="50")
    assert followed.pop("/portfolio?sort=points_to_gain")[0] == "12.5"
    number, totals = followed.pop("/portfolio?sort=open")
    assert number == str(totals.open)
    number, totals = followed.pop("/portfolio?show=consent")
    assert number == str(totals.customers)
    assert len(followed) == len(PortfolioShow) - 1
    for address, (number, totals) in followed.items():
        assert number == str(getattr(totals, address.removeprefix("/portfolio?show="))), address
    assert 'action="/refresh"' not in html


async def test_a_provider_sees_first_whom_to_look_at_and_no_excluded_customer(provider: Pages) -> None:
    html = text_of(await provider.get(home_page, "/", caller=READER))
    shown = re.findall(r'<td class="name"[^>]*><a href="/portfolio\?text=(c-[0-9]+)"', html)
    assert shown == ["c-005", "c-041", "c-047", "c-011", "c-017"], "refused first, then overdue, then not fixed"
    assert "Customer &lt;0&gt;" not in html
    assert '"/tickets?show=failed&amp;connection=c-005"' in html
    assert '"/tickets?show=not_fixed&amp;connection=c-041"' in html
    assert languages()["en"]("action.create_ticket") not in html


async def test_a_manager_of_many_who_may_not_see_tickets_sees_no_counts_of_them(provider: Pages) -> None:
    only_manager = replace(MANAGER, roles=frozenset({Role.CONNECTIONS_MANAGE}))
    html = text_of(await provider.get(home_page, "/", caller=only_manager))
    assert 'id="customers"' not in html
    assert languages()["en"]("home.no_role") in html


async def test_of_many_customers_a_hidden_one_is_neither_shown_nor_counted(provider: Pages) -> None:
    world, app, limits = provider.world, provider.application, MemoryCustomerLimits()
    limits.limits["c-005"] = limited_to("friend")
    sight = Sight(limits, world.clock)
    customers = CustomerReading(
        SeenConnectionStore(world.connections, sight),
        SeenConnectionDirectory(world.directory, sight),
        sight,
        world.clock,
    )
    tenants = SeenTenantStore(world.tenants, sight)
    app.attention = replace(app.attention, customers=customers, tenants=tenants, sight=sight)
    for name, count, refused in (("stranger", MANY - 2, 0), ("friend", MANY - 1, 1)):
        with seen_by(Access(frozenset({name}))):
            html = text_of(await provider.get(home_page, "/", caller=MANAGER))
        assert re.findall(r'<dd><a href="/portfolio(?:\?show=failed)?">(\d+)<', html) == [str(count), str(refused)]
        assert ("Customer &lt;5&gt;" in html, "c-005" in html) == (bool(refused), bool(refused))
