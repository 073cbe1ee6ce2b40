"""Keys, identity headers and the host's own endpoints (Functions host §4; timers by hand of §5)."""

from __future__ import annotations

import json
import time

import pytest

from tests.sandbox.functions_host.apps import BEHAVIOUR, routed
from tests.sandbox.functions_host.conftest import StartHost, Wire


def stored_key(wire: Wire, owner: str, kind: str) -> str:
    """Read a key from the host's storage."""
    file = wire.storage / "azure-webjobs-secrets" / "wire" / f"{owner}.json"
    found: str = json.loads(file.read_text())[kind]
    return found


@pytest.fixture(scope="module")
def keys(wire: Wire) -> dict[str, str]:
    """The keys of the host behind ``wire``; the first call creates the functions' own keys."""
    wire.get("key/function")
    wire.get("key/other")
    return {
        "master": stored_key(wire, "host", "master"),
        "host": stored_key(wire, "host", "default"),
        "function": stored_key(wire, "function.needs_key", "default"),
        "other": stored_key(wire, "function.needs_other_key", "default"),
    }


def test_function_level_opens_by_its_key_the_host_key_and_the_master_key(wire: Wire, keys: dict[str, str]) -> None:
    """§A1, §A5, §A6."""
    for name in ("function", "host", "master"):
        assert wire.get("key/function", headers={"X-Functions-Key": keys[name]}).status_code == 200
        for parameter in ("code", "CODE"):
            answer = wire.get("key/function", params={parameter: keys[name]})
            assert answer.json()["params"][parameter] == keys[name]
    assert wire.ask(f"GET /api/key/function?code={keys['function']} HTTP/1.1")[0] == 200
    for attempt in ({}, {"X-Functions-Key": keys["other"]}, {"X-Functions-Key": ""}):
        answer = wire.get("key/function", headers=attempt)
        assert (answer.status_code, answer.content) == (401, b"")
        assert "www-authenticate" not in answer.headers
    assert wire.client.head("/api/key/function").status_code == 401
    assert wire.client.options("/api/key/function").status_code == 401


def test_admin_level_opens_by_the_master_key_alone(wire: Wire, keys: dict[str, str]) -> None:
    """§A2."""
    statuses = {name: wire.get("key/admin", params={"code": key}).status_code for name, key in keys.items()}
    assert statuses == {"master": 200, "host": 401, "function": 401, "other": 401}


def test_anonymous_ignores_a_wrong_key(wire: Wire) -> None:
    """§A3."""
    assert wire.get("echo", headers={"x-functions-key": "wrong"}).status_code == 200


def test_header_decides_over_the_query_and_two_codes_open_nothing(wire: Wire, keys: dict[str, str]) -> None:
    """§A4."""
    good, bad = keys["function"], "bad"
    assert wire.get("key/function", params={"code": good}, headers={"x-functions-key": bad}).status_code == 401
    assert wire.get("key/function", params={"code": bad}, headers={"x-functions-key": good}).status_code == 200
    assert wire.get("key/function", params={"code": [good, good]}).status_code == 401


def test_client_principal_headers_from_outside_pass_unchanged(wire: Wire) -> None:
    """§A7: without App Service Authentication in front, strangers can claim to be anybody."""
    claimed = {
        "x-ms-client-principal": "eyJ9",
        "x-ms-client-principal-id": "1",
        "x-ms-client-principal-name": "admin",
        "x-ms-client-principal-idp": "aad",
        "x-ms-token-aad-id-token": "t",
    }
    assert claimed.items() <= wire.get("echo", headers=claimed).json()["headers"].items()


async def test_client_principal_headers_pass_even_where_the_setting_claims_authentication(host_of: StartHost) -> None:
    """§A7, §A8."""
    _, client = await host_of(BEHAVIOUR, environment={"WEBSITE_AUTH_ENABLED": "True"})
    answer = await client.get("/api/echo", headers={"x-ms-client-principal": "eyJ9"})
    assert answer.json()["headers"]["x-ms-client-principal"] == "eyJ9"
    assert (await client.get("/api/state")).json()["environment"]["WEBSITE_AUTH_ENABLED"] == "True"


def test_ping_and_its_like_are_open(wire: Wire) -> None:
    """§A10."""
    for method in ("GET", "POST"):
        ping = wire.client.request(method, "/admin/host/ping")
        assert (ping.status_code, ping.content) == (200, b"")
        assert ping.headers["cache-control"] == "no-store,no-cache"
        assert ping.headers["pragma"] == "no-cache"
    assert wire.client.get("/admin/warmup").status_code == 200
    assert wire.client.get("/admin/instance/http-health").content == b""


