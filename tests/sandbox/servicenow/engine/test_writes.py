"""ServiceNow §10, item 8: creating and changing rows (§2.1, §2.5, §5)."""

import pytest

from sandbox.servicenow.stage.seed.people import group_sys_id, user_sys_id
from tests.sandbox.servicenow.rest_client import BASE_URL, RestClient

INCIDENTS = "/api/now/table/incident"
CHOSEN = "0123456789abcdef0123456789abcdef"


def test_post_answers_201_with_location(rest: RestClient) -> None:
    response = rest.send("POST", INCIDENTS, json={"short_description": "x"})
    created = response.json()["result"]
    assert response.status_code == 201
    assert response.headers["location"] == f"{BASE_URL}{INCIDENTS}/{created['sys_id']}"
    assert len(created["sys_id"]) == 32


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_links_keep_the_version_of_the_call(rest: RestClient, version: str) -> None:
    path = f"/api/now/{version}/table/incident"
    response = rest.send("POST", path, json={"short_description": "x"})
    created = response.json()["result"]
    opened_by = created["opened_by"]["value"]
    assert response.headers["location"] == f"{BASE_URL}{path}/{created['sys_id']}"
    assert created["opened_by"]["link"] == f"{BASE_URL}/api/now/{version}/table/sys_user/{opened_by}"
    for parameters in ({}, {"sysparm_display_value": "true"}, {"sysparm_display_value": "all"}):
        (listed,) = rest.send("GET", path, parameters).json()["result"]
        assert listed["opened_by"]["link"] == created["opened_by"]["link"]
    attached = rest.send(
        "POST",
        f"/api/now/{version}/attachment/file",
        {"table_name": "incident", "table_sys_id": created["sys_id"], "file_name": "a.txt"},
        content=b"x",
    )
    assert attached.headers["location"].startswith(f"{BASE_URL}/api/now/{version}/attachment/")


def test_an_empty_body_is_enough(rest: RestClient) -> None:
    response = rest.send("POST", INCIDENTS, json={})
    assert response.status_code == 201
    assert response.json()["result"]["number"] == "INC0010001"


@pytest.mark.parametrize(
    ("table", "prefix"),
    [("task", "TASK"), ("incident", "INC"), ("change_request", "CHG"), ("problem", "PRB"), ("sc_task", "SCTASK")],
)
def test_numbers_are_prefix_and_seven_digits_each_once(rest: RestClient, table: str, prefix: str) -> None:
    numbers = [rest.create(table)["number"] for _ in range(3)]
    assert numbers == [f"{prefix}0010001", f"{prefix}0010002", f"{prefix}0010003"]


def test_defaults(rest: RestClient) -> None:
    incident = rest.create("incident", user="agent.smith")
    assert {
        name: incident[name] for name in ("state", "incident_state", "impact", "urgency", "category", "severity")
    } == {
        "state": "1",
        "incident_state": "1",
        "impact": "3",
        "urgency": "3",
        "category": "inquiry",
        "severity": "3",
    }
    assert (incident["approval"], incident["escalation"], incident["reassignment_count"]) == ("not requested", "0", "0")
    assert incident["opened_by"]["value"] == user_sys_id("agent.smith")
    assert incident["opened_at"] == incident["sys_created_on"] == "2026-03-02 09:00:00"
    assert incident["sys_created_by"] == "agent.smith"
    assert (incident["sys_mod_count"], incident["sys_class_name"], incident["active"]) == ("0", "incident", "true")
    change = rest.create("change_request", user="agent.smith")
    assert (change["state"], change["type"], change["category"], change["priority"]) == ("-5", "normal", "Other", "4")
    assert rest.create("problem")["problem_state"] == "101"


@pytest.mark.parametrize(
    ("impact", "urgency", "priority"),
    [
        ("1", "1", "1"),
        ("1", "2", "2"),
        ("1", "3", "3"),
        ("2", "1", "2"),
        ("2", "2", "3"),
        ("2", "3", "4"),
        ("3", "1", "3"),
        ("3", "2", "4"),
        ("3", "3", "5"),
    ],
)
@pytest.mark.parametrize("table", ["incident", "problem"])
def test_impact_and_urgency_decide_the_priority_whatever_was_sent(
    rest: RestClient, table: str, impact: str, urgency: str, priority: str
) -> None:
    assert rest.create(table, impact=impact, urgency=urgency, priority="1")["priority"] == priority


