"""Attacks on an authorization, from outside the running app."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from tests.fixtures.whole_app import PASSWORD, ROLES, WholeApp, refused

pytestmark = pytest.mark.usefixtures("calm")

BROWSER_UNKNOWN = "authorization_browser_unknown"


def verifier_cookie(app: WholeApp) -> str:
    """The cookie's name for Megan's last authorization."""
    return [name for name in app.megan.cookies if re.fullmatch(r"authorization-[0-9a-f]{16}", name)][-1]


def packed(query: Mapping[str, str]) -> str:
    """Return an answer of ServiceNow in the form of its cookie."""
    return base64.urlsafe_b64encode(urlencode(query).encode()).decode().rstrip("=")


def test_another_users_consent_is_refused_and_its_tokens_revoked(app: WholeApp) -> None:
    connected = app.configured()
    answer = app.authorize(connected, user_name="adele.vance", password="sandbox-adele")
    problem = refused(answer, 403, "authorization_wrong_user")
    assert "adele.vance" in problem["detail"]
    assert "Not you?" in problem["next_step"]
    assert "log_out_first=true" in str(problem)
    assert app.tokens(connected) == []
    assert len(app.tokens(connected, live=False)) == 2
    assert app.status(connected) == "awaiting_authorization"


def test_a_token_of_another_user_of_the_client_is_refused_and_revoked(app: WholeApp) -> None:
    connected = app.configured_with_credentials(application_user="adele.vance")
    problem = refused(app.megan.ask("POST", f"{connected.path}/connect"), 403, "authorization_wrong_user")
    assert "adele.vance" in problem["detail"]
    assert "OAuth Application User" in problem["next_step"]
    assert "authorize_path" not in problem
    assert app.tokens(connected) == []
    assert len(app.tokens(connected, live=False)) == 1
    assert app.status(connected) == "awaiting_authorization"


def test_a_client_that_is_given_another_user_gets_no_further(app: WholeApp) -> None:
    """Who may write oauth_entity in ServiceNow could otherwise let the connector work as an administrator."""
    connected = app.connected_with_credentials()
    [ours] = app.tokens(connected)
    app.let_act_as(connected, "adele.vance")
    checked = app.megan.ask("POST", f"{connected.path}/check").json()
    [found] = [each for each in checked["findings"] if each["name"] == "token_endpoint"]
    assert found["reason"] == "credentials_refused"
    assert "adele.vance" in found["seen"]
    assert app.status(connected) == "reauthorization_required"
    assert app.tokens(connected) == [ours], "theirs is revoked"


def test_a_state_works_once(app: WholeApp) -> None:
    connected = app.configured()
    callback = app.consent(connected)
    cookies = dict(app.megan.cookies)
    assert app.megan.come_back(callback).status_code == 303
    refused(app.megan.come_back(callback), 400, "authorization_browser_unknown")
    app.megan.cookies.update(cookies)
    refused(app.megan.come_back(callback), 400, "authorization_unknown")
    assert app.status(connected) == "connected"


def test_another_browser_cannot_end_an_authorization(app: WholeApp) -> None:
    connected = app.configured()
    callback = app.consent(connected)
    with app.visitor("Megan Bowen") as other:
        refused(other.come_back(callback), 400, "authorization_browser_unknown")
        # Not even with a cookie with the right name.
        name = next(name for name in app.megan.cookies if name.startswith("authorization-"))
        other.cookies[name] = "another-verifier" * 4
        refused(other.come_back(callback), 400, "authorization_browser_unknown")
    assert app.tokens(connected) == []
    assert app.status(connected) == "awaiting_authorization"


@pytest.mark.parametrize("query", ["", "state=abc&code=def", f"state={'0' * 63}g&code=x"])
def test_a_callback_without_a_state_of_ours_is_refused(app: WholeApp, query: str) -> None:
    refused(app.megan.come_back(f"/api/oauth/callback?{query}"), 400, "authorization_state_invalid")


def test_a_code_that_was_used_is_refused(app: WholeApp) -> None:
    """The browser comes back with a valid state and an invalid code."""
    connected = app.configured()
    first = app.consent(connected)
    code = parse_qs(urlsplit(first).query)["code"][0]
    app.megan.come_back(first)
    second = parse_qs(urlsplit(app.consent(connected)).query)
    answer = app.megan.come_back("/api/oauth/callback?" + urlencode({"state": second["state"][0], "code": code}))
    refused(answer, 502, "authorization_code_refused")
    assert app.status(connected) == "connected"


def test_a_second_authorization_that_fails_leaves_the_first_in_place(app: WholeApp) -> None:
    connected = app.connected()
    before, tokens = app.megan.get(connected.path), app.tokens(connected)
    refused(app.authorize(connected, decision="deny"), 403, "authorization_denied")
    wrong = app.authorize(connected, user_name="adele.vance", password="sandbox-adele")
    refused(wrong, 403, "authorization_wrong_user")
    app.control.set_fault("reset_before_commit", path=r"^/oauth_token\.do$")
    refused(app.authorize(connected), 503, "servicenow_unavailable")
    after = app.megan.get(connected.path)
    assert after == before | {"lag_s": after["lag_s"]}
    assert app.tokens(connected) == tokens
    assert app.create(connected)["delivery"]["status"] == "delivered"


def test_a_code_never_reaches_an_instance_that_did_not_issue_it(app: WholeApp) -> None:
    """Somebody changes the connection while an administrator gives consent at the old instance."""
    connected = app.configured()
    callback = app.consent(connected)
    elsewhere = app.world.servicenow.url.replace("127.0.0.1", "localhost")
    changed = app.megan.ask("PUT", connected.path, {**connected.request, "instance": elsewhere})
    assert changed.json()["instance"] == elsewhere
    before = len(app.control.requests("/oauth_token.do"))
    refused(app.megan.come_back(callback), 409, "authorization_superseded")
    assert len(app.control.requests("/oauth_token.do")) == before, "neither code nor verifier was sent"
    app.megan.ask("PUT", connected.path, connected.request)
    assert app.megan.come_back(callback).status_code == 303, "nothing was used up"


def test_a_stolen_state_uses_nothing_up(app: WholeApp) -> None:
    """An attacker saw the callback's address, in a log or over a shoulder, and sends it repeatedly from a program."""
    connected = app.configured()
    callback = app.consent(connected)
    state = parse_qs(urlsplit(callback).query)["state"][0]
    thief = app.program(None)
    exchanges = len(app.control.requests("/oauth_token.do"))
    for query in ({"state": state, "code": "made-up"}, {"state": state, "error": "access_denied"}, {"state": state}):
        for cookie in ("", f"language=x,{verifier_cookie(app)}=made-up", f"{verifier_cookie(app)}=made-up"):
            moved = thief.ask("GET", f"/api/oauth/callback?{urlencode(query)}", headers={"Cookie": cookie})
            answer = thief.ask("GET", moved.headers["Location"], headers={"Cookie": cookie})
            refused(answer, 400, BROWSER_UNKNOWN)
            answer_cookie = {"Cookie": f"{cookie}; {verifier_cookie(app)}-answer={packed(query)}"}
            refused(thief.ask("GET", moved.headers["Location"], headers=answer_cookie), 400, BROWSER_UNKNOWN)
    thief.close()
    assert len(app.control.requests("/oauth_token.do")) == exchanges
    assert app.megan.come_back(callback).status_code == 303, "the browser that began it can still complete it"