@pytest.mark.parametrize(
    "path",
    [
        "/admin/host/status",
        "/admin/host/keys",
        "/admin/host/config",
        "/admin/host/extensions",
        "/admin/host/processes",
        "/admin/host/drain/status",
        "/admin/host/systemkeys/_master",
        "/admin/functions",
        "/admin/functions/echo",
        "/admin/functions/ECHO/status",
        "/admin/functions/echo/keys",
    ],
)
def test_hosts_own_endpoints_need_the_master_key(wire: Wire, keys: dict[str, str], path: str) -> None:
    """§A11."""
    without = wire.client.get(path)
    assert (without.status_code, without.headers["www-authenticate"]) == (401, "Bearer")
    assert wire.client.get(path, headers={"x-functions-key": keys["host"]}).status_code == 403
    assert wire.client.get(path, headers={"x-functions-key": keys["master"]}).json() is not None


def test_files_and_webhooks_stay_shut(wire: Wire, keys: dict[str, str]) -> None:
    """§A11, §A12."""
    assert wire.client.get("/admin/vfs/").status_code == 401
    assert wire.client.get("/admin/vfs/", headers={"x-functions-key": keys["master"]}).status_code == 403
    without = wire.client.get("/runtime/webhooks/x")
    assert (without.status_code, without.headers["www-authenticate"]) == (401, "Bearer")
    assert wire.client.get("/runtime/webhooks/x", headers={"x-functions-key": keys["master"]}).status_code == 404


@pytest.mark.parametrize("path", ["/admin", "/admin/zzz", "/admin/extensions", "/admin/proxies", "/api/echo2/keys"])
def test_nothing_else_is_built_in(wire: Wire, path: str) -> None:
    """§A13."""
    assert wire.client.get(path).status_code == 404


async def test_platform_calls_need_no_key_on_managed_hosting(host_of: StartHost) -> None:
    """§A14: the front end marks requests from outside with X-ARR-LOG-ID."""
    _, client = await host_of(routed(("one", "one", None)), is_behind_front_end=True)
    assert (await client.get("/admin/host/status")).json()["state"] == "Running"
    assert (await client.get("/")).status_code == 204
    outside = {"x-arr-log-id": "1"}
    assert (await client.get("/admin/host/status", headers=outside)).status_code == 401
    assert (await client.get("/", headers=outside)).status_code == 200


def test_status_of_the_host(wire: Wire, keys: dict[str, str]) -> None:
    """§A15."""
    status = wire.client.get("/admin/host/status", headers={"x-functions-key": keys["master"]}).json()
    assert status["state"] == "Running"
    assert status["id"] == "wire"
    assert status["processUptime"] >= 0
    assert "errors" not in status
    assert {"version", "versionDetails", "platformVersion", "instanceId", "computerName"} <= status.keys()


def runs(wire: Wire) -> list[object]:
    """Return the timers' notes."""
    found: list[object] = wire.get("state").json()["started"]
    return found


def post_timer(wire: Wire, name: str, key: str | None, content: bytes = b"{}", kind: str = "application/json") -> int:
    """Fire a function by hand and return the status."""
    headers = {"content-type": kind} | ({"x-functions-key": key} if key else {})
    return wire.client.post(f"/admin/functions/{name}", content=content, headers=headers).status_code


def test_timer_is_fired_by_hand(wire: Wire, keys: dict[str, str]) -> None:
    """§T11, §T16."""
    before = len(runs(wire))
    assert post_timer(wire, "YEARLY", keys["master"]) == 202
    assert post_timer(wire, "failing", keys["master"]) == 202
    assert post_timer(wire, "echo", keys["master"], b'{"input": "x"}') == 202
    while len(runs(wire)) < before + 2:
        time.sleep(0.01)
    first, second = runs(wire)[before:]
    assert first == {"past_due": False, "status": {}, "schedule": {"AdjustForDST": True}}
    assert second == "failing"


def test_timer_is_not_fired_by_a_wrong_request(wire: Wire, keys: dict[str, str]) -> None:
    """§T17."""
    before = runs(wire)
    assert post_timer(wire, "yearly", keys["master"], kind="text/plain") == 415
    assert wire.client.post("/admin/functions/yearly", headers={"x-functions-key": keys["master"]}).status_code == 415
    assert post_timer(wire, "yearly", keys["master"], b"") == 400
    assert post_timer(wire, "nothing", keys["master"]) == 404
    assert post_timer(wire, "yearly", None) == 401
    assert post_timer(wire, "yearly", keys["host"]) == 403
    assert runs(wire) == before


def test_keys_do_not_reach_the_log(wire: Wire, keys: dict[str, str]) -> None:
    """§A5: the host's own log lines contain only the path."""
    wire.get("key/function", params={"code": keys["function"]})
    assert all(key not in wire.process.text() for key in keys.values())
