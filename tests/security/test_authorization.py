"""Attacks on an authorization, from outside the running app."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.fixtures.whole_app import WholeApp, refused

pytestmark = pytest.mark.usefixtures("calm")

BROWSER_UNKNOWN = "authorization_browser_unknown"


def verifier_cookie(app: WholeApp) -> str:
    """The name of the cookie of the authorization that Megan began last."""
    return [name for name in app.megan.cookies if re.fullmatch(r"authorization-[0-9a-f]{16}", name)][-1]


def packed(query: Mapping[str, str]) -> str:
    """An answer of ServiceNow as its cookie holds it."""
    return base64.urlsafe_b64encode(urlencode(query).encode()).decode().rstrip("=")


def test_a_code_never_reaches_an_instance_that_did_not_issue_it(app: WholeApp) -> None:
    """Somebody changes the connection while an administrator is consenting at the old instance."""
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
    """Whoever saw the callback's address, in a log or over a shoulder, sends it again and again and is no browser."""
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
    assert app.megan.come_back(callback).status_code == 303, "the browser that began it can still end it"


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
