"""Multi-factor authentication between the password and the consent (ServiceNow §1.9)."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from sandbox.servicenow.engine.second_factor import EXEMPTED_GROUP, SecondFactors, one_time_code
from sandbox.servicenow.stage.browser import AuthenticatorApp, Browser, Page, WalkError, sign_in
from sandbox.servicenow.wire.pages.second_factor import REMEMBERED
from tests.sandbox.servicenow.simulator import PASSWORD, Simulated, simulated

CREDENTIALS = {"user_name": "integration", "user_password": PASSWORD, "sys_action": "sysverb_login"}
CODE_PAGE = "validate_multifactor_auth_code.do"


@pytest.fixture
def simulator() -> Iterator[Simulated]:
    with simulated() as world:
        world.instance.properties["simulator.mfa.enforced"] = True
        yield world


def phone_of(simulator: Simulated, user_name: str = "integration") -> AuthenticatorApp:
    """Return the phone of a user who has set up the second factor."""
    secret = SecondFactors(simulator.instance).enrol(simulator.users[user_name])
    return AuthenticatorApp(simulator.instance.clock.now, secret)


def log_in(simulator: Simulated, browser: Browser, phone: AuthenticatorApp | None = None) -> Page:
    return sign_in(browser, browser.open(f"{simulator.url}/login.do"), "integration", PASSWORD, phone)


def exempt(simulator: Simulated, user_name: str = "integration") -> None:
    group = simulator.instance.records.insert("sys_user_group", {"name": EXEMPTED_GROUP})
    member = {"user": simulator.users[user_name]["sys_id"], "group": group["sys_id"]}
    simulator.instance.records.insert("sys_user_grmember", member)


class TestTheCode:
    def test_the_login_leads_to_the_page_and_the_code_leads_on(self, simulator: Simulated) -> None:
        phone = phone_of(simulator)
        with simulator.client() as client:
            answer = client.post("/login.do", data=CREDENTIALS | {"sysparm_goto_url": "/?kind=incident"})
            assert (answer.status_code, answer.headers["location"]) == (302, CODE_PAGE)
            assert 'name="txtResponse"' in client.get(f"/{CODE_PAGE}").text
            given = {"txtResponse": phone.code(), "sys_action": "sysverb_validate_mfa_code"}
            answer = client.post("/validate_mfa_code.do", data=given)
            assert (answer.status_code, answer.headers["location"]) == (302, "/?kind=incident")
            assert client.get("/").status_code == 200

    def test_the_password_alone_opens_nothing(self, simulator: Simulated) -> None:
        phone_of(simulator)
        with simulator.client() as client:
            client.post("/login.do", data=CREDENTIALS)
            assert client.get("/").status_code == 302
            assert client.get("/api/now/ui/user/current_user").status_code == 401

    def test_a_wrong_code_shows_the_page_again(self, simulator: Simulated) -> None:
        phone_of(simulator)
        other = AuthenticatorApp(simulator.instance.clock.now, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
        with simulator.browser() as browser, pytest.raises(WalkError, match="Your 6-digit verification code is incorr"):
            log_in(simulator, browser, other)

    @pytest.mark.parametrize(("skew_s", "fits"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)])
    def test_the_clock_of_the_phone_may_differ_by_30_seconds(
        self, simulator: Simulated, skew_s: int, fits: bool
    ) -> None:
        code = phone_of(simulator).code()
        simulator.instance.clock.advance(skew_s)
        secret = SecondFactors(simulator.instance).secret_of(simulator.users["integration"])
        assert secret is not None
        assert SecondFactors(simulator.instance).is_right(secret, code) == fits

    def test_nobody_validates_without_a_password(self, simulator: Simulated) -> None:
        given = {"txtResponse": phone_of(simulator).code()}
        assert simulator.send("POST", "/validate_mfa_code.do", data=given).headers["location"] == "/login.do"
        assert simulator.send("GET", f"/{CODE_PAGE}").headers["location"] == "/login.do"

    def test_an_account_that_is_locked_meanwhile_gets_nowhere(self, simulator: Simulated) -> None:
        phone = phone_of(simulator)
        with simulator.client() as client:
            client.post("/login.do", data=CREDENTIALS)
            simulator.change_user("integration", locked_out="true")
            answer = client.post("/validate_mfa_code.do", data={"txtResponse": phone.code()})
            assert answer.headers["location"] == "/login.do"


class TestARememberedBrowser:
    def remember(self, simulator: Simulated, browser: Browser) -> None:
        phone = phone_of(simulator)
        page = browser.submit(browser.open(f"{simulator.url}/login.do"), "login", CREDENTIALS)
        given = {"txtResponse": phone.code(), "sys_mfa_check_remembered_browser": "true"}
        assert browser.submit(page, "second_factor", given).form("second_factor") is None
        browser.open(f"{simulator.url}/logout.do")

    def test_is_not_asked_again_for_eight_hours(self, simulator: Simulated) -> None:
        with simulator.browser() as browser:
            self.remember(simulator, browser)
            simulator.instance.clock.advance(8 * 3600 - 1)
            assert log_in(simulator, browser).form("second_factor") is None
            browser.open(f"{simulator.url}/logout.do")
            simulator.instance.clock.advance(1)
            with pytest.raises(WalkError, match="verification code"):
                log_in(simulator, browser)

    def test_is_remembered_for_one_user(self, simulator: Simulated) -> None:
        phone_of(simulator, "agent")
        with simulator.browser() as browser:
            self.remember(simulator, browser)
            with pytest.raises(WalkError, match="verification code"):
                sign_in(browser, browser.open(f"{simulator.url}/login.do"), "agent", PASSWORD)

    def test_only_where_the_instance_allows_it(self, simulator: Simulated) -> None:
        simulator.instance.properties["glide.authenticate.multifactor.remember.browser.enable"] = False
        phone = phone_of(simulator)
        with simulator.client() as client:
            client.post("/login.do", data=CREDENTIALS)
            given = {"txtResponse": phone.code(), "sys_mfa_check_remembered_browser": "true"}
            assert REMEMBERED not in client.post("/validate_mfa_code.do", data=given).cookies


class TestTheSetUp:
    def test_the_first_login_sets_it_up(self, simulator: Simulated) -> None:
        phone = AuthenticatorApp(simulator.instance.clock.now)
        with simulator.browser() as browser:
            assert log_in(simulator, browser, phone).form("second_factor_setup") is None
        assert SecondFactors(simulator.instance).secret_of(simulator.users["integration"]) == phone.secret
        with simulator.browser() as browser:
            log_in(simulator, browser, phone)

    def test_it_can_be_postponed_three_times(self, simulator: Simulated) -> None:
        for left in (3, 2, 1):
            with simulator.browser() as browser:
                page = browser.submit(browser.open(f"{simulator.url}/login.do"), "login", CREDENTIALS)
                assert f"Postpone setup ({left} left)" in page.text
                page = browser.submit(page, "second_factor_setup", button="sysverb_postpone_mfa_setup")
                assert page.form("second_factor_setup") is None
        with simulator.browser() as browser, pytest.raises(WalkError, match="Set up multi-factor"):
            log_in(simulator, browser)

    def test_not_after_the_days_of_grace(self, simulator: Simulated) -> None:
        with simulator.browser() as browser:
            log_in(simulator, browser)
        simulator.instance.clock.advance(30 * 86400)
        with simulator.browser() as browser, pytest.raises(WalkError, match="Set up multi-factor"):
            log_in(simulator, browser)

    def test_a_wrong_code_sets_nothing_up(self, simulator: Simulated) -> None:
        with simulator.browser() as browser:
            page = browser.submit(browser.open(f"{simulator.url}/login.do"), "login", CREDENTIALS)
            given = {"txtResponse": "abc"}
            page = browser.submit(page, "second_factor_setup", given, button="sysverb_validate_mfa_code")
            assert "incorrect" in page.text
        assert SecondFactors(simulator.instance).secret_of(simulator.users["integration"]) is None

    def test_who_has_one_cannot_postpone_it(self, simulator: Simulated) -> None:
        phone_of(simulator)
        with simulator.client() as client:
            client.post("/login.do", data=CREDENTIALS)
            client.post("/validate_mfa_code.do", data={"sys_action": "sysverb_postpone_mfa_setup"})
            assert client.get("/").status_code == 302


class TestWhoNeedsIt:
    def test_nobody_while_the_policy_is_off(self, simulator: Simulated) -> None:
        simulator.instance.properties["simulator.mfa.enforced"] = False
        assert simulator.consent()["code"]

    def test_who_has_it_set_on_the_record_while_the_policy_is_off(self, simulator: Simulated) -> None:
        simulator.instance.properties["simulator.mfa.enforced"] = False
        simulator.change_user("integration", enable_multifactor_authn="true")
        phone_of(simulator)
        with simulator.browser() as browser, pytest.raises(WalkError, match="verification code"):
            log_in(simulator, browser)

    def test_no_member_of_the_exempted_group(self, simulator: Simulated) -> None:
        phone_of(simulator)
        exempt(simulator)
        assert simulator.consent()["code"]

    def test_nobody_with_an_external_account(self, simulator: Simulated) -> None:
        phone_of(simulator)
        role = simulator.instance.records.insert("sys_user_role", {"name": "snc_external"})
        held = {"user": simulator.users["integration"]["sys_id"], "role": role["sys_id"]}
        simulator.instance.records.insert("sys_user_has_role", held)
        assert simulator.consent()["code"]

    def test_nobody_whom_the_identity_provider_signs_in(self, simulator: Simulated) -> None:
        simulator.instance.properties["simulator.single_sign_on.user"] = "integration"
        with simulator.browser() as browser:
            page = browser.submit(browser.open(f"{simulator.url}/"), "single_sign_on")
            assert page.form("second_factor_setup") is None

    def test_an_account_for_web_services_never_gets_there(self, simulator: Simulated) -> None:
        simulator.change_user("integration", web_service_access_only="true")
        with simulator.browser() as browser, pytest.raises(WalkError, match="User name or password invalid"):
            log_in(simulator, browser)


class TestTheGrants:
    def test_the_consent_comes_after_the_second_factor(self, simulator: Simulated) -> None:
        phone = phone_of(simulator)
        answer = simulator.consent(phone=phone)
        assert answer["state"] == "abc123"
        assert simulator.code_grant(answer["code"]).status_code == 200

    def test_the_others_do_not_ask_for_it(self, simulator: Simulated) -> None:
        phone_of(simulator)
        simulator.instance.properties["glide.oauth.inbound.client.credential.grant_type.enabled"] = True
        simulator.change_client(user=simulator.users["integration"]["sys_id"])
        assert simulator.token("client_credentials").status_code == 200
        assert simulator.token("password", username="integration", password=PASSWORD).status_code == 200


@pytest.mark.parametrize(("at_s", "code"), [(59, "287082"), (1111111109, "081804"), (2000000000, "279037")])
def test_a_code_is_that_of_the_standard(at_s: int, code: str) -> None:
    assert one_time_code("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", datetime.fromtimestamp(at_s, UTC)) == code
