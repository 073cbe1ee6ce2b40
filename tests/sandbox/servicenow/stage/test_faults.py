"""Item 12: faults on demand."""

import http.client
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from sandbox.servicenow.engine.caller import SYSTEM
from sandbox.servicenow.engine.data.records import Row
from sandbox.servicenow.stage.control.client import ControlClient, ControlError
from sandbox.servicenow.stage.faults.kinds import KINDS
from sandbox.servicenow.wire.server import configuration
from sandbox.serving import serving
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

    def test_one_in_three(self, simulator: Simulated, control: ControlClient) -> None:
        control.set_fault("bad_gateway", every=3, remaining=2)
        statuses = [get(simulator).status_code for _ in range(7)]
        assert statuses == [502, 200, 200, 502, 200, 200, 200]

    def test_a_request_that_an_intermittent_fault_lets_pass_falls_to_the_next(
        self, simulator: Simulated, control: ControlClient
    ) -> None:
        control.set_fault("bad_gateway", every=2, remaining=None)
        control.set_fault("unauthorized", remaining=None)
        assert [get(simulator).status_code for _ in range(4)] == [502, 403, 502, 403]

    def test_lists_above_a_limit(self, simulator: Simulated, control: ControlClient) -> None:
        control.set_fault("bad_gateway", above_limit=50, remaining=None)
        statuses = [
            get(simulator, TABLE + query).status_code for query in ("?sysparm_limit=51", "?sysparm_limit=50", "")
        ]
        assert statuses == [502, 200, 502], "a list without a limit asks for 10,000 rows"

    @pytest.mark.parametrize("kind", sorted(KINDS))
    def test_the_control_api_is_out_of_reach(self, simulator: Simulated, control: ControlClient, kind: str) -> None:
        control.set_fault(kind, path="", remaining=None)
        assert control.health()["status"] == "ok"

    @pytest.mark.parametrize(
        ("wanted", "message"),
        [
            ({"kind": "nonsense"}, "kind is one of"),
            ({"kind": "slow", "path": "("}, "is not a regular expression"),
            ({"kind": "slow", "delay": 3}, "a fault has no delay"),
            ({"kind": "slow", "every": 0}, "every is at least 1"),
        ],
    )
    def test_a_fault_that_makes_no_sense(self, control: ControlClient, wanted: dict[str, Any], message: str) -> None:
        with pytest.raises(ControlError, match=message):
            control.set_fault(**wanted)
        with pytest.raises(ControlError, match="no such fault"):
            control.remove_fault("nonsense")


