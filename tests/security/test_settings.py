"""If an app setting is unusable, every page and answer says so, and says no more than that."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from tests.fixtures.whole_app import WholeApp, refused

PAGE = {"Accept": "text/html,application/xhtml+xml"}
MISPLACED = "https-a-value-in-the-wrong-place"


@pytest.fixture(scope="module")
def app(start_app: Callable[..., WholeApp]) -> WholeApp:
    """The app with a missing setting, and with a misplaced value in another one."""
    return start_app(settings={"TABLES_URL": "", "KEY_VAULT_URL": MISPLACED})


def test_without_usable_settings_nobody_learns_which_one(app: WholeApp) -> None:
    answers: list[httpx.Response] = []
    for path in ("/", "/tickets", "/configuration/contoso", "/api/oauth/callback", "/language/en"):
        page = app.megan.ask("GET", path, headers={**PAGE, "Accept-Language": "en"})
        assert page.status_code == 500, path
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "The application settings are not valid." in page.text
        assert "settings_invalid" in page.text
        problem = app.megan.ask("GET", path)
        refused(problem, 500, "settings_invalid")
        answers += [page, problem]
    for method, path in (
        ("GET", "/api/tickets"),
        ("POST", "/api/tickets"),
        ("GET", "/api/health"),
        ("POST", "/nothing"),
    ):
        answers.append(app.megan.ask(method, path))
        refused(answers[-1], 500, "settings_invalid")
    for answer in answers:
        assert not any(told in answer.text for told in ("TABLES_URL", "KEY_VAULT_URL", MISPLACED)), answer.url
    log = app.host.process.text()
    assert "TABLES_URL: " in log
    assert "KEY_VAULT_URL: " in log
    assert MISPLACED not in log


def test_a_page_looks_as_usual_without_usable_settings(app: WholeApp) -> None:
    page = app.megan.ask("GET", "/", headers=PAGE)
    style = page.text.split('rel="stylesheet" href="')[1].partition('"')[0]
    assert app.megan.ask("GET", style).status_code == 200
