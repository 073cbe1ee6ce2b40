"""Item 5 of the wire document's list for a simulator: what values look like (2.4, 2.5, 2.6)."""

from typing import Any

import pytest

from sandbox.servicenow.access import ADMIN_ONLY, AccessRule
from sandbox.servicenow.seed import user_sys_id
from tests.sandbox.servicenow.rest_client import BASE_URL, RestClient

AGENT = user_sys_id("agent.smith")
LINK = f"{BASE_URL}/api/now/table/sys_user/{AGENT}"


def test_every_value_is_a_string(rest: RestClient) -> None:
    created = rest.create("incident", short_description="x", active=True, impact=2)
    assert (created["active"], created["impact"], created["sys_mod_count"]) == ("true", "2", "0")
    assert all(isinstance(value, str | dict) for value in created.values())


@pytest.mark.parametrize(
    ("parameters", "plain", "reference", "empty"),
    [
        ({}, "2", {"link": LINK, "value": AGENT}, ""),
        ({"exclude_reference_link": "true"}, "2", AGENT, ""),
        ({"display_value": "true"}, "In Progress", {"display_value": "Alex Smith", "link": LINK}, ""),
        ({"display_value": "true", "exclude_reference_link": "true"}, "In Progress", "Alex Smith", ""),
        (
            {"display_value": "all"},
            {"display_value": "In Progress", "value": "2"},
            {"display_value": "Alex Smith", "link": LINK, "value": AGENT},
            {"display_value": "", "value": ""},
        ),
        (
            {"display_value": "all", "exclude_reference_link": "true"},
            {"display_value": "In Progress", "value": "2"},
            {"display_value": "Alex Smith", "value": AGENT},
            {"display_value": "", "value": ""},
        ),
    ],
)
def test_display_and_link_modes(
    rest: RestClient, parameters: dict[str, str], plain: Any, reference: Any, empty: Any
) -> None:
    rest.create("incident", state="2", assigned_to=AGENT)
    (row,) = rest.rows("incident", fields="state,assigned_to,caller_id,close_notes", **parameters)
    assert row == {"state": plain, "assigned_to": reference, "caller_id": empty, "close_notes": empty}


def test_references_may_hold_what_is_no_sys_id(rest: RestClient) -> None:
    created = rest.create("incident", opened_by="glide.maint")
    assert created["opened_by"]["value"] == "glide.maint"
    assert created["sys_domain"]["value"] == "global"


@pytest.mark.parametrize("element", ["comments", "work_notes"])
def test_journals_read_back_empty_and_append(rest: RestClient, element: str) -> None:
    created = rest.create("incident", **{element: "first"})
    changed = rest.change("incident", created["sys_id"], **{element: "second"}).json()["result"]
    repeated = rest.change("incident", created["sys_id"], **{element: "second"}).json()["result"]
    assert [created[element], changed[element], repeated[element]] == ["", "", ""]
    assert repeated["comments_and_work_notes"] == ""
    entries = rest.values("sys_journal_field", f"element_id={created['sys_id']}^element={element}", "value")
    assert sorted(entries) == ["first", "second", "second"]


def test_date_times_are_utc_raw_and_in_the_callers_zone_and_format_shown(rest: RestClient) -> None:
    created = rest.create("incident", due_date="2026-07-01 22:30:00")
    rest.instance.records.update("sys_user", AGENT, {"date_format": "dd.MM.yyyy", "time_format": "hh:mm:ss a"})
    (seen_by_agent,) = rest.rows("incident", user="agent.smith", fields="due_date", display_value="all")
    assert created["due_date"] == "2026-07-01 22:30:00"
    assert seen_by_agent["due_date"] == {"display_value": "02.07.2026 12:30:00 AM", "value": "2026-07-01 22:30:00"}


def test_a_user_without_time_zone_has_the_instances(rest: RestClient) -> None:
    rest.create("incident", due_date="2026-07-01 22:30:00")
    (row,) = rest.rows("incident", fields="due_date", display_value="true")
    assert row["due_date"] == "2026-07-01 15:30:00"


def test_durations(rest: RestClient) -> None:
    rest.create("incident", business_duration="1970-01-01 00:02:17")
    (row,) = rest.rows("incident", fields="business_duration", display_value="all")
    assert row["business_duration"] == {"display_value": "2 Minutes 17 Seconds", "value": "1970-01-01 00:02:17"}