class TestUpdates:
    """A PATCH that adds a note and marks the record, under each fault: what is answered, and what is stored."""

    LOST = "the connection is cut"

    @pytest.fixture
    def row(self, simulator: Simulated) -> Row:
        return simulator.instance.operations.insert("incident", {}, SYSTEM)

    def patch(self, simulator: Simulated, row: Row) -> int | str:
        values = {"work_notes": "Verified", "correlation_display": "update 1"}
        try:
            return simulator.send("PATCH", f"{TABLE}/{row['sys_id']}", json=values, auth=AGENT).status_code
        except ConnectionResetError:
            return self.LOST

    def stored(self, simulator: Simulated, control: ControlClient, row: Row) -> bool:
        """Say whether both values were stored; never is it one of them."""
        notes = [entry["value"] for entry in control.journal(row["number"])]
        mark = control.ticket(row["number"])["correlation_display"]
        assert (notes, mark) in ((["Verified"], "update 1"), ([], ""))
        return bool(notes)

    @pytest.mark.parametrize(
        ("kind", "options", "answer", "stored"),
        [
            ("reset_before_commit", {}, LOST, False),
            ("reset_after_commit", {}, LOST, True),
            ("cancelled_before_commit", {}, 500, False),
            ("cancelled_after_commit", {}, 500, True),
            ("accepted", {}, 202, False),
            ("accepted", {"runs": True}, 202, True),
            ("bad_gateway", {}, 502, False),
            ("bad_gateway", {"runs": True}, 502, True),
            ("unauthenticated", {}, 401, False),
            ("unauthenticated", {"runs": True}, 401, True),
            ("rate_limited", {}, 429, False),
            ("rate_limited_bare", {}, 429, False),
            ("queue_full", {}, 429, False),
            ("write_forbidden", {}, 403, False),
            ("slow", {"delay_s": 0}, 200, True),
            ("cut_off_json", {}, 200, True),
            ("html_as_json", {}, 200, False),
            ("hibernating", {}, 200, False),
        ],
    )
    def test_carried_out_or_not(
        self,
        simulator: Simulated,
        control: ControlClient,
        row: Row,
        kind: str,
        options: dict[str, Any],
        answer: int | str,
        stored: bool,
    ) -> None:
        control.set_fault(kind, method="PATCH", **options)
        assert self.patch(simulator, row) == answer
        assert self.stored(simulator, control, row) is stored

    @pytest.mark.parametrize(
        ("kind", "options", "answer"),
        [
            ("reset_after_commit", {}, LOST),
            ("cancelled_after_commit", {}, 500),
            ("accepted", {"runs": True}, 202),
            ("bad_gateway", {"runs": True}, 502),
            ("unauthenticated", {"runs": True, "body": "Verified"}, 401),
        ],
    )
    def test_carried_out_long_after_the_answer_was_lost(
        self,
        simulator: Simulated,
        control: ControlClient,
        row: Row,
        kind: str,
        options: dict[str, Any],
        answer: int | str,
    ) -> None:
        control.set_fault(kind, method="PATCH", commit_after_s=60, **options)
        assert self.patch(simulator, row) == answer
        control.advance_clock(59)
        assert not self.stored(simulator, control, row)
        control.advance_clock(1)
        assert self.stored(simulator, control, row)
        control.advance_clock(60)
        assert self.stored(simulator, control, row), "once"

    def test_late_commits_keep_their_order_and_outlive_their_faults(
        self, simulator: Simulated, control: ControlClient, row: Row
    ) -> None:
        for mark, after_s in (("second", 30), ("first", 20), ("third", 30)):
            control.set_fault("reset_after_commit", commit_after_s=after_s)
            with pytest.raises(ConnectionResetError):
                simulator.send("PATCH", f"{TABLE}/{row['sys_id']}", json={"comments": mark}, auth=AGENT)
        control.clear_faults()
        control.advance_clock(60)
        assert [entry["value"] for entry in control.journal(row["number"])] == ["first", "second", "third"]

    def test_a_reset_simulator_forgets_them(self, simulator: Simulated, control: ControlClient, row: Row) -> None:
        control.set_fault("accepted", runs=True, commit_after_s=1)
        self.patch(simulator, row)
        control.reset()
        control.advance_clock(60)
        assert not self.stored(simulator, control, row)


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
        response = post(simulator, short_description="committed although it failed")
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

    def test_a_huge_body_that_is_compressed(self, simulator: Simulated, control: ControlClient) -> None:
        control.set_fault("huge_body", size_bytes=1_000_000, encoding="gzip, gzip")
        response = get(simulator)
        assert response.headers["content-encoding"] == "gzip, gzip"
        assert len(response.content) == 1_000_000, "unpacked twice"

    @pytest.mark.parametrize("encoding", ["gzip", "deflate", "deflate, gzip"])
    def test_the_right_answer_in_an_encoding(self, simulator: Simulated, control: ControlClient, encoding: str) -> None:
        expected = get(simulator).json()
        control.set_fault("encoded", encoding=encoding)
        response = get(simulator)
        assert (response.headers["content-encoding"], response.json()) == (encoding, expected)

    def test_an_encoding_that_only_the_header_knows(self, simulator: Simulated, control: ControlClient) -> None:
        expected = get(simulator).content
        control.set_fault("encoded", encoding="snow")
        response = get(simulator)
        assert (response.headers["content-encoding"], response.content) == ("snow", expected)

    def test_an_error_that_repeats_the_authorization(self, simulator: Simulated, control: ControlClient) -> None:
        control.set_fault("echoed_authorization")
        response = get(simulator)
        assert response.status_code == 403
        assert response.request.headers["Authorization"] in response.json()["error"]["detail"]

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


