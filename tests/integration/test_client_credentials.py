"""Client credentials with the running app: connected without a browser, rotated, switched and removed."""

from __future__ import annotations

import pytest

from shared.connections.grant.secret_names import refresh_token_name
from tests.fixtures.vault import secret_versions
from tests.fixtures.whole_app import Connected, WholeApp, refused

pytestmark = pytest.mark.usefixtures("calm")

PROPERTY = "glide.oauth.inbound.client.credential.grant_type.enabled"


def connect(app: WholeApp, connected: Connected) -> dict[str, object]:
    answer = app.megan.ask("POST", f"{connected.path}/connect")
    assert answer.status_code == 200, answer.text
    view: dict[str, object] = answer.json()
    return view


def test_a_machine_delivers_without_a_browser_and_nothing_ends(app: WholeApp) -> None:
    app.control.set_properties(
        {"simulator.mfa.enforced": True, "simulator.oauth.client_credentials_refresh_token": True}
    )
    connected = app.configured_with_credentials()
    app.control.change_user(connected.user_name, web_service_access_only="true")
    app.control.set_properties({"simulator.oauth.client_credentials_profile": "scope_missing"})
    problem = refused(app.megan.ask("POST", f"{connected.path}/connect"), 502, "client_credentials_refused")
    assert PROPERTY in problem["next_step"]
    refused(app.adele.ask("POST", f"{connected.path}/connect"), 403, "role_missing")
    app.control.set_properties({"simulator.oauth.client_credentials_profile": "complete"})
    view = connect(app, connected)
    assert (view["grant"], view["consent_ends_at"], view["consent_days_left"]) == ("client_credentials", None, None)
    ticket = app.create(connected)
    assert ticket["delivery"]["status"] == "delivered"
    assert app.record(ticket)["sys_created_by"] == connected.user_name
    checked = app.megan.ask("POST", f"{connected.path}/check").json()
    found = {each["name"]: each["reason"] for each in checked["findings"]}
    assert found["token_endpoint"] == "passed"
    assert found["consent"] == "not_needed"
    assert found["user_account"] == "passed"
    assert not {"single_sign_on", "multifactor"} & found.keys()
    assert secret_versions(app, refresh_token_name(connected.connection_id)) == []
    refused(app.megan.visit(f"/api/oauth/authorize?connection_id={connected.connection_id}"), 409, "other_grant")


def test_both_ways_between_the_grants_and_a_rotated_secret_lose_no_ticket(app: WholeApp) -> None:
    connected = app.connected()
    consented = app.tokens(connected)
    app.control.set_properties({PROPERTY: True})
    app.let_act_as(connected, connected.user_name)
    kept = {name: value for name, value in connected.request.items() if name != "client_secret"}

    switched = app.megan.ask("PUT", connected.path, kept | {"grant": "client_credentials"}).json()
    assert switched["status"] == "reauthorization_required"
    assert app.tokens(connected) == []
    waiting = app.adele.ask("POST", "/api/tickets", connected.ticket())
    assert waiting.status_code == 202
    connect(app, connected)
    assert not set(app.tokens(connected)) & set(consented)

    rotated = app.control.rotate_client_secret(connected.client_id)
    app.canary.plant("client secret", rotated)
    changed = app.megan.ask("PUT", connected.path, kept | {"client_secret": rotated}).json()
    assert (changed["grant"], changed["status"]) == ("client_credentials", "reauthorization_required")
    connect(app, connected)
    app.run_timer()
    assert app.show(waiting.json())["delivery"]["status"] == "delivered"

    app.megan.ask("PUT", connected.path, kept | {"grant": "authorization_code"})
    assert app.tokens(connected) == []
    assert app.authorize(connected).status_code == 303
    assert app.megan.ask("DELETE", connected.path).status_code == 200
    assert app.tokens(connected) == []
