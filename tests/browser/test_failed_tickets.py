"""One button sends failed tickets again, and so it does a change of a ticket."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from sandbox import demonstration
from sandbox.demonstration import REQUESTER
from sandbox.portal import PortalUser, UnexpectedAnswerError
from sandbox.servicenow.stage.control.client import ControlClient
from sandbox.world import FunctionsHost, World
from shared.words.language import languages
from tests.browser.conftest import NewApp, OpenWindow
from tests.fixtures.whole_app import TICKET

RULE = {
    "name": "No tickets on Friday",
    "collection": "incident",
    "active": "true",
    "abort_action": "true",
    "action_insert": "true",
    "filter_condition": "",
}


@pytest.fixture(scope="module")
def app(new_app: NewApp, world: World) -> FunctionsHost:
    """An app whose instance is about to refuse tickets."""
    host = new_app()
    demonstration.connect(host, world.servicenow)
    return host


@pytest.mark.parametrize("language", ["en", "ja"])
def test_one_button_sends_all_failed_tickets_again(
    app: FunctionsHost, world: World, open_window: OpenWindow, language: str
) -> None:
    t = languages()[language]
    page = open_window(app, language={"en": "en-US", "ja": "ja-JP"}[language]).sign_in(REQUESTER)
    with ControlClient(world.servicenow.url) as control, PortalUser(REQUESTER, app.public_url) as requester:
        sys_id = control.insert_record("sys_script", RULE)["sys_id"]
        try:
            for number in range(2):
                with pytest.raises(UnexpectedAnswerError, match="delivery_refused"):
                    requester.call("POST", "/api/tickets", {**TICKET, "name": f"Refused-{language} {number}"})
            page.goto(f"{app.public_url}/tickets?show=failed&text=Refused-{language}")
            button = page.get_by_role("button", name=t("action.retry_all", count=2))
            button.click()
            status = page.get_by_role("status").first
            expect(status).to_contain_text(t("tickets.retried.refused", count=2))
            expect(status).to_contain_text(t("error.business_rule_refused.message"))
        finally:
            control.delete_record("sys_script", sys_id)
    if language == "en":
        page.get_by_role("button", name=t("action.retry_all", count=2)).click()
    else:
        for waiting in ("tickets.export_selected", "tickets.retry_selected"):
            expect(page.get_by_role("button", name=t(waiting), exact=True)).to_be_disabled()
        page.get_by_role("checkbox", name="Refused-ja 1").check()
        expect(page.get_by_text(t("tickets.selected", count=1))).to_be_visible()
        page.get_by_label(t("tickets.select_all")).check()
        for _ in range(2):
            with page.expect_download() as download:
                page.get_by_role("button", name=t("tickets.export_selected")).click()
        rows = download.value.path().read_text(encoding="utf-8-sig")
        assert rows.count("Refused-ja") == 2
        page.get_by_role("button", name=t("tickets.retry_selected"), exact=True).click()
    expect(page.get_by_role("status").first).to_contain_text(t("tickets.retried.delivered", count=2))
    expect(page.get_by_role("button", name=t("action.retry_all", count=2))).to_have_count(0)


def test_a_refused_comment_waits_on_the_ticket_until_it_is_sent_again(
    app: FunctionsHost, world: World, open_window: OpenWindow
) -> None:
    t = languages()["en"]
    rule = {**RULE, "name": "No comments on Friday", "action_insert": "false", "action_update": "true"}
    with ControlClient(world.servicenow.url) as control, PortalUser(REQUESTER, app.public_url) as requester:
        ticket = requester.call("POST", "/api/tickets", TICKET)
        page = open_window(app).sign_in(REQUESTER, f"/tickets/{ticket['ticket_id']}")
        sys_id = control.insert_record("sys_script", rule)["sys_id"]
        try:
            page.get_by_label(t("ticket.change.comment"), exact=True).fill("Is <b>anybody</b> there?")
            page.keyboard.press("Tab")
            page.keyboard.press("Enter")
            expect(page.get_by_role("status").first).to_have_text(t("ticket.change.done.refused"))
            changes = page.get_by_role("region", name=t("ticket.changes"))
            expect(changes).to_contain_text("No comments on Friday")
        finally:
            control.delete_record("sys_script", sys_id)
    changes.get_by_role("button", name=t("ticket.change.retry_one", change=t("update_kind.comment"))).click()
    expect(page.get_by_role("status").first).to_have_text(t("ticket.change.done.sent"))
    expect(page.get_by_role("region", name=t("ticket.record"), exact=True)).to_contain_text("Is <b>anybody</b> there?")
    page.get_by_text(t("ticket.change.cancel.title"), exact=True).click()
    page.get_by_label(t("ticket.change.cancel.reason")).fill("Nobody is.")
    page.get_by_label(t("ticket.change.cancel.confirm")).check()
    page.get_by_role("button", name=t("ticket.change.cancel.action")).click()
    expect(page.get_by_role("status").first).to_have_text(t("ticket.change.done.sent"))
    expect(page.get_by_role("region", name=t("ticket.changes"))).to_contain_text(
        t("ticket.change.impossible.record_already_closed")
    )
