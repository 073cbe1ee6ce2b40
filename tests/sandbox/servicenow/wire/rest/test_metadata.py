"""What columns there are, as an ordinary user learns it (ServiceNow §13)."""

from typing import Any

import pytest

from sandbox.servicenow.engine.data.dictionary import Column
from sandbox.servicenow.engine.rules.access import AccessRule
from tests.sandbox.servicenow.rest_client import RestClient

ITIL = "m365.connector"
PATHS = ("ui/meta/incident", "doc/table/schema", "doc/table/schema/incident")


def columns(rest: RestClient, table: str = "incident", user: str = ITIL) -> dict[str, dict[str, Any]]:
    response = rest.send("GET", f"/api/now/ui/meta/{table}", user=user)
    assert response.status_code == 200, response.text
    found: dict[str, dict[str, Any]] = response.json()["result"]["columns"]
    return found


def test_columns_are_described_with_inherited_ones(rest: RestClient) -> None:
    found = columns(rest)
    assert found["short_description"] == {
        "name": "short_description",
        "label": "Short description",
        "type": "string",
        "mandatory": False,
        "read_only": False,
        "max_length": 160,
    }
    assert found["caller_id"]["reference"] == "sys_user"
    assert (found["work_notes"]["type"], found["due_date"]["type"]) == ("journal_input", "glide_date_time")
    assert found["escalation"]["read_only"] is True


def test_choices_are_those_that_the_caller_may_see(rest: RestClient) -> None:
    category = columns(rest)["category"]
    assert category["choices"][:2] == [
        {"label": "-- None --", "value": ""},
        {"label": "Inquiry / Help", "value": "inquiry", "sequence": 1},
    ]
    rest.instance.properties["simulator.acl.sys_choice_for_admin_only"] = True
    assert "choices" not in columns(rest)["category"]


def test_a_field_that_the_caller_may_not_write_is_read_only(rest: RestClient) -> None:
    rest.instance.access.add(AccessRule("task", "write", frozenset({"admin"}), field="description"))
    assert columns(rest)["description"]["read_only"] is True
    assert columns(rest, user="admin")["description"]["read_only"] is False


@pytest.mark.parametrize("path", PATHS)
def test_old_instances_answer_404(rest: RestClient, path: str) -> None:
    assert rest.send("GET", f"/api/now/{path}", user=ITIL).status_code == 200
    rest.instance.properties["simulator.metadata_apis"] = False
    assert rest.send("GET", f"/api/now/{path}", user=ITIL).status_code == 404


def test_tables_and_columns_in_short(rest: RestClient) -> None:
    tables = rest.send("GET", "/api/now/doc/table/schema", user=ITIL).json()["result"]
    names = {table["value"] for table in tables}
    assert {"incident", "change_request"} <= names
    assert "sys_dictionary" not in names
    described = rest.send("GET", "/api/now/doc/table/schema/incident", user=ITIL).json()["result"]
    assert {"label": "Caller", "value": "caller_id", "type": "reference", "reference": "sys_user"} in described


class TestCustomColumns:
    """Columns that a customer added or changed."""

    def test_a_row_of_the_dictionary_makes_a_column(self, rest: RestClient) -> None:
        entry = Column("u_cost_center", label="Cost center", length=10, mandatory=True).entry("incident")
        assert rest.send("POST", "/api/now/table/sys_dictionary", json=entry).status_code == 201
        assert columns(rest)["u_cost_center"] == {
            "name": "u_cost_center",
            "label": "Cost center",
            "type": "string",
            "mandatory": True,
            "read_only": False,
            "max_length": 10,
        }
        row = rest.create("incident", user=ITIL, u_cost_center="1234567890123")
        assert row["u_cost_center"] == "1234567890"
        # Forms insist on it, the API does not.
        assert rest.create("incident", user=ITIL)["u_cost_center"] == ""
        assert len(rest.rows("incident", "u_cost_center=1234567890")) == 1
        assert "u_cost_center" not in columns(rest, "change_request")

    def test_a_changed_row_changes_the_column(self, rest: RestClient) -> None:
        row = rest.instance.records.first("sys_dictionary", "name=task^element=short_description")
        assert row is not None
        response = rest.send(
            "PATCH", f"/api/now/table/sys_dictionary/{row['sys_id']}", json={"mandatory": "true", "max_length": "40"}
        )
        assert response.status_code == 200
        assert (columns(rest)["short_description"]["mandatory"], columns(rest)["short_description"]["max_length"]) == (
            True,
            40,
        )


@pytest.mark.parametrize("shown", [True, False])
def test_a_ui_policy_concerns_forms_only(rest: RestClient, shown: bool) -> None:
    rest.instance.properties["simulator.ui_meta.shows_ui_policies"] = shown
    records = rest.instance.records
    for conditions, field in (("", "cmdb_ci"), ("priority=1", "business_service")):
        policy = records.insert("sys_ui_policy", {"table": "incident", "conditions": conditions})
        records.insert("sys_ui_policy_action", {"ui_policy": policy["sys_id"], "field": field, "mandatory": "true"})
    found = columns(rest)
    assert (found["cmdb_ci"]["mandatory"], found["business_service"]["mandatory"]) == (shown, False)
    assert rest.create("incident", user=ITIL)["number"]


def test_labels_are_in_the_language_of_the_caller(rest: RestClient) -> None:
    records = rest.instance.records
    row = {"name": "task", "element": "short_description", "language": "ja", "label": "簡単な説明"}
    records.insert("sys_documentation", row)
    caller = rest.instance.caller(ITIL)
    assert caller is not None
    records.update("sys_user", caller.user_sys_id, {"preferred_language": "ja"})
    assert columns(rest)["short_description"]["label"] == "簡単な説明"
    assert columns(rest)["description"]["label"] == "Description"
    assert columns(rest, user="admin")["short_description"]["label"] == "Short description"
