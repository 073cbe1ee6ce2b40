"""Rules for every page: axe-core finds nothing, paper and forced colours lose nothing, no page scrolls sideways,
and the keyboard alone is enough.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from sandbox.demonstration import ADMINISTRATOR
from sandbox.world import FunctionsHost
from shared.words.language import languages
from tests.browser.conftest import NewApp, OpenWindow
from tests.browser.places import PLACES, Place
from tests.browser.window import Theme

AXE = Path(__file__).parent.parent.parent / ".sandbox" / "node_modules" / "axe-core" / "axe.min.js"
RULES = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
COLOURS = {"type": "rule", "values": ["color-contrast"]}
FORCED = """(() => {
  // `before` finds what is drawn without text, and borders that nobody is meant to see; `after` looks at them again.
  const none = "rgba(0, 0, 0, 0)";
  const sides = ["Top", "Right", "Bottom", "Left"];
  const bordered = (style, side) => style[`border${side}Style`] !== "none" && style[`border${side}Width`] !== "0px";
  const drawn = [];
  const clear = [];
  const fill = (each, style) => each instanceof SVGElement ? style.fill : style.backgroundColor;
  return {
    before() {
      for (const each of document.body.querySelectorAll("*")) for (const part of [null, "::before", "::after"]) {
        const style = getComputedStyle(each, part);
        const wordless = part ? style.content === '""' : !each.hasChildNodes() && !each.matches("input, option, img");
        if (wordless && fill(each, style) !== none) drawn.push([each, part]);
        for (const side of sides)
          if (bordered(style, side) && style[`border${side}Color`] === none) clear.push([each, part, side]);
      }
    },
    after() {
      const canvas = getComputedStyle(document.body).backgroundColor;
      const look = ([each, part]) => getComputedStyle(each, part);
      const named = ([each, part]) => `${each.tagName} ${each.getAttribute("class")} ${part ?? ""}`;
      const vanished = drawn.filter((one) => [none, canvas].includes(fill(one[0], look(one)))
        && !sides.some((side) => bordered(look(one), side) && look(one)[`border${side}Color`] !== canvas));
      const appeared = clear.filter((one) => ![none, canvas].includes(look(one)[`border${one[2]}Color`]));
      return [...vanished.map((one) => `vanishes: ${named(one)}`), ...appeared.map((one) => `appears: ${named(one)}`)];
    },
  };
})()"""
FAINT_ON_PAPER = """() => {
  const seen = (each) => each.checkVisibility();
  const cells = (row) => row ? [...row.cells].filter(seen).length : 0;
  const widest = (part) => Math.max(0, ...[...part?.rows ?? []].map(cells));
  const tools = [...document.querySelectorAll("nav, button, .button, .skip, header, footer")].filter(seen);
  const shifted = [...document.querySelectorAll("table")].filter((table) => seen(table) && table.tHead
    && widest(table.tHead) !== widest(table.tBodies[0]));
  return [...tools.map((each) => `on paper: ${each.outerHTML}`),
    ...shifted.map((each) => `shifted: ${each.caption?.innerText}`)];
}"""
FOCUS = """() => {
  const focused = document.activeElement;
  const { id, value, localName } = focused;
  const style = getComputedStyle(focused);
  const [box] = focused.getClientRects();
  const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  const isOnTop = !!top && (focused.contains(top) || top.contains(focused));
  return [id || value || localName, style.outlineStyle, style.outlineWidth, isOnTop];
}"""
PHONE = 360
MOST_STOPS = 60
"""Presses of Tab after which nobody goes on."""
LOCALES = {"en": "en-US", "ja": "ja-JP"}
WITH_COLOURS = "en"
"""One language is enough: colours come from the markup and the style sheet, which are the same in every language."""
WIDTH = "document.documentElement.scrollWidth"
NARROW = 320
"""CSS pixels of a screen of 1280 at 400 % zoom."""
PAPER = 720
"""CSS pixels between the margins of a sheet of A4."""
ON_PAPER = """() => [...document.querySelectorAll("nav, button, .button, .skip, header, footer")]
  .filter((each) => each.checkVisibility()).map((each) => `on paper: ${each.outerHTML}`)"""


@pytest.fixture(scope="module")
def empty_app(new_app: NewApp) -> FunctionsHost:
    """An app that nobody has connected."""
    return new_app()


def judged(page: Page, only: Mapping[str, object], *, with_colours: bool = True) -> list[str]:
    """Return the findings of axe-core."""
    rules = {} if with_colours else {name: {"enabled": False} for name in COLOURS["values"]}
    options = json.dumps({"runOnly": only, "rules": rules, "resultTypes": ["violations"]})
    result: dict[str, Any] = page.evaluate(f"axe.run(document, {options})")
    return [f"{each['id']}: {[node['html'] for node in each['nodes']]}" for each in result["violations"]]


def language_page(page: Page) -> str:
    """Return the addresses of this page's language links, without following them."""
    [address] = page.locator("a[hreflang]").evaluate_all("links => links.map((link) => link.href)")
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}{parse_qs(parts.query)['return_to'][0]}"


