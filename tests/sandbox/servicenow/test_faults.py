"""Item 12: being difficult, on demand."""

import http.client
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from sandbox.servicenow.caller import SYSTEM
from sandbox.servicenow.control_client import ControlClient, ControlError
from sandbox.servicenow.faults import KINDS
from sandbox.servicenow.server import serving
from tests.sandbox.servicenow.simulator import CLIENT_ID, CLIENT_SECRET, GENERIC_REFUSAL, Simulated, simulated

TABLE = "/api/now/table/incident"
AGENT = ("agent", "correct horse")


@pytest.fixture
def simulator() -> Iterator[Simulated]:
    with simulated() as world:
        yield world


@pytest.fixture
def control(simulator: Simulated) -> Iterator[ControlClient]:
    with ControlClient(simulator.url, transport=simulator.transport) as client:
        yield client


def get(simulator: Simulated, path: str = TABLE) -> httpx.Response:
    return simulator.send("GET", path, auth=AGENT)


def post(simulator: Simulated, **values: str) -> httpx.Response:
    return simulator.send("POST", TABLE, json=values, auth=AGENT)


def incidents(simulator: Simulated) -> int:
    return simulator.instance.records.count("incident")


class TestWhichRequests:
    def test_the_next_n(self, simulator: Simulated, control: ControlClient) -> None:
        control.set_fault("bad_gateway", remaining=2)
        assert [get(simulator).status_code for _ in range(3)] == [502, 502, 200]
        [fault] = control.faults()
        assert (fault["taken"], fault["remaining"]) == (2, 0)

    def test_until_removed(self, simulator: Simulated, control: ControlClient) -> None:
        fault_id = control.set_fault("bad_gateway", remaining=None)
        assert {get(simulator).status_code for _ in range(5)} == {502}
        control.remove_fault(fault_id)
        assert get(simulator).status_code == 200

    def test_by_method_path_and_query(self, simulator: Simulated, control: ControlClient) -> None:
        control.set_fault("bad_gateway", method="post", remaining=None)
        assert get(simulator).status_code == 200
        assert post(simulator).status_code == 502
        control.clear_faults()
        control.set_fault("bad_gateway", path="/table/task$", remaining=None)
        assert get(simulator).status_code == 200
        assert get(simulator, "/api/now/table/task").status_code == 502
        control.clear_faults()
        control.set_fault("bad_gateway", query="sysparm_query=number=INC1$", remaining=None)
        assert get(simulator).status_code == 200
        assert get(simulator, f"{TABLE}?sysparm_query=number%3DINC1").status_code == 502

    def test_by_body(self, simulator: Simulated, control: ControlClient) -> None:
        control.set_fault("bad_gateway", body="printer", remaining=None)
        assert post(simulator, short_description="a printer").status_code == 502
        response = post(simulator, short_description="a mouse")
        assert (response.status_code, response.json()["result"]["short_description"]) == (201, "a mouse")

    def test_only_after_a_delay(self, simulator: Simulated, control: ControlClient) -> None:
        control.set_fault("rate_limited", after_s=30, remaining=None)
        assert get(simulator).status_code == 200
        control.advance_clock(30)
        assert get(simulator).status_code == 429

    def test_the_first_that_was_set_answers(self, simulator: Simulated, control: ControlClient) -> None:
        control.set_fault("bad_gateway")
        control.set_fault("rate_limited")
        assert [get(simulator).status_code for _ in range(3)] == [502, 429, 200]

    @pytest.mark.parametrize("kind", sorted(KINDS))
    def test_the_control_api_is_out_of_reach(self, simulator: Simulated, control: ControlClient, kind: str) -> None:
        control.set_fault(kind, path="", remaining=None)
        assert control.health()["status"] == "ok"

    @pytest.mark.parametrize(
        ("wanted", "message"),
        [
            ({"kind": "nonsense"}, "kind is one of"),
            ({"kind": "slow", "path": "("}, "no regular expression"),
            ({"kind": "slow", "delay": 3}, "a fault has no delay"),
        ],
    )
    def test_a_fault_that_makes_no_sense(self, control: ControlClient, wanted: dict[str, Any], message: str) -> None:
        with pytest.raises(ControlError, match=message):
            control.set_fault(**wanted)
        with pytest.raises(ControlError, match="no such fault"):
            control.remove_fault("nonsense")