def test_the_priority_follows_updates_too(rest: RestClient) -> None:
    created = rest.create("incident")
    assert created["priority"] == "5"
    changed = rest.change("incident", created["sys_id"], impact="1", priority="4").json()["result"]
    assert changed["priority"] == "3"


def test_a_change_request_keeps_the_priority_it_is_given(rest: RestClient) -> None:
    created = rest.create("change_request", priority="1", impact="3", urgency="3", risk="2")
    assert (created["priority"], created["risk"]) == ("1", "2")


def test_overlong_text_is_cut_silently_and_seen_in_the_answer(rest: RestClient) -> None:
    created = rest.create(
        "incident", short_description="x" * 161, description="y" * 4001, correlation_id="z" * 101, comments="w" * 5000
    )
    assert [len(created[name]) for name in ("short_description", "description", "correlation_id")] == [160, 4000, 100]


def test_overlong_text_may_be_kept(rest: RestClient) -> None:
    rest.instance.properties["simulator.overlong_text"] = "kept"
    assert len(rest.create("incident", short_description="x" * 161)["short_description"]) == 161


@pytest.mark.parametrize(
    ("database", "kept"), [("kept", "before \U0001f512 after"), ("cut", "before "), ("replaced", "before ? after")]
)
def test_a_database_of_three_byte_characters(rest: RestClient, database: str, kept: str) -> None:
    rest.instance.properties["simulator.text_beyond_bmp"] = database
    text = "before \U0001f512 after"
    created = rest.create("incident", short_description=text, description="ä€", work_notes=text)
    assert (created["short_description"], created["description"]) == (kept, "ä€")
    assert rest.values("sys_journal_field", "", "value") == [kept]
    changed = rest.change("incident", created["sys_id"], correlation_id=text).json()["result"]
    assert changed["correlation_id"] == kept


def test_a_column_that_a_customer_shortened(rest: RestClient) -> None:
    rest.instance.dictionary.set_length("task", "description", 5)
    rest.instance.dictionary.set_length("problem", "short_description", 3)
    texts = {"description": "123456", "short_description": "123456"}
    for table, kept in (("incident", ("12345", "123456")), ("problem", ("12345", "123"))):
        created = rest.create(table, **texts)
        assert (created["description"], created["short_description"]) == kept
    rest.instance.dictionary.reset()
    assert rest.create("problem", **texts)["short_description"] == "123456"


def test_patch_merges_counts_and_stamps_with_seconds(rest: RestClient) -> None:
    created = rest.create("incident", short_description="x", description="y")
    rest.instance.clock.advance(61.7)
    changed = rest.change("incident", created["sys_id"], user="agent.smith", short_description="z").json()["result"]
    assert (changed["short_description"], changed["description"]) == ("z", "y")
    assert (changed["sys_mod_count"], changed["sys_updated_by"]) == ("1", "agent.smith")
    assert changed["sys_updated_on"] == "2026-03-02 09:01:01"
    assert changed["sys_created_on"] == "2026-03-02 09:00:00"


def test_put_merges_too(rest: RestClient) -> None:
    created = rest.create("incident", short_description="x", description="y")
    response = rest.send("PUT", f"{INCIDENTS}/{created['sys_id']}", json={"short_description": "z"})
    assert (response.status_code, response.json()["result"]["description"]) == (200, "y")


def test_a_patch_that_changes_nothing_counts_only_where_the_instance_says_so(rest: RestClient) -> None:
    created = rest.create("incident", short_description="x")
    assert rest.change("incident", created["sys_id"], short_description="x").json()["result"]["sys_mod_count"] == "0"
    rest.instance.properties["simulator.update.unchanged_counts"] = True
    assert rest.change("incident", created["sys_id"], short_description="x").json()["result"]["sys_mod_count"] == "1"