class TestWhatStandsInFront:
    """None of these answers comes from the application, so none carries its cookies or its JSON."""

    @pytest.mark.parametrize("path", [TABLE, "/oauth_token.do", "/login.do", "/nonsense"])
    @pytest.mark.parametrize(
        ("kind", "status", "content_type"),
        [
            ("redirected", 302, "text/html"),
            ("not_found_page", 404, "text/html"),
            ("not_found_text", 404, "text/plain"),
        ],
    )
    def test_any_path(
        self, simulator: Simulated, control: ControlClient, kind: str, status: int, content_type: str, path: str
    ) -> None:
        control.set_fault(kind)
        before = incidents(simulator)
        response = simulator.send("POST", path, json={}, auth=AGENT)
        assert (response.status_code, response.headers["content-type"]) == (status, f"{content_type}; charset=utf-8")
        assert not {"set-cookie", "x-transaction-id"} & set(response.headers)
        assert incidents(simulator) == before

    def test_where_a_redirect_leads(self, simulator: Simulated, control: ControlClient) -> None:
        control.set_fault("redirected", location="https://portal.example/maintenance")
        assert get(simulator).headers["location"] == "https://portal.example/maintenance"


class TestRightsThatComeAndGo:
    @pytest.mark.parametrize(("method", "operation"), [("POST", "Insert"), ("PATCH", "Update"), ("DELETE", "Delete")])
    def test_a_write_refused_by_an_access_rule(
        self, simulator: Simulated, control: ControlClient, method: str, operation: str
    ) -> None:
        control.set_fault("write_forbidden", remaining=None)
        [row] = simulator.instance.records.query("incident")
        path = TABLE if method == "POST" else f"{TABLE}/{row['sys_id']}"
        response = simulator.send(method, path, json={"state": "2"}, auth=AGENT)
        assert response.status_code == 403
        assert response.json()["error"] == {
            "message": "Operation Failed",
            "detail": f"ACL Exception {operation} Failed due to security constraints",
        }
        assert simulator.instance.records.query("incident") == [row]
        assert get(simulator).status_code == 200, "reads pass"

    @pytest.mark.parametrize(
        ("path", "detail"),
        [
            (TABLE, "User is unauthorized to access table: incident"),
            ("/api/now/v2/table/task?sysparm_limit=1", "User is unauthorized to access table: task"),
            ("/api/now/ui/user/current_user", "Failed API level ACL Validation"),
        ],
    )
    def test_a_caller_who_passes_no_rule(
        self, simulator: Simulated, control: ControlClient, path: str, detail: str
    ) -> None:
        control.set_fault("unauthorized", every=2)
        response = get(simulator, path)
        assert response.status_code == 403
        assert response.json()["error"] == {"message": "User Not Authorized", "detail": detail}
        assert get(simulator, path).status_code == 200


