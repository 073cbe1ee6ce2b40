"""The control API and the record of requests, through the client."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from sandbox.certificates import ensure_certificates
from sandbox.graph.engine.switches import SWITCHES
from sandbox.graph.process import start_graph
from sandbox.graph.stage.control.client import ControlError
from sandbox.graph.stage.seed.tenants import FREE
from sandbox.processes import Processes
from tests.sandbox.graph.simulated import PROFILES, SCORES, SMALL, START, TENANT, Simulated, bearer, token


def test_health_and_clock(graph: Simulated) -> None:
    assert graph.control.health()["tenants"] == [plan.tenant_id for plan in SMALL]
    assert graph.control.now() == START
    assert graph.control.advance(days=1, hours=2) == START + timedelta(hours=26)
    graph.control.set_clock(START + timedelta(days=2))
    graph.control.stop_clock(START + timedelta(days=3))
    assert graph.control.now() == START + timedelta(days=3)


def test_every_switch_has_a_value_and_checks_it(graph: Simulated) -> None:
    graph.control.reset()
    assert graph.control.switches() == {switch.name: switch.default for switch in SWITCHES}
    for name, value in (("snapshot.hour", "3"), ("profiles.oversize_top", "else"), ("answers.gzip", 1), ("none", True)):
        with pytest.raises(ControlError, match=name):
            graph.control.set_switches({name: value})


def test_tenants_and_controls(graph: Simulated) -> None:
    shown = graph.control.tenant(TENANT)
    newest = graph.newest()
    assert shown["newest"]["current_score"] == newest["currentScore"]
    assert shown["population"]["users"] == 200
    assert [tenant["name"] for tenant in graph.control.tenants()] == ["Contoso", "Fabrikam"]
    control = graph.control.controls(TENANT)["MFARegistrationV2"]
    assert (control["total"], control["score"]) == (200, graph.score_of("MFARegistrationV2")["score"])


def test_what_the_control_api_refuses(graph: Simulated) -> None:
    with pytest.raises(ControlError, match="unknown or missing: nobody"):
        graph.control.tenant("nobody")
    with pytest.raises(ControlError, match="unknown or missing: nothing"):
        graph.control.fix(TENANT, "nothing")
    with pytest.raises(ControlError, match="between 0 and 1"):
        graph.control.undo(TENANT, "AdminMFAV2", share=2)
    with pytest.raises(ControlError, match="fewer than none"):
        graph.control.grow(TENANT, users=-1000)
    with pytest.raises(ControlError, match="unknown platform: toasters"):
        graph.control.grow(TENANT, devices={"toasters": 1})
    with pytest.raises(ControlError, match="unknown or missing: unheard_of"):
        graph.control.add_licence(TENANT, "unheard_of")
    with pytest.raises(ControlError, match="unknown or fixed: id"):
        graph.control.change_control(TENANT, "AdminMFAV2", id="x")
    with pytest.raises(ControlError, match="exists"):
        graph.control.add_control(TENANT, "AdminMFAV2", title="", service="AzureAD")
    with pytest.raises(ControlError, match="exists"):
        graph.control.rename_control(TENANT, "AdminMFAV2", "OneAdmin")
    with pytest.raises(ControlError, match="unknown or missing: no_kind"):
        graph.control.set_fault("no_kind")
    with pytest.raises(ControlError, match="unknown: colour"):
        graph.control.set_fault("slow", colour="red")
    with pytest.raises(ControlError, match="this fault"):
        graph.control.remove_fault("none")


def test_reset_begins_again(graph: Simulated) -> None:
    before = graph.control.tenant(TENANT)["population"]
    graph.control.grow(TENANT, users=5)
    graph.control.set_fault("internal_error")
    graph.get(SCORES)
    graph.control.reset()
    assert graph.control.tenant(TENANT)["population"] == before
    assert graph.control.faults() == []
    assert graph.control.requests() == []


def test_the_record_of_requests(graph: Simulated) -> None:
    graph.get(f"{SCORES}?$top=1", **{"client-request-id": "0f7d1c3a-1111-4222-8333-000000000009"})
    graph.control.set_fault("internal_error")
    graph.get(f"{PROFILES}/a%20b%23c")
    graph.client.patch(f"{PROFILES}/AdminMFAV2", json={"state": "Ignored"})
    first, second, third = graph.control.requests()
    assert (first["method"], first["path"], first["query"], first["status"]) == ("GET", SCORES, "$top=1", 200)
    assert first["headers"]["client-request-id"] == "0f7d1c3a-1111-4222-8333-000000000009"
    assert "authorization" not in first["headers"]
    assert (first["tenant_id"], first["has_token"], first["in_flight"]) == (TENANT, True, 1)
    assert (second["path"], second["status"]) == (f"{PROFILES}/a%20b%23c", 500)
    assert (third["tenant_id"], third["has_token"], third["status"]) == ("", False, 401)
    assert graph.control.requests("ControlProfiles/a") == [second]
    graph.control.clear_requests()
    assert graph.control.requests() == []


def test_a_process_answers_over_tls(tmp_path: Path) -> None:
    trusted = ssl.create_default_context(cafile=ensure_certificates().authority)
    with Processes(tmp_path) as processes:
        graph = start_graph(processes, days_ago=4)
        with graph.control() as control, httpx.Client(base_url=graph.url, verify=trusted) as client:
            answer = client.get(f"{SCORES}?$top=1", headers=bearer(token(FREE, audience=graph.url)))
            assert answer.json()["@odata.nextLink"].startswith(f"{graph.url}{SCORES}?$top=1&$skiptoken=")
            assert [request["status"] for request in control.requests()] == [200]
            now = control.now()
            assert timedelta(days=4) <= datetime.now(UTC) - now < timedelta(days=4, minutes=1)
            assert control.tenant(FREE)["days"][-1] <= now.date().isoformat()