class TestSuppliedSysId:
    """The only real idempotency key (§2.5)."""

    def test_it_is_honoured(self, rest: RestClient) -> None:
        assert rest.create("incident", user="m365.connector", sys_id=CHOSEN)["sys_id"] == CHOSEN

    def test_it_may_be_for_administrators_only(self, rest: RestClient) -> None:
        rest.instance.properties["glide.rest.table_api.admin_only_sys_fields"] = True
        assert rest.create("incident", user="m365.connector", sys_id=CHOSEN)["sys_id"] != CHOSEN
        assert rest.create("incident", user="admin", sys_id=CHOSEN)["sys_id"] == CHOSEN

    def test_it_may_be_replaced(self, rest: RestClient) -> None:
        rest.instance.properties["simulator.supplied_sys_id"] = "replaced"
        assert rest.create("incident", sys_id=CHOSEN)["sys_id"] != CHOSEN

    def test_the_same_again_is_refused(self, rest: RestClient) -> None:
        rest.create("incident", sys_id=CHOSEN)
        response = rest.send("POST", INCIDENTS, json={"sys_id": CHOSEN})
        assert (response.status_code, response.json()["error"]["message"]) == (403, "Operation Failed")
        assert len(rest.rows("incident")) == 1

    def test_it_is_unique_among_all_kinds_of_task(self, rest: RestClient) -> None:
        rest.create("incident", sys_id=CHOSEN)
        assert rest.send("POST", "/api/now/table/change_request", json={"sys_id": CHOSEN}).status_code == 403

    def test_the_same_again_may_become_another_row(self, rest: RestClient) -> None:
        rest.instance.properties["simulator.duplicate_sys_id"] = "replaced"
        rest.create("incident", sys_id=CHOSEN)
        assert rest.create("incident", sys_id=CHOSEN)["sys_id"] != CHOSEN

    def test_what_is_no_sys_id_is_replaced(self, rest: RestClient) -> None:
        assert len(rest.create("incident", sys_id="short")["sys_id"]) == 32


def test_stamps_are_the_instances_unless_the_writer_insists(rest: RestClient) -> None:
    assert rest.create("incident", sys_created_on="2020-01-01 00:00:00")["sys_created_on"] == "2026-03-02 09:00:00"
    response = rest.send(
        "POST",
        INCIDENTS,
        {"sysparm_suppress_auto_sys_field": "false"},
        json={"sys_created_on": "2020-01-01 00:00:00", "sys_updated_on": "2020-01-02 00:00:00"},
    )
    created = response.json()["result"]
    assert (created["sys_created_on"], created["sys_updated_on"]) == ("2020-01-01 00:00:00", "2020-01-02 00:00:00")


def test_input_may_be_display_values(rest: RestClient) -> None:
    response = rest.send(
        "POST",
        INCIDENTS,
        {"sysparm_input_display_value": "true"},
        user="agent.smith",
        json={"state": "In Progress", "assigned_to": "Adele Vance", "due_date": "2026-07-01 12:00:00", "impact": "2"},
    )
    created = response.json()["result"]
    assert (created["state"], created["impact"]) == ("2", "2")
    assert created["assigned_to"]["value"] == user_sys_id("adele.vance")
    assert created["due_date"] == "2026-07-01 10:00:00"


class TestReferencesByName:
    """References written by display name without the parameter for it (ServiceNow §2.5)."""

    def written(self, rest: RestClient, value: str) -> str:
        created = rest.create("change_request", assignment_group=value)
        changed = rest.change("change_request", rest.create("change_request")["sys_id"], assignment_group=value)
        first, second = (row["assignment_group"] for row in (created, changed.json()["result"]))
        assert first == second
        value_written: str = first["value"]
        return value_written

    def test_they_stay_as_they_are(self, rest: RestClient) -> None:
        assert self.written(rest, "Network") == "Network"

    @pytest.mark.parametrize("name", ["Network", "network"])
    def test_the_instance_may_resolve_them(self, rest: RestClient, name: str) -> None:
        rest.instance.properties["simulator.reference.resolves_names"] = True
        assert self.written(rest, name) == group_sys_id("Network")
        assert self.written(rest, group_sys_id("Network")) == group_sys_id("Network")
        assert self.written(rest, "no such group") == "no such group"

    def test_a_sys_id_is_taken_for_one_first(self, rest: RestClient) -> None:
        rest.instance.properties["simulator.reference.resolves_names"] = True
        rest.instance.records.insert("sys_user_group", {"name": group_sys_id("Network")})
        assert self.written(rest, group_sys_id("Network")) == group_sys_id("Network")

    def test_other_columns_take_no_names(self, rest: RestClient) -> None:
        rest.instance.properties["simulator.reference.resolves_names"] = True
        assert rest.create("incident", state="In Progress")["state"] == "1"


