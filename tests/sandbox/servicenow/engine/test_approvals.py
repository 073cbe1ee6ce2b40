"""Changes that wait for approval, and changes that move backwards (ServiceNow §11.6, §11.9)."""

from typing import Any

import pytest

from sandbox.servicenow.engine.rules.tickets import TRANSITION_RULE
from sandbox.servicenow.stage.seed.people import group_sys_id, user_sys_id
from tests.sandbox.servicenow.rest_client import RestClient

GROUP = group_sys_id("Change Management")
AGENT, APPROVER = "agent.smith", "casey.keller"


def assessed(rest: RestClient, **values: str) -> str:
    """Return the sys_id of a normal change that an agent has moved to Assess."""
    created: str = rest.create("change_request", assignment_group=GROUP, **values)["sys_id"]
    assert rest.change("change_request", created, user=AGENT, state="-4").status_code == 200
    return created


def change(rest: RestClient, sys_id: str) -> dict[str, Any]:
    (row,) = rest.rows("change_request", f"sys_id={sys_id}")
    return row


def approvals(rest: RestClient, sys_id: str, state: str = "requested") -> list[dict[str, Any]]:
    query = f"sysapproval={sys_id}^state={state}"
    return rest.rows("sysapproval_approver", query, user=AGENT, exclude_reference_link="true")


def decide(rest: RestClient, sys_id: str, state: str, user: str = APPROVER) -> None:
    (asked,) = approvals(rest, sys_id)
    assert rest.change("sysapproval_approver", asked["sys_id"], user=user, state=state).status_code == 200


def test_a_normal_change_is_approved_by_its_group_then_by_the_board(rest: RestClient) -> None:
    sys_id = assessed(rest)
    (asked,) = approvals(rest, sys_id)
    assert (asked["approver"], asked["document_id"]) == (user_sys_id(APPROVER), sys_id)
    assert (change(rest, sys_id)["state"], change(rest, sys_id)["approval"]) == ("-4", "requested")
    decide(rest, sys_id, "approved")
    assert (change(rest, sys_id)["state"], change(rest, sys_id)["approval"]) == ("-3", "requested")
    decide(rest, sys_id, "approved")
    scheduled = change(rest, sys_id)
    assert (scheduled["state"], scheduled["approval"]) == ("-2", "approved")
    assert (scheduled["sys_updated_by"], scheduled["sys_mod_count"]) == ("system", "3")
    assert approvals(rest, sys_id) == []


@pytest.mark.parametrize("state", ["-4", "-3"])
def test_no_write_passes_an_open_approval(rest: RestClient, state: str) -> None:
    sys_id = assessed(rest)
    if state == "-3":
        decide(rest, sys_id, "approved")
    response = rest.change("change_request", sys_id, user=AGENT, state=str(int(state) + 1))
    assert response.status_code == 403
    assert f"aborted by Business Rule '{TRANSITION_RULE[0]}" in response.json()["error"]["detail"]
    assert change(rest, sys_id)["state"] == state
    assert rest.change("change_request", sys_id, user=AGENT, short_description="x").status_code == 200


@pytest.mark.parametrize("approved_first", [0, 1])
def test_a_rejection_sends_the_change_back_to_new(rest: RestClient, approved_first: int) -> None:
    sys_id = assessed(rest)
    for _ in range(approved_first):
        decide(rest, sys_id, "approved")
    rest.change("change_request", sys_id, user=AGENT, on_hold="true")
    rest.instance.clock.advance(60)
    count = int(change(rest, sys_id)["sys_mod_count"])
    decide(rest, sys_id, "rejected")
    back = change(rest, sys_id)
    assert (back["state"], back["approval"], back["on_hold"]) == ("-5", "rejected", "false")
    assert (back["active"], back["sys_mod_count"]) == ("true", str(count + 1))
    assert back["sys_updated_on"] == "2026-03-02 09:01:00"
    assert rest.change("change_request", sys_id, user=AGENT, state="-4").status_code == 200, "it may be asked for again"
    assert len(approvals(rest, sys_id)) == 1


