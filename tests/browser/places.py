"""Every page, and how to get to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urljoin

from playwright.sync_api import Page, expect

from sandbox.graph.stage.seed.tenants import FREE
from sandbox.managed_identity.tokens import TENANT_ID
from sandbox.world import FunctionsHost
from tests.browser.improvements import MOST_POINTS


@dataclass(frozen=True)
class Place:
    """A page.

    Attributes:
        name: Its name in a failed test.
        path: Its path.
        act: What a person does there first.
        host: The app that it belongs to: the usual one, one that nobody has connected, or one that has read a tenant.
    """

    name: str
    path: str
    act: Callable[[Page], None] | None = None
    host: Literal["usual", "empty", "reading"] = "usual"

    def visit(self, page: Page, app: FunctionsHost) -> None:
        """Go there."""
        page.goto(app.public_url + self.path)
        if self.act is not None:
            self.act(page)


def _open_ticket(name: str) -> Callable[[Page], None]:
    def act(page: Page) -> None:
        page.locator(f"td.name a[href^='/tickets/']:text-matches('{name}')").click()
        expect(page.locator("ol.timeline")).to_be_visible()

    return act


def _open_outcomes(page: Page) -> None:
    _open_ticket("Block legacy")(page)
    expect(page.locator("td.outcome")).to_have_count(2)


def _preview(page: Page) -> None:
    page.locator("#name").fill("Require multifactor authentication")
    page.locator("button[value='preview']").click()
    expect(page.locator("button[value='send']")).to_be_visible()


def _faults(page: Page) -> None:
    page.locator("#name").fill("x" * 161)
    page.locator("button[value='preview']").click()
    expect(page.locator("#name-fault")).to_be_visible()


def _check(page: Page) -> None:
    page.locator("form[action$='/check'] button").click()
    expect(page.locator("#check-next form")).to_be_visible()
    _open_everything(page)


def _refused_tenant(page: Page) -> None:
    page.locator("#tenant_id").fill("contoso.com")
    page.locator("#name").fill("Contoso")
    page.locator("form.card button[type='submit']").click()
    expect(page.locator("#tenant_id-fault")).to_be_visible()


def _chosen(page: Page) -> None:
    for title in MOST_POINTS:
        page.get_by_role("checkbox", name=title, exact=True).check()
    page.locator("form[action='/recommendations/tickets'] button.primary").click()
    page.locator("#mode-all").check()


def _created_together(page: Page) -> None:
    _chosen(page)
    page.locator("#mode-each").check()
    if (another := page.locator("input[name='create_another']")).count():
        another.check()
    page.locator("button[value='create']").click()
    expect(page.get_by_role("link", name="CHG")).to_have_count(len(MOST_POINTS))


def _form_of_recommendation(page: Page) -> None:
    _chosen(page)
    tenant, key = (page.locator(f"input[name='{name}']").first.input_value() for name in ("tenant_id", "key"))
    page.goto(urljoin(page.url, f"/tickets/new?tenant_id={tenant}&recommendation={key}"))
    expect(page.locator("#create_another")).to_be_visible()


def _open_everything(page: Page) -> None:
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")


def _unknown_number(page: Page) -> None:
    _open_everything(page)
    page.locator("#number").fill("INC9999999")
    page.locator("form[action$='/link'] button").click()
    expect(page.locator("#number-fault")).to_be_visible()
    _open_everything(page)


PLACES = (
    Place("connect", "/", host="empty"),
    Place("home", "/"),
    Place("attention", "/attention"),
    Place("unreadable rows", "/attention/rows"),
    Place("tickets", "/tickets"),
    Place("failed tickets", "/tickets?show=failed"),
    Place("no tickets", "/tickets?text=nothing+is+called+this"),
    Place("ticket", "/tickets", _open_outcomes),
    Place("refused ticket", "/tickets", _open_ticket("Limit consent")),
    Place("data exchange", "/configuration/contoso/data"),
    Place("new ticket", "/tickets/new"),
    Place("preview", "/tickets/new", _preview),
    Place("faults", "/tickets/new", _faults),
    Place("provisioning, nothing entered", "/ticketProvisioning", _open_everything, host="empty"),
    Place("tickets for several recommendations", "/recommendations", _chosen),
    Place("progress", "/recommendations", _created_together),
    Place("new ticket for a recommendation", "/recommendations", _form_of_recommendation),
    Place("error, no such recommendation", f"/tickets/new?tenant_id={TENANT_ID}&recommendation={'0' * 32}"),
    Place("connections", "/configuration"),
    Place("many connections", "/connections/import"),
    Place("connection", "/configuration/contoso"),
    Place("account", "/configuration/contoso/account"),
    Place("provisioning, connected", "/ticketProvisioning?connection_id=contoso", _open_everything),
    Place("settings", "/configuration/contoso/settings", _open_everything),
    Place("check", "/configuration/contoso", _check),
    Place("before the first ticket", "/configuration/contoso/preflight", _open_everything),
    Place("reminders", "/configuration/contoso/reminders"),
    Place("remove connection", "/configuration/contoso/remove"),
    Place("no tenants", "/tenants", host="empty"),
    Place("tenants", "/tenants"),
    Place("new tenant", "/tenants/new", _refused_tenant),
    Place("tenant without the permission", f"/tenants/{TENANT_ID}"),
    Place("remove tenant", f"/tenants/{TENANT_ID}/remove"),
    Place("no tenant to recommend to", "/recommendations", host="empty"),
    Place("tenant that has to consent", f"/tenants/{FREE}", host="reading"),
    Place(
        "recommendations",
        f"/recommendations?tenant_id={TENANT_ID}&text=mail&hidden=true&group=status",
        _open_everything,
        host="reading",
    ),
    Place("evidence", "/evidence"),
    Place("reports", "/reports", _open_everything),
    Place("portfolio", "/portfolio", host="reading"),
    Place("recommendation", "/recommendations?actionId=AdminMFAV2", _unknown_number, host="reading"),
    Place("error", f"/tickets/{'0' * 32}"),
)