class TestNumbers:
    """A number that another ticket has (§5.2)."""

    def test_it_is_renewed(self, rest: RestClient) -> None:
        taken = rest.create("incident", number="INC0010002")["number"]
        assert taken == "INC0010002"
        assert rest.create("incident", number="INC0010002")["number"] == "INC0010003"
        assert rest.create("incident", number="inc0010002")["number"] == "INC0010004"
        # Numbers are shared by all tasks, and the counter skips used ones.
        rest.create("problem", number="INC0010005")
        assert rest.create("incident")["number"] == "INC0010006"

    def test_it_may_be_refused(self, rest: RestClient) -> None:
        rest.instance.properties["simulator.duplicate_number"] = "refused"
        first, second = (rest.create("incident") for _ in range(2))
        for response in (
            rest.send("POST", INCIDENTS, json={"number": first["number"]}),
            rest.change("incident", second["sys_id"], number=first["number"]),
        ):
            assert (response.status_code, response.json()["error"]["message"]) == (403, "Operation Failed")
        assert len(rest.rows("incident")) == 2
        assert rest.change("incident", first["sys_id"], number=first["number"], impact="2").status_code == 200

    def test_it_may_be_allowed(self, rest: RestClient) -> None:
        rest.instance.properties["simulator.duplicate_number"] = "allowed"
        first, second = rest.create("incident"), rest.create("incident")
        assert rest.create("incident", number=first["number"])["number"] == first["number"]
        changed = rest.change("incident", second["sys_id"], number=first["number"]).json()["result"]
        assert changed["number"] == first["number"]

    def test_a_change_renews_it_too_unless_it_is_the_tickets_own(self, rest: RestClient) -> None:
        first, second = rest.create("incident"), rest.create("incident")
        unchanged = rest.change("incident", first["sys_id"], number=first["number"]).json()["result"]
        assert unchanged["number"] == first["number"]
        changed = rest.change("incident", second["sys_id"], number=first["number"]).json()["result"]
        assert changed["number"] == "INC0010003"

    def test_the_counter_steps_over_numbers_however_they_came(self, rest: RestClient) -> None:
        records = rest.instance.records
        records.take_number("incident")
        records.insert("incident", {"number": "INC0010002"})
        records.insert_many("incident", [{"number": "INC0010003"}, {"number": "INC0010004"}])
        moved = records.insert("problem", {})
        records.update("problem", moved["sys_id"], {"number": "INC0010005"})
        records.update_many("problem", f"sys_id={moved['sys_id']}", {"number": "INC0010006"})
        assert records.take_number("incident") == "INC0010007"
        records.insert_many("incident", [{"short_description": "x"}] * 3)
        numbers = rest.values("incident", "", "number")
        assert len(set(numbers)) == len(numbers)

    def test_the_counter_begins_behind_every_number_of_its_prefix(self, rest: RestClient) -> None:
        moved = rest.create("incident", number="INC0010900")
        rest.instance.records.update("task", moved["sys_id"], {"sys_class_name": "problem"})
        snapshot = rest.instance.records.snapshot()
        rest.instance.records.restore(snapshot)
        assert rest.create("incident")["number"] == "INC0010901"


def test_only_the_first_of_several_records_counts(rest: RestClient) -> None:
    response = rest.send("POST", INCIDENTS, json=[{"short_description": "first"}, {"short_description": "second"}])
    assert response.json()["result"]["short_description"] == "first"
    assert len(rest.rows("incident")) == 1


