"""What a plain `itil` user may not read, and how the instance says so (ServiceNow §2.8, §13)."""

import pytest

from tests.sandbox.servicenow.rest_client import RestClient

ITIL = "m365.connector"
CLOSED = (
    "sys_dictionary",
    "sys_db_object",
    "std_change_properties",
    "sys_user_has_role",
    "sys_properties",
    "oauth_entity",
    "oauth_credential",
    "sys_script",
    "sys_archive_log",
)


@pytest.mark.parametrize("table", CLOSED)
def test_a_table_without_a_rule_for_the_caller(rest: RestClient, table: str) -> None:
    row = rest.instance.records.first(table, "") or rest.instance.records.insert(table, {})
    for path in (table, f"{table}/{row['sys_id']}"):
        response = rest.send("GET", f"/api/now/table/{path}", user=ITIL)
        assert response.status_code == 403
        assert response.json() == {
            "error": {
                "message": "User Not Authorized",
                "detail": f"User is unauthorized to access table: {table}",
            },
            "status": "failure",
        }
    assert rest.send("GET", f"/api/now/table/{table}/{row['sys_id']}").status_code == 200


@pytest.mark.parametrize("table", CLOSED)
def test_other_instances_count_the_rows_and_show_none(rest: RestClient, table: str) -> None:
    rest.instance.properties["simulator.unreadable_table"] = "empty"
    row = rest.instance.records.first(table, "") or rest.instance.records.insert(table, {})
    query = {"sysparm_query": f"sys_id={row['sys_id']}"}
    response = rest.send("GET", f"/api/now/table/{table}", query, user=ITIL)
    assert (response.status_code, response.json()) == (200, {"result": []})
    assert response.headers["x-total-count"] == "1"
    assert rest.send("GET", f"/api/now/table/{table}/{row['sys_id']}", user=ITIL).status_code == 404


@pytest.mark.parametrize("table", ["task", "incident", "change_request", "sys_user", "sys_user_group", "sys_choice"])
def test_tables_it_may_read(rest: RestClient, table: str) -> None:
    assert rest.send("GET", f"/api/now/table/{table}", user=ITIL).status_code == 200


def test_the_dictionary_has_a_role_of_its_own(rest: RestClient) -> None:
    person = rest.instance.caller(ITIL)
    assert person is not None
    role = rest.instance.records.first("sys_user_role", "name=personalize_dictionary")
    assert role is not None
    rest.instance.records.insert("sys_user_has_role", {"user": person.user_sys_id, "role": role["sys_id"]})
    for table in ("sys_dictionary", "sys_db_object"):
        assert rest.rows(table, user=ITIL, limit="1") != []