def test_a_cookie_inside_another_ones_value_is_not_ours(app: WholeApp) -> None:
    """A neighbouring site cannot set our cookies, but chooses the values of its own."""
    connected = app.configured()
    query = {name: values[0] for name, values in parse_qs(urlsplit(app.consent(connected)).query).items()}
    name = verifier_cookie(app)
    address = f"/api/oauth/callback?authorization={name.removeprefix('authorization-')}"
    browser = app.program(None)

    def come_back(separator: str) -> httpx.Response:
        cookies = f"{name}-answer={packed(query)}; other=x{separator}{name}={app.megan.cookies[name]}"
        return browser.ask("GET", address, headers={"Cookie": cookies})

    for separator in (",", ", ", "%3B", '"'):
        refused(come_back(separator), 400, BROWSER_UNKNOWN)
    assert come_back("; ").status_code == 303
    browser.close()


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_begins_no_authorization(app: WholeApp, site: str) -> None:
    connected = app.configured()
    address = f"/api/oauth/authorize?connection_id={connected.connection_id}&log_out_first=true"
    asked = app.megan.ask("GET", address, headers={"Sec-Fetch-Site": site, "Accept": "text/html"})
    assert asked.status_code == 200
    assert "Set-Cookie" not in asked.headers
    [button] = re.findall(r'class="button primary" href="([^"]+)"', asked.text)
    assert html.unescape(button) == address
    begun = app.megan.ask("GET", address, headers={"Sec-Fetch-Site": "same-origin"})
    assert (begun.status_code, begun.headers["Set-Cookie"].split("=")[0]) == (302, verifier_cookie(app))


def test_no_page_has_a_code_in_its_address_or_sends_it_on(app: WholeApp) -> None:
    connected = app.configured()
    page = {"Accept": "text/html"}
    somebody_else = app.consent(connected, user_name="adele.vance", password="sandbox-adele")
    for callback in (somebody_else, app.consent(connected, decision="deny"), app.consent(connected)):
        secrets = {value for values in parse_qs(urlsplit(callback).query).values() for value in values}
        moved = app.megan.ask("GET", callback, headers=page)
        assert (moved.status_code, moved.headers["Referrer-Policy"]) == (303, "no-referrer")
        shown = app.megan.ask("GET", moved.headers["Location"], headers=page)
        assert shown.status_code in {303, 403}
        assert shown.status_code == 303 or shown.headers["Referrer-Policy"] == "no-referrer"
        for secret in secrets - {"access_denied"}:
            assert secret not in moved.headers["Location"] + moved.text + shown.headers.get("Location", "") + shown.text


def test_a_user_whose_name_only_looks_the_same_is_another(app: WholeApp) -> None:
    connected = app.configured()
    name, look_alike = (f"{letter}ync.{connected.user_name}" for letter in "s\N{LATIN SMALL LETTER LONG S}")
    app.control.create_user(look_alike, roles=ROLES, user_password=PASSWORD, time_zone="UTC")
    app.megan.call("PUT", connected.path, {**connected.request, "integration_user": name})
    refused(app.authorize(connected, user_name=look_alike), 403, "authorization_wrong_user")
    assert app.tokens(connected) == []
    assert app.status(connected) == "awaiting_authorization"
