"""The first look at an app: signed out, nothing connected, counts."""

from __future__ import annotations

from playwright.sync_api import expect

from sandbox.demonstration import ADMINISTRATOR
from sandbox.world import FunctionsHost
from tests.browser.conftest import OpenWindow


def test_cards_show_what_stands_in_servicenow(app: FunctionsHost, open_window: OpenWindow) -> None:
    page = open_window(app).sign_in(ADMINISTRATOR)
    incidents = page.get_by_role("region", name="Incident management")
    expect(incidents.get_by_role("img")).to_have_accessible_name(
        "Tickets by phase: New 1, In progress 1, On hold 1, Resolved 2, Closed 1"
    )
    page.screenshot(path="/tmp/home.png", full_page=True)
