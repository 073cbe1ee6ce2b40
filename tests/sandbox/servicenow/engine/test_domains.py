"""Domain separation (ServiceNow §15): a tree of domains, one integration user for each."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from sandbox.servicenow.stage.control.client import ControlClient
from tests.sandbox.servicenow.simulator import PASSWORD, Simulated, simulated

TASK = "/api/now/table/task"


@dataclass
class Tree:
    """Domains: Top has ACME and Initech below it, and ACME has Berlin; each has a user with its name."""

    simulator: Simulated
    control: ControlClient
    domains: dict[str, str]

    def read(self, user: str, sys_id: str, **parameters: str) -> Any:
        """Return a ticket as that user reads it, or None if they cannot see it."""
        sent = {f"sysparm_{name}": value for name, value in parameters.items()}
        response = self.simulator.send("GET", f"{TASK}/{sys_id}", params=sent, auth=(user, PASSWORD))
        return None if response.status_code == 404 else response.json()["result"]

    def readers(self, sys_id: str) -> set[str]:
        return {user for user in (*self.domains, "integration", "administrator") if self.read(user, sys_id)}

    def user(self, name: str) -> str:
        [row] = self.control.records("sys_user", f"user_name={name}")
        return row["sys_id"]


@pytest.fixture
def tree() -> Iterator[Tree]:
    with simulated() as simulator, ControlClient(simulator.url, transport=simulator.transport) as control:
        domains: dict[str, str] = {}
        for name, parent in (("top", ""), ("acme", "top"), ("berlin", "acme"), ("initech", "top")):
            domains[name] = control.create_domain(name.title(), domains.get(parent, ""))
            user = control.create_user(name, roles=["itil"], user_password=PASSWORD, last_name=name)
            control.move_to_domain("sys_user", user["sys_id"], domains[name])
        yield Tree(simulator, control, domains)


def test_a_ticket_lands_in_the_domain_of_the_one_who_creates_it(tree: Tree) -> None:
    row = tree.control.insert_record("incident", {}, as_user="acme")
    assert row["sys_domain"] == tree.domains["acme"]
    assert tree.readers(row["sys_id"]) == {"top", "acme", "administrator"}


def test_a_ticket_lands_in_the_domain_of_the_one_it_is_for(tree: Tree) -> None:
    row = tree.control.insert_record("incident", {"caller_id": tree.user("initech")}, as_user="acme")
    assert tree.readers(row["sys_id"]) == {"top", "initech", "administrator"}


def test_a_domain_is_seen_from_above_and_from_within(tree: Tree) -> None:
    row = tree.control.insert_record("incident", {}, as_user="berlin")
    assert tree.readers(row["sys_id"]) == {"top", "acme", "berlin", "administrator"}


def test_global_tickets_are_seen_by_all(tree: Tree) -> None:
    row = tree.control.insert_record("incident", {}, as_user="integration")
    assert row["sys_domain"] == "global"
    assert tree.readers(row["sys_id"]) == {*tree.domains, "integration", "administrator"}


def test_what_a_user_of_the_global_domain_sees_is_a_switch(tree: Tree) -> None:
    row = tree.control.insert_record("incident", {}, as_user="acme")
    assert tree.read("integration", row["sys_id"]) is None
    tree.control.set_properties({"simulator.domain_separation.global_user_sees": "everything"})
    assert tree.read("integration", row["sys_id"]) is not None


def test_a_ticket_that_moves_to_another_domain_vanishes_and_comes_back(tree: Tree) -> None:
    row = tree.control.insert_record("incident", {"correlation_id": "m365:1"}, as_user="acme")
    moved = tree.control.move_to_domain("incident", row["sys_id"], tree.domains["initech"])
    assert moved["sys_mod_count"] == "1"
    assert tree.read("acme", row["sys_id"]) is None
    query = f"{TASK}?sysparm_query=correlation_id=m365:1"
    listed = tree.simulator.send("GET", query, auth=("acme", PASSWORD))
    assert (listed.json()["result"], listed.headers["x-total-count"]) == ([], "1")
    tree.control.move_to_domain("incident", row["sys_id"], tree.domains["berlin"])
    assert tree.read("acme", row["sys_id"])["sys_mod_count"] == "2"


def test_a_reference_to_an_unseen_domain_has_a_value_and_no_name(tree: Tree) -> None:
    row = tree.control.insert_record("incident", {}, as_user="acme")
    people = {"assigned_to": tree.user("initech"), "opened_by": tree.user("berlin")}
    tree.control.overwrite_record("incident", row["sys_id"], people)
    shown = tree.read("acme", row["sys_id"], display_value="all", exclude_reference_link="true")
    assert shown["assigned_to"] == {"display_value": "", "value": people["assigned_to"]}
    assert shown["opened_by"] == {"display_value": "berlin", "value": people["opened_by"]}
    assert shown["sys_domain"] == {"display_value": "Acme", "value": tree.domains["acme"]}
    whole = tree.read("administrator", row["sys_id"], display_value="true", exclude_reference_link="true")
    assert whole["assigned_to"] == "initech"


def test_a_visibility_domain_is_seen_with_those_below_it(tree: Tree) -> None:
    row = tree.control.insert_record("incident", {}, as_user="berlin")
    assert tree.read("initech", row["sys_id"]) is None
    visible = {"user": tree.user("initech"), "domain": tree.domains["acme"]}
    tree.control.insert_record("sys_user_visibility", visible)
    assert tree.read("initech", row["sys_id"]) is not None


def test_a_rule_that_moves_a_new_ticket_out_of_sight_leaves_nothing_to_answer(tree: Tree) -> None:
    domain = tree.domains["initech"]
    tree.control.add_business_rule("incident", {"sys_domain": domain, "sys_domain_path": f"!!{domain[:8]}/"})
    answer = tree.simulator.send("POST", "/api/now/table/incident", json={}, auth=("acme", PASSWORD))
    assert (answer.status_code, answer.json()) == (201, {"result": {}})
    assert tree.control.records("incident", f"sys_id={answer.headers['Location'].rpartition('/')[2]}")
