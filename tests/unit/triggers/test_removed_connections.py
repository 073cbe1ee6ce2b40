"""Open tickets of a removed connection: only the whole list and the one of that connection have them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from shared.connections.model import ConnectionStatus
from shared.triggers.report_pages import reports_page
from shared.words.language import languages
from tests.unit.tickets.examples import CONNECTION_ID, a_connection, delivered_ticket
from tests.unit.triggers.page_calls import MANAGER, Pages, pages, text_of
from tests.unit.triggers.test_ticket_list_pages import count_of, ids_in, shown

__all__ = ["pages"]

t = languages()["en"]
OTHER = "removed"


@pytest.fixture
async def removed(pages: Pages) -> Pages:
    """Pages of two connections with an overdue ticket each, of which the second one is removed."""
    now = pages.world.clock()
    await pages.world.connections.create_connection(
        a_connection(
            connection_id=OTHER, status=ConnectionStatus.DISCONNECTED, instance="https://other.service-now.com"
        )
    )
    for place, connection_id in enumerate((CONNECTION_ID, OTHER), 1):
        late = delivered_ticket(
            now, connection_id=connection_id, ticket_id=f"{place:032x}", due_at=now - timedelta(days=2)
        )
        await pages.world.store.create_ticket(late)
    return pages


@pytest.mark.parametrize(
    ("query", "found", "overdue"),
    [
        ("?show=open", [1], "1"),
        ("?show=overdue", [1], "1"),
        ("", [1, 2], "1"),
        ("?kind=incident", [1, 2], "1"),
        (f"?connection={OTHER}", [2], "1"),
        (f"?show=open&connection={OTHER}", [2], "1"),
    ],
)
async def test_parts_of_the_list_leave_them_out(removed: Pages, query: str, found: Sequence[int], overdue: str) -> None:
    html = await shown(removed, query)
    assert sorted(ids_in(html)) == found
    assert count_of(html, t("filter.show.overdue")) == overdue
    assert html.count(t("ticket.dormant")) == (2 in found)
    assert f'<option value="{OTHER}"' in html
    assert (f'data-label="{t("ticket_column.customer")}"' in html) == ("show" not in query)


@pytest.mark.parametrize("query", ["", f"?connection={OTHER}"])
async def test_the_age_of_open_tickets_leaves_them_out_unless_they_are_asked_for(removed: Pages, query: str) -> None:
    html = text_of(await removed.get(reports_page, f"/reports{query}", caller=MANAGER))
    assert t("reports.ages.says", count=1, overdue=1) in html


async def test_what_was_opened_stays_counted(removed: Pages) -> None:
    html = text_of(await removed.get(reports_page, "/reports", caller=MANAGER))
    assert t("reports.weeks.says", weeks=12, opened=2, closed=0) in html
