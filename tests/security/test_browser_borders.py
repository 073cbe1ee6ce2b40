"""Attacks through an administrator's browser, from outside the running app."""

from __future__ import annotations

import pytest

from tests.fixtures.whole_app import WholeApp

SECRET = "hunter2-in-the-address"
PAGE = {"Accept": "text/html"}


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


def test_no_page_tells_another_site_its_address(app: WholeApp) -> None:
    for path in ("/", "/tickets", "/ticketProvisioning", "/nowhere", "/api/oauth/callback"):
        policy = app.megan.ask("GET", path, headers=PAGE).headers["Referrer-Policy"]
        assert policy == ("no-referrer" if path.startswith("/api/") else "same-origin")
