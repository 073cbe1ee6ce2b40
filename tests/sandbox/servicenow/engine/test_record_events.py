"""What happens to records outside the Table API, and what the API shows of it."""

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.servicenow.stage.control.client import ControlClient, ControlError
from tests.sandbox.servicenow.simulator import Simulated, simulated

AGENT = ("agent", "correct horse")


@pytest.fixture
def simulator() -> Iterator[Simulated]:
    with simulated() as world:
        yield world


@pytest.fixture
def control(simulator: Simulated) -> Iterator[ControlClient]:
    with ControlClient(simulator.url, transport=simulator.transport) as client:
        yield client


def seen(simulator: Simulated, table: str, sys_id: str, display_value: str = "false") -> dict[str, Any] | None:
    """Return a record as an agent reads it through the API, or None if the API does not have it."""
    parameters = {"sysparm_exclude_reference_link": "true", "sysparm_display_value": display_value}
    response = simulator.send("GET", f"/api/now/table/{table}/{sys_id}", params=parameters, auth=AGENT)
    if response.status_code == 404:
        return None
    result: dict[str, Any] = response.json()["result"]
    return result


def test_a_record_that_moves_to_another_class_counts_one_update(simulator: Simulated, control: ControlClient) -> None:
    row = control.insert_record("incident", {"correlation_id": "m365:1", "state": "2"})
    control.advance_clock(60)
    control.move_record("incident", row["sys_id"], "problem")
    moved = seen(simulator, "task", row["sys_id"])
    assert moved is not None
    assert (moved["sys_class_name"], moved["number"], moved["state"]) == ("problem", row["number"], "2")
    assert (moved["sys_mod_count"], moved["sys_updated_on"]) == ("1", "2026-03-02 09:01:00")
    assert moved["correlation_id"] == "m365:1"


def test_an_archived_record_is_gone_from_every_table(simulator: Simulated, control: ControlClient) -> None:
    row = control.insert_record("incident", {"correlation_id": "m365:1"})
    control.archive_record("task", row["sys_id"])
    assert (seen(simulator, "task", row["sys_id"]), seen(simulator, "incident", row["sys_id"])) == (None, None)
    query = "/api/now/table/task?sysparm_query=correlation_id=m365:1"
    response = simulator.send("GET", query, auth=AGENT)
    assert (response.json()["result"], response.headers["x-total-count"]) == ([], "0")
    with pytest.raises(ControlError, match="no incident"):
        control.archive_record("incident", row["sys_id"])


def test_a_restored_record_is_as_old_as_it_was(simulator: Simulated, control: ControlClient) -> None:
    row = control.insert_record("incident", {"correlation_id": "m365:1", "short_description": "x"})
    control.change_record("incident", row["sys_id"], {"state": "2", "priority": ""}, as_user="agent")
    before = seen(simulator, "incident", row["sys_id"])
    control.archive_record("incident", row["sys_id"])
    control.advance_clock(86_400)
    control.restore_record("incident", row["sys_id"])
    assert seen(simulator, "incident", row["sys_id"]) == before
    with pytest.raises(ControlError, match="no archived record"):
        control.restore_record("incident", row["sys_id"])


def test_a_record_may_come_back_with_a_smaller_count_and_a_newer_time(
    simulator: Simulated, control: ControlClient
) -> None:
    row = control.insert_record("incident", {})
    for state in ("2", "3"):
        control.change_record("incident", row["sys_id"], {"state": state}, as_user="agent")
    for sys_mod_count in ("1", "0"):
        control.archive_record("incident", row["sys_id"])
        values = {"sys_mod_count": sys_mod_count, "sys_updated_on": "2026-03-02 10:00:00", "state": "1"}
        control.restore_record("incident", row["sys_id"], values)
        restored = seen(simulator, "incident", row["sys_id"])
        assert restored is not None
        assert {name: restored[name] for name in values} == values


def test_a_copy_has_the_same_ids_and_texts_and_a_life_of_its_own(simulator: Simulated, control: ControlClient) -> None:
    texts = {"correlation_id": "m365:1", "short_description": "x", "description": "y", "priority": "2"}
    row = control.insert_record("change_request", texts)
    control.change_record("change_request", row["sys_id"], {"state": "4"})
    control.advance_clock(60)
    made = control.copy_record("change_request", row["sys_id"], as_user="agent")
    copy = seen(simulator, "change_request", made["sys_id"])
    assert copy is not None
    assert {name: copy[name] for name in texts} == texts
    assert (copy["sys_id"] != row["sys_id"], copy["number"] != row["number"]) == (True, True)
    assert (copy["state"], copy["active"], copy["closed_at"]) == ("-5", "true", "")
    assert (copy["sys_mod_count"], copy["sys_created_on"]) == ("0", "2026-03-02 09:01:00")
    assert (copy["sys_created_by"], copy["copied_from"]) == ("agent", row["sys_id"])


@pytest.mark.parametrize("value", ["somebody else's", ""])
def test_a_person_overwrites_the_correlation_id(simulator: Simulated, control: ControlClient, value: str) -> None:
    row = control.insert_record("incident", {"correlation_id": "m365:1"})
    control.change_record("incident", row["sys_id"], {"correlation_id": value}, as_user="agent")
    record = seen(simulator, "incident", row["sys_id"])
    assert record is not None
    assert (record["correlation_id"], record["sys_mod_count"], record["sys_updated_by"]) == (value, "1", "agent")


