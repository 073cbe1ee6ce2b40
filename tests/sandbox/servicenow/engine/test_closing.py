"""How tickets end, and what may still happen to them then (ServiceNow §5.3, §5.4, §16)."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from sandbox.servicenow.engine.jobs import close_resolved_incidents
from sandbox.servicenow.stage.seed.people import group_sys_id, user_sys_id
from tests.sandbox.servicenow.rest_client import RestClient

GROUP = group_sys_id("Change Management")
AGENT = user_sys_id("agent.smith")
RESOLUTION = {"close_code": "Solution provided", "close_notes": "Done"}
NOW = "2026-03-02 09:00:00"
DAY_S = 86400
FORBIDDEN = "ACL Exception Update Failed due to security constraints"
CLOSED = {"incident": "7", "change_request": "3", "problem": "107", "sc_task": "3"}


def by_agent(rest: RestClient, row: dict[str, Any], table: str = "incident", **values: str) -> httpx.Response:
    return rest.change(table, row["sys_id"], user="agent.smith", **values)


def moved(rest: RestClient, row: dict[str, Any], **values: str) -> dict[str, Any]:
    response = by_agent(rest, row, **values)
    assert response.status_code == 200, response.text
    result: dict[str, Any] = response.json()["result"]
    return result


def stored(rest: RestClient, row: dict[str, Any], table: str = "incident") -> dict[str, str]:
    found = rest.instance.records.get(table, row["sys_id"])
    assert found is not None
    return found


def ended(rest: RestClient, table: str = "incident", state: str = "") -> dict[str, Any]:
    """Return a ticket that ended long ago."""
    created = rest.create(table)
    end = state or CLOSED[table]
    values = {"state": end, "active": "false"} | {
        "incident": {"incident_state": end, **RESOLUTION},
        "change_request": {"close_code": "successful", "close_notes": "Done", "assignment_group": GROUP},
        "problem": {"problem_state": end},
    }.get(table, {})
    rest.instance.records.overwrite(table, created["sys_id"], values)
    return created


def journal(rest: RestClient) -> list[Any]:
    return rest.values("sys_journal_field", "", "value")


class TestTheLifeOfAnIncident:
    def test_from_new_to_canceled(self, rest: RestClient) -> None:
        rest.instance.properties["simulator.incident.reopening_closed"] = "allowed"
        created = rest.create("incident")
        assert moved(rest, created, incident_state="2")["state"] == "2"
        assert moved(rest, created, state="3", hold_reason="4")["incident_state"] == "3"
        assert moved(rest, created, state="2")["hold_reason"] == ""
        resolved = moved(rest, created, state="6", **RESOLUTION)
        assert (resolved["active"], resolved["resolved_at"]) == ("true", NOW)
        assert resolved["resolved_by"]["value"] == AGENT
        closed = moved(rest, created, state="7")
        assert (closed["active"], closed["closed_at"], closed["closed_by"]["value"]) == ("false", NOW, AGENT)
        reopened = moved(rest, created, state="2")
        assert (reopened["active"], reopened["closed_at"], reopened["closed_by"]) == ("true", "", "")
        assert moved(rest, created, state="8")["active"] == "false"
        assert moved(rest, created, state="2")["reopen_count"] == "2", "leaving Canceled is reopening, too"

    def test_the_caller_may_say_when_it_was_resolved_and_closed(self, rest: RestClient) -> None:
        earlier, someone = "2026-03-01 08:00:00", user_sys_id("adele.vance")
        created = rest.create("incident")
        sent = {"resolved_at": earlier, "resolved_by": someone}
        resolved = moved(rest, created, state="6", **RESOLUTION, **sent)
        assert (resolved["resolved_at"], resolved["resolved_by"]["value"]) == (earlier, someone)
        assert moved(rest, created, state="7", closed_at=earlier)["closed_at"] == earlier

    @pytest.mark.parametrize(("table", "state"), [("incident", "7"), ("sc_task", "3")])
    def test_closing_may_leave_its_stamps_empty(self, rest: RestClient, table: str, state: str) -> None:
        rest.instance.properties["simulator.closed_at"] = "empty"
        created = rest.create(table)
        values = {"state": state} | (RESOLUTION if table == "incident" else {})
        assert by_agent(rest, created, table, **values).status_code == 200
        row = stored(rest, created, table)
        assert (row["active"], row["closed_at"], row["closed_by"]) == ("false", "", "")

    @pytest.mark.parametrize(
        ("mode", "kept"),
        [
            ("resolved", {"close_code", "close_notes"}),
            ("resolution", set()),
            ("nothing", {"close_code", "close_notes", "resolved_at", "resolved_by"}),
        ],
    )
    def test_what_reopening_clears(self, rest: RestClient, mode: str, kept: set[str]) -> None:
        rest.instance.properties["simulator.incident.reopening_clears"] = mode
        created = rest.create("incident", state="6", **RESOLUTION)
        reopened = moved(rest, created, state="2")
        assert {name for name in ("close_code", "close_notes", "resolved_at", "resolved_by") if reopened[name]} == kept
        assert (reopened["reopened_by"]["value"], reopened["reopened_time"]) == (AGENT, NOW)
        assert reopened["reopen_count"] == "1"


class TestReopeningClosedIncidents:
    @pytest.mark.parametrize("state", ["7", "8"])
    def test_it_is_refused(self, rest: RestClient, state: str) -> None:
        created = ended(rest, state=state)
        response = by_agent(rest, created, state="2", work_notes="again")
        assert (response.status_code, response.json()["error"]["detail"]) == (403, FORBIDDEN)
        assert (stored(rest, created)["state"], journal(rest)) == (state, [])

    def test_it_is_ignored_but_the_rest_is_stored(self, rest: RestClient) -> None:
        rest.instance.properties["simulator.incident.reopening_closed"] = "ignored"
        created = ended(rest)
        row = moved(rest, created, state="2", work_notes="again")
        assert (row["state"], row["incident_state"], row["active"]) == ("7", "7", "false")
        assert journal(rest) == ["again"]

    def test_administrators_may(self, rest: RestClient) -> None:
        created = ended(rest)
        assert rest.change("incident", created["sys_id"], state="2").json()["result"]["active"] == "true"


@pytest.mark.parametrize("table", sorted(CLOSED))
class TestWritesToClosedRecords:
    def test_they_are_carried_out(self, rest: RestClient, table: str) -> None:
        created = ended(rest, table)
        assert by_agent(rest, created, table, work_notes="noted", correlation_display="x").status_code == 200
        assert (stored(rest, created, table)["correlation_display"], journal(rest)) == ("x", ["noted"])

    @pytest.mark.parametrize("values", [{"work_notes": "noted"}, {"correlation_display": "x"}, {}])
    def test_a_record_level_rule_refuses_them(self, rest: RestClient, table: str, values: dict[str, str]) -> None:
        rest.instance.properties[f"simulator.closed_write.{table}"] = "forbidden"
        created = ended(rest, table)
        before = stored(rest, created, table)
        response = by_agent(rest, created, table, **values)
        assert (response.status_code, response.json()["error"]["detail"]) == (403, FORBIDDEN)
        assert (stored(rest, created, table), journal(rest)) == (before, [])

    def test_field_level_rules_ignore_every_value(self, rest: RestClient, table: str) -> None:
        rest.instance.properties[f"simulator.closed_write.{table}"] = "ignored"
        created = ended(rest, table)
        before = stored(rest, created, table)
        response = by_agent(rest, created, table, work_notes="noted", correlation_display="x", state="1")
        assert (response.status_code, response.json()["result"]["state"]) == (200, before["state"])
        assert (stored(rest, created, table), journal(rest)) == (before, [])

    def test_a_data_policy_refuses_them(self, rest: RestClient, table: str) -> None:
        rest.instance.properties[f"simulator.closed_write.{table}"] = "read_only"
        created = ended(rest, table)
        response = by_agent(rest, created, table, work_notes="noted", due_date=NOW)
        assert response.status_code == 403
        assert response.json()["error"]["detail"] == (
            "Data Policy Exception: \n\tThe following fields are read only: Due date, Work notes"
        )
        assert by_agent(rest, created, table).status_code == 200, "nothing changes"

    @pytest.mark.parametrize("mode", ["forbidden", "ignored", "read_only"])
    def test_administrators_and_open_records_are_free(self, rest: RestClient, table: str, mode: str) -> None:
        rest.instance.properties[f"simulator.closed_write.{table}"] = mode
        assert by_agent(rest, rest.create(table), table, work_notes="open").status_code == 200
        assert rest.change(table, ended(rest, table)["sys_id"], work_notes="closed").status_code == 200
        assert sorted(journal(rest)) == ["closed", "open"]


class TestFieldsThatTheCallerMayNotUse:
    @pytest.fixture
    def created(self, rest: RestClient) -> dict[str, Any]:
        return rest.create("incident", user="agent.smith", correlation_display="ours")

    def test_updates_are_silently_ignored(self, rest: RestClient, created: dict[str, Any]) -> None:
        rest.instance.properties["simulator.acl.fields_not_updatable"] = "correlation_display,work_notes"
        changed = moved(rest, created, correlation_display="new", work_notes="lost", comments="kept", impact="1")
        assert (changed["correlation_display"], changed["impact"], journal(rest)) == ("ours", "1", ["kept"])
        assert rest.create("incident", user="agent.smith", correlation_display="new")["correlation_display"] == "new"

    def test_a_write_of_nothing_else_is_no_update(self, rest: RestClient, created: dict[str, Any]) -> None:
        rest.instance.properties["simulator.acl.fields_not_updatable"] = "work_notes"
        assert moved(rest, created, work_notes="lost")["sys_mod_count"] == "0"

    def test_reads_lack_the_key(self, rest: RestClient, created: dict[str, Any]) -> None:
        rest.instance.properties["simulator.acl.fields_not_readable"] = "correlation_display"
        assert "correlation_display" not in moved(rest, created, correlation_display="new")
        assert stored(rest, created)["correlation_display"] == "new"

    def test_a_data_policy_refuses_updates(self, rest: RestClient, created: dict[str, Any]) -> None:
        rest.instance.properties["simulator.data_policy.read_only_fields"] = "work_notes,correlation_display"
        response = by_agent(rest, created, work_notes="lost", impact="1")
        assert response.json()["error"]["detail"].endswith("The following fields are read only: Work notes")
        assert (stored(rest, created)["impact"], journal(rest)) == ("3", [])
        assert moved(rest, created, correlation_display="ours", impact="1")["impact"] == "1", "the same value"

    def test_a_business_rule_overwrites_one(self, rest: RestClient, created: dict[str, Any]) -> None:
        rest.create(
            "sys_script",
            name="Stamp",
            collection="task",
            action_insert="false",
            action_update="true",
            template="correlation_display=theirs^EQ",
        )
        assert moved(rest, created, correlation_display="new")["correlation_display"] == "theirs"

    def test_a_shorter_column_cuts_one(self, rest: RestClient, created: dict[str, Any]) -> None:
        rest.instance.dictionary.set_length("task", "correlation_display", 5)
        assert moved(rest, created, correlation_display="much longer")["correlation_display"] == "much "


class TestAutoClose:
    MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

    def resolved(self, rest: RestClient) -> dict[str, Any]:
        return rest.create("incident", user="agent.smith", state="6", **RESOLUTION)

    def test_one_day_after_resolving(self, rest: RestClient) -> None:
        row = self.resolved(rest)
        rest.instance.clock.advance(DAY_S - 1)
        assert close_resolved_incidents(rest.instance) == 0
        rest.instance.clock.advance(1)
        assert close_resolved_incidents(rest.instance) == 1
        closed = stored(rest, row)
        assert (closed["state"], closed["incident_state"], closed["active"]) == ("7", "7", "false")
        assert (closed["closed_by"], closed["closed_at"]) == (AGENT, "2026-03-03 09:00:00")
        assert (closed["sys_mod_count"], closed["sys_updated_by"]) == ("1", "system")
        assert close_resolved_incidents(rest.instance) == 0

    def test_an_update_delays_it_if_the_clock_is_sys_updated_on(self, rest: RestClient) -> None:
        row = self.resolved(rest)
        rest.instance.clock.advance(DAY_S / 2)
        moved(rest, row, work_notes="Thanks")
        rest.instance.clock.advance(DAY_S / 2)
        rest.instance.properties["com.snc.incident.autoclose.basedon.resolved_at"] = False
        assert close_resolved_incidents(rest.instance) == 0
        rest.instance.clock.advance(DAY_S / 2)
        assert close_resolved_incidents(rest.instance) == 1

    def test_business_days(self, rest: RestClient) -> None:
        rest.instance.properties["simulator.autoclose.business_days"] = True
        rest.instance.properties["glide.ui.autoclose.time"] = 2
        rest.instance.clock.advance(4 * DAY_S)
        self.resolved(rest)  # on Friday
        rest.instance.clock.advance(4 * DAY_S - 1)
        assert close_resolved_incidents(rest.instance) == 0
        rest.instance.clock.advance(1)
        assert close_resolved_incidents(rest.instance) == 1

    def test_it_runs_as_somebody_or_not_at_all(self, rest: RestClient) -> None:
        row = self.resolved(rest)
        rest.instance.clock.advance(30 * DAY_S)
        rest.instance.properties["glide.ui.autoclose.time"] = 0
        assert close_resolved_incidents(rest.instance) == 0
        rest.instance.properties["glide.ui.autoclose.time"] = 7
        rest.instance.properties["simulator.autoclose.runs_as"] = "auto.closer"
        assert close_resolved_incidents(rest.instance) == 1
        assert stored(rest, row)["sys_updated_by"] == "auto.closer"


class TestChildren:
    def family(self, rest: RestClient) -> list[dict[str, Any]]:
        parent = rest.create("incident")
        child = rest.create("incident", parent_incident=parent["sys_id"])
        return [parent, child, rest.create("incident", parent_incident=child["sys_id"])]

    def states(self, rest: RestClient, family: list[dict[str, Any]]) -> list[str]:
        return [stored(rest, row)["state"] for row in family]

    def test_they_are_resolved_and_closed_with_their_parent_and_stay_so(self, rest: RestClient) -> None:
        family = self.family(rest)
        moved(rest, family[0], state="6", **RESOLUTION)
        assert self.states(rest, family) == ["6", "6", "6"]
        child = stored(rest, family[2])
        assert (child["close_code"], child["resolved_at"], child["resolved_by"]) == ("Solution provided", NOW, AGENT)
        moved(rest, family[0], state="2")
        assert self.states(rest, family) == ["2", "6", "6"]
        moved(rest, family[0], state="7", **RESOLUTION)
        assert self.states(rest, family) == ["7", "7", "7"]
        assert stored(rest, family[1])["active"] == "false"

    def test_ended_children_stay_as_they_are(self, rest: RestClient) -> None:
        family = self.family(rest)
        moved(rest, family[1], state="8")
        moved(rest, family[0], state="7", **RESOLUTION)
        assert self.states(rest, family) == ["7", "8", "1"]

    def test_the_instance_may_leave_them_alone(self, rest: RestClient) -> None:
        rest.instance.properties["simulator.incident.parent_sync"] = False
        family = self.family(rest)
        moved(rest, family[0], state="6", **RESOLUTION)
        assert self.states(rest, family) == ["6", "1", "1"]


class TestNextStates:
    """§11.6"""

    def ask(self, rest: RestClient, sys_id: str, *, user: str = "agent.smith", version: str = "") -> httpx.Response:
        return rest.send("GET", f"/api/sn_chg_rest/{version}change/{sys_id}/nextstates", user=user)

    def available(self, rest: RestClient, sys_id: str) -> list[str]:
        states: list[str] = self.ask(rest, sys_id).json()["result"]["available_states"]
        return states

    def in_state(self, rest: RestClient, state: str, **values: str) -> str:
        sys_id: str = rest.create("change_request")["sys_id"]
        rest.instance.records.overwrite("change_request", sys_id, {"state": state, **values})
        return sys_id

    def test_the_answer(self, rest: RestClient) -> None:
        sys_id = self.in_state(rest, "-1")
        for version in ("", "v1/"):
            response = self.ask(rest, sys_id, version=version)
            assert response.status_code == 200
            result = response.json()["result"]
            assert result["available_states"] == ["0", "4", "-1"]
            assert result["state_label"] == {"0": "Review", "4": "Canceled", "-1": "Implement"}
            [[review], [cancel]] = result["state_transitions"]
            ids = {review.pop("sys_id"), cancel.pop("sys_id"), review["conditions"][0]["condition"].pop("sys_id")}
            assert {len(one) for one in ids} == {32}
            assert review == {
                "display_value": "Implement to Review",
                "from_state": "-1",
                "to_state": "0",
                "transition_available": True,
                "automatic_transition": False,
                "conditions": [{"passed": True, "condition": {"name": "Not On hold", "description": None}}],
            }
            assert (cancel["display_value"], cancel["conditions"]) == ("Implement to Canceled", [])

    def test_a_change_on_hold_does_not_reach_review(self, rest: RestClient) -> None:
        sys_id = self.in_state(rest, "-1", on_hold="true", assignment_group=GROUP)
        assert self.available(rest, sys_id) == ["4", "-1"]
        [[review], _] = self.ask(rest, sys_id).json()["result"]["state_transitions"]
        assert (review["transition_available"], review["conditions"][0]["passed"]) == (False, False)
        assert rest.change("change_request", sys_id, state="0").status_code == 403
        assert rest.change("change_request", sys_id, state="0", on_hold="false").status_code == 200

    def test_a_change_that_waits_for_approval(self, rest: RestClient) -> None:
        sys_id = rest.create("change_request", assignment_group=GROUP)["sys_id"]
        assert self.available(rest, sys_id) == ["-4", "4", "-5"]
        rest.change("change_request", sys_id, state="-4")
        assert self.available(rest, sys_id) == ["-5", "4", "-4"]

    @pytest.mark.parametrize("state", ["3", "4"])
    def test_nothing_follows_the_end(self, rest: RestClient, state: str) -> None:
        sys_id = self.in_state(rest, state)
        assert self.available(rest, sys_id) == [state]
        assert self.ask(rest, sys_id).json()["result"]["state_transitions"] == []

    def test_models_of_the_type_have_no_details(self, rest: RestClient) -> None:
        rest.instance.properties["simulator.change.nextstates_details"] = False
        assert "state_transitions" not in self.ask(rest, self.in_state(rest, "0")).json()["result"]

    def test_without_a_model_every_state_follows(self, rest: RestClient) -> None:
        rest.instance.properties["simulator.change_model.active"] = False
        assert len(self.available(rest, self.in_state(rest, "3"))) == 8

    def test_an_unknown_change_and_one_out_of_sight(self, rest: RestClient) -> None:
        sys_id = self.in_state(rest, "-1")
        for response in (self.ask(rest, "0" * 32), self.ask(rest, sys_id, user="adele.vance")):
            assert response.status_code == 404
            assert response.json() == {"error": {"message": "Record not found", "detail": ""}, "status": "failure"}

    @pytest.mark.parametrize("state", ["3", "4"])
    def test_leaving_the_end_is_aborted_or_ignored(self, rest: RestClient, state: str) -> None:
        sys_id = self.in_state(rest, state)
        response = rest.change("change_request", sys_id, state="-1", work_notes="again")
        assert "Change Model: Check State Transition" in response.json()["error"]["detail"]
        rest.instance.properties["simulator.change.leaving_closed"] = "ignored"
        rest.instance.properties["simulator.data_policy.change_request"] = False
        response = rest.change("change_request", sys_id, state="-1", work_notes="again")
        assert (response.status_code, response.json()["result"]["state"]) == (200, state)
        assert journal(rest) == ["again"]
