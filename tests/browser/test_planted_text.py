"""Text in a field, here or in ServiceNow, stays text: it never runs, hides, or reverses the words around it."""

from __future__ import annotations

import csv
import io
import re
from urllib.parse import urlencode

from playwright.sync_api import expect

from sandbox import demonstration
from sandbox.demonstration import ADMINISTRATOR
from sandbox.servicenow.stage.control.client import ControlClient
from sandbox.world import FunctionsHost, World
from shared.words.language import languages
from tests.browser.conftest import NewApp, OpenWindow
from tests.browser.planted import SCRIPT, expect_nothing_but_text

t = languages()["en"]
OVERRIDE = "\u202e"
OVERRIDE_SHOWN = "⟦U+202E⟧"
FORMULA = '=HYPERLINK("https://elsewhere.example")'
LINK = "https://elsewhere.example/<script>alert(3)</script>?q=\"'><img/src=x/onerror=alert(4)>"
STATE = "77"


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
    name, description = FORMULA + OVERRIDE + SCRIPT, OVERRIDE + SCRIPT
    handed_over = {
        "name": name,
        "description": description,
        "link": LINK,
        "recommendation_id": SCRIPT,
        "due_date": SCRIPT,
    }
    page.goto(f"{host.public_url}/tickets/new?{urlencode(handed_over)}")
    expect(page.locator("#name")).to_have_value(name)
    expect(page.locator("#description")).to_have_value(description)
    expect_nothing_but_text(page)
    page.get_by_role("button", name=t("new.show_preview")).click()
    sent = page.get_by_role("region", name=t("new.preview"))
    expect(sent).to_contain_text(f"Link: {LINK}")
    expect_nothing_but_text(page)
    page.get_by_role("button", name=t("new.send")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name.replace(OVERRIDE, OVERRIDE_SHOWN))
    page.get_by_text(t("ticket.more"), exact=True).click()
    expect(page.get_by_role("link", name="elsewhere.example")).to_have_attribute("href", LINK)
    address = page.url

    ticket_id = re.fullmatch(r".*/tickets/([0-9a-f]{32})\?.*", address)
    assert ticket_id is not None
    control.add_choice("incident", "state", STATE, SCRIPT[:60])
    agent = control.create_user("planted.agent", first_name=SCRIPT[:40], last_name="<b>bold</b>")
    control.change_record(
        "incident", ticket_id[1], {"state": STATE, "assigned_to": agent["sys_id"], "comments": SCRIPT}
    )
    page.goto(f"{host.public_url}/configuration/contoso")
    expect_nothing_but_text(page)
    page.get_by_role("button", name=t("action.sync")).click()
    expect(page.get_by_role("status")).to_contain_text(t("connection.done.synchronised"))

    page.goto(address)
    expect(page.locator("[aria-current='step']")).to_have_text(SCRIPT[:60])
    expect(page.get_by_role("region", name=t("ticket.facts"))).to_contain_text("<b>bold</b>")
    expect(page.get_by_role("region", name=t("ticket.record"), exact=True)).to_contain_text(SCRIPT)
    expect_nothing_but_text(page)
    for path in (
        "/",
        "/tickets",
        f"/tickets?{urlencode({'text': SCRIPT[:20]})}",
        "/ticketProvisioning?connection_id=contoso",
        "/configuration",
        "/configuration/contoso/settings",
        "/configuration/contoso/remove",
    ):
        page.goto(host.public_url + path)
        expect_nothing_but_text(page)

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
