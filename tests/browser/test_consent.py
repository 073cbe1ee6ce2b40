"""Everything that can go wrong between "Authorize" and coming back, and what the person then reads."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from playwright.sync_api import Page, expect

from sandbox import demonstration
from sandbox.azurite import StorageAccount
from sandbox.certificates import Certificates
from sandbox.demonstration import ADMINISTRATOR, INTEGRATION_USER
from sandbox.servicenow.stage.browser import AuthenticatorApp
from sandbox.servicenow.stage.control.client import ControlClient
from sandbox.world import FunctionsHost, World, table_service_headers
from shared.words.language import languages
from tests.browser.conftest import NewApp, OpenWindow
from tests.browser.servicenow import decide, enter_code, log_in

t = languages()["en"]
AUTHORIZED = t("connection.done.authorized", user=INTEGRATION_USER.user_name)
BEGIN = "/configuration/contoso"


@dataclass(frozen=True)
class Configured:
    """An app whose connection waits for its authorization, and its storage."""

    host: FunctionsHost
    account: StorageAccount


@pytest.fixture(scope="module")
def configured(new_app: NewApp, world: World) -> Configured:
    account = world.azurite.new_account()
    host = new_app(account)
    demonstration.connect(host, world.servicenow, authorize=False)
    return Configured(host, account)


def authorize(page: Page) -> None:
    """Press the button that leads to ServiceNow."""
    page.get_by_role("link", name=t("action.authorize"), exact=True).click()


@pytest.fixture
def second_factor_enforced(control: ControlClient) -> Iterator[None]:
    control.set_properties({"simulator.mfa.enforced": True})
    yield
    control.set_properties({"simulator.mfa.enforced": False})


def expect_error(page: Page, code: str) -> None:
    """The page says what went wrong and what to do, in the person's language."""
    expect(page.get_by_role("heading", level=1)).to_have_text(t(f"error.{code}.title"))
    expect(page.get_by_role("main")).to_contain_text(t("error.next_step"))
    expect(page.get_by_role("main")).to_contain_text(code)


def test_consent_of_another_user_is_refused_and_says_how_to_change_users(
    configured: Configured, open_window: OpenWindow
) -> None:
    page = open_window(configured.host).sign_in(ADMINISTRATOR, BEGIN)
    authorize(page)
    log_in(page, "adele.vance")
    decide(page, "authorize")
    expect_error(page, "authorization_wrong_user")

    # Still logged in there as Adele: the button signs her out first.
    page.get_by_role("main").get_by_role("link").first.click()
    log_in(page, INTEGRATION_USER.user_name)
    decide(page, "deny")
    expect_error(page, "authorization_denied")


def test_expired_authorization_can_be_begun_again(
    configured: Configured, certificates: Certificates, open_window: OpenWindow
) -> None:
    page = open_window(configured.host).sign_in(ADMINISTRATOR, BEGIN)
    authorize(page)
    log_in(page, INTEGRATION_USER.user_name)
    expect(page.locator("#consent")).to_be_visible()
    let_authorizations_expire(configured.account, certificates)
    decide(page, "authorize")
    expect_error(page, "authorization_expired")
    page.get_by_role("main").get_by_role("link").first.click()
    expect(page.locator("#consent")).to_be_visible()


def test_denial_shown_again_is_a_denial_and_only_in_the_browser_that_began(
    configured: Configured, open_window: OpenWindow
) -> None:
    window = open_window(configured.host)
    page = window.sign_in(ADMINISTRATOR, BEGIN)
    authorize(page)
    log_in(page, INTEGRATION_USER.user_name)
    with page.expect_request("**/api/oauth/callback?**") as request:
        decide(page, "deny")
    expect_error(page, "authorization_denied")

    page.goto(request.value.url)
    expect_error(page, "authorization_denied")
    stranger = open_window(configured.host).sign_in(ADMINISTRATOR)
    stranger.goto(request.value.url)
    expect_error(stranger, "authorization_browser_unknown")


def test_two_tabs_authorize_side_by_side(configured: Configured, open_window: OpenWindow) -> None:
    window = open_window(configured.host)
    first = window.sign_in(ADMINISTRATOR, BEGIN)
    second = window.tab()
    second.goto(configured.host.public_url + BEGIN)
    authorize(first)
    log_in(first, INTEGRATION_USER.user_name)
    expect(first.locator("#consent")).to_be_visible()
    authorize(second)
    expect(second.locator("#consent")).to_be_visible()
    decide(first, "authorize")
    expect(first.get_by_role("status").first).to_contain_text(
        t("connection.done.authorized", user=INTEGRATION_USER.user_name)
    )
    decide(second, "authorize")
    expect(second.get_by_role("status").first).to_contain_text(
        t("connection.done.authorized", user=INTEGRATION_USER.user_name)
    )


def test_the_second_factor_is_set_up_on_the_way(
    configured: Configured, control: ControlClient, second_factor_enforced: None, open_window: OpenWindow
) -> None:
    page = open_window(configured.host).sign_in(ADMINISTRATOR, BEGIN)
    page.get_by_role("link", name=t("action.renew_consent")).click()
    log_in(page, INTEGRATION_USER.user_name)
    expect(page.locator("#second_factor_setup")).to_contain_text("Postpone setup (3 left)")
    phone = AuthenticatorApp(control.now, page.locator("#secret").input_value())
    enter_code(page, "000 000")
    expect(page.get_by_role("alert")).to_have_text("Your 6-digit verification code is incorrect")
    enter_code(page, phone.code())
    decide(page, "authorize")
    expect(page.get_by_role("status").first).to_contain_text(
        t("connection.done.authorized", user=INTEGRATION_USER.user_name)
    )


def let_authorizations_expire(account: StorageAccount, certificates: Certificates) -> None:
    """Let the ten minutes of every pending authorization pass."""
    trusted = ssl.create_default_context(cafile=certificates.authority)
    headers = table_service_headers(certificates)
    with httpx.Client(base_url=account.tables_url, headers=headers, verify=trusted) as client:
        rows = client.get("/authorizations()").raise_for_status().json()["value"]
        assert rows
        for row in rows:
            address = f"/authorizations(PartitionKey='{row['PartitionKey']}',RowKey='{row['RowKey']}')"
            body = {"expires_at@odata.type": "Edm.DateTime", "expires_at": "2020-01-01T00:00:00Z"}
            kept = {"Content-Type": "application/json", "If-Match": "*"}
            client.request("MERGE", address, content=json.dumps(body), headers=kept).raise_for_status()
