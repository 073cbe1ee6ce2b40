"""What people do on ServiceNow's own pages."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from sandbox.servicenow.stage.seed.people import PEOPLE


def log_in(page: Page, user_name: str) -> None:
    """Log in when ServiceNow asks for it."""
    person = next(each for each in PEOPLE if each.user_name == user_name)
    page.locator("#user_name").fill(person.user_name)
    page.locator("#user_password").fill(person.password)
    page.locator("#sysverb_login").click()


def enter_code(page: Page, code: str) -> None:
    """Show a second factor, or set one up."""
    page.locator("#txtResponse").fill(code)
    page.locator("button[type='submit']").first.click()


def decide(page: Page, decision: str) -> None:
    """Answer whether ServiceNow may let the app connect: ``authorize`` or ``deny``."""
    page.locator(f"#consent button[value='{decision}']").click()


def resolve_and_close(page: Page, servicenow: str, number: str) -> None:
    """Log in as an agent, find an incident, resolve it and close it."""
    page.goto(servicenow)
    log_in(page, "agent.smith")
    page.locator("#search").fill(number)
    page.locator("#filter button").click()
    page.locator(f"#{number}").click()
    page.locator("#resolve_ticket_notes").fill("Enforced by Conditional Access.")
    page.locator("#resolve button").click()
    expect(page.locator(".done")).to_be_visible()
    page.locator("#close button").click()
    expect(page.locator("h1 .state")).to_have_text("Closed")