def test_only_the_one_who_is_asked_may_answer(rest: RestClient) -> None:
    sys_id = assessed(rest)
    (asked,) = approvals(rest, sys_id)
    response = rest.change("sysapproval_approver", asked["sys_id"], user=AGENT, state="approved")
    assert response.status_code == 403
    assert rest.change("sysapproval_approver", asked["sys_id"], user=APPROVER, comments="thinking").status_code == 200
    assert change(rest, sys_id)["state"] == "-4"


def test_one_approver_suffices(rest: RestClient) -> None:
    rest.instance.records.insert("sys_user_grmember", {"group": GROUP, "user": user_sys_id(AGENT)})
    sys_id = assessed(rest)
    (smith,) = [row for row in approvals(rest, sys_id) if row["approver"] == user_sys_id(AGENT)]
    rest.change("sysapproval_approver", smith["sys_id"], user=AGENT, state="approved")
    assert change(rest, sys_id)["state"] == "-3"
    assert [row["approver"] for row in approvals(rest, sys_id, "not_required")] == [user_sys_id(APPROVER)]


def test_where_nobody_is_asked_nobody_is_waited_for(rest: RestClient) -> None:
    for row in rest.rows("sys_user_grmember", f"group={GROUP}"):
        rest.send("DELETE", f"/api/now/table/sys_user_grmember/{row['sys_id']}")
    sys_id = assessed(rest)
    assert (change(rest, sys_id)["state"], change(rest, sys_id)["approval"]) == ("-3", "requested")


def test_an_emergency_change_is_approved_by_the_board_alone(rest: RestClient) -> None:
    sys_id = rest.create("change_request", type="emergency", assignment_group=GROUP)["sys_id"]
    rest.change("change_request", sys_id, user=AGENT, state="-3")
    decide(rest, sys_id, "approved")
    assert change(rest, sys_id)["state"] == "-2"


def test_a_standard_change_is_approved_from_the_start(rest: RestClient) -> None:
    created = rest.create("change_request", type="standard", assignment_group=GROUP)
    assert created["approval"] == "approved"
    assert rest.change("change_request", created["sys_id"], user=AGENT, state="-2").status_code == 200


@pytest.mark.parametrize(("kind", "state"), [("normal", "-4"), ("emergency", "-3")])
def test_reverting_to_new(rest: RestClient, kind: str, state: str) -> None:
    sys_id = rest.create("change_request", type=kind, assignment_group=GROUP)["sys_id"]
    rest.change("change_request", sys_id, user=AGENT, state=state, on_hold="true")
    response = rest.change("change_request", sys_id, user=AGENT, state="-5")
    assert response.status_code == 200, response.text
    back = change(rest, sys_id)
    assert (back["state"], back["approval"], back["on_hold"]) == ("-5", "not requested", "false")
    assert (approvals(rest, sys_id), len(approvals(rest, sys_id, "cancelled"))) == ([], 1)


def test_the_board_is_not_reverted_from_by_hand(rest: RestClient) -> None:
    sys_id = assessed(rest)
    decide(rest, sys_id, "approved")
    assert rest.change("change_request", sys_id, user=AGENT, state="-5").status_code == 403


def test_canceling_ends_the_approvals(rest: RestClient) -> None:
    sys_id = assessed(rest)
    assert rest.change("change_request", sys_id, user=AGENT, state="4").status_code == 200
    assert (approvals(rest, sys_id), len(approvals(rest, sys_id, "cancelled"))) == ([], 1)


def test_work_is_stamped(rest: RestClient) -> None:
    created = rest.create("change_request", type="standard", assignment_group=GROUP)
    for state in ("-2", "-1", "0"):
        rest.instance.clock.advance(60)
        rest.change("change_request", created["sys_id"], state=state)
    worked = change(rest, created["sys_id"])
    assert (worked["work_start"], worked["work_end"]) == ("2026-03-02 09:02:00", "2026-03-02 09:03:00")


def test_instances_without_approvals(rest: RestClient) -> None:
    rest.instance.properties["simulator.change.approvals"] = False
    sys_id = assessed(rest)
    assert rest.change("change_request", sys_id, user=AGENT, state="-3").status_code == 200
    assert approvals(rest, sys_id) == []
