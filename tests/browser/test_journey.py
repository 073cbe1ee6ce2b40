"""The whole story in a browser: from "Do you use ServiceNow?" to a ticket that is closed there."""

from __future__ import annotations

from urllib.parse import urlencode

from playwright.sync_api import expect

from sandbox.demonstration import ADMINISTRATOR, INTEGRATION_USER
from sandbox.servicenow.stage.control.client import ControlClient
from sandbox.world import World
from shared.words.language import languages
from tests.browser.conftest import NewApp, OpenWindow
from tests.browser.servicenow import decide, log_in, resolve_and_close

t = languages()["en"]
AUTHORIZED = t("connection.done.authorized", user=INTEGRATION_USER.user_name)
SHARED = {
    "name": "Require multifactor authentication for administrators",
    "description": "Three administrators can still sign in with a password alone.",
    "category": "identity",
    "priority": "high",
    "due_date": "2030-06-30",
    "link": "https://security.microsoft.com/securescore?viewid=actions",
    "recommendation_id": "AdminMFAV2",
}
"""The data that a portal's Share button sends."""


def test_from_nothing_to_a_closed_ticket(
    new_app: NewApp, world: World, control: ControlClient, open_window: OpenWindow
) -> None:
    host = new_app()
    window = open_window(host, time_zone="Asia/Tokyo")
    page = window.sign_in(ADMINISTRATOR)

    expect(page.get_by_role("heading", name=t("home.connect.title"))).to_be_visible()
    page.get_by_role("link", name=t("home.connect.action")).click()
    page.locator("#grant-authorization_code").check()
    expect(page.locator("#language")).to_have_value("en")
    expect(page.locator("#time_zone")).to_have_value("Asia/Tokyo")
    client = control.create_oauth_client("Microsoft 365 tickets", page.locator("#redirect-uri").inner_text())
    entered = {
        "instance": world.servicenow.url,
        "client_id": client["client_id"],
        "client_secret": client["client_secret"],
        "integration_user": INTEGRATION_USER.user_name,
        "display_name": "Contoso",
    }
    for field, value in entered.items():
        page.locator(f"#{field}").fill(value)
    page.get_by_role("button", name=t("action.save")).click()
    expect(page.get_by_role("status")).to_contain_text(t("provisioning.saved"))
    assert client["client_secret"] not in page.content()

    page.get_by_role("link", name=t("action.authorize"), exact=True).click()
    log_in(page, INTEGRATION_USER.user_name)
    decide(page, "authorize")
    expect(page.get_by_role("status").first).to_contain_text(
        t("connection.done.authorized", user=INTEGRATION_USER.user_name)
    )
    page.get_by_role("link", name=t("nav.home"), exact=True).click()
    expect(page.get_by_role("heading", name=t("home.card.incident"))).to_be_visible()
    expect(page.get_by_role("heading", name=t("home.card.change"))).to_be_visible()

    page.goto(f"{host.public_url}/tickets/new?{urlencode(SHARED)}")
    for field in ("name", "description", "category", "priority", "due_date", "link"):
        expect(page.locator(f"#{field}")).to_have_value(SHARED[field])
    page.get_by_role("button", name=t("new.show_preview")).click()
    sent = page.get_by_role("region", name=t("new.preview"))
    expect(sent).to_contain_text("Requested by: Megan Bowen <megan.bowen@contoso.example>")
    expect(sent).to_contain_text("Recommendation: AdminMFAV2")
    previewed = dict(zip(sent.locator("dt").all_inner_texts(), sent.locator("dd").all_inner_texts(), strict=True))
    page.get_by_role("button", name=t("new.send")).click()

    expect(page.get_by_role("status")).to_have_text(t("ticket.done.created.delivered"))
    ticket_address = page.url
    number = page.get_by_text("INC").first.inner_text().rpartition(" ")[2]
    [record] = control.records("incident", f"number={number}")
    assert {name: record[name] for name in previewed} == previewed
    expect(page.get_by_role("link", name=t("ticket.open_in_servicenow"))).to_have_attribute(
        "href", f"{world.servicenow.url}/nav_to.do?uri=incident.do%3Fsys_id%3D{record['sys_id']}"
    )

    agent = open_window(host).tab()
    resolve_and_close(agent, world.servicenow.url, number)

    page.goto(host.public_url)
    page.get_by_role("link", name=t("action.manage_configuration")).first.click()
    page.get_by_role("button", name=t("action.sync")).click()
    expect(page.get_by_role("status")).to_contain_text(t("connection.done.synchronised"))
    page.goto(ticket_address)
    expect(page.locator("[aria-current='step']")).to_have_text("Closed")
    expect(page.locator("ol.timeline > li").first).to_contain_text(
        t("event.state_changed", before="New", after="Closed")
    )