def faulty_colours(page: Page) -> list[str]:
    """Return the elements that are invisible in the dark, on paper or in forced colours."""
    page.emulate_media(color_scheme="dark")
    faults = judged(page, COLOURS)
    page.emulate_media(color_scheme="dark", media="print")
    faults += page.evaluate(FAINT_ON_PAPER) + page.evaluate(ON_PAPER)
    page.set_viewport_size({"width": PAPER, "height": 900})
    if (width := page.evaluate(WIDTH)) > PAPER:
        faults.append(f"{width} px wide on paper")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(color_scheme="light", media="screen")
    forced = page.evaluate_handle(FORCED)
    forced.evaluate("each => each.before()")
    page.emulate_media(forced_colors="active")
    faults += forced.evaluate("each => each.after()")
    page.emulate_media(forced_colors="none")
    return faults


@pytest.mark.parametrize("places", list(itertools.batched(PLACES, 14, strict=False)), ids=lambda places: places[0].name)
@pytest.mark.parametrize("language", LOCALES)
def test_axe_finds_nothing_and_everything_is_seen(
    app: FunctionsHost,
    empty_app: FunctionsHost,
    reading_app: FunctionsHost,
    open_window: OpenWindow,
    language: str,
    places: Sequence[Place],
) -> None:
    axe = AXE.read_text(encoding="utf-8")
    hosts = {"usual": app, "empty": empty_app, "reading": reading_app}
    pages = {
        name: open_window(host, language=LOCALES[language]).sign_in(ADMINISTRATOR)
        for name, host in hosts.items()
        if name in {each.host for each in places}
    }
    found: dict[str, list[str]] = {}
    for place in places:
        page = pages[place.host]
        place.visit(page, hosts[place.host])
        expect(page.locator("html")).to_have_attribute("lang", language)
        page.evaluate(axe)
        faults = judged(page, RULES, with_colours=language == WITH_COLOURS)
        if not page.request.get(language_page(page)).ok and not place.name.startswith("error"):
            faults.append("a language link leads nowhere")
        if language == WITH_COLOURS:
            faults += faulty_colours(page)
        page.set_viewport_size({"width": NARROW, "height": 740})
        if (width := page.evaluate(WIDTH)) > NARROW:
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


def test_without_script_no_button_is_dead(app: FunctionsHost, open_window: OpenWindow) -> None:
    page = open_window(app, scripts=False).sign_in(ADMINISTRATOR, "/ticketProvisioning?new=true")
    buttons = page.locator("button[type='button']")
    expect(buttons).not_to_have_count(0)
    expect(buttons.locator("visible=true")).to_have_count(0)