class TestItem12Answers:
    def test_429_with_headers(self, simulator: Simulated, control: ControlClient) -> None:
        control.set_fault("rate_limited", retry_after_s=90, limit=10)
        response = get(simulator)
        assert response.status_code == 429
        assert response.headers["retry-after"] == "90"
        assert response.headers["x-ratelimit-limit"] == "10"
        assert int(response.headers["x-ratelimit-reset"]) == int(control.now().timestamp()) + 90
        assert len(response.headers["x-ratelimit-rule"]) == 32
        assert "x-ratelimit-remaining" not in response.headers
        assert response.json() == {
            "error": {
                "message": "Rate limit exceeded",
                "detail": "Rate limit of 10 requests per hour for Table API exceeded",
            },
            "status": "failure",
        }

    @pytest.mark.parametrize(("kind", "content_type"), [("rate_limited_bare", "json"), ("queue_full", "text/html")])
    def test_429_without_headers(
        self, simulator: Simulated, control: ControlClient, kind: str, content_type: str
    ) -> None:
        control.set_fault(kind)
        response = get(simulator)
        assert response.status_code == 429
        assert content_type in response.headers["content-type"]
        assert not [name for name in response.headers if name.startswith(("retry", "x-ratelimit"))]

    def test_500_quota_after_committing(self, simulator: Simulated, control: ControlClient) -> None:
        control.set_fault("cancelled_after_commit")
        before = incidents(simulator)
        response = post(simulator, short_description="committed all the same")
        assert response.status_code == 500
        message = "Transaction cancelled: maximum execution time exceeded"
        assert response.json()["error"]["message"] == message
        assert response.json()["error"]["detail"].startswith(f"{message} Check logs for error trace or enable")
        assert incidents(simulator) == before + 1

    def test_500_before_committing(self, simulator: Simulated, control: ControlClient) -> None:
        control.set_fault("cancelled_before_commit")
        before = incidents(simulator)
        assert post(simulator).status_code == 500
        assert incidents(simulator) == before

    def test_200_with_cut_off_json(self, simulator: Simulated, control: ControlClient) -> None:
        for _ in range(9):
            simulator.instance.operations.insert("incident", {}, SYSTEM)
        control.set_fault("cut_off_json", rows=4, remaining=2)
        response = get(simulator)
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/json;charset=UTF-8"
        with pytest.raises(json.JSONDecodeError):
            response.json()
        assert response.text.startswith('{"result":[{"')
        assert response.text.count('"number"') in (4, 5)
        assert '"error":{"message":"Transaction cancelled: maximum execution time exceeded"' in response.text
        with pytest.raises(json.JSONDecodeError):
            post(simulator).json()
        assert incidents(simulator) == 11

    def test_hibernation_on_every_path(self, simulator: Simulated, control: ControlClient) -> None:
        control.set_fault("hibernating")
        paths = (TABLE, "/", "/oauth_auth.do", "/nonsense", "/login.do")
        responses = [get(simulator, path) for path in paths]
        responses.append(simulator.send("POST", "/oauth_token.do", data={"grant_type": "password"}))
        for response in responses:
            assert response.status_code == 200
            assert response.headers["content-type"].startswith("text/html")
            assert response.headers["server"] == "snow_adc"
            assert len(response.content) == 5904
            assert "Instance Hibernating page" in response.text
            assert not {"set-cookie", "www-authenticate", "x-transaction-id"} & set(response.headers)

    def test_502_html(self, simulator: Simulated, control: ControlClient) -> None:
        control.set_fault("bad_gateway")
        response = get(simulator)
        assert (response.status_code, len(response.content)) == (502, 153)
        assert response.headers["content-type"].startswith("text/html")
        assert response.headers["server"] == "snow_adc"

    def test_403_html_for_a_blocked_address(self, simulator: Simulated, control: ControlClient) -> None:
        control.set_fault("address_blocked", remaining=None)
        for path in (TABLE, "/login.do", "/oauth_auth.do"):
            response = get(simulator, path)
            assert response.status_code == 403
            assert response.headers["content-type"].startswith("text/html")

    @pytest.mark.parametrize("runs", [True, False])
    def test_202_for_a_request_that_may_never_run(
        self, simulator: Simulated, control: ControlClient, runs: bool
    ) -> None:
        control.set_fault("accepted", runs=runs)
        before = incidents(simulator)
        response = post(simulator)
        assert (response.status_code, response.content) == (202, b"")
        assert incidents(simulator) == before + runs

    def test_refresh_401_while_the_access_token_still_works(self, simulator: Simulated, control: ControlClient) -> None:
        tokens = simulator.tokens()
        control.set_fault("token_refused", remaining=None)
        response = simulator.refresh(tokens["refresh_token"])
        assert (response.status_code, response.text) == (401, GENERIC_REFUSAL)
        assert simulator.api(tokens["access_token"]).status_code == 200
        assert simulator.token("password", username="agent", password="correct horse").status_code == 200
        control.clear_faults()
        assert simulator.refresh(tokens["refresh_token"]).status_code == 200

    def test_an_intermittent_401(self, simulator: Simulated, control: ControlClient) -> None:
        control.set_fault("unauthenticated")
        response = get(simulator)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == 'Basic realm="Service-now"'
        assert get(simulator).status_code == 200

    def test_a_page_emptied_by_access_rules_still_counts_its_rows(
        self, simulator: Simulated, control: ControlClient
    ) -> None:
        control.set_fault("empty_page", remaining=None)
        response = get(simulator)
        assert response.json() == {"result": []}
        assert response.headers["x-total-count"] == "1"
        one = simulator.instance.records.query("incident")[0]["sys_id"]
        assert get(simulator, f"{TABLE}/{one}").json()["result"]["sys_id"] == one

    def test_a_huge_body(self, simulator: Simulated, control: ControlClient) -> None:
        control.set_fault("huge_body", size_bytes=1_000_000)
        response = get(simulator)
        assert len(response.content) == 1_000_000
        assert list(response.json()) == ["result"]

    def test_html_under_a_json_content_type(self, simulator: Simulated, control: ControlClient) -> None:
        control.set_fault("html_as_json")
        response = get(simulator)
        assert response.headers["content-type"] == "application/json;charset=UTF-8"
        assert response.text.startswith("<html>")

    def test_two_rows_in_the_same_second(self, simulator: Simulated, control: ControlClient) -> None:
        control.bulk_insert("incident", 3, correlation_prefix="m365:")
        assert control.bulk_touch("incident", "correlation_idSTARTSWITHm365:", {"state": "2"}) == 3
        rows = control.records("incident", "correlation_idSTARTSWITHm365:")
        assert {row["state"] for row in rows} == {"2"}
        assert len({row["sys_updated_on"] for row in rows}) == 1

    def test_a_state_changed_by_the_auto_close_job(self, simulator: Simulated, control: ControlClient) -> None:
        row = control.insert_record("incident", {})
        control.add_choice("incident", "close_code", "Solution provided", "Solution provided")
        resolution = {"state": "6", "close_code": "Solution provided", "close_notes": "x"}
        control.change_record("incident", row["sys_id"], resolution, as_user="agent")
        assert control.run_auto_close() == 0
        control.advance_clock(8 * 86_400)
        assert control.run_auto_close() == 1
        closed = control.record("incident", row["sys_id"])
        assert (closed["state"], closed["active"], closed["sys_updated_by"]) == ("7", "false", "system")

    def test_a_custom_state_value(self, simulator: Simulated, control: ControlClient) -> None:
        control.add_choice("task", "state", "1", "Open")
        control.add_choice("incident", "state", "42", "Waiting for the moon")
        row = control.insert_record("incident", {"state": "42"})
        shown = get(simulator, f"{TABLE}/{row['sys_id']}?sysparm_display_value=all").json()["result"]
        assert shown["state"] == {"display_value": "Waiting for the moon", "value": "42"}
        assert simulator.instance.choices.labels("incident", "state") == {"1": "Open", "42": "Waiting for the moon"}

    def test_dates_shown_in_another_user_time_zone(self, simulator: Simulated, control: ControlClient) -> None:
        control.change_user("agent", time_zone="Asia/Tokyo")
        [row] = get(simulator, f"{TABLE}?sysparm_display_value=all&sysparm_fields=sys_updated_on").json()["result"]
        assert row["sys_updated_on"] == {"display_value": "2026-03-02 18:00:00", "value": "2026-03-02 09:00:00"}


