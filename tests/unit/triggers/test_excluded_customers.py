"""An excluded customer is left out wherever customers are counted together, and is there when somebody asks for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import azure.functions as func
import pytest

from shared.tenants.model import Tenant, TenantStatus
from shared.tickets.model import Delivery
from shared.tickets.summary import Summary
from shared.tickets.views import RetryView, SummaryView, TicketListView
from shared.triggers.attention import attention_count
from shared.triggers.attention_api import AttentionListView, list_attention
from shared.triggers.attention_pages import attention_page
from shared.triggers.front_door import Handler
from shared.triggers.home_pages import home_page
from shared.triggers.report_pages import export_report, reports_page
from shared.triggers.ticket_list_pages import export_tickets, ticket_list_page
from shared.triggers.tickets_api import count_tickets, list_tickets, retry_tickets
from shared.words.language import languages
from tests.unit.tickets.examples import CONNECTION_ID, a_connection, delivered_ticket, new_ticket
from tests.unit.triggers.page_calls import MANAGER, Pages, pages, text_of

__all__ = ["pages"]

t = languages()["en"]
OTHER = "excluded-customer"
PLANTED = "Planted at the excluded customer"


@pytest.fixture
async def excluded(pages: Pages) -> Pages:
    """Pages of two customers with the same troubles, of which one is excluded."""
    now = pages.world.clock()
    await pages.world.connections.create_connection(
        a_connection(
            connection_id=OTHER, display_name=PLANTED, is_excluded=True, instance="https://other.service-now.com"
        )
    )
    for connection_id in (CONNECTION_ID, OTHER):
        refused = new_ticket(now, connection_id=connection_id)
        refused = replace(refused, delivery=replace(refused.delivery, status=Delivery.FAILED))
        late = delivered_ticket(now, connection_id=connection_id, due_at=now - timedelta(days=2))
        for ticket in (refused, late):
            if connection_id == OTHER:
                ticket = replace(ticket, content=replace(ticket.content, name=PLANTED))
            await pages.world.store.create_ticket(ticket)
    tenant_id = "99999999-aaaa-4bbb-8ccc-000000000009"
    tenant = Tenant(tenant_id, PLANTED, OTHER, added_at=now - timedelta(days=9), status=TenantStatus.UNREADABLE)
    pages.world.tenants.tenants[tenant_id] = tenant
    return pages


@pytest.mark.parametrize(
    ("handler", "path"),
    [
        (home_page, "/"),
        (attention_page, "/attention"),
        (ticket_list_page, "/tickets"),
        (ticket_list_page, "/tickets?show=failed"),
        (export_tickets, "/tickets.csv"),
    ],
)
async def test_no_list_of_several_customers_has_it(excluded: Pages, handler: Handler, path: str) -> None:
    html = text_of(await excluded.get(handler, path, caller=MANAGER))
    assert PLANTED not in html.replace(f'<option value="{OTHER}">{PLANTED}</option>', "")


async def test_what_counts_it_says_so_and_has_it_when_it_is_chosen(excluded: Pages) -> None:
    every = text_of(await excluded.get(ticket_list_page, "/tickets", caller=MANAGER))
    assert t("tickets.excluded.one", count=1) in every
    chosen = text_of(await excluded.get(ticket_list_page, f"/tickets?connection={OTHER}", caller=MANAGER))
    assert t("tickets.excluded.one", count=1) not in chosen
    assert chosen.count(f">{PLANTED}</a>") == 2


@pytest.mark.parametrize(("query", "count"), [("", 1), (f"?connection={OTHER}", 1)])
async def test_reports_count_it_only_alone(excluded: Pages, query: str, count: int) -> None:
    html = text_of(await excluded.get(reports_page, f"/reports{query}", caller=MANAGER))
    assert t("reports.ages.says", count=count, overdue=count) in html
    ages = await excluded.get(export_report, f"/reports.csv{query or '?'}&table=ages", caller=MANAGER)
    assert sum(int(line.split(",")[1]) for line in _lines(ages)[1:]) == count


async def test_the_count_in_the_navigation_leaves_it_out(excluded: Pages) -> None:
    answer = await excluded.ask(list_attention, "GET", caller=MANAGER)
    assert isinstance(answer.body, AttentionListView)
    assert {each.name for each in answer.body.items} == {"Contoso"}
    board = excluded.application.attention
    assert await attention_count(board, MANAGER) == len(answer.body.items)
    excluded.world.clock.now += timedelta(minutes=2)
    items = await board.remembered_items()
    assert all(each.about is None or each.about.name != PLANTED for each in items)


async def test_the_api_lists_and_counts_it_only_if_asked(excluded: Pages) -> None:
    async def summaries(connection_ids: Sequence[str]) -> Sequence[Summary]:
        return [each.summary for each in await excluded.world.store.list_current(connection_ids)]

    excluded.application.summaries = summaries

    async def counted(query: Mapping[str, str]) -> tuple[int, int]:
        tickets = (await excluded.ask(list_tickets, "GET", query=query)).body
        summary = (await excluded.ask(count_tickets, "GET", query=query)).body
        assert isinstance(tickets, TicketListView)
        assert isinstance(summary, SummaryView)
        return len(tickets.tickets), sum(kind.failed for kind in summary.kinds.values())

    assert await counted({}) == (2, 1)
    assert await counted({"excluded": "false"}) == (2, 1)
    assert await counted({"excluded": "true"}) == (4, 2)
    assert await counted({"connection": OTHER}) == (2, 1)


@pytest.mark.parametrize(("wanted", "sent"), [({}, CONNECTION_ID), ({"connection_id": OTHER}, OTHER)])
async def test_failed_tickets_of_several_customers_are_sent_again_without_its_own(
    excluded: Pages, wanted: Mapping[str, str], sent: str
) -> None:
    answer = (await excluded.ask(retry_tickets, "POST", {"filter": wanted})).body
    assert isinstance(answer, RetryView)
    [ticket_id] = [each.ticket_id for each in answer.tickets]
    assert await excluded.world.store.get_ticket(sent, ticket_id) is not None


def _lines(answer: func.HttpResponse) -> list[str]:
    return answer.get_body().decode("utf-8-sig").splitlines()
