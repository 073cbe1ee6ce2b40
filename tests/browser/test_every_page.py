"""What holds on every page: nothing for axe-core to find, no sideways scrolling, the keyboard alone is enough."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from sandbox.demonstration import ADMINISTRATOR
from sandbox.world import FunctionsHost
from shared.web.language import languages
from tests.browser.conftest import NewApp, OpenWindow
from tests.browser.places import PLACES
from tests.browser.window import Theme

AXE = Path(__file__).parent.parent.parent / ".sandbox" / "node_modules" / "axe-core" / "axe.min.js"
RULES = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
COLOURS = {"type": "rule", "values": ["color-contrast"]}
LOCALES = {"en": "en-US", "ja": "ja-JP"}
NARROW = 360


@pytest.fixture(scope="module")
def empty_app(new_app: NewApp) -> FunctionsHost:
    """An app that nobody has connected."""
    return new_app()


def judged(page: Page, only: Mapping[str, object]) -> list[str]:
    """Return what axe-core finds."""
    run = f"axe.run(document, {{runOnly: {json.dumps(only)}, resultTypes: ['violations']}})"
    result: dict[str, Any] = page.evaluate(run)
    return [f"{each['id']}: {[node['html'] for node in each['nodes']]}" for each in result["violations"]]


def language_page(page: Page) -> str:
    """Return where a change of language on this page leads to, without making it."""
    [address] = page.locator("a[hreflang]").evaluate_all("links => links.map((link) => link.href)")
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}{parse_qs(parts.query)['return_to'][0]}"


@pytest.mark.parametrize("language", LOCALES)
def test_axe_finds_nothing_and_nothing_scrolls_sideways(
    app: FunctionsHost, empty_app: FunctionsHost, open_window: OpenWindow, language: str
) -> None:
    axe = AXE.read_text(encoding="utf-8")
    windows = {host: open_window(host, language=LOCALES[language]) for host in (app, empty_app)}
    pages = {host: window.sign_in(ADMINISTRATOR) for host, window in windows.items()}
    found: dict[str, list[str]] = {}
    for place in PLACES:
        page = pages[empty_app if place.empty else app]
        place.visit(page, app, empty_app)
        expect(page.locator("html")).to_have_attribute("lang", language)
        page.evaluate(axe)
        faults = judged(page, RULES)
        if not page.request.get(language_page(page)).ok and place.name != "error":
            faults.append("a change of language leads nowhere")
        page.emulate_media(color_scheme="dark")
        faults += judged(page, COLOURS)
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": NARROW, "height": 740})
        if (width := page.evaluate("document.documentElement.scrollWidth")) > NARROW:
            faults.append(f"{width} px wide on a screen of {NARROW}")
        page.set_viewport_size({"width": 1280, "height": 900})
        if faults:
            found[place.name] = faults
    assert found == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_theme_follows_the_person(app: FunctionsHost, open_window: OpenWindow, theme: Theme) -> None:
    page = open_window(app, theme=theme).sign_in(ADMINISTRATOR)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, background.removeprefix("rgb(").removesuffix(")").split(",")))
    assert (brightness > 382) == (theme == "light"), background


def test_language_follows_the_browser_until_the_person_chooses(app: FunctionsHost, open_window: OpenWindow) -> None:
    ja, en = languages()["ja"], languages()["en"]
    page = open_window(app, language="ja-JP").sign_in(ADMINISTRATOR, "/tickets?kind=incident")
    expect(page.get_by_role("heading", level=1)).to_have_text(ja("nav.tickets"))
    page.get_by_role("link", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(en("nav.tickets"))
    expect(page.locator("#kind")).to_have_value("incident")
    page.goto(app.public_url)
    expect(page.get_by_role("heading", name=en("home.card.incident"))).to_be_visible()
    page.get_by_role("link", name="日本語").click()
    expect(page.get_by_role("heading", name=ja("home.card.incident"))).to_be_visible()


def test_times_are_local(app: FunctionsHost, open_window: OpenWindow) -> None:
    page = open_window(app).sign_in(ADMINISTRATOR, "/tickets")
    page.get_by_role("link", name="Block legacy").click()
    time = page.locator("ol.timeline time").first
    expect(time).to_have_attribute("title", re.compile(r" UTC$"))
    expect(time).to_have_text(re.compile(r"\S"))
    expect(time).not_to_contain_text("UTC")


def test_keyboard_alone_makes_a_ticket(app: FunctionsHost, open_window: OpenWindow) -> None:
    en = languages()["en"]
    page = open_window(app).sign_in(ADMINISTRATOR, "/tickets/new")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name=en("app.skip"))).to_be_focused()
    expect(page.get_by_role("link", name=en("app.skip"))).to_be_in_viewport()
    page.keyboard.press("Enter")
    visited: list[str] = []
    for _ in range(30):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            """() => {
              const { id, value } = document.activeElement;
              const style = getComputedStyle(document.activeElement);
              return [id || value, style.outlineStyle, style.outlineWidth];
            }"""
        )
        assert focused[1:] == ["solid", "3px"], f"the focus cannot be seen on {focused[0]}"
        if not visited or visited[-1] != focused[0]:
            visited.append(focused[0])
        if focused[0] == "name":
            page.keyboard.type("Made by keyboard")
        if focused[0] == "preview":
            break
    # A date field has three places to stop at.
    assert visited == [
        "kind", "portal", "name", "description", "priority", "due_date", "source", "category", "link", "preview"
    ]  # fmt: skip
    page.keyboard.press("Enter")
    send = page.get_by_role("button", name=en("new.send"))
    expect(send).to_be_visible()
    for _ in range(40):
        page.keyboard.press("Tab")
        if send.evaluate("each => each === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Made by keyboard")
