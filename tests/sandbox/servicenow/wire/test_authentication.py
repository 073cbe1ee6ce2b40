"""ServiceNow §10, item 4 (scopes), and who may call an API (§1.7, §2.8)."""

from collections.abc import Iterator

import httpx
import pytest

from tests.sandbox.servicenow.simulator import Simulated, simulated

TABLE = "/api/now/table/incident"
AGENT = ("agent", "correct horse")


@pytest.fixture
def simulator() -> Iterator[Simulated]:
    with simulated() as world:
        yield world


def restrict_client(simulator: Simulated, *scopes: str) -> None:
    simulator.change_client(scope_restriction_status="restricted")
    for name in scopes:
        scope = simulator.instance.records.insert("sys_auth_scope", {"name": name})
        mapping = {"oauth_entity": simulator.oauth_client["sys_id"], "auth_scope": scope["sys_id"]}
        simulator.instance.records.insert("oauth_entity_auth_scope_mapping", mapping)


def protect(simulator: Simulated, scope: str, **resource: str) -> None:
    row = simulator.instance.records.first("sys_auth_scope", f"name={scope}") or simulator.instance.records.insert(
        "sys_auth_scope", {"name": scope}
    )
    simulator.instance.records.insert("sys_api_access_scope", {"auth_scope": row["sys_id"], **resource})


class TestAddresses:
    """IP Address Access Control (§7)."""

    def ask(self, simulator: Simulated, path: str, forwarded: str) -> httpx.Response:
        return simulator.send("GET", path, headers={"X-Forwarded-For": forwarded})

    @pytest.mark.parametrize("path", [TABLE, "/login.do", "/oauth_auth.do"])
    def test_a_denied_address_gets_a_page_everywhere(self, simulator: Simulated, path: str) -> None:
        rule = {"type": "deny", "range_start": "192.0.2.0", "range_end": "192.0.2.255"}
        simulator.instance.records.insert("ip_access", rule)
        for chain in ("192.0.2.7", "198.51.100.1, 192.0.2.7"):
            refused = self.ask(simulator, path, chain)
            assert (refused.status_code, refused.headers["Content-Type"]) == (403, "text/html; charset=utf-8")
            assert "Set-Cookie" not in refused.headers, "no session"
        assert self.ask(simulator, path, "198.51.100.1").status_code != 403

    def test_an_allowed_address_beats_a_denied_one(self, simulator: Simulated) -> None:
        for kind, last in (("deny", "192.0.2.255"), ("allow", "192.0.2.7")):
            rule = {"type": kind, "range_start": "192.0.2.0", "range_end": last}
            simulator.instance.records.insert("ip_access", rule)
        assert self.ask(simulator, TABLE, "192.0.2.7").status_code == 401
        assert self.ask(simulator, TABLE, "192.0.2.8").status_code == 403

    def test_an_inactive_rule_denies_nobody(self, simulator: Simulated) -> None:
        rule = {"type": "deny", "range_start": "0.0.0.0", "range_end": "255.255.255.255", "active": "false"}
        simulator.instance.records.insert("ip_access", rule)
        assert self.ask(simulator, TABLE, "192.0.2.7").status_code == 401


class TestCredentials:
    @pytest.mark.parametrize(
        "authorization",
        [
            "",
            "Bearer " + "x" * 86,
            "Bearer",
            "Bearer a^ORb",
            "Basic ???",
            "Basic YWdlbnQ=",
            "Basic YWdlbnQ6d3Jvbmc=",
            "X y",
        ],
    )
    def test_without_good_credentials(self, simulator: Simulated, authorization: str) -> None:
        response = simulator.send("GET", TABLE, headers={"Authorization": authorization} if authorization else {})
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == 'Basic realm="Service-now"'
        assert response.headers["content-type"] == "application/json;charset=UTF-8"
        assert response.json() == {
            "error": {"message": "User Not Authenticated", "detail": "Required to provide Auth information"},
            "status": "failure",
        }

    def test_newer_instances_say_it_otherwise(self, simulator: Simulated) -> None:
        simulator.instance.properties["simulator.authentication_message"] = "User is not authenticated"
        assert simulator.api().json()["error"]["message"] == "User is not authenticated"

    def test_a_refresh_token_is_no_access_token(self, simulator: Simulated) -> None:
        assert simulator.api(simulator.tokens()["refresh_token"]).status_code == 401

    def test_a_bearer_token_in_the_query_string(self, simulator: Simulated) -> None:
        access_token = simulator.tokens()["access_token"]
        assert simulator.send("GET", f"{TABLE}?access_token={access_token}").status_code == 200

    def test_basic_authentication(self, simulator: Simulated) -> None:
        assert simulator.send("GET", TABLE, auth=AGENT).status_code == 200

    def test_web_service_only_users_may_call(self, simulator: Simulated) -> None:
        simulator.change_user("agent", web_service_access_only="true")
        assert simulator.send("GET", TABLE, auth=AGENT).status_code == 200

    @pytest.mark.parametrize("column", ["locked_out", "active", "password_needs_reset"])
    def test_users_in_a_bad_state_may_not(self, simulator: Simulated, column: str) -> None:
        simulator.change_user("agent", **{column: "false" if column == "active" else "true"})
        assert simulator.send("GET", TABLE, auth=AGENT).status_code == 401

    def test_multi_factor_authentication_refuses_basic(self, simulator: Simulated) -> None:
        simulator.change_user("agent", enable_multifactor_authn="true")
        response = simulator.send("GET", TABLE, auth=AGENT)
        assert (response.status_code, response.headers["x-mfa_token"]) == (401, "invalid")

    def test_single_sign_on_does_not_touch_api_calls(self, simulator: Simulated) -> None:
        simulator.instance.properties["simulator.single_sign_on.user"] = "person"
        assert simulator.send("GET", TABLE, auth=AGENT).status_code == 200


