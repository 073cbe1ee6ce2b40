"""Whatever somebody writes into a field, here or in ServiceNow, is text: no script runs, no formula is one."""

from __future__ import annotations

import csv
import io
import re
from urllib.parse import urlencode

from playwright.sync_api import Page, expect

from sandbox import demonstration
from sandbox.demonstration import ADMINISTRATOR
from sandbox.servicenow.control_client import ControlClient
from sandbox.world import FunctionsHost, World
from shared.web.language import languages
from tests.browser.conftest import NewApp, OpenWindow

t = languages()["en"]
SCRIPT = "\"'><img src=x onerror=alert(1)><script>alert(2)</script></title></textarea>{{7*7}}${7*7}"
FORMULA = '=HYPERLINK("https://elsewhere.example")'
LINK = "https://elsewhere.example/<script>alert(3)</script>?q=\"'><img/src=x/onerror=alert(4)>"
STATE = "77"


def expect_no_markup(page: Page) -> None:
    """Nothing of what was planted has become an element."""
    expect(page.locator("main img, main script")).to_have_count(0)
    expect(page.locator("body script, [onerror], [onclick]")).to_have_count(0)


def test_planted_scripts_and_formulas_stay_text(
    new_app: NewApp, world: World, control: ControlClient, open_window: OpenWindow
) -> None:
    host = new_app()
    demonstration.connect(
        host,
        world.servicenow,
        display_name=SCRIPT[:100],
        kinds={"change": {"state_names": {"-5": SCRIPT[:40]}}},
    )
    page = open_window(host).sign_in(ADMINISTRATOR)
    name = FORMULA + SCRIPT
    handed_over = {"name": name, "description": SCRIPT, "link": LINK, "recommendation_id": SCRIPT, "due_date": SCRIPT}
    page.goto(f"{host.public_url}/tickets/new?{urlencode(handed_over)}")
    expect(page.locator("#name")).to_have_value(name)
    expect(page.locator("#description")).to_have_value(SCRIPT)
    expect_no_markup(page)
    page.get_by_role("button", name=t("new.show_preview")).click()
    sent = page.get_by_role("region", name=t("new.preview"))
    expect(sent).to_contain_text(f"Link: {LINK}")
    expect_no_markup(page)
    page.get_by_role("button", name=t("new.send")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    expect(page.get_by_role("link", name="elsewhere.example")).to_have_attribute("href", LINK)
    address = page.url

    ticket_id = re.fullmatch(r".*/tickets/([0-9a-f]{32})\?.*", address)
    assert ticket_id is not None
    control.add_choice("incident", "state", STATE, SCRIPT[:60])
    agent = control.create_user("planted.agent", first_name=SCRIPT[:40], last_name="<b>bold</b>")
    control.change_record("incident", ticket_id[1], {"state": STATE, "assigned_to": agent["sys_id"]})
    page.goto(f"{host.public_url}/configuration/contoso")
    expect_no_markup(page)
    page.get_by_role("button", name=t("action.sync")).click()
    expect(page.get_by_role("status")).to_contain_text(t("configuration.synchronised"))

    page.goto(address)
    expect(page.locator("h1 + p")).to_have_text(SCRIPT[:60])
    expect(page.get_by_role("region", name=t("ticket.facts"))).to_contain_text("<b>bold</b>")
    expect_no_markup(page)
    for path in ("/", "/tickets", f"/tickets?{urlencode({'text': SCRIPT[:20]})}", "/ticketProvisioning"):
        page.goto(host.public_url + path)
        expect_no_markup(page)

    export = page.request.get(f"{host.public_url}/tickets.csv")
    assert export.headers["content-type"] == "text/csv; charset=utf-8"
    [row] = csv.DictReader(io.StringIO(export.body().decode("utf-8-sig")))
    assert row["name"] == f"'{name}"
    assert not [cell for cell in row.values() if cell.startswith(("=", "+", "-", "@"))]


def test_link_that_is_a_script_is_refused(app: FunctionsHost, open_window: OpenWindow) -> None:
    query = urlencode({"name": "x", "link": "javascript:alert(1)"})
    page = open_window(app, scripts=False).sign_in(ADMINISTRATOR, f"/tickets/new?{query}")
    page.locator("button[value='preview']").click()
    expect(page.locator("#link-fault")).to_have_text(t("fault.link"))
    expect(page.locator("a[href^='javascript']")).to_have_count(0)