class TestRateLimitRules:
    def test_headers_then_429_until_the_hour_is_over(self, simulator: Simulated, control: ControlClient) -> None:
        sys_id = control.add_rate_limit(3, written_every_s=0)
        for _ in range(3):
            response = get(simulator)
            assert response.status_code == 200
            assert response.headers["x-ratelimit-limit"] == "3"
            assert response.headers["x-ratelimit-rule"] == sys_id
        denied = get(simulator)
        assert denied.status_code == 429
        assert denied.headers["x-ratelimit-reset"] == str(int(control.now().timestamp()) // 3600 * 3600 + 3600)
        control.advance_clock(int(denied.headers["retry-after"]))
        assert get(simulator).status_code == 200

    def test_counts_are_written_every_thirty_seconds(self, simulator: Simulated, control: ControlClient) -> None:
        control.add_rate_limit(3)
        assert {get(simulator).status_code for _ in range(8)} == {200}
        control.advance_clock(30)
        assert get(simulator).status_code == 429

    def test_a_rule_for_the_user_wins_then_the_lowest_of_the_roles(
        self, simulator: Simulated, control: ControlClient
    ) -> None:
        for limit, options in (
            (1, {}),
            (5, {"role": "itil"}),
            (4, {"role": "itil"}),
            (9, {"user_name": "integration"}),
        ):
            control.add_rate_limit(limit, **options)
        assert get(simulator).headers["x-ratelimit-limit"] == "4"
        access_token = simulator.tokens()["access_token"]
        assert simulator.api(access_token).headers["x-ratelimit-limit"] == "9"

    def test_each_user_is_counted_apart(self, simulator: Simulated, control: ControlClient) -> None:
        control.add_rate_limit(1, written_every_s=0)
        assert [get(simulator).status_code for _ in range(2)] == [200, 429]
        assert simulator.api(simulator.tokens()["access_token"]).status_code == 200

    def test_no_rule_no_headers(self, simulator: Simulated, control: ControlClient) -> None:
        control.add_rate_limit(1, path="/api/now/stats", method="POST")
        assert "x-ratelimit-limit" not in get(simulator).headers


class TestItem12Connections:
    @pytest.fixture
    def url(self, simulator: Simulated) -> Iterator[str]:
        with serving(simulator.app) as url:
            yield url

    @pytest.fixture
    def socket_control(self, url: str) -> Iterator[ControlClient]:
        with ControlClient(url) as client:
            yield client

    @pytest.mark.parametrize(("kind", "committed"), [("reset_before_commit", 0), ("reset_after_commit", 1)])
    def test_a_connection_reset(
        self, simulator: Simulated, url: str, socket_control: ControlClient, kind: str, committed: int
    ) -> None:
        socket_control.set_fault(kind, method="POST")
        before = incidents(simulator)
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
        headers = {"Content-Type": "application/json", "Authorization": httpx.BasicAuth(*AGENT)._auth_header}
        with pytest.raises(ConnectionResetError):
            _exchange(connection, headers)
        connection.close()
        assert incidents(simulator) == before + committed
        [entry] = socket_control.requests("table/incident")
        assert entry["status"] == 0

    def test_a_slow_answer_whose_work_is_done_at_once(
        self, simulator: Simulated, url: str, socket_control: ControlClient
    ) -> None:
        socket_control.set_fault("slow", delay_s=0.5)
        before = incidents(simulator)
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(url + TABLE, json={}, auth=AGENT, timeout=0.2, trust_env=False)
        assert incidents(simulator) == before + 1
        socket_control.set_fault("slow", delay_s=0.2)
        started = time.monotonic()
        assert httpx.get(url + TABLE, auth=AGENT, trust_env=False).status_code == 200
        assert time.monotonic() - started >= 0.2

    def test_a_slow_answer_is_slower_than_thirty_seconds_by_default(self, socket_control: ControlClient) -> None:
        socket_control.set_fault("slow")
        assert socket_control.faults()[0]["delay_s"] > 30

    def test_a_very_long_request_line_reaches_the_instance(self, url: str) -> None:
        response = httpx.get(f"{url}/api/now/table/{'A' * 23_000}", auth=AGENT, trust_env=False)
        assert response.status_code == 414
        assert response.text.startswith("<html>")

    def test_the_front_end_names_itself_once(self, url: str) -> None:
        assert httpx.get(f"{url}/login.do", trust_env=False).headers.get_list("server") == ["snow_adc"]


def _exchange(connection: http.client.HTTPConnection, headers: dict[str, str]) -> None:
    connection.request("POST", TABLE, "{}", headers)
    connection.getresponse()


def test_the_token_endpoint_can_fail_like_any_other(simulator: Simulated, control: ControlClient) -> None:
    control.set_fault("bad_gateway", path="oauth_token")
    form = {"grant_type": "password", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    assert simulator.send("POST", "/oauth_token.do", data=form).status_code == 502
