"""The form for a new ticket: faults, and one ticket however often the form is sent."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Page, expect

from sandbox.demonstration import REQUESTER
from sandbox.portal import PortalUser
from sandbox.world import FunctionsHost
from shared.words.language import languages
from tests.browser.conftest import OpenWindow

t = languages()["en"]


def tickets(app: FunctionsHost, name: str) -> list[dict[str, Any]]:
    """Return the tickets whose name contains this."""
    with PortalUser(REQUESTER, app.public_url) as requester:
        found: list[dict[str, Any]] = requester.call("GET", f"/api/tickets?text={name}")["tickets"]
        return found


def preview(page: Page) -> None:
    """Press the button and wait for the preview."""
    page.locator("button[value='preview']").click()
    expect(page.get_by_role("region", name=t("new.preview"))).to_be_visible()


def expect_delivered(page: Page) -> None:
    """The page of a new ticket."""
    expect(page.get_by_role("status")).to_have_text(t("ticket.done.created.delivered"))


def test_double_click_makes_one_ticket(app: FunctionsHost, open_window: OpenWindow) -> None:
    page = open_window(app).sign_in(REQUESTER, "/tickets/new?name=Double+click")
    preview(page)
    page.get_by_role("button", name=t("new.send")).dblclick()
    expect_delivered(page)
    assert len(tickets(app, "Double+click")) == 1


def test_everything_works_without_scripts_and_a_double_click_still_makes_one_ticket(
    app: FunctionsHost, open_window: OpenWindow
) -> None:
    page = open_window(app, scripts=False).sign_in(REQUESTER)
    page.get_by_role("link", name=t("action.create_ticket")).first.click()
    page.locator("#name").fill("Without scripts")
    preview(page)
    page.get_by_role("button", name=t("new.send")).dblclick()
    expect_delivered(page)
    assert len(tickets(app, "Without+scripts")) == 1

    page.get_by_role("link", name=t("nav.tickets"), exact=True).click()
    page.locator("#text").fill("Without scripts")
    page.get_by_role("button", name=t("filter.search")).click()
    expect(page.get_by_role("row")).to_have_count(2)
    page.get_by_role("link", name="日本語").click()
    expect(page.locator("html")).to_have_attribute("lang", "ja")


def test_back_after_sending_and_sending_again_shows_the_same_ticket(
    app: FunctionsHost, open_window: OpenWindow
) -> None:
    page = open_window(app).sign_in(REQUESTER, "/tickets/new?name=Back+button")
    preview(page)
    page.get_by_role("button", name=t("new.send")).click()
    expect_delivered(page)
    address = page.url
    page.go_back()
    expect(page.locator("#name")).to_have_value("Back button")
    page.get_by_role("button", name=t("new.send")).click()
    page.wait_for_url(address)
    assert len(tickets(app, "Back+button")) == 1


def test_back_after_sending_and_sending_another_asks_first(app: FunctionsHost, open_window: OpenWindow) -> None:
    page = open_window(app).sign_in(REQUESTER, "/tickets/new?name=First+of+two")
    preview(page)
    page.get_by_role("button", name=t("new.send")).click()
    expect_delivered(page)
    page.go_back()
    page.locator("#name").fill("Second of two")
    page.get_by_role("button", name=t("new.send")).click()
    expect(page.get_by_role("alert")).to_have_text(t("new.sent_before"))
    assert tickets(app, "Second+of+two") == []
    preview(page)
    page.get_by_role("button", name=t("new.send")).click()
    expect_delivered(page)
    assert len(tickets(app, "of+two")) == 2


def test_two_tabs_make_two_tickets(app: FunctionsHost, open_window: OpenWindow) -> None:
    window = open_window(app)
    first = window.sign_in(REQUESTER, "/tickets/new?name=Two+tabs")
    second = window.tab()
    second.goto(first.url)
    preview(first)
    preview(second)
    first.get_by_role("button", name=t("new.send")).click()
    expect_delivered(first)
    second.get_by_role("button", name=t("new.send")).click()
    second.get_by_label(t("new.accept")).check()
    second.get_by_role("button", name=t("new.send")).click()
    expect_delivered(second)
    assert len(tickets(app, "Two+tabs")) == 2


def test_faults_are_at_their_fields_and_the_entered_values_stay(app: FunctionsHost, open_window: OpenWindow) -> None:
    page = open_window(app).sign_in(REQUESTER, "/tickets/new")
    page.locator("#name").fill("x" * 161)
    expect(page.locator("#name-count")).to_have_text(t("form.characters_over", left=1))
    page.locator("#link").fill("ftp://files.example")
    page.locator("#description").fill("line one\nline two")
    page.locator("button[value='preview']").click()
    expect(page.get_by_role("alert")).to_contain_text(t("form.faults"))
    page.get_by_role("alert").get_by_role("link", name=t("form.to_field")).click()
    expect(page.locator("#name")).to_be_focused()
    for field in ("name", "link"):
        expect(page.locator(f"#{field}")).to_have_attribute("aria-invalid", "true")
        expect(page.locator(f"#{field}")).to_have_accessible_description(re.compile(re.escape(t(f"fault.{field}"))))
    expect(page.locator("#description")).to_have_value("line one\nline two")
    expect(page.locator("#due_date")).not_to_have_attribute("aria-invalid", "true")


def test_characters_are_counted_as_the_server_counts_them(app: FunctionsHost, open_window: OpenWindow) -> None:
    page = open_window(app).sign_in(REQUESTER, "/tickets/new?category=infrastructure&portal=compliance")
    page.locator("#name").fill("Emoji \N{CROSSED SWORDS}\N{GRINNING FACE}")
    expect(page.locator("#name-count")).to_have_text(t("form.characters_left", left=160 - 9))
    left = int("".join(filter(str.isdigit, page.locator("#description-count").inner_text())))
    page.locator("#description").fill("\n" + "y" * (left - 1))
    expect(page.locator("#description-count")).to_have_text(t("form.characters_left", left=0))
    preview(page)
    page.locator("#description").fill("y" * (left + 1))
    expect(page.locator("#description-count")).to_have_text(t("form.characters_over", left=1))
    page.locator("button[value='preview']").click()
    expect(page.locator("#description-fault")).to_have_text(t("error.description_too_long.message", too_long_by=1))


def test_a_link_with_an_impossible_id_is_reported(app: FunctionsHost, open_window: OpenWindow) -> None:
    page = open_window(app).sign_in(REQUESTER, f"/tickets/new?name=Long+id&recommendation_id={'x' * 201}")
    page.locator("button[value='preview']").click()
    expect(page.get_by_role("alert")).to_have_text(t("fault.recommendation_id"))


def test_what_may_be_a_mistake_is_sent_only_after_a_confirmation(app: FunctionsHost, open_window: OpenWindow) -> None:
    page = open_window(app).sign_in(REQUESTER, "/tickets/new?name=block+legacy+AUTHENTICATION&due_date=2020-01-01")
    preview(page)
    warnings = page.get_by_role("group", name=t("new.warnings")).get_by_role("listitem")
    expect(warnings).to_have_count(2)
    expect(warnings.filter(has_text=t("warning.due_date_past.message"))).to_be_visible()
    expect(warnings.get_by_role("link")).to_have_attribute("href", re.compile("/tickets/[0-9a-f]{32}"))
    page.get_by_role("button", name=t("new.send")).click()
    expect(page.get_by_label(t("new.accept"))).to_have_accessible_description(t("error.confirmation_needed.message"))
    # Without the due date there is less to confirm, and the form still sends.
    page.locator("#due_date").fill("")
    preview(page)
    expect(warnings).to_have_count(1)
    page.get_by_label(t("new.accept")).check()
    page.get_by_role("button", name=t("new.send")).click()
    expect_delivered(page)
    assert len(tickets(app, "block+legacy")) == 2
