"""A person's browser window; it records everything that must not happen in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import httpx
from playwright.sync_api import BrowserContext, ConsoleMessage, Dialog, Page, Request

from sandbox.chromium import SIGN_IN_PAGE
from sandbox.functions_host.authentication import Person

type Theme = Literal["light", "dark"]

MISSING_PAGE = "Failed to load resource: the server responded with a status of"
"""Chromium logs this for every page with an error status, even an intended one."""


@dataclass
class Window:
    """The cookies of one person's browser, and its tabs.

    Attributes:
        app: The app's address.
        elsewhere: Addresses of other sites that pages lead to.
        mishaps: What went wrong in any tab: script errors, refused content, dialogs, requests to strangers.
    """

    context: BrowserContext
    app: str
    elsewhere: Sequence[str]
    mishaps: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context.set_default_timeout(15_000)
        self.context.on("page", self._watch)
        self.context.on("request", self._note_request)

    def tab(self) -> Page:
        """Open a tab."""
        return self.context.new_page()

    def sign_in(self, person: Person, path: str = "/") -> Page:
        """Sign a person in, and open a page of the app.

        What the form of the sign-in page sends is sent without that page: to open it and to press its button takes
        longer than most tests. ``test_roles`` signs in on the page.
        """
        answer = self.context.request.post(self.app + SIGN_IN_PAGE, form={"oid": person.oid}, max_redirects=0)
        assert answer.status == httpx.codes.FOUND
        tab = self.tab()
        tab.goto(self.app + path)
        return tab

    def _watch(self, page: Page) -> None:
        page.on("console", self._note_console)
        page.on("pageerror", lambda error: self.mishaps.append(f"script error at {page.url}: {error}"))
        page.on("dialog", self._note_dialog)

    def _note_dialog(self, dialog: Dialog) -> None:
        self.mishaps.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _note_console(self, message: ConsoleMessage) -> None:
        """Our own pages log nothing to the console, where refused content would show; other sites may."""
        page = message.page.url if message.page is not None else ""
        address = message.location["url"]
        is_meant = address == page and message.text.startswith(MISSING_PAGE)
        if message.type in {"error", "warning"} and self._is_ours(page) and not is_meant:
            self.mishaps.append(f"console at {address}: {message.text}")

    def _note_request(self, request: Request) -> None:
        """Our own pages send requests only to us; only a person's navigation leads elsewhere."""
        known = self._is_ours(request.url) or any(request.url.startswith(f"{site}/") for site in self.elsewhere)
        leaves = not request.is_navigation_request() and self._is_ours(request.frame.url)
        if not known or (leaves and not self._is_ours(request.url)):
            self.mishaps.append(f"request of {request.frame.url} to {request.url}")

    def _is_ours(self, address: str) -> bool:
        return address.startswith(f"{self.app}/")
