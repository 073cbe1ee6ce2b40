"""Signing in on the page (ServiceNow §1.3)."""

from collections.abc import Iterator

import pytest

from sandbox.servicenow.stage.browser import Browser, WalkError, sign_in
from tests.sandbox.servicenow.simulator import PASSWORD, Simulated, simulated


@pytest.fixture
def simulator() -> Iterator[Simulated]:
    with simulated() as world:
        yield world


@pytest.fixture
def browser(simulator: Simulated) -> Iterator[Browser]:
    with simulator.browser() as window:
        yield window


def test_the_form_has_the_controls_that_scripts_look_for(simulator: Simulated) -> None:
    html = simulator.send("GET", "/login.do").text
    assert 'name="user_name"' in html
    assert 'name="user_password"' in html
    assert 'id="sysverb_login"' in html


def test_a_scripted_login_keeps_a_cookie_session(simulator: Simulated) -> None:
    with simulator.client() as client:
        form = {"user_name": "agent", "user_password": PASSWORD, "sys_action": "sysverb_login"}
        response = client.post("/login.do", data=form)
        assert (response.status_code, response.headers["location"]) == (302, "/")
        assert client.get("/").status_code == 200
        assert client.get("/api/now/ui/user/current_user").json()["result"]["user_name"] == "agent"


def test_a_wrong_password_shows_the_form_again(simulator: Simulated, browser: Browser) -> None:
    with pytest.raises(WalkError, match="User name or password invalid"):
        sign_in(browser, browser.open(f"{simulator.url}/login.do"), "agent", "wrong")


@pytest.mark.parametrize("name", ["agent^ORuser_name=administrator", "javascript:gs.getUserName()", ""])
def test_a_user_name_is_never_read_as_a_query(simulator: Simulated, browser: Browser, name: str) -> None:
    with pytest.raises(WalkError):
        sign_in(browser, browser.open(f"{simulator.url}/login.do"), name, PASSWORD)


def test_a_password_that_needs_a_reset_does_not_log_in(simulator: Simulated, browser: Browser) -> None:
    simulator.change_user("agent", password_needs_reset="true")
    page = sign_in(browser, browser.open(f"{simulator.url}/login.do"), "agent", PASSWORD)
    assert "needs to be reset" in page.text
    assert browser.open(f"{simulator.url}/").form("login") is not None


def test_login_goes_on_to_the_page_that_was_asked_for(simulator: Simulated, browser: Browser) -> None:
    page = browser.open(f"{simulator.url}/?kind=incident")
    page = sign_in(browser, page, "agent", PASSWORD)
    assert page.url == f"{simulator.url}/?kind=incident"


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/", "/\\evil.example/"])
def test_login_never_leads_elsewhere(simulator: Simulated, browser: Browser, target: str) -> None:
    form = {"user_name": "agent", "user_password": PASSWORD, "sys_action": "sysverb_login"}
    response = simulator.send("POST", "/login.do", data=form | {"sysparm_goto_url": target})
    assert response.headers["location"] == "/"


def test_logging_out_ends_the_session(simulator: Simulated) -> None:
    with simulator.client() as client:
        client.post("/login.do", data={"user_name": "agent", "user_password": PASSWORD, "sys_action": "sysverb_login"})
        stolen = client.cookies["JSESSIONID"]
        client.get("/logout.do")
    assert simulator.send("GET", "/", headers={"Cookie": f"JSESSIONID={stolen}"}).status_code == 302


def test_the_session_changes_at_login(simulator: Simulated) -> None:
    with simulator.client() as client:
        client.get("/login.do")
        before = client.cookies["JSESSIONID"]
        client.post("/login.do", data={"user_name": "agent", "user_password": PASSWORD, "sys_action": "sysverb_login"})
        assert client.cookies["JSESSIONID"] != before


def test_a_session_ends_after_half_an_hour_unused(simulator: Simulated, browser: Browser) -> None:
    sign_in(browser, browser.open(f"{simulator.url}/login.do"), "agent", PASSWORD)
    simulator.instance.clock.advance(1790)
    assert browser.open(f"{simulator.url}/").form("login") is None
    simulator.instance.clock.advance(1801)
    assert browser.open(f"{simulator.url}/").form("login") is not None


def test_single_sign_on_stands_before_the_pages(simulator: Simulated, browser: Browser) -> None:
    simulator.instance.properties["simulator.single_sign_on.user"] = "person"
    page = browser.open(f"{simulator.url}/")
    assert "Person" in page.text
    page = browser.submit(page, "single_sign_on")
    assert page.url == f"{simulator.url}/"
    assert "person" in page.text


def test_single_sign_on_refuses_who_may_not_log_in(simulator: Simulated, browser: Browser) -> None:
    simulator.instance.properties["simulator.single_sign_on.user"] = "person"
    simulator.change_user("person", web_service_access_only="true")
    page = browser.submit(browser.open(f"{simulator.url}/"), "single_sign_on")
    assert page.status == 403
