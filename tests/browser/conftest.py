"""Chromium, apps to visit, and people's windows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from sandbox import demonstration
from sandbox.azurite import StorageAccount
from sandbox.chromium import NAMES, find_chromium, start_chromium
from sandbox.graph.stage.control.client import ControlClient
from sandbox.graph.stage.seed.tenants import FREE
from sandbox.managed_identity.tokens import TENANT_ID
from sandbox.portal import PortalUser
from sandbox.processes import free_port
from sandbox.world import FunctionsHost, World
from tests.browser.improvements import LIST
from tests.browser.outcomes import write_outcomes
from tests.browser.planted import SCRIPT
from tests.browser.window import Theme, Window

expect.set_options(timeout=15_000)

PLANTED = "planted 1/2#3"
"""A control with SCRIPT for its texts."""

type NewApp = Callable[..., FunctionsHost]
type OpenWindow = Callable[..., Window]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder."""
    for item in items:
        if item.path.parent.name == "browser":
            item.add_marker("browser")


# Playwright keeps an event loop running, which would break other tests, so it ends with this folder, not the session.
@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """One browser for all tests."""
    program = find_chromium()
    if program is None:
        reason = f"Chromium is not installed: none of {', '.join(NAMES)} is on PATH"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = start_chromium(playwright, program)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def new_app(chromium: Browser, world: World) -> NewApp:
    """Start an empty app.

    People reach it by a host name, so that the browser takes it and the ServiceNow instance for different sites.
    """

    def start(account: StorageAccount | None = None) -> FunctionsHost:
        port = free_port()
        return world.start_host(
            f"Functions host {port}",
            account=account or world.azurite.new_account(),
            vault_url=world.key_vaults.new_vault(),
            port=port,
            public_url=f"http://localhost:{port}",
        )

    return start


@pytest.fixture(scope="package")
def app(new_app: NewApp, world: World) -> FunctionsHost:
    """An app with tickets in every state and with every outcome, and a tenant without permission that has a list."""
    account = world.azurite.new_account()
    host = new_app(account)
    demonstration.connect(host, world.servicenow)
    tickets = demonstration.create_tickets(host, world.servicenow)
    with world.managed_identity.without_roles(), PortalUser(demonstration.ADMINISTRATOR, host.public_url) as manager:
        manager.call("PUT", f"/api/tenants/{TENANT_ID}", {"name": "Contoso", "connection_id": "contoso"})
        assert manager.call("POST", f"/api/tenants/{TENANT_ID}/read")["status"] == "no_permission"
        manager.upload(f"/api/tenants/{TENANT_ID}/import", "list.csv", LIST)
        recommendations = manager.call("GET", f"/api/recommendations?tenant_id={TENANT_ID}")["recommendations"]
    write_outcomes(account, world.certificates, tickets, recommendations)
    return host


@pytest.fixture(scope="package")
def reading_app(new_app: NewApp, world: World) -> FunctionsHost:
    """An app with a connection and a tenant that has been read, with the control PLANTED; a customer has a link."""
    host = new_app()
    demonstration.connect(host, world.servicenow)
    with ControlClient(world.graph.url) as graph, PortalUser(demonstration.ADMINISTRATOR, host.public_url) as manager:
        graph.add_control(TENANT_ID, PLANTED, title=SCRIPT, service="MDO")
        graph.change_control(TENANT_ID, PLANTED, remediation=SCRIPT, remediation_impact=SCRIPT)
        manager.call("PUT", f"/api/tenants/{TENANT_ID}", {"name": SCRIPT[:100], "connection_id": "contoso"})
        assert demonstration.read_tenant(manager)["status"] == "readable"
        graph.remove_control(TENANT_ID, PLANTED)
        demonstration.add_customers_tenant(manager, FREE)
    return host


@pytest.fixture
def open_window(chromium: Browser, world: World) -> Iterator[OpenWindow]:
    """Open windows; at the end of the test, nothing may have gone wrong in any of them."""
    windows: list[Window] = []

    def open_(
        host: FunctionsHost,
        *,
        language: str = "en-US",
        time_zone: str | None = None,
        theme: Theme = "light",
        width: int = 1280,
        scripts: bool = True,
    ) -> Window:
        context = chromium.new_context(
            locale=language,
            timezone_id=time_zone,
            color_scheme=theme,
            reduced_motion="reduce",
            viewport={"width": width, "height": 900},
            java_script_enabled=scripts,
        )
        window = Window(context, host.public_url, (world.servicenow.url,))
        windows.append(window)
        return window

    yield open_
    for window in windows:
        window.context.close()
    assert [mishap for window in windows for mishap in window.mishaps] == []
