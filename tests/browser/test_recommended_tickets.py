"""Tickets from recommendations: one for several, and one for each with a failure that is sent again."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from sandbox.demonstration import REQUESTER
from sandbox.servicenow.stage.control.client import ControlClient
from sandbox.world import FunctionsHost, World
from shared.words.language import languages
from tests.browser.conftest import OpenWindow
from tests.browser.improvements import OTHERS, REFUSED, TOGETHER

t = languages()["en"]
RULE = {
    "name": "No such changes",
    "collection": "change_request",
    "active": "true",
    "abort_action": "true",
    "action_insert": "true",
    "filter_condition": f"short_description={REFUSED}",
}


@pytest.fixture
def rule(world: World) -> Iterator[str]:
    """A business rule that refuses one of the changes."""
    with ControlClient(world.servicenow.url) as control:
        sys_id = control.insert_record("sys_script", RULE)["sys_id"]
        yield sys_id
        control.delete_record("sys_script", sys_id)


def choose(page: Page, *titles: str) -> None:
    """Choose recommendations on the list, and look at what they would become."""
    for title in titles:
        page.get_by_role("checkbox", name=title, exact=True).check()
    page.get_by_role("button", name=t("recommendations.create")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(t("bulk.title"))


def expect_counts(page: Page, *, total: int, delivered: int = 0, waiting: int = 0, failed: int = 0) -> None:
    """The page of the progress says so."""
    status = page.get_by_role("status")
    expect(status).to_contain_text(t.counted("bulk.progress.words", total, delivered=delivered))
    if waiting:
        expect(status).to_contain_text(t("bulk.progress.waiting", count=waiting))
    if failed:
        expect(status).to_contain_text(t("bulk.progress.failed", count=failed))


def test_several_become_one_change_then_each_its_own_and_the_page_fills_by_itself(
    app: FunctionsHost, world: World, rule: str, open_window: OpenWindow
) -> None:
    page = open_window(app).sign_in(REQUESTER, "/recommendations")
    create, every = (
        page.get_by_role("button", name=t("recommendations.create")),
        page.get_by_label(t("tickets.select_all")),
    )
    expect(create).to_be_disabled()
    every.check()
    expect(create).to_be_enabled()
    every.uncheck()
    expect(create).to_be_disabled()
    choose(page, *TOGETHER)
    expect(page.get_by_text(t("bulk.total", count=3, points=18))).to_be_visible()
    description = page.get_by_text("3 recommendations, 18 points to gain")
    expect(description).not_to_be_visible()
    page.get_by_label(t("bulk.mode.all")).check()
    expect(description).to_be_visible()
    page.get_by_role("button", name=t("bulk.create")).click()
    page.wait_for_url(re.compile("/recommendations/tickets/batches/[0-9a-f]{32}$"))
    expect_counts(page, total=1, delivered=1)
    expect(page.get_by_role("status")).to_contain_text(t("bulk.progress.done"))
    expect(page.get_by_role("link", name=re.compile("^CHG"))).to_be_visible()
    expect(page.get_by_role("button", name=t("bulk.progress.refresh"))).to_have_count(0)
    page.get_by_role("link", name=re.compile("^3 recommendations")).click()
    expect(page.get_by_role("table").get_by_role("link", name=TOGETHER[0], exact=True)).to_be_visible()

    page.goto(f"{app.public_url}/recommendations")
    choose(page, REFUSED, OTHERS[0])
    page.get_by_role("button", name=t("bulk.create")).click()
    expect_counts(page, total=2, delivered=1, failed=1)
    failed = page.get_by_role("row", name=REFUSED)
    expect(failed).to_contain_text(RULE["name"])
    with ControlClient(world.servicenow.url) as control:
        control.change_record("sys_script", rule, {"active": "false"})
    failed.get_by_role("button", name=t("bulk.progress.retry_one", name=REFUSED)).click()
    expect_counts(page, total=2, delivered=2)


def test_without_scripts_each_refresh_delivers(app: FunctionsHost, open_window: OpenWindow) -> None:
    page = open_window(app, scripts=False).sign_in(REQUESTER, "/recommendations")
    choose(page, OTHERS[1])
    page.get_by_role("button", name=t("bulk.create")).click()
    expect_counts(page, total=1, waiting=1)
    page.get_by_role("button", name=t("bulk.progress.refresh")).click()
    expect_counts(page, total=1, delivered=1)
