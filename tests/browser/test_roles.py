"""People's roles decide what they see and may do; the server refuses what a page does not offer."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import expect

from sandbox.chromium import SIGN_IN_PAGE
from sandbox.demonstration import REQUESTER, TENANT
from sandbox.functions_host.authentication import Person
from sandbox.world import FunctionsHost
from shared.words.language import languages
from tests.browser.conftest import OpenWindow

t = languages()["en"]


def person(name: str) -> Person:
    """A person of the tenant."""
    return next(each for each in TENANT.people if each.name == name)


def test_reader_sees_tickets_and_is_refused_to_create_one(app: FunctionsHost, open_window: OpenWindow) -> None:
    page = open_window(app).sign_in(person("Lee Gu"))
    expect(page.get_by_role("link", name=t("action.view_tickets")).first).to_be_visible()
    for path in ("/", "/tickets"):
        page.goto(app.public_url + path)
        expect(page.get_by_role("link", name=t("action.create_ticket"))).to_have_count(0)
        expect(page.get_by_role("link", name=t("action.manage_configuration"))).to_have_count(0)
        expect(page.get_by_role("link", name=t("nav.connections"))).to_have_count(0)
    page.get_by_role("link", name="Limit consent").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Limit consent")
    expect(page.get_by_role("button", name=t("action.retry"))).to_have_count(0)

    sent = page.request.post(f"{page.url.partition('?')[0]}/retry", headers={"Origin": app.public_url})
    assert sent.status == 403
    sent = page.request.post(f"{app.public_url}/tickets/new", headers={"Origin": app.public_url}, form={"name": "x"})
    assert sent.status == 403


def test_requester_is_refused_to_manage_connections(app: FunctionsHost, open_window: OpenWindow) -> None:
    page = open_window(app).sign_in(REQUESTER)
    expect(page.get_by_role("link", name=t("action.manage_configuration"))).to_have_count(0)
    for path in ("/ticketProvisioning", "/configuration", "/configuration/contoso", "/configuration/contoso/remove"):
        answer = page.goto(app.public_url + path)
        assert answer is not None
        assert answer.status == 403, path
        expect(page.get_by_role("heading", level=1)).to_have_text(t("error.role_missing.title"))
        expect(page.get_by_role("main")).to_contain_text(t("error.role_missing.next_step", roles="Connections.Manage"))


def test_person_without_a_role_is_told_whom_to_ask(app: FunctionsHost, open_window: OpenWindow) -> None:
    page = open_window(app, language="ja-JP").sign_in(person("Diego Siciliani"))
    roles = "Connections.Manage, Tickets.Create, Tickets.Read"
    expect(page.get_by_role("main")).to_contain_text(languages()["ja"]("error.role_missing.next_step", roles=roles))


def test_signed_out_leads_to_signing_in_and_back_to_where_one_wanted(
    app: FunctionsHost, open_window: OpenWindow
) -> None:
    page = open_window(app).tab()
    page.goto(f"{app.public_url}/tickets?kind=change")
    assert urlsplit(page.url).path == SIGN_IN_PAGE
    page.locator(f"button[value='{REQUESTER.oid}']").click()
    page.wait_for_url(f"{app.public_url}/tickets?kind=change")
    expect(page.locator("#kind")).to_have_value("change")
    page.get_by_role("link", name=t("nav.sign_out")).click()
    page.goto(app.public_url)
    assert parse_qs(urlsplit(page.url).query)["post_login_redirect_uri"] == ["/"]


def test_form_of_another_site_is_refused(app: FunctionsHost, open_window: OpenWindow) -> None:
    page = open_window(app).sign_in(REQUESTER)
    headers = {"Origin": "https://elsewhere.example", "Accept": "text/html"}
    refused = page.request.post(f"{app.public_url}/tickets/new", headers=headers, form={"name": "x"})
    assert refused.status == 403
    assert t("error.cross_site_request.title") in refused.text()
