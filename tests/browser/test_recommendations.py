"""Recommendations: found in the list, looked at, linked to a ticket, and back."""

from __future__ import annotations

import re
from urllib.parse import quote

from playwright.sync_api import expect

from sandbox.demonstration import ADMINISTRATOR
from sandbox.managed_identity.tokens import TENANT_ID
from sandbox.portal import PortalUser
from sandbox.world import FunctionsHost
from shared.words.language import languages
from tests.browser.conftest import PLANTED, OpenWindow
from tests.browser.planted import SCRIPT, expect_nothing_but_text
from tests.fixtures.whole_app import TICKET

t = languages()["en"]
LIST = f"/recommendations?tenant_id={TENANT_ID}"
CONTROL = "BlockLegacyAuthentication"


def test_from_the_list_to_one_and_back(reading_app: FunctionsHost, open_window: OpenWindow) -> None:
    with PortalUser(ADMINISTRATOR, reading_app.public_url) as person:
        ticket = person.call("POST", "/api/tickets", {**TICKET, "connection_id": "contoso"})
    number = ticket["servicenow"]["number"]
    page = open_window(reading_app).sign_in(ADMINISTRATOR, LIST)
    page.get_by_text(t("tickets.filters")).click()
    page.locator("#category").focus()
    page.keyboard.type("Identity")
    page.keyboard.press("Enter")
    page.wait_for_url("**/recommendations?*category=Identity*")
    expect(page.get_by_role("list", name=t("tickets.used_filters"))).to_contain_text("Identity")
    page.get_by_role("columnheader", name=t("recommendations.action")).get_by_role("link").click()
    expect(page.locator("th[aria-sort='ascending']")).to_have_text(t("recommendations.action"))
    expect(page.locator("#category")).to_have_value("Identity")
    listed = page.url

    page.get_by_role("link", name=re.compile("legacy authentication", re.IGNORECASE)).click()
    expect(page.locator("code")).to_have_text(CONTROL)
    expect(page.get_by_role("img", name=t("recommendation.over_time"))).to_be_visible()
    page.get_by_text(t("recommendation.link"), exact=True).click()
    page.get_by_label(t("ticket.number")).fill(number)
    page.get_by_role("button", name=t("recommendation.link.action"), exact=True).click()
    expect(page.get_by_role("status")).to_have_text(t("recommendation.notice.linked"))
    linked = page.get_by_role("region", name=t("recommendation.tickets"))
    expect(linked.get_by_role("link", name=number)).to_be_visible()

    page.goto(listed)
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=re.compile("legacy auth", re.IGNORECASE)))
    row.get_by_role("link", name=number).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(TICKET["name"])


def test_a_link_pasted_into_the_search_field_leads_to_one(reading_app: FunctionsHost, open_window: OpenWindow) -> None:
    page = open_window(reading_app, scripts=False).sign_in(ADMINISTRATOR, LIST)
    link = f"https://security.microsoft.com/securescore?viewid=actions&actionId={CONTROL}"
    page.get_by_role("searchbox").fill(link)
    page.keyboard.press("Enter")
    expect(page.locator("code")).to_have_text(CONTROL)


def test_texts_of_a_source_stay_text(reading_app: FunctionsHost, open_window: OpenWindow) -> None:
    page = open_window(reading_app).sign_in(ADMINISTRATOR, f"{LIST}&hidden=true")
    expect_nothing_but_text(page)
    page.goto(f"{reading_app.public_url}/recommendations?actionId={quote(PLANTED)}")
    expect(page.get_by_role("heading", level=1)).to_have_text(SCRIPT)
    expect(page.locator(".html-text").first).to_contain_text("אבג")
    expect_nothing_but_text(page)
