"""Links to the form and to the list: the page shows what they ask for, or says what is missing."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from sandbox import demonstration
from sandbox.demonstration import REQUESTER
from sandbox.portal import PortalUser
from sandbox.world import FunctionsHost, World
from shared.words.language import languages
from tests.browser.conftest import NewApp, OpenWindow
from tests.fixtures.whole_app import TICKET

t = languages()["en"]


@pytest.fixture(scope="module")
def app(new_app: NewApp, world: World) -> FunctionsHost:
    """An app with two working customers and one that has not consented."""
    host = new_app()
    demonstration.connect(host, world.servicenow, display_name="Contoso")
    demonstration.connect(host, world.servicenow, "fabrikam", display_name="Fabrikam")
    demonstration.connect(host, world.servicenow, "northwind", display_name="Northwind", authorize=False)
    with PortalUser(REQUESTER, host.public_url) as requester:
        for kind in ("incident", "change"):
            requester.call("POST", "/api/tickets", {**TICKET, "name": kind, "kind": kind, "connection_id": "contoso"})
    return host


def test_a_value_that_is_not_known_keeps_the_default_and_is_said(app: FunctionsHost, open_window: OpenWindow) -> None:
    link = "/tickets/new?priority=Urgent&category=account&kind=change_request&due_date=31.12.2026&title=x"
    page = open_window(app).sign_in(REQUESTER, link)
    expect(page.locator("#priority")).to_have_value("moderate")
    expect(page.locator("#category")).to_have_value("identity")
    expect(page.locator("#kind")).to_have_value("change")
    expect(page.locator("#due_date")).to_have_value("")
    said = page.get_by_role("status").get_by_role("listitem")
    expect(said).to_have_count(3)
    for text in ("Urgent", "31.12.2026", "title"):
        expect(said.filter(has_text=text)).to_be_visible()


def test_nobody_is_chosen_among_several_customers(app: FunctionsHost, open_window: OpenWindow) -> None:
    page = open_window(app).sign_in(REQUESTER, "/tickets/new?name=For+somebody")
    customers = page.get_by_label(t("ticket.connection"))
    expect(customers).to_have_value("")
    page.evaluate("document.querySelector('form.card').noValidate = true")
    page.locator("button[value='preview']").click()
    expect(customers).to_have_accessible_description(t("error.connection_ambiguous.message"))
    customers.select_option("fabrikam")
    page.locator("button[value='preview']").click()
    expect(page.get_by_role("region", name=t("new.preview"))).to_be_visible()
    expect(customers).to_have_value("fabrikam")


def test_a_link_chooses_the_customer_or_says_why_not(app: FunctionsHost, open_window: OpenWindow) -> None:
    page = open_window(app).sign_in(REQUESTER, "/tickets/new?connection=Fabrikam")
    customers = page.get_by_label(t("ticket.connection"))
    expect(customers).to_have_value("fabrikam")
    said = page.get_by_role("status").filter(has_text=t("new.link"))
    expect(said).to_have_count(0)
    for asked, reason in (("northwind", "connection_unauthorized"), ("adatum", "connection")):
        page.goto(f"{app.public_url}/tickets/new?connection={asked}")
        expect(customers).to_have_value("")
        words = t(f"link.not_understood.{reason}", field=t("ticket.connection"), value=asked)
        expect(said.get_by_role("listitem")).to_have_text(words)


def test_a_filter_that_is_not_known_lists_nothing_and_is_said(app: FunctionsHost, open_window: OpenWindow) -> None:
    page = open_window(app).sign_in(REQUESTER, "/tickets?kind=Change_Request")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("#kind")).to_have_value("change")
    page.goto(f"{app.public_url}/tickets?phase=7&delivery=failed")
    expect(page.get_by_role("alert").get_by_role("listitem")).to_have_count(2)
    expect(page.locator("tbody tr")).to_have_count(0)
    answer = page.request.get(f"{app.public_url}/tickets.csv?phase=7")
    assert answer.status == 400
    page.get_by_role("link", name=t("tickets.all")).click()
    expect(page.locator("tbody tr")).to_have_count(2)


def test_after_back_the_filters_are_those_of_the_rows(app: FunctionsHost, open_window: OpenWindow) -> None:
    page = open_window(app).sign_in(REQUESTER, "/tickets")
    page.locator("#text").fill("inc")
    page.get_by_text(t("tickets.filters")).click()
    page.locator("#kind").select_option("incident")
    page.get_by_role("button", name=t("filter.search")).click()
    page.wait_for_url("**/tickets?*kind=incident*")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.go_back()
    page.wait_for_url("**/tickets")
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page.locator("#kind")).to_have_value("")
    expect(page.locator("#text")).to_have_value("")
