"""Every page, and how to get to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page, expect

from sandbox.managed_identity.tokens import TENANT_ID
from sandbox.world import FunctionsHost


@dataclass(frozen=True)
class Place:
    """A page.

    Attributes:
        name: Its name in a failed test.
        path: Its path.
        act: What a person does there first.
        empty: Whether it belongs to an app that nobody has connected.
    """

    name: str
    path: str
    act: Callable[[Page], None] | None = None
    empty: bool = False

    def visit(self, page: Page, app: FunctionsHost, empty_app: FunctionsHost) -> None:
        """Go there."""
        page.goto((empty_app if self.empty else app).public_url + self.path)
        if self.act is not None:
            self.act(page)


def _open_ticket(name: str) -> Callable[[Page], None]:
    def act(page: Page) -> None:
        page.locator(f"td.name a[href^='/tickets/']:text-matches('{name}')").click()
        expect(page.locator("ol.timeline")).to_be_visible()

    return act


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
    expect(page.locator("ul.findings")).to_be_visible()


def _refused_tenant(page: Page) -> None:
    page.locator("#tenant_id").fill("contoso.com")
    page.locator("#name").fill("Contoso")
    page.locator("form.card button[type='submit']").click()
    expect(page.locator("#tenant_id-fault")).to_be_visible()


def _open_everything(page: Page) -> None:
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")


PLACES = (
    Place("connect", "/", empty=True),
    Place("home", "/"),
    Place("tickets", "/tickets"),
    Place("failed tickets", "/tickets?show=failed"),
    Place("no tickets", "/tickets?text=nothing+is+called+this"),
    Place("ticket", "/tickets", _open_ticket("Block legacy")),
    Place("refused ticket", "/tickets", _open_ticket("Limit consent")),
    Place("new ticket", "/tickets/new"),
    Place("preview", "/tickets/new", _preview),
    Place("faults", "/tickets/new", _faults),
    Place("provisioning, nothing entered", "/ticketProvisioning", _open_everything, empty=True),
    Place("provisioning, connected", "/ticketProvisioning", _open_everything),
    Place("configuration", "/configuration/contoso"),
    Place("check", "/configuration/contoso", _check),
    Place("remove connection", "/configuration/contoso/remove"),
    Place("no tenants", "/tenants", empty=True),
    Place("tenants", "/tenants"),
    Place("new tenant", "/tenants/new", _refused_tenant),
    Place("tenant without the permission", f"/tenants/{TENANT_ID}"),
    Place("remove tenant", f"/tenants/{TENANT_ID}/remove"),
    Place("error", f"/tickets/{'0' * 32}"),
)
