"""Items 1, 2 and 4 of what a faithful simulator must do: the authorization code flow and its tokens."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sandbox.servicenow.engine.tokens import Tokens
from sandbox.servicenow.stage.browser import WalkError, sign_in
from sandbox.servicenow.stage.control.client import ControlClient
from tests.sandbox.servicenow.simulator import (
    CLIENT_ID,
    CLIENT_SECRET,
    GENERIC_REFUSAL,
    PASSWORD,
    REDIRECT_URI,
    Simulated,
    pkce,
    simulated,
)


@pytest.fixture
def simulator() -> Iterator[Simulated]:
    with simulated() as world:
        yield world


def assert_refused(response: httpx.Response) -> None:
    assert (response.status_code, response.text) == (401, GENERIC_REFUSAL)
    assert response.headers["content-type"] == "application/json;charset=UTF-8"


def by_credentials(simulator: Simulated) -> None:
    """Let the client get tokens of the integration user."""
    simulator.instance.properties["glide.oauth.inbound.client.credential.grant_type.enabled"] = True
    simulator.change_client(user=simulator.users["integration"]["sys_id"])


class TestItem1AuthorizationEndpoint:
    def test_login_consent_and_code(self, simulator: Simulated) -> None:
        answer = simulator.consent(state="c2FmZS1zdGF0ZQ")
        assert answer["state"] == "c2FmZS1zdGF0ZQ"
        assert len(answer["code"]) == 86

    def test_the_login_page_is_shown_inside_the_flow(self, simulator: Simulated) -> None:
        with simulator.browser() as browser:
            page = browser.open(simulator.authorize_url())
            assert page.url.startswith(f"{simulator.url}/oauth_login.do?")
            form = page.form("login")
            assert form is not None
            assert {"user_name", "user_password"} <= form.fields.keys()

    def test_the_consent_form_has_deny_first(self, simulator: Simulated) -> None:
        with simulator.browser() as browser:
            page = browser.open(simulator.authorize_url())
            page = sign_in(browser, page, "integration", PASSWORD)
            form = page.form("consent")
            assert form is not None
            assert form.buttons == [("oauth_auth_check_action", "deny"), ("oauth_auth_check_action", "authorize")]
            assert form.action == "/oauth_auth.do"
            assert form.fields["sysparm_ck"]

    def test_allowing_takes_three_hops_on_the_authorization_endpoint(self, simulator: Simulated) -> None:
        with simulator.client() as browser:
            login = {"user_name": "integration", "user_password": PASSWORD, "sys_action": "sysverb_login"}
            assert browser.post("/login.do", data=login).status_code == 302
            consent = browser.get(simulator.authorize_url())
            check = consent.text.split('name="sysparm_ck" value="')[1].split('"')[0]
            request = dict(httpx.URL(simulator.authorize_url()).params)
            form = request | {"sysparm_ck": check, "oauth_auth_check_action": "authorize"}
            second = browser.post("/oauth_auth.do", data=form)
            assert second.status_code == 302
            assert second.headers["location"].endswith("&logoutfirst=false")
            third = browser.get(second.headers["location"])
            assert third.headers["location"].startswith(f"{REDIRECT_URI}?code=")
            again = browser.get(second.headers["location"])
            assert again.status_code == 200, "a consent works once"

    def test_a_form_without_the_check_token_changes_nothing(self, simulator: Simulated) -> None:
        with simulator.client() as browser:
            login = {"user_name": "integration", "user_password": PASSWORD, "sys_action": "sysverb_login"}
            browser.post("/login.do", data=login)
            form = dict(httpx.URL(simulator.authorize_url()).params) | {"oauth_auth_check_action": "authorize"}
            assert browser.post("/oauth_auth.do", data=form).status_code == 403

    def test_a_logged_in_browser_goes_straight_to_consent(self, simulator: Simulated) -> None:
        with simulator.browser() as browser:
            sign_in(browser, browser.open(f"{simulator.url}/login.do"), "person", PASSWORD)
            page = browser.open(simulator.authorize_url())
            assert page.form("consent") is not None
            assert "(person)" in page.text

    def test_not_you_logs_out_and_comes_back(self, simulator: Simulated) -> None:
        with simulator.browser() as browser:
            sign_in(browser, browser.open(f"{simulator.url}/login.do"), "person", PASSWORD)
            page = browser.open(simulator.authorize_url())
            assert page.links["other_user"].endswith("&logoutfirst=true")
            code = simulator.consent("integration", browser=browser)["code"]
        simulator.code_grant(code)
        held = simulator.instance.records.query("oauth_credential", "type=access_token")
        assert [row["user"] for row in held] == [simulator.users["integration"]["sys_id"]]

    def test_denying_redirects_with_an_error(self, simulator: Simulated) -> None:
        assert simulator.consent(decision="deny") == {"error": "access_denied", "state": "abc123"}

    def test_denying_may_leave_the_person_on_the_instance(self, simulator: Simulated) -> None:
        simulator.instance.properties["simulator.oauth.deny"] = "stay"
        with pytest.raises(WalkError, match="Request denied"):
            simulator.consent(decision="deny")

    @pytest.mark.parametrize("state", [None, "", "  "])
    def test_missing_state_is_a_page_and_no_redirect(self, simulator: Simulated, state: str | None) -> None:
        with pytest.raises(WalkError, match="Missing State parameter in request"):
            simulator.consent(state=state)

    def test_state_may_be_left_out_on_upgraded_instances(self, simulator: Simulated) -> None:
        simulator.instance.properties["glide.oauth.state.parameter.required"] = False
        assert simulator.consent(state=None).keys() == {"code"}

    def test_an_unregistered_redirect_uri_is_a_page(self, simulator: Simulated) -> None:
        with pytest.raises(WalkError, match="Invalid redirect_uri"):
            simulator.consent(redirect_uri="https://elsewhere.example/")

    def test_an_unregistered_redirect_uri_may_fall_back_to_the_first_registered(self, simulator: Simulated) -> None:
        simulator.instance.properties["simulator.oauth.redirect_uri_mismatch"] = "first_registered"
        assert "code" in simulator.consent(redirect_uri="https://elsewhere.example/")

    def test_several_redirect_uris_may_be_registered(self, simulator: Simulated) -> None:
        simulator.change_client(redirect_url=f"https://other.example/cb, {REDIRECT_URI}")
        assert "code" in simulator.consent()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"client_id": "f" * 32}, "Invalid client_id"),
            ({"client_id": "x^ORactive=true"}, "Invalid client_id"),
            ({"response_type": "token"}, "Invalid response_type"),
            ({"code_challenge": "short"}, "Invalid code_challenge"),
            ({"code_challenge": "a" * 43, "code_challenge_method": "plain"}, "Invalid code_challenge"),
        ],
    )
    def test_a_bad_request_is_a_page(self, simulator: Simulated, change: dict[str, Any], message: str) -> None:
        with pytest.raises(WalkError, match=message):
            simulator.consent(**change)

    def test_an_inactive_client_is_unknown(self, simulator: Simulated) -> None:
        simulator.change_client(active="false")
        with pytest.raises(WalkError, match="Invalid client_id"):
            simulator.consent()

    def test_oauth_may_be_off_altogether(self, simulator: Simulated) -> None:
        refresh_token = simulator.tokens()["refresh_token"]
        simulator.instance.properties["com.snc.platform.security.oauth.is.active"] = False
        with pytest.raises(WalkError, match="not active"):
            simulator.consent()
        assert_refused(simulator.refresh(refresh_token))

    @pytest.mark.parametrize("column", ["web_service_access_only", "locked_out", "active"])
    def test_users_who_may_not_log_in_to_pages(self, simulator: Simulated, column: str) -> None:
        simulator.change_user("integration", **{column: "false" if column == "active" else "true"})
        with pytest.raises(WalkError, match="User name or password invalid"):
            simulator.consent()

    def test_a_user_deactivated_on_the_consent_page_must_log_in_again(self, simulator: Simulated) -> None:
        with simulator.browser() as browser:
            page = sign_in(browser, browser.open(simulator.authorize_url()), "integration", PASSWORD)
            simulator.change_user("integration", active="false")
            page = browser.submit(page, "consent", button="authorize")
            assert page.form("login") is not None

    def test_single_sign_on_signs_in_the_personal_account(self, simulator: Simulated) -> None:
        simulator.instance.properties["simulator.single_sign_on.user"] = "person"
        with simulator.browser() as browser:
            page = browser.open(simulator.authorize_url())
            page = browser.submit(page, "single_sign_on")
            assert "(person)" in page.text
            page = browser.follow(page, "other_user")
            assert page.form("single_sign_on") is not None, "the identity provider still knows the person"
        assert "code" in simulator.consent("integration"), "the local form avoids it"

    def test_consent_can_be_switched_off_for_a_client(self, simulator: Simulated) -> None:
        simulator.change_client(disable_consent="true")
        with simulator.browser() as browser:
            page = sign_in(browser, browser.open(simulator.authorize_url()), "integration", PASSWORD)
            assert page.left_to.startswith(f"{REDIRECT_URI}?code=")


class TestItem1Codes:
    def test_a_code_serves_once(self, simulator: Simulated) -> None:
        code = simulator.consent()["code"]
        assert simulator.code_grant(code).status_code == 200
        assert_refused(simulator.code_grant(code))

    def test_a_code_lives_sixty_seconds(self, simulator: Simulated) -> None:
        first, second = simulator.consent()["code"], simulator.consent()["code"]
        simulator.instance.clock.advance(59)
        assert simulator.code_grant(first).status_code == 200
        simulator.instance.clock.advance(1)
        assert_refused(simulator.code_grant(second))

    def test_the_redirect_uri_must_be_the_same(self, simulator: Simulated) -> None:
        assert_refused(simulator.code_grant(simulator.consent()["code"], redirect_uri="https://other.example/"))

    def test_the_verifier_must_answer_the_challenge(self, simulator: Simulated) -> None:
        verifier, challenge = pkce()
        flow: dict[str, Any] = {"code_challenge": challenge, "code_challenge_method": "S256"}
        assert_refused(simulator.code_grant(simulator.consent(**flow)["code"], code_verifier=pkce()[0]))
        assert_refused(simulator.code_grant(simulator.consent(**flow)["code"]))
        assert simulator.code_grant(simulator.consent(**flow)["code"], code_verifier=verifier).status_code == 200

    def test_the_challenge_method_may_be_left_out(self, simulator: Simulated) -> None:
        verifier, challenge = pkce()
        code = simulator.consent(code_challenge=challenge)["code"]
        assert simulator.code_grant(code, code_verifier=verifier).status_code == 200

    def test_a_client_may_require_pkce(self, simulator: Simulated) -> None:
        simulator.change_client(use_pkce="true")
        with pytest.raises(WalkError, match="Missing code_challenge"):
            simulator.consent()

    def test_a_public_client_needs_no_secret_and_may_refresh(self, simulator: Simulated) -> None:
        simulator.change_client(public_client="true")
        verifier, challenge = pkce()
        code = simulator.consent(code_challenge=challenge)["code"]
        answer = simulator.code_grant(code, code_verifier=verifier, client_secret=None)
        assert answer.status_code == 200
        refresh_token = answer.json()["refresh_token"]
        assert simulator.refresh(refresh_token, client_secret=None).status_code == 200
        simulator.instance.properties["simulator.oauth.public_client_may_refresh"] = False
        assert_refused(simulator.refresh(refresh_token, client_secret=None))

    def test_a_code_belongs_to_its_client(self, simulator: Simulated) -> None:
        simulator.instance.records.insert(
            "oauth_entity", {"name": "Other", "client_id": "e" * 32, "client_secret": "s", "redirect_url": REDIRECT_URI}
        )
        code = simulator.consent()["code"]
        assert_refused(simulator.code_grant(code, client_id="e" * 32, client_secret="s"))


class TestItem2TokenEndpoint:
    def test_the_success_body(self, simulator: Simulated) -> None:
        response = simulator.code_grant(simulator.consent()["code"])
        body = response.json()
        assert list(body) == ["access_token", "refresh_token", "scope", "token_type", "expires_in"]
        assert (body["scope"], body["token_type"], body["expires_in"]) == ("useraccount", "Bearer", 1799)
        assert len(body["access_token"]) == len(body["refresh_token"]) == 86
        assert response.headers["content-type"] == "application/json;charset=UTF-8"

    def test_the_scope_may_be_empty(self, simulator: Simulated) -> None:
        simulator.instance.properties["simulator.oauth.scope"] = ""
        assert simulator.tokens()["scope"] == ""

    def test_a_json_body_fails(self, simulator: Simulated) -> None:
        form = {"grant_type": "password", "username": "agent", "password": PASSWORD, "client_id": CLIENT_ID}
        assert_refused(simulator.send("POST", "/oauth_token.do", json=form | {"client_secret": CLIENT_SECRET}))

    def test_the_query_string_is_ignored(self, simulator: Simulated) -> None:
        refresh_token = simulator.tokens()["refresh_token"]
        path = f"/oauth_token.do?client_secret={CLIENT_SECRET}"
        form = {"grant_type": "refresh_token", "client_id": CLIENT_ID, "refresh_token": refresh_token}
        assert_refused(simulator.send("POST", path, data=form))
        simulator.instance.properties["glide.oauth.allow.parameters.in.post.body.only"] = False
        assert simulator.send("POST", path, data=form).status_code == 200

    def test_the_client_may_authenticate_by_basic(self, simulator: Simulated) -> None:
        form = {"grant_type": "password", "username": "agent", "password": PASSWORD}
        path = "/oauth_token.do"
        assert simulator.send("POST", path, data=form, auth=(CLIENT_ID, CLIENT_SECRET)).status_code == 200
        assert_refused(simulator.send("POST", path, data=form, auth=(CLIENT_ID, "wrong")))

    @pytest.mark.parametrize(
        "change", [{"client_secret": "wrong"}, {"client_secret": None}, {"client_id": "f" * 32}, {"grant_type": "x"}]
    )
    def test_every_failure_is_the_generic_401(self, simulator: Simulated, change: dict[str, str | None]) -> None:
        code = simulator.consent()["code"]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI, **change}
        assert_refused(simulator.token(**form))  # type: ignore[arg-type]

    def test_the_true_reason_stands_in_the_instance_log(self, simulator: Simulated) -> None:
        assert_refused(simulator.refresh("unknown"))
        [entry] = simulator.instance.records.query("syslog", "source=OAuth")
        assert entry["message"] == "Exception on token flow - unknown or expired refresh token"

    def test_a_still_valid_access_token_is_returned_again_and_extended(self, simulator: Simulated) -> None:
        first = simulator.tokens()
        simulator.instance.clock.advance(1200)
        second = simulator.tokens()
        assert second["access_token"] == first["access_token"]
        assert second["refresh_token"] == first["refresh_token"]
        assert second["expires_in"] == 1799
        simulator.instance.clock.advance(1200)
        assert simulator.api(first["access_token"]).status_code == 200, "asking again extended it"

    def test_other_users_have_other_tokens(self, simulator: Simulated) -> None:
        assert simulator.tokens("integration")["access_token"] != simulator.tokens("agent")["access_token"]

    def test_a_refresh_gives_a_new_access_token_and_the_same_refresh_token(self, simulator: Simulated) -> None:
        first = simulator.tokens()
        second = simulator.refresh(first["refresh_token"]).json()
        assert second["access_token"] != first["access_token"]
        assert second["refresh_token"] == first["refresh_token"]
        assert simulator.api(first["access_token"]).status_code == 200
        assert simulator.api(second["access_token"]).status_code == 200

    def test_a_refresh_does_not_extend_the_refresh_token(self, simulator: Simulated) -> None:
        refresh_token = simulator.tokens()["refresh_token"]
        simulator.instance.clock.advance(8_640_000 - 10)
        assert simulator.refresh(refresh_token).status_code == 200
        simulator.instance.clock.advance(11)
        assert_refused(simulator.refresh(refresh_token))

    def test_a_refresh_may_omit_the_refresh_token(self, simulator: Simulated) -> None:
        refresh_token = simulator.tokens()["refresh_token"]
        simulator.instance.properties["simulator.oauth.refresh_token_on_refresh"] = "omitted"
        assert "refresh_token" not in simulator.refresh(refresh_token).json()
        assert simulator.refresh(refresh_token).status_code == 200

    def test_a_refresh_may_rotate_the_refresh_token(self, simulator: Simulated) -> None:
        old = simulator.tokens()["refresh_token"]
        simulator.instance.properties["simulator.oauth.refresh_token_on_refresh"] = "rotated"
        new = simulator.refresh(old).json()["refresh_token"]
        assert new != old
        assert_refused(simulator.refresh(old))
        assert simulator.refresh(new).status_code == 200

    def test_an_access_token_lives_half_an_hour(self, simulator: Simulated) -> None:
        access_token = simulator.tokens()["access_token"]
        simulator.instance.clock.advance(1799)
        assert simulator.api(access_token).status_code == 200
        simulator.instance.clock.advance(1)
        assert simulator.api(access_token).status_code == 401

    def test_the_password_grant_and_its_switch(self, simulator: Simulated) -> None:
        def ask() -> httpx.Response:
            return simulator.token("password", username="agent", password=PASSWORD)

        assert ask().json().keys() >= {"access_token", "refresh_token"}
        assert_refused(simulator.token("password", username="agent", password="wrong"))
        simulator.change_user("agent", web_service_access_only="true")
        assert_refused(ask())
        simulator.change_user("agent", web_service_access_only="false", enable_multifactor_authn="true")
        assert_refused(ask())
        simulator.change_user("agent", enable_multifactor_authn="false")
        simulator.instance.properties["glide.oauth.inbound.ropc.grant_type.disabled"] = True
        assert_refused(ask())

    def test_the_client_credentials_grant_and_its_switches(self, simulator: Simulated) -> None:
        assert_refused(simulator.token("client_credentials"))
        simulator.instance.properties["glide.oauth.inbound.client.credential.grant_type.enabled"] = True
        assert_refused(simulator.token("client_credentials"))
        simulator.change_client(user=simulator.users["integration"]["sys_id"])
        answer = simulator.token("client_credentials").json()
        assert "refresh_token" not in answer
        who = simulator.api(answer["access_token"], "/api/now/ui/user/current_user").json()["result"]
        assert who["user_name"] == "integration"
        assert (answer["scope"], answer["token_type"], answer["expires_in"]) == ("useraccount", "Bearer", 1799)
        simulator.instance.properties["simulator.oauth.client_credentials_refresh_token"] = True
        assert "refresh_token" in simulator.token("client_credentials").json()

    @pytest.mark.parametrize("missing", ["profile_missing", "scope_missing"])
    def test_client_credentials_without_a_profile_or_scope_are_refused(
        self, simulator: Simulated, missing: str
    ) -> None:
        by_credentials(simulator)
        simulator.instance.properties["simulator.oauth.client_credentials_profile"] = missing
        assert_refused(simulator.token("client_credentials"))
        simulator.instance.properties["simulator.oauth.client_credentials_refusal"] = "rfc_6749"
        refused = simulator.token("client_credentials")
        assert (refused.status_code, refused.json()) == (401, {"error": "unauthorized_client"})

    def test_a_machine_may_be_the_application_user_and_nobody_who_is_locked_out(self, simulator: Simulated) -> None:
        by_credentials(simulator)
        simulator.change_user("integration", web_service_access_only="true", enable_multifactor_authn="true")
        assert simulator.token("client_credentials").status_code == 200
        simulator.change_user("integration", locked_out="true")
        assert_refused(simulator.token("client_credentials"))

    @pytest.mark.parametrize("extended", [True, False])
    def test_a_live_access_token_is_issued_again(self, simulator: Simulated, extended: bool) -> None:
        by_credentials(simulator)
        simulator.instance.properties["simulator.oauth.shared_token_extended"] = extended
        first = simulator.token("client_credentials").json()
        simulator.instance.clock.advance(1000)
        second = simulator.token("client_credentials").json()
        assert second["access_token"] == first["access_token"]
        assert second["expires_in"] in ({1799} if extended else {798, 799})
        simulator.instance.clock.advance(900)
        third = simulator.token("client_credentials").json()
        assert (third["access_token"] == first["access_token"]) is extended
        assert third["expires_in"] == 1799

    def test_users_without_rights_on_oauth_credential_get_no_token(self, simulator: Simulated) -> None:
        simulator.instance.properties["simulator.acl.oauth_credential_for_users"] = False
        assert_refused(simulator.code_grant(simulator.consent()["code"]))
        assert simulator.code_grant(simulator.consent("administrator")["code"]).status_code == 200

    def test_with_explicit_roles_only_internal_users_get_tokens(self, simulator: Simulated) -> None:
        simulator.instance.properties["simulator.explicit_roles.active"] = True
        assert_refused(simulator.code_grant(simulator.consent()["code"]))
        with ControlClient(simulator.url, transport=simulator.transport) as control:
            control.change_user("integration", roles=["snc_internal"])
        assert simulator.code_grant(simulator.consent()["code"]).status_code == 200
        assert simulator.code_grant(simulator.consent("administrator")["code"]).status_code == 200

    @pytest.mark.parametrize("column", ["locked_out", "active", "password_needs_reset"])
    def test_users_in_a_bad_state_get_no_token(self, simulator: Simulated, column: str) -> None:
        code = simulator.consent()["code"]
        refresh_token = simulator.tokens()["refresh_token"]
        simulator.change_user("integration", **{column: "false" if column == "active" else "true"})
        assert_refused(simulator.code_grant(code))
        assert_refused(simulator.refresh(refresh_token))

    def test_an_api_session_may_not_ask_for_tokens(self, simulator: Simulated) -> None:
        tokens = simulator.tokens()
        with simulator.client() as client:
            bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
            assert client.get("/api/now/table/incident", headers=bearer).status_code == 200
            form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
            form |= {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
            assert_refused(client.post("/oauth_token.do", data=form))
            client.cookies.clear()
            assert client.post("/oauth_token.do", data=form).status_code == 200


class TestItem3Revocation:
    @pytest.mark.parametrize(
        ("method", "path"),
        [("GET", "/oauth_revoke_token.do"), ("POST", "/oauth_revoke_token.do"), ("POST", "/oauth_revoke.do")],
    )
    def test_needs_no_authentication(self, simulator: Simulated, method: str, path: str) -> None:
        tokens = simulator.tokens()
        assert simulator.send(method, path, params={"token": tokens["access_token"]}).status_code == 200
        assert simulator.api(tokens["access_token"]).status_code == 401
        assert simulator.refresh(tokens["refresh_token"]).status_code == 200, "only the named token is revoked"
        assert simulator.send(method, path, params={"token": tokens["refresh_token"]}).status_code == 200
        assert_refused(simulator.refresh(tokens["refresh_token"]))

    def test_takes_the_token_from_a_form_too(self, simulator: Simulated) -> None:
        tokens = simulator.tokens()
        simulator.send("POST", "/oauth_revoke_token.do", data={"token": tokens["access_token"]})
        assert simulator.api(tokens["access_token"]).status_code == 401

    def test_an_unknown_token_is_no_error(self, simulator: Simulated) -> None:
        assert simulator.send("GET", "/oauth_revoke_token.do?token=x^ORtypeISNOTEMPTY").status_code == 200

    def test_revoking_for_one_login_revokes_for_the_other(self, simulator: Simulated) -> None:
        first, second = simulator.tokens(), simulator.tokens()
        simulator.send("GET", "/oauth_revoke_token.do", params={"token": first["access_token"]})
        assert simulator.api(second["access_token"]).status_code == 401

    def test_in_a_token_the_case_counts_however_text_is_compared(self, simulator: Simulated) -> None:
        tokens = simulator.tokens()
        in_other_case = {name: tokens[name].swapcase() for name in ("access_token", "refresh_token")}
        assert simulator.api(in_other_case["access_token"]).status_code == 401
        assert simulator.refresh(in_other_case["refresh_token"]).status_code == 401
        simulator.send("GET", "/oauth_revoke_token.do", params={"token": in_other_case["access_token"]})
        assert simulator.api(tokens["access_token"]).status_code == 200


class TestItem4AtOnce:
    def test_deactivating_the_client(self, simulator: Simulated) -> None:
        tokens = simulator.tokens()
        simulator.change_client(active="false")
        assert simulator.api(tokens["access_token"]).status_code == 401
        assert_refused(simulator.refresh(tokens["refresh_token"]))
        simulator.change_client(active="true")
        assert simulator.api(tokens["access_token"]).status_code == 200

    @pytest.mark.parametrize("change", [{"active": "false"}, {"locked_out": "true"}])
    def test_deactivating_the_user(self, simulator: Simulated, change: dict[str, str]) -> None:
        access_token = simulator.tokens()["access_token"]
        simulator.change_user("integration", **change)
        assert simulator.api(access_token).status_code == 401

    def test_shortening_a_lifespan(self, simulator: Simulated) -> None:
        tokens = simulator.tokens()
        simulator.instance.clock.advance(300)
        simulator.change_client(access_token_lifespan="200", refresh_token_lifespan="900")
        assert simulator.api(tokens["access_token"]).status_code == 401
        assert simulator.refresh(tokens["refresh_token"]).json()["expires_in"] == 199
        simulator.instance.clock.advance(600)
        assert_refused(simulator.refresh(tokens["refresh_token"]))

    def test_a_new_client_secret(self, simulator: Simulated) -> None:
        refresh_token = simulator.tokens()["refresh_token"]
        simulator.change_client(client_secret="another")
        assert_refused(simulator.refresh(refresh_token))
        assert simulator.refresh(refresh_token, client_secret="another").status_code == 200

    def test_expired_tokens_are_cleaned_away(self, simulator: Simulated) -> None:
        simulator.tokens()
        simulator.instance.clock.advance(1800)
        assert Tokens(simulator.instance).delete_expired() == 1
        [left] = simulator.instance.records.query("oauth_credential")
        assert left["type"] == "refresh_token"
