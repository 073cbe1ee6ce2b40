"""What agents do to tickets, through the control API's client."""

from collections.abc import Iterator

import pytest

from sandbox.servicenow.engine.instance import SYSTEM
from sandbox.servicenow.stage.control.client import ControlClient, ControlError
from tests.sandbox.servicenow.simulator import Simulated, simulated


@pytest.fixture
def simulator() -> Iterator[Simulated]:
    with simulated() as world:
        world.instance.choices.plant()
        yield world


@pytest.fixture
def control(simulator: Simulated) -> Iterator[ControlClient]:
    with ControlClient(simulator.url, transport=simulator.transport) as client:
        yield client


def numbered(simulator: Simulated, table: str = "incident", **values: str) -> str:
    return simulator.instance.operations.insert(table, values, SYSTEM)["number"]


def test_the_life_of_an_incident(simulator: Simulated, control: ControlClient) -> None:
    number, agent = numbered(simulator), simulator.users["agent"]["sys_id"]
    resolved = control.resolve(number, code="Duplicate", notes="Twice", as_user="agent")
    assert (resolved["state"], resolved["close_code"], resolved["close_notes"]) == ("6", "Duplicate", "Twice")
    assert (resolved["resolved_by"], resolved["sys_updated_by"]) == (agent, "agent")
    assert control.reopen(number, as_user="agent")["state"] == "2"
    closed = control.close_ticket(number, as_user="agent")
    assert (closed["state"], closed["active"]) == ("7", "false")
    assert control.ticket(number) == closed


def test_closing_keeps_the_code_of_the_resolution_or_says_done(simulator: Simulated, control: ControlClient) -> None:
    number = numbered(simulator)
    control.resolve(number, code="Known error", notes="Later")
    closed = control.close_ticket(number)
    assert (closed["close_code"], closed["close_notes"]) == ("Known error", "Later")
    closed = control.close_ticket(numbered(simulator))
    assert (closed["close_code"], closed["close_notes"]) == ("Solution provided", "Done.")
    control.set_properties({"simulator.incident.close_codes": "legacy"})
    assert control.close_ticket(numbered(simulator))["close_code"] == "Solved (Permanently)"


@pytest.mark.parametrize("table", ["incident", "change_request", "sc_task"])
def test_cancelling(simulator: Simulated, control: ControlClient, table: str) -> None:
    canceled = control.cancel(numbered(simulator, table))
    assert canceled["active"] == "false"
    assert canceled["state"] == {"incident": "8"}.get(table, "4")


@pytest.mark.parametrize("kind", ["normal", "standard", "emergency"])
@pytest.mark.parametrize("has_approvers", [True, False])
def test_a_change_is_closed_through_its_model(
    simulator: Simulated, control: ControlClient, kind: str, has_approvers: bool
) -> None:
    for name in ("Change Management", "CAB Approval"):
        group = simulator.instance.records.insert("sys_user_group", {"name": name})
        if has_approvers:
            member = {"group": group["sys_id"], "user": simulator.users["agent"]["sys_id"]}
            simulator.instance.records.insert("sys_user_grmember", member)
    closed = control.close_ticket(numbered(simulator, "change_request", type=kind), code="unsuccessful", notes="Broke")
    assert (closed["state"], closed["close_code"], closed["close_notes"]) == ("3", "unsuccessful", "Broke")
    assert closed["work_start"]


def test_the_other_kinds(simulator: Simulated, control: ControlClient) -> None:
    problem, task = numbered(simulator, "problem"), numbered(simulator, "sc_task")
    assert control.resolve(problem)["state"] == "106"
    assert control.close_ticket(problem)["active"] == "false"
    assert control.close_ticket(task, notes="Set")["close_notes"] == "Set"
    assert control.reopen(task)["active"] == "true"


def test_comments_and_work_notes(simulator: Simulated, control: ControlClient) -> None:
    number = numbered(simulator)
    assert control.comment(number, "Hello", as_user="agent")["sys_mod_count"] == "1"
    control.comment(number, "Psst", column="work_notes")
    entries = [(entry["element"], entry["value"], entry["sys_created_by"]) for entry in control.journal(number)]
    assert entries == [("comments", "Hello", "agent"), ("work_notes", "Psst", "system")]


def test_what_nobody_can_do(simulator: Simulated, control: ControlClient) -> None:
    with pytest.raises(ControlError, match="nobody can reopen a change_request"):
        control.reopen(numbered(simulator, "change_request"))
    with pytest.raises(ControlError, match="no ticket INC1"):
        control.resolve("INC1")
    with pytest.raises(ControlError, match="no user nobody"):
        control.resolve(numbered(simulator), as_user="nobody")
    with pytest.raises(ControlError, match="Resolution code"):
        control.resolve(numbered(simulator), code="Magic")