def test_fields_are_those_asked_for_and_sys_id_is_not_added(rest: RestClient) -> None:
    rest.create("incident", caller_id=AGENT, assigned_to=AGENT)
    (row,) = rest.rows("incident", fields="number,caller_id.email,assigned_to.name,no_such_field,caller_id.bunk")
    assert row == {
        "number": "INC0010001",
        "caller_id.email": "alex.smith@contoso.example",
        "assigned_to.name": "Alex Smith",
    }


def test_passwords_and_secrets_are_never_shown(rest: RestClient) -> None:
    rest.instance.records.insert("oauth_entity", {"name": "client", "client_secret": "planted"})
    response = rest.send("GET", "/api/now/table/oauth_entity", {"sysparm_display_value": "all"})
    assert response.json()["result"][0]["client_secret"] == {"display_value": "********", "value": ""}
    assert "planted" not in response.text


def test_unknown_body_fields_are_ignored(rest: RestClient) -> None:
    created = rest.create("incident", short_description="x", bunk_field="y")
    assert "bunk_field" not in created
    assert created["short_description"] == "x"


def test_a_field_is_cleared_by_an_empty_value(rest: RestClient) -> None:
    created = rest.create("incident", description="x")
    assert rest.change("incident", created["sys_id"], description="").json()["result"]["description"] == ""


class TestAccess:
    """Fields and rows the caller may not read (2.6)."""

    HIDDEN = AccessRule("incident", "read", ADMIN_ONLY, field="description")

    def test_unreadable_fields_are_left_out(self, rest: RestClient) -> None:
        created = rest.create("incident", description="hidden")
        rest.instance.access.add(self.HIDDEN)
        assert rest.rows("incident", user="agent.smith", fields="sys_id,description") == [{"sys_id": created["sys_id"]}]
        read = rest.send("GET", f"/api/now/table/incident/{created['sys_id']}", user="agent.smith").json()["result"]
        assert "description" not in read
        assert rest.rows("incident", fields="description") == [{"description": "hidden"}]

    def test_unreadable_fields_may_read_back_empty(self, rest: RestClient) -> None:
        rest.create("incident", description="hidden")
        rest.instance.access.add(self.HIDDEN)
        rest.instance.properties["simulator.unreadable_field"] = "empty"
        assert rest.rows("incident", user="agent.smith", fields="description") == [{"description": ""}]

    def test_unreadable_fields_may_not_be_queried_by(self, rest: RestClient) -> None:
        rest.instance.access.add(self.HIDDEN)
        for query in ("description=x", "active=true^ORdescriptionISEMPTY", "ORDERBYdescription"):
            response = rest.send("GET", "/api/now/table/incident", {"sysparm_query": query}, user="agent.smith")
            assert response.status_code == 403
            assert response.json() == {
                "error": {
                    "message": "Insufficient rights to query records",
                    "detail": "Field(s) present in the query do not have permission to be read",
                },
                "status": "failure",
            }

    def test_a_range_rule_forbids_ranges_and_sorting_but_not_matching(self, rest: RestClient) -> None:
        rest.instance.access.add(AccessRule("task", "query_range", ADMIN_ONLY, field="sys_updated_on"))

        def status(query: str) -> int:
            return rest.send("GET", "/api/now/table/task", {"sysparm_query": query}, user="m365.connector").status_code

        assert status("sys_updated_on>2026-01-01 00:00:00") == 403
        assert status("active=true^ORDERBYsys_updated_on") == 403
        assert status("sys_updated_on=2026-01-01 00:00:00") == 200
        assert status("ORDERBYnumber") == 200

    def test_a_match_rule_forbids_matching(self, rest: RestClient) -> None:
        rest.instance.access.add(AccessRule("task", "query_match", ADMIN_ONLY, field="sys_id"))
        response = rest.send("GET", "/api/now/table/task", {"sysparm_query": "sys_idINa,b"}, user="m365.connector")
        assert response.status_code == 403

    def test_what_may_not_be_written_is_ignored(self, rest: RestClient) -> None:
        rest.instance.access.add(AccessRule("incident", "write", ADMIN_ONLY, field="description"))
        created = rest.create("incident", user="agent.smith", description="x", short_description="y")
        assert (created["description"], created["short_description"]) == ("", "y")
