"""ServiceNow §10, items 9 and 10: refusals, ticket rules, tables (§2.8, §5)."""

from typing import Any

import httpx
import pytest

from sandbox.servicenow.engine.rules.tickets import TRANSITION_RULE
from sandbox.servicenow.stage.seed.people import group_sys_id, user_sys_id
from tests.sandbox.servicenow.rest_client import RestClient

GROUP = group_sys_id("Change Management")
RESOLUTION = {"close_code": "Solution provided", "close_notes": "Done"}


def refusal(response: httpx.Response) -> tuple[int, str, Any]:
    error = response.json()["error"]
    assert response.json()["status"] == "failure"
    return response.status_code, error["message"], error["detail"]


class TestClosingAnIncident:
    """5.4"""

    MISSING = "Data Policy Exception: \n\tThe following fields are mandatory: "

    @pytest.mark.parametrize("state", ["6", "7"])
    def test_resolution_code_and_notes_are_mandatory(self, rest: RestClient, state: str) -> None:
        created = rest.create("incident")
        response = rest.change("incident", created["sys_id"], state=state)
        assert refusal(response) == (403, "Operation Failed", f"{self.MISSING}Resolution code, Close notes")
        response = rest.change("incident", created["sys_id"], state=state, close_code="Solution provided")
        assert refusal(response) == (403, "Operation Failed", f"{self.MISSING}Close notes")
        assert rest.values("incident", "", "state") == ["1"]
        assert rest.change("incident", created["sys_id"], state=state, **RESOLUTION).status_code == 200

    def test_an_unknown_code_counts_as_none(self, rest: RestClient) -> None:
        created = rest.create("incident")
        old = {"state": "6", "close_notes": "x", "close_code": "Closed/Resolved by Caller"}
        response = rest.change("incident", created["sys_id"], **old)
        assert refusal(response)[2] == f"{self.MISSING}Resolution code"
        rest.instance.properties["simulator.incident.close_codes"] = "legacy"
        assert rest.change("incident", created["sys_id"], **old).status_code == 200

    def test_a_refused_write_leaves_nothing_behind(self, rest: RestClient) -> None:
        created = rest.create("incident")
        rest.change("incident", created["sys_id"], state="6", work_notes="noted")
        assert rest.values("sys_journal_field", "", "value") == []

    def test_creating_one_closed_needs_them_too(self, rest: RestClient) -> None:
        assert rest.send("POST", "/api/now/table/incident", json={"state": "7"}).status_code == 403
        assert rest.instance.records.count("incident") == 0

    def test_the_policy_can_be_switched_off(self, rest: RestClient) -> None:
        rest.instance.properties["simulator.data_policy.incident_close"] = False
        assert rest.change("incident", rest.create("incident")["sys_id"], state="6").status_code == 200

    def test_closing_may_be_for_itil_admins(self, rest: RestClient) -> None:
        rest.instance.properties["simulator.incident.close_needs_itil_admin"] = True
        created = rest.create("incident")
        assert (
            rest.change("incident", created["sys_id"], user="agent.smith", state="6", **RESOLUTION).status_code == 200
        )
        response = rest.change("incident", created["sys_id"], user="agent.smith", state="7")
        assert refusal(response)[2] == "ACL Exception Update Failed due to security constraints"


def test_awaiting_the_caller_needs_a_comment_in_the_same_call(rest: RestClient) -> None:
    created = rest.create("incident")
    response = rest.change("incident", created["sys_id"], state="3", hold_reason="1")
    assert refusal(response)[2].endswith("mandatory: Additional comments")
    waiting = rest.change("incident", created["sys_id"], state="3", hold_reason="1", comments="Which laptop?")
    assert waiting.json()["result"]["hold_reason"] == "1"


def test_states_of_the_customers_own(rest: RestClient) -> None:
    rest.instance.choices.add("incident", "state", "11", "Awaiting Microsoft")
    created = rest.create("incident", state="11")
    assert created["active"] == "true"
    (row,) = rest.rows("incident", fields="state", display_value="all")
    assert row["state"] == {"display_value": "Awaiting Microsoft", "value": "11"}
    rest.change("incident", created["sys_id"], state="12")
    assert rest.rows("incident", fields="state", display_value="true") == [{"state": "12"}]


