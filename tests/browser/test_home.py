"""The home page: its cards show what is in ServiceNow."""

from __future__ import annotations

import re

from playwright.sync_api import Route, expect

from sandbox.demonstration import ADMINISTRATOR
from sandbox.portal import PortalUser
from sandbox.world import FunctionsHost
from shared.web.charts import PHASES
from shared.words.language import languages
from tests.browser.conftest import OpenWindow

t = languages()["en"]


def test_cards_show_what_is_in_servicenow(app: FunctionsHost, open_window: OpenWindow) -> None:
    with PortalUser(ADMINISTRATOR, app.public_url) as administrator:
        counts = administrator.call("GET", "/api/tickets/summary")["kinds"]
    page = open_window(app).sign_in(ADMINISTRATOR)
    for kind, shown in counts.items():
        card = page.get_by_role("region", name=t(f"home.card.{kind}"))
        for name in ("open", "overdue", "pending", "failed"):
            number = card.locator("dl.numbers > div", has=page.get_by_text(t(f"count.{name}"), exact=True))
            expect(number.locator("dd")).to_contain_text(str(shown[name]))
        picture = card.locator("figure.chart svg title").all_text_contents()
        assert picture == [
            f"{t(f'phase.{phase}')}: {shown['phases'][phase]}" for phase in PHASES if shown["phases"][phase]
        ]


def test_what_needs_attention_leads_to_the_refused_tickets_and_the_filter_shows_it(
    app: FunctionsHost, open_window: OpenWindow
) -> None:
    page = open_window(app).sign_in(ADMINISTRATOR)
    wanted = page.locator(".attention li", has_text=re.compile(r"ServiceNow refused \d+ tickets?\."))
    wanted.get_by_role("link").first.click()
    expect(page).to_have_url(re.compile(r"/tickets\?show=failed&connection="))
    badges = page.locator("tbody tr .badge.bad", has_text=t("delivery.failed"))
    expect(badges).to_have_count(page.locator("tbody tr").count())
    expect(badges.first).to_be_visible()


def test_an_open_page_refreshes_itself_but_takes_nothing_from_whoever_uses_it(
    app: FunctionsHost, open_window: OpenWindow
) -> None:
    page = open_window(app).sign_in(ADMINISTRATOR)
    page.clock.install()
    heading, stopped = page.locator("h1"), page.locator("[data-refresh-stopped]")
    asked: list[str] = []

    def newer(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(body=re.sub(r"<h1>[^<]*", "<h1>Newer", route.fetch().text()), status=200)

    def passes() -> None:
        page.clock.fast_forward(61_000)

    page.reload()
    page.locator("details > summary").first.click()
    place = page.evaluate("scrollY")
    page.route(lambda address: address == page.url, newer)
    passes()
    expect(heading).to_have_text("Newer")
    expect(page.locator("details").first).to_have_attribute("open", "")
    assert page.evaluate("scrollY") == place

    page.unroute_all()
    page.goto(app.public_url + "/tickets")
    title, search = heading.inner_text(), page.get_by_role("searchbox")
    page.route(lambda address: address == page.url, newer)
    asked.clear()
    search.fill("Block")
    passes()
    search.blur()
    passes()
    assert asked == [], "somebody is typing, and has not sent it yet"
    expect(heading).to_have_text(title)
    search.fill("")
    search.blur()
    passes()
    expect(heading).to_have_text("Newer")

    page.unroute_all()
    page.context.clear_cookies()
    passes()
    expect(stopped).to_be_visible()
    expect(heading).to_have_text("Newer")