def test_arrow_keys_go_through_a_filter_and_enter_applies_it(app: FunctionsHost, open_window: OpenWindow) -> None:
    page = open_window(app).sign_in(ADMINISTRATOR, "/tickets")
    loads: list[str] = []
    page.get_by_text(languages()["en"]("tickets.filters")).click()
    page.on("framenavigated", lambda frame: loads.append(frame.url))
    page.locator("#kind").focus()
    page.keyboard.press("ArrowDown")
    chosen = page.locator("#kind").input_value()
    assert chosen
    page.wait_for_timeout(100)
    assert loads == []
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(f"[?&]kind={chosen}(&|$)"))
    expect(page.locator("#kind")).to_have_value(chosen)
    expect(page.locator("#kind")).to_be_focused()
    page.locator("#portal").focus()
    page.locator("#portal").dispatch_event("pointerdown")
    page.locator("#portal").select_option("security")
    page.wait_for_url(re.compile(r"[?&]portal=security(&|$)"))
    expect(page.locator("#portal")).to_be_focused()


def test_keyboard_alone_goes_the_whole_way_on_a_narrow_screen(app: FunctionsHost, open_window: OpenWindow) -> None:
    ja = languages()["ja"]
    page = open_window(app, language="ja-JP", theme="dark", width=PHONE).sign_in(ADMINISTRATOR)
    menu, places = page.locator(".top-inner > button.menu"), page.locator("#places")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name=ja("app.skip"))).to_be_focused()
    expect(page.get_by_role("link", name=ja("app.skip"))).to_be_in_viewport()
    tab_to(menu)
    page.keyboard.press("Enter")
    expect(places).to_be_visible()
    tab_to(places.get_by_role("link", name=ja("nav.sign_out")))
    tab_to(places.get_by_role("link", name=ja("nav.tickets")))
    page.keyboard.press("Escape")
    expect(places).to_be_hidden()
    expect(menu).to_be_focused()
    tab_to(page.locator(".attention a[href*='show=overdue']"))
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", level=1)).to_have_text(ja("nav.tickets"))
    as_it_was = page.url
    tab_to(page.locator("td.name a[href^='/tickets/']").first)
    page.keyboard.press("Enter")
    expect(page.locator("#comment")).to_be_visible()
    tab_to(page.locator("#comment"))
    page.keyboard.type("By keyboard")
    tab_to(page.get_by_role("button", name=ja("ticket.change.comment.action")))
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text=ja("ticket.change.done.sent"))).to_be_visible()
    tab_to(page.locator(".back a"))
    page.keyboard.press("Enter")
    page.wait_for_url(as_it_was)

    tab_to(page.locator("main a[href='/tickets/new']"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(ja("new.title"))
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    visited = tab_to(page.locator("#name"))
    page.keyboard.type("Made by keyboard")
    visited += tab_to(page.locator("button[value='preview']"))
    # A date field has three tab stops.
    assert visited == [
        "kind", "portal", "name", "description", "priority", "due_date", "source", "category", "link", "summary",
        "preview",
    ]  # fmt: skip
    page.keyboard.press("Enter")
    send = page.get_by_role("button", name=ja("new.send"))
    expect(send).to_be_visible()
    tab_to(send)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Made by keyboard")


def tab_to(goal: Locator) -> list[str]:
    """Press Tab until something has the focus, and return what had it on the way.

    Wherever the focus is, it is seen and nothing covers it, and no page is wider than the screen.
    """
    page = goal.page
    assert page.evaluate(WIDTH) <= PHONE, page.url
    visited: list[str] = []
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        name, *seen = page.evaluate(FOCUS)
        assert seen == ["solid", "3px", True], f"the focus cannot be seen on {name} at {page.url}"
        if visited[-1:] != [name]:
            visited.append(name)
        if goal.evaluate("each => each === document.activeElement"):
            return visited
    raise AssertionError(f"the keyboard does not reach {goal} at {page.url}: {visited}")
