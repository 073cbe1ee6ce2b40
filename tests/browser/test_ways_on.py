"""Every page has a way on: to the consent, to the page that was asked for, back to the typed text."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from sandbox import demonstration
from sandbox.demonstration import ADMINISTRATOR, REQUESTER
from sandbox.portal import PortalUser
from sandbox.world import FunctionsHost, World
from shared.tickets.waiting import WaitsFor
from shared.words.language import languages
from tests.browser.conftest import NewApp, OpenWindow
from tests.browser.window import Window
from tests.fixtures.whole_app import TICKET

t = languages()["en"]


@pytest.fixture(scope="module")
def app(new_app: NewApp, world: World) -> FunctionsHost:
    """An app with a connection whose consent is no longer valid."""
    host = new_app()
    demonstration.connect(host, world.servicenow)
    demonstration.connect(host, world.servicenow, authorize=False, integration_user="somebody.else")
    return host


@pytest.fixture(scope="module")
def waiting(app: FunctionsHost) -> str:
    """The path of a ticket that waits for the consent."""
    with PortalUser(REQUESTER, app.public_url) as requester:
        return f"/tickets/{requester.call('POST', '/api/tickets', TICKET)['ticket_id']}"


def end_session(window: Window) -> None:
    """End the session, as after eight hours."""
    window.context.clear_cookies(name="AppServiceAuthSession")


def sign_in_again(page: Page, person: str) -> None:
    """Sign in on the page that follows a form sent too late."""
    page.locator(f"button[value='{person}']").click()


def test_a_ticket_without_a_consent_says_who_has_to_act(
    app: FunctionsHost, waiting: str, open_window: OpenWindow
) -> None:
    page = open_window(app).sign_in(REQUESTER, waiting)
    expect(page.get_by_role("status")).to_contain_text(t(f"ticket.waits_for.{WaitsFor.AUTHORIZATION}"))
    expect(page.get_by_role("button", name=t("action.retry"))).to_have_count(0)
    expect(page.get_by_role("link", name=t("action.authorize"), exact=True)).to_have_count(0)


def test_every_authorize_leads_to_the_consent(app: FunctionsHost, waiting: str, open_window: OpenWindow) -> None:
    page = open_window(app).sign_in(ADMINISTRATOR, waiting)
    for path in (waiting, "/"):
        page.goto(app.public_url + path)
        page.get_by_role("main").get_by_role("link", name=re.compile("^Authorize")).click()
        expect(page.locator("#authorize").get_by_role("link", name=t("action.authorize"))).to_be_in_viewport()
    page.goto(f"{app.public_url}/configuration/contoso")
    expect(page.get_by_role("link", name=t("action.authorize"), exact=True)).to_be_visible()
    expect(page.get_by_role("button", name=t("action.sync"))).to_have_count(0)


def test_a_synchronisation_that_needs_a_consent_leads_to_it(app: FunctionsHost, open_window: OpenWindow) -> None:
    page = open_window(app).sign_in(ADMINISTRATOR, "/configuration/contoso")
    # The page was opened before the consent ended.
    page.locator("form[action$='/check']").evaluate("each => each.action = '/configuration/contoso/sync'")
    page.get_by_role("button", name=t("action.check")).click()
    page.get_by_role("main").get_by_role("link", name=t("action.authorize"), exact=True).click()
    expect(page.locator("#authorize").get_by_role("link", name=t("action.authorize"))).to_be_in_viewport()


def test_where_only_forms_are_sent_to_leads_to_their_page(
    app: FunctionsHost, waiting: str, open_window: OpenWindow
) -> None:
    page = open_window(app).sign_in(ADMINISTRATOR)
    for path, place in {
        "/configuration/contoso/sync": "/configuration/contoso",
        "/configuration/contoso/connect": "/configuration/contoso",
        f"{waiting}/retry": waiting,
        f"{waiting}/updates": waiting,
        f"{waiting}/updates/{'0' * 32}/discard": waiting,
        "/tickets/retry": "/tickets",
    }.items():
        page.goto(app.public_url + path)
        expect(page).to_have_url(app.public_url + place)


def test_a_ticket_outlives_the_session(app: FunctionsHost, open_window: OpenWindow) -> None:
    window = open_window(app)
    page = window.sign_in(REQUESTER, "/tickets/new?recommendation_id=AdminMFAV2")
    page.locator("#name").fill("Typed for an hour")
    page.locator("#description").fill("Line one\nline two")
    page.locator("#priority").select_option("low")
    end_session(window)
    page.locator("button[value='preview']").click()
    sign_in_again(page, REQUESTER.oid)
    expect(page.get_by_text(t("form.restored"))).to_be_visible()
    expect(page.locator("#name")).to_have_value("Typed for an hour")
    expect(page.locator("#description")).to_have_value("Line one\nline two")
    expect(page.locator("#priority")).to_have_value("low")
    expect(page.locator("#name-count")).to_have_text(t("form.characters_left", left=160 - 17))
    page.locator("button[value='preview']").click()
    expect(page.get_by_role("region", name=t("new.preview"))).to_contain_text("AdminMFAV2")
    page.goto(f"{app.public_url}/tickets/new")
    expect(page.locator("#name")).to_have_value("")
    page.locator("#name").fill("Only for my eyes")
    page.locator("#description").fill("Mine")
    end_session(window)
    page.locator("button[value='preview']").click()
    sign_in_again(page, ADMINISTRATOR.oid)
    expect(page.locator("#name")).to_have_value("")
    assert page.evaluate("sessionStorage.length") == 0, "nobody else sees it, and it is gone"


def test_the_instructions_follow_the_chosen_grant_with_the_keyboard_and_without_scripts(
    app: FunctionsHost, open_window: OpenWindow
) -> None:
    page = open_window(app, scripts=False).sign_in(ADMINISTRATOR, "/ticketProvisioning?new=true")
    consent, credentials = page.locator("#redirect-uri"), page.get_by_text("OAuth - Client credentials grant").last
    expect(consent).to_be_hidden()
    expect(credentials).to_be_visible()
    page.locator("#grant-client_credentials").focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("radio", name=t("grant.authorization_code"))).to_be_checked()
    expect(consent).to_be_visible()
    expect(credentials).to_be_hidden()
    page.get_by_text(t("instructions.title")).click()
    handed_over = page.get_by_role("region", name=t("instructions.action"))
    expect(handed_over).to_have_count(1)
    expect(handed_over).to_contain_text("MFA Exempted User Group")


def test_a_connection_outlives_the_session_but_its_secret_does_not(app: FunctionsHost, open_window: OpenWindow) -> None:
    window = open_window(app)
    page = window.sign_in(ADMINISTRATOR, "/configuration/contoso/account")
    page.locator("#integration_user").fill("m365.another")
    page.locator("#grant-client_credentials").check()
    page.locator("#client_secret").fill("do not keep me")
    end_session(window)
    page.get_by_role("button", name=t("action.save")).click()
    assert "do not keep me" not in page.evaluate("JSON.stringify(sessionStorage)")
    sign_in_again(page, ADMINISTRATOR.oid)
    expect(page.get_by_text(t("form.restored"))).to_be_visible()
    expect(page.locator("#integration_user")).to_have_value("m365.another")
    expect(page.locator("#grant-client_credentials")).to_be_checked()
    expect(page.locator("#grant-authorization_code")).to_have_value("authorization_code")
    expect(page.locator("#client_secret")).to_have_value("")

    page.goto(f"{app.public_url}/configuration/contoso/settings")
    page.locator("#display_name").fill("Contoso Ltd")
    page.locator("input[name='change_enabled']").uncheck()
    codes = page.locator("#incident_typed_codes")
    expect(codes).to_have_value(re.compile("^No resolution provided\nDuplicate\n"))
    expect(codes).to_be_hidden()
    page.locator("#incident_codes").select_option("own")
    codes.fill("Duplicate")
    end_session(window)
    page.get_by_role("button", name=t("action.save")).click()
    sign_in_again(page, ADMINISTRATOR.oid)
    expect(page.locator("#display_name")).to_have_value("Contoso Ltd")
    expect(page.locator("input[name='change_enabled']")).not_to_be_checked()
    expect(codes).to_be_visible()
    expect(codes).to_have_value("Duplicate")
    save = page.locator("button[value='save']")
    # Nothing leaves the page, as if the answer took long.
    page.evaluate("window.addEventListener('submit', (event) => event.preventDefault(), { once: true })")
    save.click()
    expect(save).to_have_text(t("busy.saving"))
    expect(page.locator("#waiting")).to_have_text(t("busy.saving"))
    save.press("Enter")
    expect(save).to_have_text(t("busy.already"))
    expect(save).to_be_focused()
    page.evaluate("window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    expect(save).to_have_text(t("action.save"))
    save.click()
    expect(page.get_by_text(t("configuration.saved"))).to_be_visible()

    page.goto(f"{app.public_url}/configuration/contoso/reminders")
    page.locator("#quiet_from").fill("22:30")
    page.locator("#webhook_address").fill("https://do-not-keep.me/")
    end_session(window)
    page.get_by_role("button", name=t("action.save")).click()
    sign_in_again(page, ADMINISTRATOR.oid)
    expect(page.locator("#quiet_from")).to_have_value("22:30")
    expect(page.locator("#webhook_address")).to_have_value("")
    assert page.evaluate("sessionStorage.length") == 0


@pytest.mark.parametrize(
    ("path", "field"), [("/tickets/new", "name"), ("/configuration/contoso/settings", "display_name")]
)
def test_without_scripts_the_back_button_brings_back_what_was_typed(
    app: FunctionsHost, open_window: OpenWindow, path: str, field: str
) -> None:
    window = open_window(app, scripts=False)
    page = window.sign_in(ADMINISTRATOR, path)
    page.locator(f"#{field}").fill("Typed by hand")
    end_session(window)
    page.get_by_role("main").locator("form").last.locator("button").first.click()
    sign_in_again(page, ADMINISTRATOR.oid)
    page.wait_for_url(app.public_url + path)
    page.go_back()
    page.go_back()
    expect(page.locator(f"#{field}")).to_have_value("Typed by hand")