class TestItem4Scopes:
    def test_an_unrestricted_client_needs_none(self, simulator: Simulated) -> None:
        protect(simulator, "incident_read", rest_api_path="/now/table")
        assert simulator.api(simulator.tokens()["access_token"]).status_code == 200

    def test_a_missing_scope_is_403(self, simulator: Simulated) -> None:
        access_token = simulator.tokens()["access_token"]
        protect(simulator, "incident_read", rest_api_path="/now/table", resource_table="incident")
        restrict_client(simulator, "other")
        response = simulator.api(access_token)
        assert response.status_code == 403
        assert response.json()["error"] == {
            "message": "User Not Authorized",
            "detail": "Missing required api access scope: incident_read",
        }

    def test_scopes_are_looked_up_at_request_time(self, simulator: Simulated) -> None:
        access_token = simulator.tokens()["access_token"]
        restrict_client(simulator, "incident_read")
        assert simulator.api(access_token).status_code == 403
        protect(simulator, "incident_read", rest_api_path="/now/table", http_method="GET", resource_table="incident")
        assert simulator.api(access_token).status_code == 200
        assert simulator.api(access_token, "/api/now/v2/table/incident").status_code == 200
        assert simulator.api(access_token, "/api/now/table/problem").status_code == 403
        bearer = {"Authorization": f"Bearer {access_token}"}
        assert simulator.send("POST", TABLE, json={}, headers=bearer).status_code == 403

    def test_useraccount_is_everything(self, simulator: Simulated) -> None:
        access_token = simulator.tokens()["access_token"]
        restrict_client(simulator, "useraccount")
        assert simulator.api(access_token).status_code == 200

    def test_basic_authentication_knows_no_scopes(self, simulator: Simulated) -> None:
        protect(simulator, "incident_read", rest_api_path="/now/table")
        assert simulator.send("GET", TABLE, auth=AGENT).status_code == 200


class TestAccessPolicies:
    def policy(self, simulator: Simulated, **columns: str) -> None:
        simulator.instance.records.insert("sys_api_access_policy", {"name": "p", **columns})

    def test_a_scheme_that_is_not_allowed(self, simulator: Simulated) -> None:
        self.policy(simulator, rest_api_path="/now/table", auth_types="basic,oauth")
        assert simulator.send("GET", TABLE, auth=AGENT).status_code == 200
        self.policy(simulator, rest_api_path="/now/table", resource_table="incident", auth_types="oauth")
        response = simulator.send("GET", TABLE, auth=AGENT)
        assert (response.status_code, response.headers["www-authenticate"]) == (401, 'Bearer realm="Service-now"')
        assert simulator.send("GET", "/api/now/table/problem", auth=AGENT).status_code == 200
        assert simulator.api(simulator.tokens()["access_token"]).status_code == 200

    def test_only_the_last_scheme_is_advertised(self, simulator: Simulated) -> None:
        self.policy(simulator, auth_types="basic,oauth", roles="nobody")
        assert simulator.send("GET", TABLE, auth=AGENT).headers["www-authenticate"] == 'Bearer realm="Service-now"'

    def test_all_schemes_may_be_advertised(self, simulator: Simulated) -> None:
        self.policy(simulator, auth_types="basic,oauth", roles="nobody", advertise_all_auth_schemes="true")
        advertised = simulator.send("GET", TABLE, auth=AGENT).headers["www-authenticate"]
        assert advertised == 'Basic realm="Service-now", Bearer realm="Service-now"'

    def test_what_is_not_global_comes_first(self, simulator: Simulated) -> None:
        self.policy(simulator, http_method="GET", resource_table="incident", roles="nobody")
        assert simulator.send("GET", TABLE, auth=AGENT).status_code == 401
        self.policy(simulator, rest_api_path="/now/table", roles="itil")
        assert simulator.send("GET", TABLE, auth=AGENT).status_code == 200

    def test_addresses(self, simulator: Simulated) -> None:
        self.policy(simulator, ip_ranges="203.0.113.0/24")
        assert simulator.send("GET", TABLE, auth=AGENT).status_code == 401
        forwarded = {"X-Forwarded-For": "203.0.113.9, 10.0.0.1"}
        assert simulator.send("GET", TABLE, auth=AGENT, headers=forwarded).status_code == 200

    def test_an_inactive_policy_decides_nothing(self, simulator: Simulated) -> None:
        self.policy(simulator, roles="nobody", active="false")
        assert simulator.send("GET", TABLE, auth=AGENT).status_code == 200
