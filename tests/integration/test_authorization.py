"""The whole authorization: browser, app, ServiceNow, and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from sandbox.servicenow.stage.browser import AuthenticatorApp, Browser, WalkError, sign_in_and_consent
from tests.fixtures.whole_app import PASSWORD, WholeApp, refused

pytestmark = pytest.mark.usefixtures("calm")


def test_the_integration_users_consent_connects(app: WholeApp) -> None:
    connected = app.configured()
    assert app.status(connected) == "awaiting_authorization"
    start = app.megan.visit(f"/api/oauth/authorize?connection_id={connected.connection_id}")
    assert start.status_code == 302
    asked = {name: values[0] for name, values in parse_qs(urlsplit(start.headers["Location"]).query).items()}
    assert asked["response_type"] == "code"
    assert asked["redirect_uri"] == f"{app.host.public_url}/api/oauth/callback"
    assert asked["code_challenge_method"] == "S256"
    attributes = {part.strip().lower() for part in start.headers["Set-Cookie"].split(";")[1:]}
    assert attributes >= {"max-age=600", "path=/", "httponly", "samesite=lax"}
    callback = sign_in_and_consent(start.headers["Location"], connected.user_name, PASSWORD)
    app.canary.plant("code", parse_qs(urlsplit(callback).query)["code"][0])
    back = app.megan.come_back(callback)
    assert back.status_code == 303
    assert back.headers["Location"].startswith("/")
    assert not [name for name in app.megan.cookies if name.startswith("authorization-")]
    after = app.megan.get(connected.path)
    assert after["status"] == "connected"
    assert after["last_error"] is None
    now = datetime.now(UTC)
    lasts = datetime.fromisoformat(after["access_token_expires_at"]) - now
    assert timedelta(minutes=29) < lasts <= timedelta(minutes=30)
    assert after["consent_days_left"] == 99
    [access_token], [refresh_token] = app.tokens(connected, "access_token"), app.tokens(connected, "refresh_token")
    assert access_token not in str(after)
    assert refresh_token not in str(after)


def test_the_second_factor_comes_before_the_consent(app: WholeApp) -> None:
    app.control.set_properties({"simulator.mfa.enforced": True})
    connected = app.configured()
    phone = AuthenticatorApp(app.control.now, app.control.enrol_second_factor(connected.user_name))
    with pytest.raises(WalkError, match="verification code"):
        app.consent(connected)
    assert app.authorize(connected, phone=phone).status_code == 303
    assert app.status(connected) == "connected"
    assert app.create(connected)["delivery"]["status"] == "delivered", "calls of the API ask for no second factor"


def test_a_person_who_is_signed_in_as_somebody_else_gets_through_by_not_you(app: WholeApp) -> None:
    connected = app.configured()
    with Browser() as browser:
        wrong = app.authorize(connected, user_name="adele.vance", password="sandbox-adele", browser=browser)
        refused(wrong, 403, "authorization_wrong_user")
        # Adele is still signed in there, so the person clicks "Not you?".
        assert app.authorize(connected, browser=browser).status_code == 303
    assert app.status(connected) == "connected"


def test_the_sign_out_that_the_refusal_offers_lets_another_user_in(app: WholeApp) -> None:
    connected = app.configured()
    with Browser() as browser:
        app.authorize(connected, user_name="adele.vance", password="sandbox-adele", browser=browser)
        start = app.megan.visit(f"/api/oauth/authorize?connection_id={connected.connection_id}&log_out_first=true")
        page = browser.open(start.headers["Location"])
        assert page.form("login") is not None, page.text


def test_a_browser_is_shown_a_page_that_says_what_to_do(app: WholeApp) -> None:
    connected = app.configured()
    callback = app.consent(connected, user_name="adele.vance", password="sandbox-adele")
    address = app.megan.visit(callback).headers["Location"]
    answer = app.megan.ask("GET", address, headers={"Accept": "text/html,application/xhtml+xml"})
    assert answer.status_code == 403
    assert answer.headers["Content-Type"].startswith("text/html")
    assert f"connection_id={connected.connection_id}" in answer.text
    assert "log_out_first=true" in answer.text
    assert parse_qs(urlsplit(callback).query)["code"][0] not in answer.text


def test_denial_changes_nothing(app: WholeApp) -> None:
    connected = app.configured()
    refused(app.authorize(connected, decision="deny"), 403, "authorization_denied")
    assert app.status(connected) == "awaiting_authorization"
    assert app.tokens(connected) == []


def test_nobody_has_to_be_signed_in_to_come_back(app: WholeApp) -> None:
    connected = app.configured()
    callback = app.consent(connected)
    session = app.megan.cookies.pop("AppServiceAuthSession")
    try:
        assert app.megan.come_back(callback).status_code == 303
    finally:
        app.megan.cookies["AppServiceAuthSession"] = session
    assert app.status(connected) == "connected"


def test_two_tabs_do_not_disturb_each_other(app: WholeApp) -> None:
    one, other = app.configured(), app.configured()
    callbacks = [app.consent(one), app.consent(other)]
    assert [app.megan.come_back(callback).status_code for callback in callbacks] == [303, 303]
    assert [app.status(one), app.status(other)] == ["connected", "connected"]


def test_two_tabs_of_one_connection_both_connect(app: WholeApp) -> None:
    connected = app.configured()
    callbacks = [app.consent(connected), app.consent(connected)]
    assert [app.megan.come_back(callback).status_code for callback in callbacks] == [303, 303]
    assert app.create(connected)["delivery"]["status"] == "delivered"


def test_a_second_authorization_that_succeeds_takes_over(app: WholeApp) -> None:
    connected = app.connected()
    before = app.megan.get(connected.path)
    assert app.authorize(connected).status_code == 303
    after = app.megan.get(connected.path)
    assert after["consented_at"] > before["consented_at"]
    assert app.create(connected)["delivery"]["status"] == "delivered"


@pytest.mark.parametrize("change", [{"active": "false"}, {"locked_out": "true"}])
def test_an_integration_user_who_may_no_longer_work_is_refused(app: WholeApp, change: dict[str, str]) -> None:
    connected = app.configured()
    callback = app.consent(connected)
    app.control.change_user(connected.user_name, **change)
    # ServiceNow says no more than that the exchange is refused.
    problem = refused(app.megan.come_back(callback), 502, "authorization_code_refused")
    assert "active" in problem["next_step"]
    assert app.status(connected) == "awaiting_authorization"
    assert app.tokens(connected) == []


@pytest.mark.parametrize("roles", [(), ("sn_incident_read",), ("snc_platform_rest_api_access",)])
def test_an_integration_user_without_rights_is_refused(app: WholeApp, roles: tuple[str, ...]) -> None:
    app.control.set_properties({"simulator.acl.sys_user_has_role_for_admin_only": False})
    connected = app.configured(roles=roles)
    problem = refused(app.authorize(connected), 403, "authorization_create_refused")
    assert "role" in problem["next_step"]
    assert app.tokens(connected) == []
    assert app.status(connected) == "awaiting_authorization"


def test_rights_are_asked_for_enabled_kinds_only(app: WholeApp) -> None:
    app.control.set_properties({"simulator.acl.sys_user_has_role_for_admin_only": False})
    roles = ("sn_incident_read", "sn_incident_write")
    connected = app.configured(roles=roles, kinds={"change": {"enabled": False}})
    assert app.authorize(connected).status_code == 303
    refused(
        app.adele.ask("POST", "/api/tickets", connected.ticket(kind="change")),
        422,
        "kind_not_enabled",
    )


def test_a_connection_that_does_not_exist_cannot_be_authorized(app: WholeApp) -> None:
    refused(app.megan.visit("/api/oauth/authorize?connection_id=nobody"), 404, "connection_not_found")
    refused(app.megan.visit("/api/oauth/authorize?connection_id=No%20Body"), 400, "invalid_connection_id")
    refused(app.megan.visit("/api/oauth/authorize"), 400, "invalid_query")
    refused(app.megan.visit("/api/oauth/authorize?connection_id=a&redirect=x"), 400, "invalid_query")


def test_a_changed_client_secret_needs_a_new_authorization_and_keeps_the_tickets(app: WholeApp) -> None:
    connected = app.connected()
    ticket = app.create(connected)
    old_tokens = app.tokens(connected)
    secret = app.control.rotate_client_secret(connected.client_id)
    app.canary.plant("client secret", secret)
    answer = app.megan.ask("PUT", connected.path, {**connected.request, "client_secret": secret})
    assert answer.status_code == 200
    assert answer.json()["status"] == "reauthorization_required"
    assert answer.json()["last_error"]["code"] == "configuration_changed"
    assert not set(old_tokens) & set(app.tokens(connected))
    waiting = app.adele.ask("POST", "/api/tickets", connected.ticket(name="Meanwhile"))
    assert waiting.status_code == 202
    assert app.authorize(connected).status_code == 303
    app.run_timer()
    assert app.show(waiting.json())["delivery"]["status"] == "delivered"
    assert app.show(ticket)["dormant"] is False


def test_an_update_without_a_secret_keeps_the_one_there_is(app: WholeApp) -> None:
    connected = app.connected()
    changed = {name: value for name, value in connected.request.items() if name != "client_secret"}
    answer = app.megan.ask("PUT", connected.path, {**changed, "display_name": "Renamed"})
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["display_name"]) == ("connected", "Renamed")
    app.control.revoke_tokens(user_name=connected.user_name, token_type="access_token")
    # A refresh needs the client secret.
    assert app.create(connected)["delivery"]["status"] == "delivered"
    other_client = app.megan.ask("PUT", connected.path, {**changed, "client_id": "another-client"})
    refused(other_client, 422, "client_secret_required")
    assert app.status(connected) == "connected"


def test_a_renamed_instance_takes_its_tickets_along_once_it_is_proved(app: WholeApp) -> None:
    connected = app.connected()
    ticket = app.create(connected)
    old, new = app.world.servicenow.url, app.world.servicenow.url.replace("127.0.0.1", "localhost")
    moved = {**connected.request, "instance": new, "same_instance": True}
    without_secret = {name: value for name, value in moved.items() if name != "client_secret"}
    refused(app.megan.ask("PUT", connected.path, without_secret), 422, "client_secret_required")
    claimed = app.megan.ask("PUT", connected.path, moved).json()
    assert (claimed["status"], claimed["renamed_from"]) == ("reauthorization_required", old)
    assert app.show(ticket)["dormant"] is True
    assert app.authorize(connected).status_code == 303
    after = app.megan.get(connected.path)
    assert (after["status"], after["former_instances"], after["renamed_from"]) == ("connected", [old], None)
    shown = app.show(ticket)
    assert shown["dormant"] is False
    assert shown["servicenow"]["link"].startswith(f"{new}/")
    app.control.change_record("incident", ticket["ticket_id"], {"state": "2"})
    app.megan.ask("POST", f"{connected.path}/sync")
    assert app.show(ticket)["phase"] == "in_progress"


def test_an_instance_without_our_records_is_not_the_renamed_one(app: WholeApp) -> None:
    connected = app.connected()
    ticket = app.create(connected)
    app.control.delete_record("incident", ticket["ticket_id"])
    new = app.world.servicenow.url.replace("127.0.0.1", "localhost")
    app.megan.ask("PUT", connected.path, {**connected.request, "instance": new, "same_instance": True})
    refused(app.authorize(connected), 409, "authorization_other_instance")
    assert app.status(connected) == "reauthorization_required"
    assert app.show(ticket)["dormant"] is True
    assert app.tokens(connected) == []