class TestUnauthorizedAnswers:
    KINDS = ("unauthenticated", "unauthenticated_bearer", "unauthenticated_oauth")

    @pytest.mark.parametrize("runs", [True, False])
    @pytest.mark.parametrize("kind", KINDS)
    def test_a_write_that_may_be_carried_out_all_the_same(
        self, simulator: Simulated, control: ControlClient, kind: str, runs: bool
    ) -> None:
        control.set_fault(kind, runs=runs, remaining=2)
        [row] = simulator.instance.records.query("incident")
        created = post(simulator, short_description="new")
        changed = simulator.send("PATCH", f"{TABLE}/{row['sys_id']}", json={"state": "2"}, auth=AGENT)
        assert (created.status_code, changed.status_code) == (401, 401)
        assert "set-cookie" not in created.headers
        assert incidents(simulator) == 1 + runs
        assert control.record("incident", row["sys_id"])["state"] == ("2" if runs else "1")

    def test_their_shapes(self, simulator: Simulated, control: ControlClient) -> None:
        for kind in self.KINDS:
            control.set_fault(kind)
        basic, bearer, oauth = (get(simulator) for _ in self.KINDS)
        assert basic.headers["www-authenticate"] == 'Basic realm="Service-now"'
        assert bearer.headers["www-authenticate"] == 'Bearer realm="Service-now"'
        assert bearer.json()["error"]["message"] == "User is not authenticated"
        assert (oauth.text, "www-authenticate" in oauth.headers) == (GENERIC_REFUSAL, False)

    def test_the_token_endpoint_refuses_some_requests(self, simulator: Simulated, control: ControlClient) -> None:
        refresh_token = simulator.tokens()["refresh_token"]
        control.set_fault("token_refused", every=2, remaining=None)
        answers = [simulator.refresh(refresh_token) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [401, 200, 401]
        assert answers[0].text == GENERIC_REFUSAL

    def test_a_page_refuses_any_grant(self, simulator: Simulated, control: ControlClient) -> None:
        refresh_token = simulator.tokens()["refresh_token"]
        control.set_fault("token_refused_page", remaining=2)
        answers = [simulator.refresh(refresh_token), simulator.code_grant("a code")]
        for answer in answers:
            assert (answer.status_code, answer.headers["content-type"]) == (401, "text/html; charset=utf-8")
        assert simulator.refresh(refresh_token).status_code == 200

    def test_an_empty_refresh_token(self, simulator: Simulated, control: ControlClient) -> None:
        granted = simulator.tokens()
        control.set_fault("empty_refresh_token", remaining=None)
        answer = simulator.refresh(granted["refresh_token"])
        assert answer.status_code == 200
        assert answer.json()["refresh_token"] == ""
        assert simulator.api(answer.json()["access_token"]).status_code == 200
        assert simulator.refresh("a dead one").text == GENERIC_REFUSAL
        control.clear_faults()
        assert simulator.refresh(granted["refresh_token"]).status_code == 200


class TestHostileAnswers:
    def test_a_count_nobody_can_count(self, simulator: Simulated, control: ControlClient) -> None:
        control.set_fault("endless_count", remaining=None)
        response = get(simulator)
        assert response.headers["x-total-count"] == "9" * 5_000
        assert len(response.json()["result"]) == 1
        assert "x-total-count" not in get(simulator, f"{TABLE}?sysparm_no_count=true").headers

    @pytest.mark.parametrize(
        "value", ["0000-00-00 00:00:00", "9999-12-31 23:59:59", "2026-02-30 25:61:61", "yesterday", "x" * 40_000]
    )
    def test_values_no_column_should_hold(self, simulator: Simulated, control: ControlClient, value: str) -> None:
        control.set_fault("hostile_values", values={"sys_updated_on": value, "due_date": value}, remaining=None)
        [row] = get(simulator, f"{TABLE}?sysparm_fields=number,sys_updated_on").json()["result"]
        assert (row["sys_updated_on"], row["number"]) == (value, "INC0010001"), "only the requested columns"
        [row] = get(simulator, f"{TABLE}?sysparm_display_value=all").json()["result"]
        assert row["due_date"] == {"display_value": value, "value": value}
        assert post(simulator).json()["result"]["sys_updated_on"] == value

    def test_a_list_that_is_cancelled_for_its_count(self, simulator: Simulated, control: ControlClient) -> None:
        control.set_fault("cancelled_for_count")
        [row] = simulator.instance.records.query("incident")
        response = get(simulator)
        assert response.status_code == 500
        assert response.json()["error"]["message"] == "Transaction cancelled: maximum execution time exceeded"
        assert get(simulator, "/api/now/stats/incident?sysparm_count=true").status_code == 500
        assert get(simulator, f"{TABLE}?sysparm_no_count=true").status_code == 200
        assert get(simulator, f"{TABLE}/{row['sys_id']}").status_code == 200
        assert post(simulator).status_code == 201

    def test_a_list_that_is_cancelled_for_its_size(self, simulator: Simulated, control: ControlClient) -> None:
        control.set_fault("cancelled_for_size", above_limit=10)
        statuses = [get(simulator, f"{TABLE}?sysparm_limit={limit}").status_code for limit in (11, 10)]
        assert statuses == [500, 200]


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
        with serving(configuration(simulator.app)) as url:
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

    def test_a_reset_connection_whose_request_is_carried_out_later(
        self, simulator: Simulated, url: str, socket_control: ControlClient
    ) -> None:
        row = simulator.instance.operations.insert("incident", {}, SYSTEM)
        socket_control.set_fault("reset_after_commit", commit_after_s=60)
        with httpx.Client(auth=AGENT, trust_env=False) as client, pytest.raises(httpx.TransportError):
            client.patch(f"{url}{TABLE}/{row['sys_id']}", json={"work_notes": "Verified"})
        assert socket_control.journal(row["number"]) == []
        socket_control.advance_clock(60)
        assert [entry["value"] for entry in socket_control.journal(row["number"])] == ["Verified"]

    def test_a_slow_answer_whose_work_is_done_at_once(
        self, simulator: Simulated, url: str, socket_control: ControlClient
    ) -> None:
        socket_control.set_fault("slow", delay_s=0.5)
        before = incidents(simulator)
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(url + TABLE, json={}, auth=AGENT, timeout=httpx.Timeout(10, read=0.2), trust_env=False)
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
