"""Addresses of every list: a value that makes no sense is refused, and never ends in an error of ours."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from urllib.parse import urlencode

import pytest

from shared.errors import FixRequest
from shared.evidence.find import EvidenceSearch
from shared.tenants.model import Tenant
from shared.triggers.attention_pages import attention_page
from shared.triggers.connection_pages import connections_page
from shared.triggers.evidence_pages import evidence_page
from shared.triggers.front_door import Handler
from shared.triggers.portfolio_pages import export_portfolio, portfolio_page
from shared.triggers.recommendation_list_pages import export_recommendations, recommendations_page
from shared.triggers.report_pages import export_report, reports_page
from shared.triggers.routes import ROUTES
from shared.triggers.ticket_list_pages import export_tickets, ticket_list_page
from tests.memory.evidence_store import MemoryEvidenceStore
from tests.registered import functions
from tests.unit.evidence.examples import TENANT
from tests.unit.triggers.page_calls import MANAGER, Pages, pages

__all__ = ["pages"]

LISTS = (
    attention_page,
    connections_page,
    evidence_page,
    export_portfolio,
    export_recommendations,
    export_report,
    export_tickets,
    portfolio_page,
    recommendations_page,
    reports_page,
    ticket_list_page,
)
NO_LISTS = {"begin_authorization", "connections_address", "new_ticket_form", "provisioning_page"}
"""Other pages with parameters; their tests are their own."""
TEXTS = frozenset(
    {"text", "group", "assigned_to", "assignment_group", "category", "product", "regulation", "owner", "seed"}
)
"""Parameters that people's text fills: every value makes sense. Recommendations have another ``group``."""
OF_THE_PORTAL = frozenset({"tid", "viewid"})
"""Parameters of Microsoft's links, without meaning for the list."""
NONSENSE = ("maybe", "²²", "-7", "9" * 40, "2026-02-30")
"""Values that no parameter has."""
FARTHEST = ("99999", "0001-01-01T00:00:00+14:00", "9999-12-31")
"""The ends of what some parameters can have."""


def parameters(handler: Handler) -> tuple[str, list[str]]:
    """Return the path of a page, and the names of its parameters."""
    [route] = [each for each in ROUTES if each.name == handler.__name__]
    return f"/{route.path}", [name for name in route.kept if name not in OF_THE_PORTAL]


def is_text(handler: Handler, name: str) -> bool:
    return name in TEXTS and not (name == "group" and handler in {export_recommendations, recommendations_page})


ASKED = [(handler, name) for handler in LISTS for name in parameters(handler)[1]]


async def status(pages: Pages, handler: Handler, query: dict[str, str]) -> int:
    """Return the status of a page, or of the error that the front door makes a page of."""
    path, _ = parameters(handler)
    try:
        answer = await pages.get(handler, f"{path}?{urlencode(query)}", caller=MANAGER)
    except FixRequest as refused:
        return refused.status
    return int(answer.status_code)


@pytest.fixture
def tenant(pages: Pages) -> Pages:
    """Pages of a connector with one tenant, and with evidence."""
    pages.world.tenants.tenants = {TENANT: Tenant(TENANT, "Contoso")}
    days = timedelta(days=1095)
    app = pages.application
    app.evidence_search = EvidenceSearch(MemoryEvidenceStore(), days, asyncio.Semaphore(1), app.clock)
    app.settings.evidence_retention_days = days.days
    return pages


def test_every_list_is_here() -> None:
    assert functions()
    filtered = {
        each.name for each in ROUTES if each.html and each.kept and each.method == "GET" and "{" not in each.path
    }
    assert filtered - {each.__name__ for each in LISTS} == NO_LISTS


@pytest.mark.parametrize(("handler", "name"), ASKED, ids=lambda each: getattr(each, "__name__", each))
async def test_a_value_that_makes_no_sense_is_refused(tenant: Pages, handler: Handler, name: str) -> None:
    usual = {"table": "weeks"} if handler is export_report and name != "table" else {}
    for value in NONSENSE:
        found = await status(tenant, handler, {**usual, name: value})
        assert found in ({200} if is_text(handler, name) else {400, 404}), value
    for value in FARTHEST:
        assert await status(tenant, handler, {**usual, name: value}) in {200, 400, 404}, value


@pytest.mark.parametrize("handler", LISTS, ids=lambda each: each.__name__)
async def test_a_parameter_that_is_not_known_is_refused(tenant: Pages, handler: Handler) -> None:
    if handler not in {evidence_page, attention_page}:
        assert await status(tenant, handler, {"colour": "red"}) == 400