class TestChangeModel:
    """5.6"""

    ORDERS = (
        ("normal", ["-4", "-3", "-2", "-1", "0", "3"]),
        ("standard", ["-2", "-1", "0", "3"]),
        ("emergency", ["-3", "-2", "-1", "0", "3"]),
    )
    CLOSING = {"close_code": "successful", "close_notes": "Done"}  # noqa: RUF012

    @pytest.mark.parametrize(("kind", "order"), ORDERS)
    def test_each_type_has_its_order(self, rest: RestClient, kind: str, order: list[str]) -> None:
        rest.instance.properties["simulator.change.approvals"] = False
        created = rest.create("change_request", type=kind, assignment_group=GROUP)
        for state in order:
            values = self.CLOSING if state == "3" else {}
            response = rest.change("change_request", created["sys_id"], state=state, **values)
            assert (response.status_code, response.json()["result"]["state"]) == (200, state)
        assert response.json()["result"]["active"] == "false"

    def test_jumping_is_aborted_by_the_models_rule(self, rest: RestClient) -> None:
        created = rest.create("change_request", assignment_group=GROUP)
        name, sys_id = TRANSITION_RULE
        assert refusal(rest.change("change_request", created["sys_id"], state="-1")) == (
            403,
            "Operation Failed",
            f"Operation against file 'change_request' was aborted by Business Rule '{name}^{sys_id}'. "
            f"Business Rule Stack:{name}",
        )
        assert name == "Change Model: Check State Transition"

    def test_it_may_be_canceled_until_review(self, rest: RestClient) -> None:
        rest.instance.properties["simulator.change.approvals"] = False
        for steps in range(5):
            created = rest.create("change_request", assignment_group=GROUP)
            for state in self.ORDERS[0][1][:steps]:
                rest.change("change_request", created["sys_id"], state=state)
            canceled = rest.change("change_request", created["sys_id"], state="4")
            assert canceled.json()["result"]["active"] == "false"
        rest.instance.records.update("change_request", created["sys_id"], {"state": "0"})
        assert rest.change("change_request", created["sys_id"], state="4").status_code == 403
        rest.instance.records.update("change_request", created["sys_id"], {"state": "3"})
        assert rest.change("change_request", created["sys_id"], state="4").status_code == 403

    def test_it_begins_in_new(self, rest: RestClient) -> None:
        assert rest.send("POST", "/api/now/table/change_request", json={"state": "0"}).status_code == 403

    def test_the_model_can_be_switched_off(self, rest: RestClient) -> None:
        rest.instance.properties["simulator.change_model.active"] = False
        created = rest.create("change_request", assignment_group=GROUP)
        assert rest.change("change_request", created["sys_id"], state="-1").status_code == 200

    def test_assignment_group_is_needed_from_assess_on(self, rest: RestClient) -> None:
        created = rest.create("change_request")
        assert refusal(rest.change("change_request", created["sys_id"], state="-4"))[2].endswith(
            "The following fields are mandatory: Assignment group"
        )
        response = rest.change("change_request", created["sys_id"], state="-4", assignment_group=GROUP)
        assert response.status_code == 200

    def test_closing_needs_code_and_notes(self, rest: RestClient) -> None:
        created = rest.create("change_request", assignment_group=GROUP)
        rest.instance.records.update("change_request", created["sys_id"], {"state": "0"})
        assert refusal(rest.change("change_request", created["sys_id"], state="3"))[2].endswith(
            "mandatory: Close code, Close notes"
        )
        assert rest.change("change_request", created["sys_id"], state="3", **self.CLOSING).status_code == 200

    def test_the_type_stays_once_it_left_new(self, rest: RestClient) -> None:
        created = rest.create("change_request", assignment_group=GROUP)
        assert (
            rest.change("change_request", created["sys_id"], type="emergency").json()["result"]["type"] == "emergency"
        )
        rest.change("change_request", created["sys_id"], state="-3")
        assert rest.change("change_request", created["sys_id"], type="normal").json()["result"]["type"] == "emergency"

    @pytest.mark.parametrize("field", ["description", "implementation_plan", "backout_plan", "test_plan"])
    def test_standard_changes_keep_the_texts_of_their_template(self, rest: RestClient, field: str) -> None:
        created = rest.create("change_request", type="standard", **{field: "reboot"})
        response = rest.change("change_request", created["sys_id"], **{field: "pray"})
        assert "was aborted by Business Rule 'Restrict fields from Standard Change^" in refusal(response)[2]
        assert rest.values("change_request", "", field) == ["reboot"]

    def test_other_fields_of_a_standard_change_may_change(self, rest: RestClient) -> None:
        created = rest.create("change_request", type="standard")
        fields = {
            "risk": "2",
            "impact": "1",
            "priority": "2",
            "category": "Network",
            "assignment_group": GROUP,
            "short_description": "x",
        }
        response = rest.change("change_request", created["sys_id"], **fields)
        assert response.status_code == 200
        assert rest.values("change_request", "", "risk") == ["2"]

    def test_what_a_standard_change_keeps_is_a_setting(self, rest: RestClient) -> None:
        (settings,) = rest.rows("std_change_properties", "internal_name=main_config")
        rest.change("std_change_properties", settings["sys_id"], readonly_fields="category, no_such_field")
        created = rest.create("change_request", type="standard")
        assert rest.change("change_request", created["sys_id"], description="x").status_code == 200
        assert rest.change("change_request", created["sys_id"], category="Network").status_code == 403

    def test_the_template_is_set_on_insert_and_stays(self, rest: RestClient) -> None:
        created = rest.create("change_request", type="standard", std_change_producer_version="a" * 32)
        assert created["std_change_producer_version"]["value"] == "a" * 32
        changed = rest.change("change_request", created["sys_id"], std_change_producer_version="b" * 32)
        assert changed.json()["result"]["std_change_producer_version"]["value"] == "a" * 32


