"""The page of reports and its files."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from html import unescape

import pytest

from shared.connections.model import TicketKind
from shared.errors import FixRequest
from shared.recommendations.model import Snapshot
from shared.tenants.model import Tenant
from shared.triggers.report_pages import export_report, reports_page
from shared.triggers.ticket_list_pages import ticket_list_page
from shared.words.language import languages
from tests.unit.recommendations.strategies import TENANT
from tests.unit.tickets.examples import delivered_ticket
from tests.unit.tickets.test_counted import in_state, verified
from tests.unit.triggers.page_calls import READER, Pages, pages, text_of

__all__ = ["pages"]


@pytest.fixture
async def reported(pages: Pages) -> Pages:
    """Pages of a connection with an overdue incident, a verified one, and a change."""
    store, now = pages.world.store, pages.world.clock()
    await store.create_ticket(delivered_ticket(now - timedelta(days=40), due_at=now - timedelta(days=3)))
    done = await store.create_ticket(delivered_ticket(now - timedelta(days=15)))
    await store.update_ticket(done, verified(in_state(done, "7", now - timedelta(days=2)), now - timedelta(days=1)))
    await store.create_ticket(delivered_ticket(now, kind=TicketKind.CHANGE))
    return pages


async def read(pages: Pages, path: str, *, status: int = 200, language: str = "en") -> str:
    answer = await pages.get(reports_page, path, caller=READER, language=language)
    assert answer.status_code == status
    return text_of(answer)


@pytest.mark.parametrize("code", languages())
async def test_each_chart_says_its_message_and_leads_to_its_rows(reported: Pages, code: str) -> None:
    t = languages()[code]
    html = await read(reported, "/reports", language=code)
    assert t("reports.weeks.says", weeks=12, opened=3, closed=1) in html
    assert t("reports.ages.says", count=2, overdue=1) in html
    assert t("reports.proofs.says", count=1, median=t("reports.days.one", days=14)) in html
    assert 'href="/tickets?show=overdue"' in html


async def test_every_count_leads_to_as_many_tickets(reported: Pages) -> None:
    html = unescape(await read(reported, "/reports?kind=incident"))
    link = r'<a href="(/tickets\?[^"]*)"'
    linked = dict(re.findall(link + r">(?:[^<]*</a> <strong>)?(\d+)<", html))
    drawn = dict(re.findall(link + r' tabindex="-1">\s*<rect [^>]*><title>[^<]*?(\d+)</title>', html))
    assert len(linked) > len(drawn) > 4
    assert drawn.keys() <= linked.keys()
    for address, count in (linked | drawn).items():
        found = text_of(await reported.get(ticket_list_page, address, caller=READER))
        assert found.count('<td class="name"') == int(count) > 0, address


async def test_filters_count_and_lead_to_less(reported: Pages) -> None:
    html = await read(reported, "/reports?kind=change_request&weeks=26&connection=contoso")
    t = languages()["en"]
    assert t("reports.weeks.says", weeks=26, opened=1, closed=0) in html
    assert t("reports.proofs.none") in html
    assert 'href="/tickets?show=not_overdue&amp;kind=change&amp;connection=contoso"' in html


async def test_without_tickets_the_page_says_what_to_do(pages: Pages) -> None:
    html = await read(pages, "/reports")
    assert languages()["en"]("reports.empty") in html
    assert "<svg" not in html.replace('<svg class="picture"', "")


@pytest.mark.parametrize("query", ["weeks=13", "kind=task", "connection=nobody", "tenant_id=x", "week=12"])
async def test_what_is_not_understood_is_said_and_counts_nothing(reported: Pages, query: str) -> None:
    html = await read(reported, f"/reports?{query}", status=400)
    assert "<svg" not in html
    with pytest.raises(FixRequest):
        await reported.get(export_report, f"/reports.csv?table=weeks&{query}", caller=READER)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("weeks", "week_from,opened,closed"),
        ("ages", "age_days,open,overdue"),
        ("proofs", "days,verified"),
        ("points", "day,percent"),
    ],
)
async def test_each_table_is_a_file(reported: Pages, table: str, expected: str) -> None:
    answer = await reported.get(export_report, f"/reports.csv?table={table}", caller=READER)
    assert answer.headers["Content-Disposition"] == f'attachment; filename="report-{table}.csv"'
    assert answer.get_body().decode("utf-8-sig").splitlines()[0] == expected


async def test_there_is_no_other_table(reported: Pages) -> None:
    with pytest.raises(FixRequest):
        await reported.get(export_report, "/reports.csv?table=tickets", caller=READER)


async def test_points_are_those_of_the_chosen_tenant(reported: Pages) -> None:
    world, today = reported.world, reported.world.clock().date()
    other = Tenant("99999999-aaaa-4bbb-8ccc-000000000001", "Fabrikam")
    await world.tenants.save_tenant(other)
    for tenant_id, score in ((TENANT, 10), (other.tenant_id, 11)):
        world.recommendations.snapshots[tenant_id][today] = Snapshot("s", today, Decimal(score), Decimal(20))
    unmeasured = Tenant("99999999-aaaa-4bbb-8ccc-000000000002", "Unmeasured")
    await world.tenants.save_tenant(unmeasured)
    html = await read(reported, f"/reports?tenant_id={unmeasured.tenant_id}&kind=change")
    assert languages()["en"]("reports.points.none") in html
    tickets, points = re.findall(r'<form class="filters".*?</form>', html, re.DOTALL)
    assert '<select id="tenant_id"' not in tickets
    assert '<select id="tenant_id"' in points
    assert f'<input type="hidden" name="tenant_id" value="{unmeasured.tenant_id}">' in tickets
    assert '<input type="hidden" name="kind" value="change">' in points
    assert "50%" in await read(reported, f"/reports?tenant_id={TENANT}")
    assert "55%" in await read(reported, f"/reports?tenant_id={other.tenant_id}")
