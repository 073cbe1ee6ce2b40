"""The control API, through its client."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from sandbox.clock import Clock
from sandbox.in_process import InProcessTransport
from sandbox.servicenow.app import create_app
from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.stage.browser import AuthenticatorApp, sign_in_and_consent
from sandbox.servicenow.stage.control.client import ControlClient, ControlError
from sandbox.servicenow.stage.seed.essentials import plant_essentials
from tests.sandbox.servicenow.simulator import CLIENT_ID, PASSWORD, START, Simulated, simulated

TABLE = "/api/now/table/incident"
AGENT = ("agent", PASSWORD)


@pytest.fixture
def simulator() -> Iterator[Simulated]:
    with simulated() as world:
        yield world


@pytest.fixture
def control(simulator: Simulated) -> Iterator[ControlClient]:
    with ControlClient(simulator.url, transport=simulator.transport) as client:
        yield client


def test_health(control: ControlClient) -> None:
    health = control.health()
    assert health["now"] == START.isoformat()
    assert health["counts"]["incident"] == 1


def test_the_clock(control: ControlClient) -> None:
    assert control.now() == START
    control.advance_clock(90)
    assert control.now() == START + timedelta(seconds=90)
    later = datetime(2027, 1, 1, tzinfo=UTC)
    control.set_clock(later)
    assert control.now() == later
    control.stop_clock(START)
    assert control.now() == START
    with pytest.raises(ControlError, match="aware"):
        control.set_clock(datetime(2027, 1, 1))  # noqa: DTZ001


def test_a_stopped_clock_runs_on(simulator: Simulated, control: ControlClient) -> None:
    simulator.send("PUT", "/control/clock", json={"running": True})
    assert START < control.now() < START + timedelta(minutes=1)


def test_properties(control: ControlClient) -> None:
    assert control.properties()["glide.oauth.state.parameter.required"] == "true"
    control.set_properties({"glide.oauth.state.parameter.required": False, "glide.ui.autoclose.time": 3})
    assert control.properties()["glide.oauth.state.parameter.required"] == "false"
    assert control.properties()["glide.ui.autoclose.time"] == "3"
    with pytest.raises(ControlError, match="true or false"):
        control.set_properties({"glide.oauth.state.parameter.required": "perhaps"})
    with pytest.raises(ControlError, match=r"unknown or missing: simulator\.nonsense"):
        control.set_properties({"simulator.nonsense": True})


def test_users(simulator: Simulated, control: ControlClient) -> None:
    user = control.create_user("new", user_password="p", roles=["itil"], email="new@example.com", vip=True)
    assert (user["email"], user["vip"]) == ("new@example.com", "true")
    assert simulator.send("POST", TABLE, json={}, auth=("new", "p")).status_code == 201
    control.change_user("new", roles=[], time_zone="Asia/Tokyo")
    assert simulator.send("POST", TABLE, json={}, auth=("new", "p")).status_code == 403
    control.change_user("new", active=False)
    assert simulator.send("GET", TABLE, auth=("new", "p")).status_code == 401
    with pytest.raises(ControlError, match="no user nobody"):
        control.change_user("nobody", active=False)
    with pytest.raises(ControlError, match="unknown: shoe_size"):
        control.create_user("other", shoe_size="42")


def test_a_second_factor(simulator: Simulated, control: ControlClient) -> None:
    control.set_properties({"simulator.mfa.enforced": True})
    phone = AuthenticatorApp(control.now, control.enrol_second_factor("integration"))
    assert simulator.consent(phone=phone)["code"]


def test_oauth_clients(simulator: Simulated, control: ControlClient) -> None:
    client = control.create_oauth_client("Second", "https://second.example/cb")
    assert len(client["client_id"]) == 32
    answer = {"username": "agent", "password": PASSWORD, "client_id": client["client_id"]}

    def ask(client_secret: str) -> int:
        return simulator.token("password", **answer, client_secret=client_secret).status_code

    assert ask(client["client_secret"]) == 200
    secret = control.rotate_client_secret(client["client_id"])
    assert (ask(client["client_secret"]), ask(secret)) == (401, 200)
    assert control.change_oauth_client(client["client_id"], active=False)["active"] == "false"
    assert ask(secret) == 401
    with pytest.raises(ControlError, match="no OAuth client"):
        control.rotate_client_secret("nonsense")


def test_tokens(simulator: Simulated, control: ControlClient) -> None:
    tokens = simulator.tokens()
    simulator.tokens("agent")
    shown = {(token["user_name"], token["type"], token["client_id"], token["live"]) for token in control.tokens()}
    assert ("integration", "refresh_token", CLIENT_ID, True) in shown
    assert len(shown) == 4
    assert control.revoke_tokens(user_name="integration", token_type="access_token") == 1
    assert simulator.api(tokens["access_token"]).status_code == 401
    assert simulator.refresh(tokens["refresh_token"]).status_code == 200
    assert control.revoke_tokens() == 4


def test_records_as_an_agent_changes_them(simulator: Simulated, control: ControlClient) -> None:
    row = control.insert_record("incident", {"short_description": "x"}, as_user="agent")
    assert row["sys_created_by"] == "agent"
    group = control.insert_record("sys_user_group", {"name": "Security Operations"})
    changes = {"state": "2", "assignment_group": group["sys_id"], "comments": "on it"}
    row = control.change_record("incident", row["sys_id"], changes, as_user="agent")
    assert (row["state"], row["sys_updated_by"], row["sys_mod_count"]) == ("2", "agent", "1")
    [entry] = control.records("sys_journal_field", f"element_id={row['sys_id']}")
    assert (entry["value"], entry["sys_created_by"]) == ("on it", "agent")
    with pytest.raises(ControlError, match="Data Policy Exception"):
        control.change_record("incident", row["sys_id"], {"state": "6"}, as_user="agent")
    with pytest.raises(ControlError, match="ACL Exception Update"):
        control.change_record("sys_user_group", group["sys_id"], {"name": "y"}, as_user="agent")
    control.delete_record("incident", row["sys_id"])
    with pytest.raises(ControlError, match="no incident"):
        control.record("incident", row["sys_id"])
    with pytest.raises(ControlError, match="no table nonsense"):
        control.records("nonsense")


def test_moving_a_ticket_to_another_class(simulator: Simulated, control: ControlClient) -> None:
    row = control.insert_record("incident", {"correlation_id": "m365:1"})
    moved = control.move_record("incident", row["sys_id"], "problem")
    assert (moved["sys_class_name"], moved["number"]) == ("problem", row["number"])
    assert simulator.send("GET", f"{TABLE}/{row['sys_id']}", auth=AGENT).status_code == 404
    seen = simulator.send("GET", f"/api/now/table/task/{row['sys_id']}", auth=AGENT).json()["result"]
    assert seen["sys_class_name"] == "problem"
    with pytest.raises(ControlError, match="cannot become a sys_user"):
        control.move_record("problem", row["sys_id"], "sys_user")


def test_hiding_a_ticket_in_another_domain(simulator: Simulated, control: ControlClient) -> None:
    row, other = control.insert_record("incident", {}), control.insert_record("incident", {})
    control.hide_record("incident", row["sys_id"])
    assert simulator.send("GET", f"{TABLE}/{row['sys_id']}", auth=AGENT).status_code == 404
    listed = simulator.send("GET", "/api/now/table/task?sysparm_fields=sys_id", auth=AGENT).json()["result"]
    assert other["sys_id"] in {found["sys_id"] for found in listed}
    assert row["sys_id"] not in {found["sys_id"] for found in listed}
    admin = simulator.send("GET", f"{TABLE}/{row['sys_id']}", auth=("administrator", PASSWORD))
    assert admin.status_code == 200


def test_a_change_is_decided_by_those_who_are_asked(simulator: Simulated, control: ControlClient) -> None:
    group = control.insert_record("sys_user_group", {"name": "Change Management"})
    row = control.insert_record("change_request", {"assignment_group": group["sys_id"]})
    with pytest.raises(ControlError, match="nobody is asked"):
        control.decide_change(row["sys_id"], "approved")
    control.insert_record("sys_user_grmember", {"group": group["sys_id"], "user": simulator.users["agent"]["sys_id"]})
    control.change_record("change_request", row["sys_id"], {"state": "-4"}, as_user="agent")
    assert control.decide_change(row["sys_id"], "rejected", comments="no")["state"] == "-5"
    [approval] = control.records("sysapproval_approver")
    assert (approval["state"], approval["comments"], approval["sys_updated_by"]) == ("rejected", "no", "agent")


def test_a_shorter_column(simulator: Simulated, control: ControlClient) -> None:
    control.set_column_length("task", "description", 5)
    assert control.insert_record("incident", {"description": "123456"})["description"] == "12345"
    [entry] = control.records("sys_dictionary", "name=task^element=description")
    assert entry["max_length"] == "5"
    with pytest.raises(ControlError, match="unknown or missing: shoe_size"):
        control.set_column_length("task", "shoe_size", 5)
    control.reset()
    assert control.insert_record("incident", {"description": "123456"})["description"] == "123456"


def test_columns_labels_and_policies_of_a_customer(simulator: Simulated, control: ControlClient) -> None:
    control.define_column("incident", "u_cost_center", column_label="Cost center", max_length=3)
    assert control.insert_record("incident", {"u_cost_center": "12345"})["u_cost_center"] == "123"
    entry = control.define_column("incident", "short_description", max_length=5)
    assert (entry["column_label"], entry["internal_type"]) == ("Short description", "string")
    control.define_column("incident", "u_cost_center", max_length=4)
    assert control.insert_record("incident", {"u_cost_center": "12345"})["u_cost_center"] == "1234"
    control.translate_label("incident", "u_cost_center", "ja", "原価センター")
    control.change_user("agent", preferred_language="ja")
    control.add_ui_policy("incident", mandatory=["cmdb_ci"])
    policy = control.add_data_policy(
        "incident", mandatory=["u_cost_center"], read_only=["urgency"], conditions="impact=3"
    )
    with pytest.raises(ControlError, match="mandatory: 原価センター"):
        control.insert_record("incident", {}, as_user="agent")
    with pytest.raises(ControlError, match="read only: Urgency"):
        control.insert_record("incident", {"u_cost_center": "1", "urgency": "1"}, as_user="agent")
    control.delete_record("sys_data_policy2", policy["sys_id"])
    assert control.insert_record("incident", {}, as_user="agent")
    control.reset()
    with pytest.raises(ControlError, match="unknown: u_cost_center"):
        control.insert_record("incident", {"u_cost_center": "1"})
    control.define_column("incident", "u_cost_center", max_length=2)
    assert control.insert_record("incident", {"u_cost_center": "123"})["u_cost_center"] == "12"


def test_many_records_at_once(simulator: Simulated, control: ControlClient) -> None:
    assert control.bulk_insert("incident", 1000, {"short_description": "x"}, correlation_prefix="m365:") == 1000
    rows = control.records("incident", "correlation_idSTARTSWITHm365:", limit=2000)
    assert len({row["correlation_id"] for row in rows}) == len({row["number"] for row in rows}) == 1000
    control.advance_clock(60)
    assert control.bulk_touch("incident", "correlation_idSTARTSWITHm365:1") == 111
    assert len(control.records("incident", f"sys_updated_on>={START:%Y-%m-%d %H}:01:00", limit=2000)) == 111
    with pytest.raises(ControlError, match="unknown: shoe_size"):
        control.bulk_touch("incident", "", {"shoe_size": "42"})


def test_the_request_log(simulator: Simulated, control: ControlClient) -> None:
    row = control.insert_record("incident", {})
    for _ in range(2):
        simulator.send("GET", f"{TABLE}/{row['sys_id']}?sysparm_fields=state", auth=AGENT)
    simulator.send("GET", f"{TABLE}?sysparm_limit=1", headers={"Cookie": "a=b", "User-Agent": "test"})
    assert control.request_counts() == {
        "GET /api/now/table/incident": 1,
        "GET /api/now/table/incident/{sys_id}": 2,
    }
    last = control.requests("incident$")[-1]
    assert (last["status"], last["user_name"], last["had_cookies"], last["user_agent"]) == (401, "", True, "test")
    assert last["query"] == "sysparm_limit=1"
    assert last["at"] == START.isoformat()
    first = control.requests()[0]
    assert (first["status"], first["user_name"], first["had_cookies"]) == (200, "agent", False)
    control.clear_requests()
    assert control.requests() == []
    assert control.request_counts() == {}


def test_expired_tokens_can_be_cleaned_away(simulator: Simulated, control: ControlClient) -> None:
    simulator.tokens()
    control.advance_clock(1800)
    assert simulator.send("POST", "/control/jobs/clean-expired-tokens").json() == {"count": 1}


def test_reset_leaves_the_records_alone_by_default(simulator: Simulated) -> None:
    instance = Instance(clock=Clock.stopped_at(START))
    plant_essentials(instance)
    transport = InProcessTransport(create_app(instance, plant_essentials))
    with ControlClient("http://instance.test", transport=transport) as control:
        before = control.health()["counts"]
        control.insert_record("incident", {})
        control.set_fault("bad_gateway", remaining=None)
        control.set_properties({"glide.ui.autoclose.time": 3})
        control.add_rate_limit(1)
        control.reset()
        assert control.faults() == []
        assert control.properties()["glide.ui.autoclose.time"] == "1"
        assert abs(control.now() - datetime.now(UTC)) < timedelta(minutes=1)
        assert control.health()["counts"]["incident"] == before["incident"] + 1
        control.reset(records=True)
        assert control.health()["counts"] == before
    transport.end()
    instance.close()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("POST", "/control/faults", "[1]"), ("POST", "/control/faults", "{"), ("POST", "/control/clock/advance", "{}")],
)
def test_bad_requests(simulator: Simulated, method: str, path: str, body: str) -> None:
    response = simulator.send(method, path, content=body)
    assert response.status_code == 400
    assert response.json()["error"]


class TestProcess:
    def test_an_instance_as_a_process(self, tmp_path: Path) -> None:
        command = [sys.executable, "-m", "sandbox.servicenow", "--port", "0", "--seed", "small"]
        command += ["--client-id", "c" * 32, "--client-secret", "s", "--redirect-uri", "https://connector.example/cb"]
        command += ["--database", str(tmp_path / "instance.db")]
        for _ in range(2):
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None
                url = process.stdout.readline().removeprefix("ServiceNow at ").strip()
                try:
                    assert _connect(url) == 200
                finally:
                    process.terminate()

    def test_a_port_in_use(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            command = [sys.executable, "-m", "sandbox.servicenow", "--port", str(port)]
            ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert ended.returncode == 1
        assert ended.stderr == f"Port {port} is taken.\n"


def _connect(url: str) -> int:
    """Authorize at an instance's address; return the status of the token call."""
    query = f"response_type=code&client_id={'c' * 32}&redirect_uri=https://connector.example/cb&state=s"
    callback = sign_in_and_consent(f"{url}/oauth_auth.do?{query}", "m365.connector", "sandbox-connector")
    form = {"grant_type": "authorization_code", "redirect_uri": "https://connector.example/cb"}
    form |= {"client_id": "c" * 32, "client_secret": "s", "code": httpx.URL(callback).params["code"]}
    return httpx.post(f"{url}/oauth_token.do", data=form, trust_env=False).status_code