class TestRefusals:
    """2.8"""

    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_invalid_table(self, rest: RestClient, method: str) -> None:
        response = rest.send(method, "/api/now/table/no_such_table")
        assert refusal(response) == (400, "Invalid table no_such_table", None)

    def test_a_table_closed_to_web_services_is_invalid_to_everybody(self, rest: RestClient) -> None:
        (row,) = rest.rows("sys_db_object", "name=problem")
        rest.change("sys_db_object", row["sys_id"], ws_access="false")
        assert refusal(rest.send("GET", "/api/now/table/problem")) == (400, "Invalid table problem", None)

    def test_unknown_paths(self, rest: RestClient) -> None:
        message = "Requested URI does not represent any resource"
        assert refusal(rest.send("GET", "/api/now/no/such/api")) == (400, message, None)
        assert refusal(rest.send("GET", "/api/now/v3/table/incident"))[1] == message
        rest.instance.properties["simulator.unknown_path_status"] = "404"
        assert refusal(rest.send("GET", "/api/x")) == (404, message, None)

    def test_overlong_paths_get_a_page(self, rest: RestClient) -> None:
        response = rest.send("GET", f"/api/now/table/{'A' * 23000}")
        assert response.status_code == 414
        assert response.headers["content-type"].startswith("text/html")
        assert response.text.startswith("<html>")

    def test_overlong_query_strings_may_get_one_too(self, rest: RestClient) -> None:
        query = {"sysparm_query": "sys_idIN" + "a" * 5000}
        assert rest.send("GET", "/api/now/table/incident", query).status_code == 200
        rest.instance.properties["simulator.query_string.maximum_length"] = 2048
        assert rest.send("GET", "/api/now/table/incident", query).status_code == 414

    def test_no_record(self, rest: RestClient) -> None:
        for method in ("GET", "PATCH", "DELETE"):
            response = rest.send(method, f"/api/now/table/incident/{'0' * 32}")
            assert refusal(response) == (
                404,
                "No Record found",
                "Record doesn't exist or ACL restricts the record retrieval",
            )

    @pytest.mark.parametrize(("method", "word"), [("PATCH", "Update"), ("PUT", "Update"), ("DELETE", "Delete")])
    def test_access_rules_on_writes(self, rest: RestClient, method: str, word: str) -> None:
        own = rest.create("incident", caller_id=user_sys_id("adele.vance"))
        response = rest.send(
            method, f"/api/now/table/incident/{own['sys_id']}", user="adele.vance", json={"state": "2"}
        )
        assert refusal(response) == (
            403,
            "Operation Failed",
            f"ACL Exception {word} Failed due to security constraints",
        )
        assert rest.values("incident", "", "state") == ["1"]

    def test_access_rules_on_inserts(self, rest: RestClient) -> None:
        for table in ("incident", "change_request", "sys_user", "sys_properties"):
            response = rest.send("POST", f"/api/now/table/{table}", user="adele.vance", json={})
            assert refusal(response) == (
                403,
                "Operation Failed",
                "ACL Exception Insert Failed due to security constraints",
            )

    def test_business_rules_that_abort(self, rest: RestClient) -> None:
        rule = rest.create(
            "sys_script",
            name="No printers",
            collection="task",
            abort_action=True,
            action_delete=True,
            filter_condition="short_descriptionLIKEprinter^EQ",
        )
        created = rest.create("incident", short_description="mail")
        text = (
            f"Operation against file 'incident' was aborted by Business Rule 'No printers^{rule['sys_id']}'. "
            "Business Rule Stack:No printers"
        )
        response = rest.change("incident", created["sys_id"], short_description="printer")
        assert refusal(response) == (403, "Operation Failed", text)
        response = rest.send("POST", "/api/now/table/incident", json={"short_description": "printer"})
        assert refusal(response) == (403, "Operation Failed", text)
        assert rest.values("incident", "", "short_description") == ["mail"]
        rest.change("sys_script", rule["sys_id"], active=False)
        assert rest.change("incident", created["sys_id"], short_description="printer").status_code == 200

    def test_rest_endpoint_rules_need_a_role(self, rest: RestClient) -> None:
        rest.instance.properties["simulator.rest_endpoint_acl.active"] = True
        response = rest.send("GET", "/api/now/table/incident", user="agent.smith")
        assert refusal(response) == (403, "User Not Authorized", "Failed API level ACL Validation")
        assert rest.send("GET", "/api/now/table/incident", user="m365.connector").status_code == 200


