"""Data policies are enforced on every write (ServiceNow §2.8, §13)."""

from typing import Any

import pytest

from tests.sandbox.servicenow.rest_client import RestClient

ITIL = "m365.connector"


def add_policy(rest: RestClient, table: str = "incident", *rules: dict[str, str], **policy: str) -> None:
    records = rest.instance.records
    row = records.insert("sys_data_policy2", {"model_table": table, **policy})
    for rule in rules:
        records.insert("sys_data_policy_rule", {"sys_data_policy": row["sys_id"], **rule})


def write(rest: RestClient, values: dict[str, str], path: str = "incident") -> tuple[int, str]:
    method = "PATCH" if "/" in path else "POST"
    response = rest.send(method, f"/api/now/table/{path}", user=ITIL, json=values)
    body: dict[str, Any] = response.json()
    return response.status_code, body["error"]["detail"] if "error" in body else body["result"]["sys_id"]


CI = {"field": "cmdb_ci", "mandatory": "true"}
CATEGORY = {"field": "category", "mandatory": "true"}
MISSING = "Data Policy Exception: \n\tThe following fields are mandatory: "


def test_missing_fields_are_named_by_their_labels(rest: RestClient) -> None:
    add_policy(rest, "incident", CI, {"field": "subcategory", "mandatory": "true"})
    assert write(rest, {"short_description": "x"}) == (403, f"{MISSING}Configuration item, Subcategory")
    assert not rest.rows("incident")
    ci = rest.instance.records.insert("cmdb_ci", {"name": "Mail"})["sys_id"]
    assert write(rest, {"cmdb_ci": ci, "subcategory": "email"})[0] == 201


def test_labels_are_in_the_language_of_the_caller(rest: RestClient) -> None:
    add_policy(rest, "incident", CI)
    rest.instance.records.insert(
        "sys_documentation", {"name": "task", "element": "cmdb_ci", "language": "ja", "label": "構成アイテム"}
    )
    caller = rest.instance.caller(ITIL)
    assert caller is not None
    rest.instance.records.update("sys_user", caller.user_sys_id, {"preferred_language": "ja"})
    assert write(rest, {}) == (403, f"{MISSING}構成アイテム")


def test_an_unknown_choice_counts_as_missing(rest: RestClient) -> None:
    add_policy(rest, "incident", CATEGORY)
    assert write(rest, {"category": "no such"}) == (403, f"{MISSING}Category")
    assert write(rest, {"category": "network"})[0] == 201


@pytest.mark.parametrize(("urgency", "status"), [("1", 403), ("3", 201)])
def test_conditions_are_about_the_record_as_it_will_be(rest: RestClient, urgency: str, status: int) -> None:
    add_policy(rest, "incident", CI, conditions="urgency=1^EQ")
    assert write(rest, {"urgency": urgency})[0] == status


def test_an_update_has_to_obey_too(rest: RestClient) -> None:
    _, sys_id = write(rest, {})
    add_policy(rest, "incident", {"field": "comments", "mandatory": "true"}, conditions="state=2^EQ")
    assert write(rest, {"state": "2"}, f"incident/{sys_id}") == (403, f"{MISSING}Additional comments")
    assert rest.instance.records.get("incident", sys_id)["state"] == "1"  # type: ignore[index]
    assert write(rest, {"state": "2", "comments": "why"}, f"incident/{sys_id}")[0] == 200


@pytest.mark.parametrize(("inherit", "status"), [("true", 403), ("false", 201)])
def test_a_policy_of_the_parent_table(rest: RestClient, inherit: str, status: int) -> None:
    add_policy(rest, "task", CI, inherit=inherit)
    assert write(rest, {})[0] == status


@pytest.mark.parametrize(("reverse", "status"), [("true", 403), ("false", 201)])
def test_the_reverse_of_a_policy_whose_condition_is_false(rest: RestClient, reverse: str, status: int) -> None:
    add_policy(
        rest,
        "incident",
        {"field": "cmdb_ci", "mandatory": "false"},
        conditions="urgency=1^EQ",
        reverse_if_false=reverse,
    )
    assert write(rest, {"urgency": "3"})[0] == status


def test_an_inactive_policy(rest: RestClient) -> None:
    add_policy(rest, "incident", CI, active="false")
    assert write(rest, {})[0] == 201


def test_read_only_fields(rest: RestClient) -> None:
    add_policy(rest, "incident", {"field": "urgency", "disabled": "true"})
    status, detail = write(rest, {"urgency": "1"})
    assert (status, detail.startswith("Data Policy Exception: ")) == (403, True)
    assert "Urgency" in detail
    status, sys_id = write(rest, {"urgency": "3"})
    assert status == 201, "the default value is no change"
    assert write(rest, {"urgency": "1"}, f"incident/{sys_id}")[0] == 403


@pytest.mark.parametrize("table", ["sys_data_policy2", "sys_data_policy_rule", "sys_ui_policy", "sys_ui_policy_action"])
def test_ordinary_users_may_not_read_policies(rest: RestClient, table: str) -> None:
    assert rest.send("GET", f"/api/now/table/{table}", user=ITIL).status_code == 403
    assert rest.send("GET", f"/api/now/table/{table}").status_code == 200