def test_x_no_response_body(rest: RestClient) -> None:
    quiet = {"X-no-response-body": "true"}
    created = rest.send("POST", INCIDENTS, json={}, headers=quiet)
    assert (created.status_code, created.content) == (201, b"")
    sys_id = created.headers["location"].rsplit("/", 1)[1]
    changed = rest.send("PATCH", f"{INCIDENTS}/{sys_id}", json={"state": "2"}, headers=quiet)
    assert (changed.status_code, changed.content) == (200, b"")
    assert rest.values("incident", f"sys_id={sys_id}", "state") == ["2"]


def test_x_http_method_override(rest: RestClient) -> None:
    created = rest.create("incident")
    path = f"{INCIDENTS}/{created['sys_id']}"
    response = rest.send("POST", path, json={"state": "2"}, headers={"X-HTTP-Method-Override": "PATCH"})
    assert (response.status_code, response.json()["result"]["state"]) == (200, "2")
    assert rest.send("POST", path, json={}).status_code == 405


def test_delete_answers_204_without_body(rest: RestClient) -> None:
    created = rest.create("incident", comments="x")
    path = f"{INCIDENTS}/{created['sys_id']}"
    response = rest.send("DELETE", path)
    assert (response.status_code, response.content) == (204, b"")
    assert rest.send("GET", path).status_code == rest.send("DELETE", path).status_code == 404
    assert rest.values("sys_journal_field", f"element_id={created['sys_id']}", "value") == []


def test_values_that_do_not_fit_a_column(rest: RestClient) -> None:
    created = rest.create("incident", due_date="tomorrow", impact="high", active="maybe", state=2.0)
    assert (created["due_date"], created["impact"], created["active"]) == ("", "3", "false")


def test_half_a_character_does_no_harm(rest: RestClient) -> None:
    response = rest.send("POST", INCIDENTS, content=b'{"short_description": "a\\ud800b"}')
    assert response.json()["result"]["short_description"] == "a?b"


@pytest.mark.parametrize("body", [b"{", b'"text"', b"\xff"])
def test_bodies_nobody_can_read(rest: RestClient, body: bytes) -> None:
    response = rest.send("POST", INCIDENTS, content=body, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["error"]["message"]) == (400, "Exception while reading request")


def test_other_media_types_are_refused(rest: RestClient) -> None:
    assert rest.send("POST", INCIDENTS, data={"a": "b"}).status_code == 415


def test_bodies_that_are_too_large(rest: RestClient) -> None:
    rest.instance.properties["glide.rest.max_content_length"] = 1
    body = b'{"description":"' + b"x" * 1024 * 1024 + b'"}'
    response = rest.send("POST", INCIDENTS, content=body)
    assert response.status_code == 400
    assert response.json()["error"]["detail"] == (
        f"Rejected large REST payload with content-length = {len(body)} bytes. Max allowed: 1048576 bytes."
    )


def test_users_are_unique_by_name_and_named_by_their_parts(rest: RestClient) -> None:
    created = rest.create("sys_user", user_name="x", first_name="Ann", last_name="Lee", identity_type="machine")
    assert (created["name"], created["web_service_access_only"]) == ("Ann Lee", "true")
    for taken in ("x", "X"):
        assert rest.send("POST", "/api/now/table/sys_user", json={"user_name": taken}).status_code == 403
    rest.instance.properties["simulator.query.text_comparison"] = "case_sensitive"
    assert rest.create("sys_user", user_name="X")["user_name"] == "X"
    assert rest.create("sys_user", user_name="y", email="a@b.example")["email"] == "a@b.example"
    assert rest.create("sys_user", user_name="z", email="a@b.example")["email"] == "a@b.example"


def test_properties_are_rows_that_act(rest: RestClient) -> None:
    (row,) = rest.rows("sys_properties", "name=simulator.overlong_text")
    assert rest.change("sys_properties", row["sys_id"], value="kept").status_code == 200
    assert rest.instance.properties["simulator.overlong_text"] == "kept"
    assert rest.change("sys_properties", row["sys_id"], value="nonsense").status_code == 403
    rest.instance.properties["simulator.overlong_text"] = "truncated"
    assert rest.values("sys_properties", "name=simulator.overlong_text", "value") == ["truncated"]