class TestTaskIsTheParent:
    """Item 10."""

    def test_children_of_every_class_come_with_their_class(self, rest: RestClient) -> None:
        created = {
            table: rest.create(table)["sys_id"] for table in ("incident", "change_request", "problem", "sc_task")
        }
        rows = rest.rows("task", "ORDERBYsys_class_name", fields="sys_id,sys_class_name")
        assert {row["sys_class_name"]: row["sys_id"] for row in rows} == created
        assert rest.rows("incident", fields="sys_id") == [{"sys_id": created["incident"]}]
        listed = ",".join(created.values())
        assert len(rest.rows("task", f"sys_idIN{listed}^sys_class_name=problem^ORsys_class_name=incident")) == 2

    def test_only_its_own_columns_are_seen(self, rest: RestClient) -> None:
        created = rest.create("incident", caller_id=user_sys_id("adele.vance"))
        (row,) = rest.rows("task")
        assert "caller_id" not in row
        assert row["sys_id"] == created["sys_id"]

    def test_a_child_can_be_read_and_written_through_it(self, rest: RestClient) -> None:
        created = rest.create("incident", impact="1")
        response = rest.change("task", created["sys_id"], urgency="1")
        assert response.json()["result"]["priority"] == "1"
        assert refusal(rest.change("task", created["sys_id"], state="6"))[0] == 403
        assert rest.send("DELETE", f"/api/now/table/task/{created['sys_id']}").status_code == 204

    def test_one_kind_does_not_answer_for_another(self, rest: RestClient) -> None:
        created = rest.create("incident")
        assert rest.send("GET", f"/api/now/table/change_request/{created['sys_id']}").status_code == 404

    def test_labels_are_those_of_the_rows_class_or_of_task(self, rest: RestClient) -> None:
        rest.create("incident")
        rest.create("change_request")

        def labels() -> list[str]:
            rows = rest.rows("task", "ORDERBYsys_class_name", fields="state,sys_class_name", display_value="true")
            return [f"{row['sys_class_name']}: {row['state']}" for row in rows]

        assert labels() == ["Change Request: New", "Incident: New"]
        rest.instance.properties["simulator.task_choice_labels"] = "task"
        assert labels() == ["Change Request: Pending", "Incident: Open"]