class TestABusinessRuleThatSetsFields:
    def test_before_the_write_is_part_of_it(self, simulator: Simulated, control: ControlClient) -> None:
        control.add_business_rule("task", {"correlation_id": "", "short_description": "by rule"})
        created = post(simulator, correlation_id="m365:1", short_description="ours")
        assert (created["correlation_id"], created["short_description"]) == ("", "by rule")
        assert created["sys_mod_count"] == "0"

    def test_after_the_write_counts_as_an_update(self, simulator: Simulated, control: ControlClient) -> None:
        control.add_business_rule("incident", {"description": "by rule"}, when="after")
        created = post(simulator, description="ours")
        assert (created["description"], created["sys_mod_count"]) == ("by rule", "1")
        assert created["sys_updated_by"] == "system"

    def test_later_the_answer_to_the_write_does_not_know_of_it(
        self, simulator: Simulated, control: ControlClient
    ) -> None:
        control.add_business_rule("incident", {"correlation_id": "INT-1"}, when="async")
        created = post(simulator, correlation_id="m365:1")
        assert (created["correlation_id"], created["sys_mod_count"]) == ("m365:1", "0")
        assert control.run_async_business_rules() == 1
        left = seen(simulator, "incident", created["sys_id"])
        assert left is not None
        assert (left["correlation_id"], left["sys_mod_count"]) == ("INT-1", "1")
        assert control.run_async_business_rules() == 0

    def test_it_has_a_condition_and_an_operation(self, simulator: Simulated, control: ControlClient) -> None:
        rule = control.add_business_rule(
            "incident", {"correlation_id": ""}, on=("update",), condition="short_descriptionSTARTSWITHours"
        )
        ours, theirs = (post(simulator, correlation_id="1", short_description=text) for text in ("ours", "theirs"))
        assert (ours["correlation_id"], theirs["correlation_id"]) == ("1", "1")
        for row, value in ((ours, ""), (theirs, "1")):
            assert control.change_record("incident", row["sys_id"], {"state": "2"})["correlation_id"] == value
        control.delete_record("sys_script", rule["sys_id"])
        again = {"state": "3", "correlation_id": "2"}
        assert control.change_record("incident", ours["sys_id"], again)["correlation_id"] == "2"


@pytest.mark.parametrize(
    "value", ["0000-00-00 00:00:00", "9999-12-31 23:59:59", "2026-02-30 25:61:61", "yesterday", "x" * 40_000]
)
def test_any_text_can_be_stored_in_any_column(simulator: Simulated, control: ControlClient, value: str) -> None:
    row = control.insert_record("incident", {})
    control.change_user("agent", time_zone="Asia/Tokyo")
    hostile = dict.fromkeys(("sys_updated_on", "due_date", "short_description"), value)
    control.overwrite_record("incident", row["sys_id"], hostile)
    for mode in ("false", "true"):
        record = seen(simulator, "incident", row["sys_id"], mode)
        assert record is not None
        assert {name: record[name] for name in hostile} == hostile
        assert record["sys_mod_count"] == "0"


def test_a_cloned_instance_has_the_others_records_and_its_own_clients(control: ControlClient) -> None:
    with simulated() as other:
        target = ControlClient(other.url, transport=other.transport)
        shared = control.insert_record("incident", {"correlation_id": "m365:1"})
        control.change_record("incident", shared["sys_id"], {"state": "2"})
        lost = target.insert_record("incident", {"correlation_id": "m365:2"})
        client = target.create_oauth_client("Ours", "https://connector.example/callback")
        target.set_properties({"simulator.data_policy.on_hold": False})

        control.clone_over(target)

        assert target.record("incident", shared["sys_id"]) == control.record("incident", shared["sys_id"])
        with pytest.raises(ControlError, match="no incident"):
            target.record("incident", lost["sys_id"])
        assert [row["client_id"] for row in target.records("oauth_entity", "name=Ours")] == [client["client_id"]]
        assert target.properties()["simulator.data_policy.on_hold"] == "false"

        target.change_record("incident", shared["sys_id"], {"state": "3"})
        assert control.record("incident", shared["sys_id"])["state"] == "2", "from then on each goes its own way"
        numbers = [one.insert_record("incident", {})["number"] for one in (control, target)]
        assert numbers[0] == numbers[1], "the target continues the source's count"


def test_everything_may_be_cloned(control: ControlClient) -> None:
    with simulated() as other:
        target = ControlClient(other.url, transport=other.transport)
        client = target.create_oauth_client("Ours", "https://connector.example/callback")
        control.clone_over(target, preserved=[])
        assert target.records("oauth_entity", f"client_id={client['client_id']}") == []
        with pytest.raises(ControlError, match="no base tables: nonsense"):
            control.clone_over(target, preserved=["nonsense"])


def post(simulator: Simulated, **values: str) -> dict[str, str]:
    response = simulator.send("POST", "/api/now/table/incident", json=values, auth=AGENT)
    assert response.status_code == 201, response.text
    created: dict[str, str] = response.json()["result"]
    return created
