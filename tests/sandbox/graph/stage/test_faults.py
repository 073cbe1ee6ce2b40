"""Graph on a bad day (Microsoft Graph §S, 19)."""

import json
import time

import pytest

from sandbox.graph.stage.faults.kinds import KINDS
from tests.sandbox.graph.simulated import OTHER_TENANT, PROFILES, SCORES, Simulated


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("throttled", 429, "TooManyRequests"),
        ("unavailable", 503, "serviceNotAvailable"),
        ("locked", 423, "resourceLocked"),
        ("internal_error", 500, "generalException"),
        ("missing_role", 403, "Forbidden"),
        ("unknown_error", 404, "UnknownError"),
        ("tenant_not_deployed", 404, "TenantDeploymentNotFound"),
        ("host_not_found", 500, "HostNotFound"),
        ("empty_code", 400, ""),
    ],
)
def test_errors(graph: Simulated, kind: str, status: int, code: str) -> None:
    graph.control.set_fault(kind)
    answer = graph.get(SCORES)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert graph.get(SCORES).status_code == 200


@pytest.mark.parametrize(("form", "header"), [("seconds", "4"), ("zero", "0"), ("none", None)])
def test_retry_after(graph: Simulated, form: str, header: str | None) -> None:
    graph.control.set_fault("throttled", retry_after=form, retry_after_s=4)
    assert graph.get(SCORES).headers.get("Retry-After") == header


def test_pages_instead_of_json(graph: Simulated) -> None:
    for kind, status in (("forbidden_page", 403), ("bad_gateway", 502)):
        graph.control.set_fault(kind)
        answer = graph.get(SCORES)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    graph.control.set_fault("forbidden_page")
    assert "Microsoft-Azure-Application-Gateway/v2" in graph.get(SCORES).text


def test_other_shapes_of_errors(graph: Simulated) -> None:
    graph.control.set_fault("error_without_error")
    assert "error" not in graph.get(SCORES).json()
    graph.control.set_fault("inner_error_in_lower_case")
    assert "innererror" in graph.get(SCORES).json()["error"]
    graph.control.set_fault("nul_bytes")
    assert graph.get(SCORES).content.strip(b"\0") == b""
    graph.control.set_fault("unknown_error", status=403)
    assert graph.get(SCORES).json()["error"]["message"] == ""


def test_a_partial_answer(graph: Simulated) -> None:
    graph.control.set_fault("partial", service="MDO", remaining=2)
    profiles, scores = graph.get(f"{PROFILES}?$top=999"), graph.get(f"{SCORES}?$top=1")
    for answer in (profiles, scores):
        assert answer.status_code == 206
        assert answer.headers["Warning"] == '199 - "Microsoft/MDO/504/10000"'
    assert "MDO" not in {profile["service"] for profile in profiles.json()["value"]}
    partial = scores.json()["value"][0]
    whole = graph.newest()
    assert not any(score["controlName"].startswith("mdo_") for score in partial["controlScores"])
    assert len(partial["controlScores"]) < len(whole["controlScores"])
    assert partial["maxScore"] < whole["maxScore"]


def test_json_that_is_cut_off(graph: Simulated) -> None:
    graph.control.set_fault("cut_off_json")
    answer = graph.get(PROFILES)
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_an_empty_page_leads_to_the_page(graph: Simulated) -> None:
    graph.control.set_fault("empty_page")
    empty = graph.json(PROFILES)
    assert empty["value"] == []
    assert len(graph.json(empty["@odata.nextLink"])["value"]) == 200


def test_the_same_link_again(graph: Simulated) -> None:
    graph.control.set_fault("same_next_link")
    first = graph.json(PROFILES)
    again = graph.json(first["@odata.nextLink"])
    assert again["@odata.nextLink"] == first["@odata.nextLink"]


def test_pages_without_end(graph: Simulated) -> None:
    graph.control.set_fault("endless_pages")
    links, url = set(), f"{PROFILES}?$top=10"
    for _ in range(5):
        body = graph.json(url)
        assert len(body["value"]) == 10
        url = body["@odata.nextLink"]
        links.add(url)
    assert len(links) == 5


def test_a_link_to_a_foreign_host(graph: Simulated) -> None:
    graph.control.set_fault("foreign_next_link", location="https://evil.example")
    assert graph.json(PROFILES)["@odata.nextLink"].startswith(f"https://evil.example{PROFILES}?")


@pytest.mark.parametrize("kind", ["slow", "slow_body", "gateway_timeout"])
def test_slow_answers(graph: Simulated, kind: str) -> None:
    graph.control.set_fault(kind, delay_s=0.1)
    started = time.perf_counter()
    answer = graph.get(SCORES)
    assert time.perf_counter() - started >= 0.1
    assert answer.status_code == (504 if kind == "gateway_timeout" else 200)
    assert answer.json()


def test_a_broken_connection_stays_broken(graph: Simulated) -> None:
    graph.control.set_fault("broken_connection")
    assert [graph.get(SCORES).status_code for _ in range(3)] == [503, 503, 503]
    graph.control.clear_faults()
    assert graph.get(SCORES).status_code == 200


def test_which_requests_a_fault_takes(graph: Simulated) -> None:
    graph.control.set_fault("internal_error", path="ControlProfiles$", tenant_id=OTHER_TENANT, every=2, remaining=None)
    assert graph.get(PROFILES).status_code == 200
    assert graph.get(SCORES, tenant_id=OTHER_TENANT).status_code == 200
    assert [graph.get(PROFILES, tenant_id=OTHER_TENANT).status_code for _ in range(4)] == [500, 200, 500, 200]
    assert [fault["taken"] for fault in graph.control.faults()] == [2]


def test_faults_do_not_reach_the_control_api(graph: Simulated) -> None:
    for kind in KINDS:
        graph.control.set_fault(kind, path="", method="", remaining=None, delay_s=0)
    assert graph.control.health()["status"] == "ok"


def test_each_fault_ends(graph: Simulated) -> None:
    for kind in KINDS.keys() - {"broken_connection"}:
        graph.control.set_fault(kind, remaining=1, delay_s=0)
        graph.get(f"{SCORES}?$top=1")
        assert graph.get(f"{SCORES}?$top=1").status_code == 200, kind
