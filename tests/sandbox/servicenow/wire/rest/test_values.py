"""ServiceNow §10, item 5: what values look like (§2.4, §2.5, §2.6)."""

from typing import Any, ClassVar

import pytest

from sandbox.servicenow.engine.rules.access import ADMIN_ONLY, AccessRule
from sandbox.servicenow.stage.seed.people import user_sys_id
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


class TestJournals:
    """Under display values a journal column holds the whole journal (ServiceNow §14, Read 2)."""

    WORK_NOTE = "2026-03-02 10:01:00 - Alex Smith (Work notes)\nlooking into it\n\n"
    COMMENT = "2026-03-02 10:00:00 - System Administrator (Additional comments)\nplease\r\nhelp\n\n"
    IN_BERLIN: ClassVar = {"comments": COMMENT, "work_notes": WORK_NOTE, "comments_and_work_notes": WORK_NOTE + COMMENT}
    COLUMNS = "comments,work_notes,comments_and_work_notes"

    @pytest.fixture
    def written(self, rest: RestClient) -> str:
        created = rest.create("incident", comments="please\r\nhelp")
        rest.instance.clock.advance(60)
        rest.change("incident", created["sys_id"], user="agent.smith", work_notes="looking into it")
        rest.create("incident", comments="another ticket's")
        sys_id: str = created["sys_id"]
        return sys_id

    def read(self, rest: RestClient, sys_id: str, *, user: str = "agent.smith", **parameters: str) -> dict[str, Any]:
        (row,) = rest.rows("incident", f"sys_id={sys_id}", user=user, fields=self.COLUMNS, **parameters)
        return row

    def test_they_hold_every_entry_newest_first(self, rest: RestClient, written: str) -> None:
        assert self.read(rest, written, display_value="true") == self.IN_BERLIN
        assert self.read(rest, written, display_value="all") == {
            name: {"display_value": text, "value": ""} for name, text in self.IN_BERLIN.items()
        }

    def test_their_raw_values_are_empty(self, rest: RestClient, written: str) -> None:
        assert self.read(rest, written) == dict.fromkeys(self.IN_BERLIN, "")

    def test_times_are_in_the_readers_zone_and_format(self, rest: RestClient, written: str) -> None:
        rest.instance.records.update("sys_user", AGENT, {"time_zone": "Asia/Tokyo", "date_format": "dd/MM/yyyy"})
        shown = self.read(rest, written, display_value="true")["comments"]
        assert shown.startswith("02/03/2026 18:00:00 - System Administrator (Additional comments)\n")

    def test_the_answer_to_a_write_holds_them_too(self, rest: RestClient, written: str) -> None:
        display_values = {"sysparm_display_value": "true", "sysparm_fields": self.COLUMNS}
        path = "/api/now/table/incident"
        changed = rest.send("PATCH", f"{path}/{written}", display_values, user="agent.smith", json={"comments": "done"})
        new = "2026-03-02 10:01:00 - Alex Smith (Additional comments)\ndone\n\n"
        assert changed.json()["result"] == {
            "comments": new + self.COMMENT,
            "work_notes": self.WORK_NOTE,
            "comments_and_work_notes": new + self.WORK_NOTE + self.COMMENT,
        }
        created = rest.send("POST", path, display_values, user="agent.smith", json={"comments": "done"})
        assert created.json()["result"] == {"comments": new, "work_notes": "", "comments_and_work_notes": new}

    def test_who_may_not_read_the_entries_reads_them_in_the_record(self, rest: RestClient, written: str) -> None:
        rest.instance.properties["simulator.acl.sys_journal_field_for_admin_only"] = True
        assert rest.rows("sys_journal_field", user="agent.smith") == []
        assert len(rest.rows("sys_journal_field")) == 3
        assert self.read(rest, written, display_value="true") == self.IN_BERLIN
        rest.instance.properties["simulator.acl.fields_not_readable"] = "work_notes, correlation_display"
        assert "work_notes" not in self.read(rest, written, display_value="true")

    def test_the_caller_of_an_incident_sees_comments_only(self, rest: RestClient) -> None:
        created = rest.create("incident", caller_id=user_sys_id("adele.vance"), comments="Hello", work_notes="Psst")
        assert self.read(rest, created["sys_id"], user="adele.vance", display_value="true").keys() == {"comments"}
        rest.instance.properties["simulator.unreadable_field"] = "empty"
        read = self.read(rest, created["sys_id"], user="adele.vance", display_value="true")
        assert (read["work_notes"], "Hello" in read["comments"]) == ("", True)

    def test_labels_are_in_the_readers_language(self, rest: RestClient, written: str) -> None:
        rest.instance.records.update("sys_user", AGENT, {"preferred_language": "ja"})
        shown = self.read(rest, written, display_value="true")
        assert shown["work_notes"] == self.WORK_NOTE.replace("Work notes", "作業メモ")
        assert shown["comments"] == self.COMMENT.replace("Additional comments", "追加コメント")

    def test_a_line_like_a_header_stays_part_of_its_note(self, rest: RestClient, written: str) -> None:
        imitation = "before\n2026-03-01 08:00:00 - Adele Vance (Work notes)\nI never wrote this"
        rest.change("incident", written, user="agent.smith", work_notes=imitation)
        shown = self.read(rest, written, display_value="true")["work_notes"]
        assert shown == f"2026-03-02 10:01:00 - Alex Smith (Work notes)\n{imitation}\n\n{self.WORK_NOTE}"

    def test_a_note_is_an_update_of_the_record(self, rest: RestClient, written: str) -> None:
        rest.instance.clock.advance(60)
        changed = rest.change("incident", written, user="agent.smith", work_notes="again").json()["result"]
        stamps = (changed["sys_updated_on"], changed["sys_updated_by"], changed["sys_mod_count"])
        assert stamps == ("2026-03-02 09:02:00", "agent.smith", "2")

    def test_through_a_reference(self, rest: RestClient, written: str) -> None:
        rest.create("incident", parent=written)
        shown = rest.rows(
            "incident", "parentISNOTEMPTY", user="agent.smith", fields="parent.comments", display_value="true"
        )
        assert shown == [{"parent.comments": self.COMMENT}]
        assert (
            rest.rows("incident", "parentISEMPTY", fields="parent.comments", display_value="true")
            == [{"parent.comments": ""}] * 2
        )

    def test_an_author_who_is_no_user_is_named_as_stored(self, rest: RestClient) -> None:
        row = rest.instance.records.insert("incident", {})
        entry = {"name": "incident", "element": "comments", "element_id": row["sys_id"], "value": "x"}
        rest.instance.records.insert("sys_journal_field", entry, by="guest")
        assert (
            " - guest (Additional comments)\nx\n\n" in self.read(rest, row["sys_id"], display_value="true")["comments"]
        )

    def test_a_long_list_shows_the_journal_of_each(self, rest: RestClient) -> None:
        records = rest.instance.records
        records.insert_many("incident", ({"sys_id": f"{number:032x}"} for number in range(1200)))
        records.insert_many(
            "sys_journal_field",
            (
                {"name": "incident", "element": "comments", "element_id": f"{number:032x}", "value": str(number)}
                for number in range(0, 1200, 3)
            ),
        )
        rows = rest.rows("incident", "ORDERBYsys_id", fields="comments", display_value="true")
        texts = [row["comments"].partition("\n")[2].strip() for row in rows]
        assert texts == [str(number) if number % 3 == 0 else "" for number in range(1200)]


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [
        ("business_stc", "102197", "102,197"),
        ("business_stc", "-1234567", "-1,234,567"),
        ("business_stc", "999", "999"),
        ("business_stc", "", ""),
        ("state", "1234", "1234"),
        ("activity_due", "", "UNKNOWN"),
        ("sla_due", "", "UNKNOWN"),
        ("sla_due", "2026-07-01 22:30:00", "2026-07-01 15:30:00"),
        ("due_date", "", ""),
        ("business_duration", "1970-01-02 04:23:00", "1 Day 4 Hours 23 Minutes"),
        ("business_duration", "", ""),
    ],
)
def test_what_people_see_instead_of_the_value(rest: RestClient, column: str, value: str, shown: str) -> None:
    rest.instance.records.insert("incident", {column: value})
    (row,) = rest.rows("incident", fields=column, display_value="all")
    assert row[column] == {"display_value": shown, "value": value}
    assert rest.rows("incident", fields=column, display_value="true") == [{column: shown}]
    assert rest.rows("incident", fields=column) == [{column: value}]


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
    """Fields and rows the caller may not read (§2.6)."""

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
