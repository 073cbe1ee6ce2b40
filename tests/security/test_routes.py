"""What an attacker reaches and learns with addresses and methods that the app does not have."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from tests.fixtures.whole_app import Program, WholeApp, daemon, refused

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "FOO")
PAGE = {"Accept": "text/html,application/xhtml+xml"}
SECRET = "hunter2-in-the-address"
NO_SUCH_ADDRESS = (
    "/api",
    "/api/nothing",
    "/api/tickets/a/b",
    "/api/health/x",
    "/nothing",
    "/static",
    "/.env",
    "/.git/config",
    "/.auth/nothing",
    "/admin",
    "/runtime/nothing",
    "/x//y",
    "/favicon.ico",
)


@pytest.fixture(scope="module")
def program(app: WholeApp) -> Iterator[Program]:
    caller = app.program(daemon().token)
    yield caller
    caller.close()


@pytest.mark.parametrize("path", NO_SUCH_ADDRESS)
def test_a_program_learns_that_there_is_nothing(program: Program, path: str) -> None:
    for method in METHODS:
        answer = program.ask(method, path)
        if method == "HEAD":
            assert (answer.status_code, answer.content) == (404, b"")
        else:
            refused(answer, 404, "page_not_found")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/", "GET, HEAD, OPTIONS"),
        ("/api/health", "GET, HEAD, OPTIONS"),
        ("/API/Health/", "GET, HEAD, OPTIONS"),
        ("/api/he%61lth", "GET, HEAD, OPTIONS"),
        ("/api/tickets", "GET, HEAD, OPTIONS, POST"),
        ("/api/connections/contoso", "DELETE, GET, HEAD, OPTIONS, PUT"),
        ("/api/connections/contoso/check", "OPTIONS, POST"),
        ("/tickets.csv", "GET, HEAD, OPTIONS"),
        ("/configuration/contoso/sync", "GET, HEAD, OPTIONS, POST"),
    ],
)
def test_a_program_learns_which_methods_there_are(program: Program, path: str, allowed: str) -> None:
    for method in METHODS:
        answer = program.ask(method, path)
        if method == "OPTIONS":
            assert (answer.status_code, answer.content) == (204, b"")
        elif method not in allowed.split(", "):
            assert answer.status_code == 405
            if method != "HEAD":
                assert refused(answer, 405, "method_not_allowed")["allowed_methods"] == allowed.split(", ")
        else:
            assert answer.status_code != 405
            continue
        assert answer.headers["Allow"] == allowed


@pytest.mark.parametrize(
    ("language", "headline"), [("en", "This page does not exist"), ("ja", "ページが見つかりません")]
)
def test_a_person_gets_a_page_for_an_address_that_is_not_there(app: WholeApp, language: str, headline: str) -> None:
    for path in ("/nothing", "/api/nothing", "/x/<script>alert(1)</script>"):
        answer = app.megan.ask("GET", path, headers={**PAGE, "Accept-Language": language})
        assert answer.status_code == 404
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.headers["Content-Language"] == language
        assert re.search(f"<h1>{headline}</h1>", answer.text)
        assert "<script>alert" not in answer.text


def test_a_person_gets_a_page_for_an_address_that_only_takes_forms(app: WholeApp) -> None:
    answer = app.megan.ask("DELETE", "/tickets", headers=PAGE)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
    assert "<h1>There is no page here</h1>" in answer.text


def test_head_says_what_get_says_without_a_body(app: WholeApp) -> None:
    for path in (
        "/api/health",
        "/api/connections",
        "/api/tickets/nothing",
        "/",
        "/tickets",
        "/tickets.csv",
        "/nothing",
    ):
        get, head = (app.megan.ask(method, path, headers=PAGE) for method in ("GET", "HEAD"))
        assert head.status_code == get.status_code, path
        assert head.content == b""
        assert get.content
        for name in ("Content-Type", "Cache-Control", "Content-Security-Policy"):
            assert head.headers[name] == get.headers[name]


def test_a_probe_needs_no_sign_in(app: WholeApp) -> None:
    for method in ("GET", "HEAD"):
        answer = httpx.request(method, f"{app.host.url}/api/health", trust_env=False)
        assert answer.status_code == 200
    refused(httpx.post(f"{app.host.url}/api/health", trust_env=False), 405, "method_not_allowed")


@pytest.mark.parametrize("path", ["/api/tickets", "/api/connections/contoso", "/tickets/new", "/api/health"])
def test_no_preflight_opens_an_address_to_another_site(app: WholeApp, program: Program, path: str) -> None:
    preflight = {
        "Origin": "https://evil.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    for caller in (app.megan, program):
        answer = caller.ask("OPTIONS", path, headers=preflight)
        refused(answer, 403, "cross_site_request")
        asked = program.ask("OPTIONS", path)
        for each in (answer, asked):
            assert not [name for name in each.headers if name.lower().startswith("access-control-")]


def test_a_stranger_learns_of_no_address(app: WholeApp) -> None:
    stranger = app.program(None)
    answers = {path: stranger.ask("GET", path) for path in ("/api/tickets", "/api/nothing", "/nothing", "/admin/x")}
    stranger.close()
    assert {answer.status_code for answer in answers.values()} == {302}
    assert all(answer.headers["Location"].startswith("/.auth/login/aad?") for answer in answers.values())


def test_the_hosts_own_addresses_stay_the_hosts(app: WholeApp, program: Program) -> None:
    assert program.ask("GET", "/admin/host/status").status_code == 401
    assert program.ask("GET", "/admin/functions").status_code == 401
    assert program.ask("POST", "/runtime/webhooks/x").status_code == 401
    answer = program.ask("GET", "/admin/host/status", headers={"x-functions-key": app.host.master_key})
    assert answer.json()["state"] == "Running"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http", "Forwarded": "host=evil.example"},
        {"X-Original-Host": "evil.example", "X-Original-URL": "/evil.example", "X-Rewrite-URL": "/evil.example"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_a_made_up_host_leads_nobody_elsewhere(app: WholeApp, headers: dict[str, str]) -> None:
    connected = app.configured()
    for path in (
        "/",
        "/ticketProvisioning",
        f"/configuration/{connected.connection_id}",
        f"/api/oauth/authorize?connection_id={connected.connection_id}",
        "/api/openapi.json",
        "/nothing",
    ):
        answer = app.megan.ask("GET", path, headers={**PAGE, **headers})
        assert "evil.example" not in f"{answer.headers} {answer.text}", path
    write = app.megan.ask("POST", "/api/tickets", {}, headers={**headers, "Origin": "http://evil.example"})
    refused(write, 403, "cross_site_request")


@pytest.mark.parametrize(
    "elsewhere",
    [
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/..//evil.example",
        "/%09/evil.example",
        "https://evil.example/",
        "javascript:alert(1)",
        "/\r\nSet-Cookie: planted=1",
    ],
)
def test_no_link_to_the_app_leads_on_to_another_site(app: WholeApp, elsewhere: str) -> None:
    address = httpx.URL(f"{app.host.url}/language/en", params={"return_to": elsewhere})
    answer = app.megan.visit(str(address))
    assert answer.status_code == 303
    assert address.join(answer.headers["Location"]).netloc == address.netloc
    assert "planted" not in str(answer.headers.get_list("Set-Cookie"))


@pytest.mark.parametrize("start", ["..%2f", "%2e%2e%2f", "..%5c", "....//", "%2f", "translations%2f..%2f..%2f"])
def test_a_static_address_reads_no_other_file(app: WholeApp, start: str) -> None:
    for file in ("host.json", "requirements.txt", "words/translations/en.json"):
        answer = app.megan.ask("GET", f"/static/{start}{file}", headers=PAGE)
        assert answer.status_code == 404
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"


def test_the_open_callback_says_nothing_that_a_stranger_has_written(app: WholeApp) -> None:
    """It needs no sign-in, so anybody can send people a link to it."""
    lure = "call-this-number-at-once"
    for state in ("0" * 64, "none of ours", ""):
        for parameters in ({"error": lure, "error_description": lure}, {"code": lure}, {lure: lure}):
            address = httpx.URL(f"{app.host.url}/api/oauth/callback", params={"state": state, **parameters})
            for accept in ({}, PAGE):
                with httpx.Client(headers=accept, trust_env=False, follow_redirects=True) as browser:
                    answer = browser.get(address)
                assert answer.status_code == 400
                for each in (*answer.history, answer):
                    assert lure not in f"{each.headers} {each.text}"


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/tickets", "/tickets/new", "/tickets/00000000000000000000000000000000", "/ticketProvisioning"),
        *("/configuration/nobody", "/tickets/retry", "/nowhere", "/api/oauth/authorize", "/static/nothing.js"),
    ],
)
@pytest.mark.parametrize("parameter", ["client_secret", "code", "state"])
def test_a_secret_in_an_address_comes_back_in_no_answer(app: WholeApp, path: str, parameter: str) -> None:
    answer = app.megan.ask("GET", f"{path}?{parameter}={SECRET}", headers=PAGE)
    assert SECRET not in answer.text
    assert SECRET not in str(answer.headers)


def test_a_change_of_language_hands_no_secret_on(app: WholeApp) -> None:
    for place, kept in (
        (f"/tickets?kind=incident%26client_secret={SECRET}", "/tickets?kind=incident"),
        (f"/tickets?kind=incident&client_secret={SECRET}", "/tickets?kind=incident"),
        (f"/api/oauth/callback?code={SECRET}", "/"),
        (f"https://evil.example/?x={SECRET}", "/"),
        ("//evil.example", "/"),
    ):
        answer = app.megan.ask("GET", f"/language/ja?return_to={place}")
        assert (answer.status_code, answer.headers["Location"]) == (303, kept)
        assert SECRET not in str(answer.headers)


def test_no_page_shows_another_site_its_address(app: WholeApp) -> None:
    for path in ("/", "/tickets", "/ticketProvisioning", "/nowhere", "/api/oauth/callback"):
        policy = app.megan.ask("GET", path, headers=PAGE).headers["Referrer-Policy"]
        assert policy == ("no-referrer" if path.startswith("/api/") else "same-origin")
