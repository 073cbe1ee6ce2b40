"""Headless Chromium, for tests and screenshots."""

from __future__ import annotations

import shutil

from playwright.sync_api import Browser, Playwright

NAMES = ("chromium", "chromium-browser")
"""Names that distributions give to the program."""
SIGN_IN_PAGE = "/.auth/login/aad"
_OPTIONS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-lcd-text",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",
)


def find_chromium() -> str | None:
    """Return the path of the installed Chromium, or None."""
    return next((path for name in NAMES if (path := shutil.which(name)) is not None), None)


def start_chromium(playwright: Playwright, program: str) -> Browser:
    """Start Chromium without a window and without its own background network requests."""
    return playwright.chromium.launch(executable_path=program, args=list(_OPTIONS))
