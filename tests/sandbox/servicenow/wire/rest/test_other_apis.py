"""ServiceNow §10, item 11: users, choices, batch, aggregates, attachments (§4, §5.3, §6, §12)."""

import base64
import json
from typing import Any

import pytest

from sandbox.servicenow.engine.rules.access import ADMIN_ONLY, AccessRule
from sandbox.servicenow.stage.seed.people import ADMIN_SYS_ID, PEOPLE, user_sys_id
from tests.sandbox.servicenow.rest_client import RestClient


class TestUsers:
    """Who is who."""

    def test_current_user(self, rest: RestClient) -> None:
        response = rest.send("GET", "/api/now/ui/user/current_user", user="m365.connector")
        result = response.json()["result"]
        assert (result["user_sys_id"], result["user_name"]) == (user_sys_id("m365.connector"), "m365.connector")
        assert result["user_display_name"] == "Microsoft 365 Connector"

    def test_a_user_finds_itself(self, rest: RestClient) -> None:
        rows = rest.rows(
            "sys_user",
            "user_name=javascript:gs.getUserName()",
            user="m365.connector",
            fields="sys_id,user_name,email,time_zone",
            limit="2",
        )
        assert [row["user_name"] for row in rows] == ["m365.connector"]

    def test_the_administrator_has_the_id_it_has_everywhere(self, rest: RestClient) -> None:
        assert rest.values("sys_user", f"sys_id={ADMIN_SYS_ID}", "user_name") == ["admin"]

    def test_everybody_of_the_sandbox_is_there(self, rest: RestClient) -> None:
        names = rest.values("sys_user", "user_nameISNOTEMPTY", "user_name")
        assert set(names) == {person.user_name for person in PEOPLE}

    def test_addresses_are_not_unique(self, rest: RestClient) -> None:
        rest.create("sys_user", user_name="adele2", email="adele.vance@contoso.example")
        assert len(rest.rows("sys_user", "email=adele.vance@contoso.example")) == 2

    def test_roles_are_refused_to_ordinary_users_or_not(self, rest: RestClient) -> None:
        query = "user.user_name=m365.connector^role.name=itil"
        response = rest.send("GET", "/api/now/table/sys_user_has_role", {"sysparm_query": query}, user="m365.connector")
        assert response.status_code == 403
        rest.instance.properties["simulator.acl.sys_user_has_role_for_admin_only"] = False
        assert rest.values("sys_user_has_role", query, "role.name", user="m365.connector") == ["itil"]

    def test_role_changes_act_at_once(self, rest: RestClient) -> None:
        (row,) = rest.rows("sys_user_has_role", "user.user_name=agent.smith^role.name=itil")
        assert rest.send("POST", "/api/now/table/incident", user="agent.smith", json={}).status_code == 201
        rest.send("DELETE", f"/api/now/table/sys_user_has_role/{row['sys_id']}")
        assert rest.send("POST", "/api/now/table/incident", user="agent.smith", json={}).status_code == 403

    def test_tokens_and_clients_are_for_oauth_administrators(self, rest: RestClient) -> None:
        rest.instance.records.insert("oauth_entity", {"name": "client"})
        assert rest.send("GET", "/api/now/table/oauth_entity", user="agent.smith").status_code == 403
        assert len(rest.rows("oauth_entity")) == 1


class TestChoices:
    """Labels of states."""

    QUERY = "name=incident^element=state^inactive=false^language=en^ORDERBYsequence"

    def test_states_and_their_labels(self, rest: RestClient) -> None:
        rows = rest.rows("sys_choice", self.QUERY, user="agent.smith", fields="value,label")
        assert [(row["value"], row["label"]) for row in rows] == [
            ("1", "New"),
            ("2", "In Progress"),
            ("3", "On Hold"),
            ("6", "Resolved"),
            ("7", "Closed"),
            ("8", "Canceled"),
        ]

    def test_they_may_be_refused(self, rest: RestClient) -> None:
        rest.instance.properties["simulator.acl.sys_choice_for_admin_only"] = True
        response = rest.send("GET", "/api/now/table/sys_choice", {"sysparm_query": self.QUERY}, user="agent.smith")
        assert response.status_code == 403
        assert len(rest.rows("sys_choice", self.QUERY)) == 6

    @pytest.mark.parametrize("value", ["7", "5"])
    def test_skipped_catalog_tasks(self, rest: RestClient, value: str) -> None:
        rest.instance.properties["simulator.sc_task.skipped_state"] = value
        query = "name=sc_task^element=state^label=Closed Skipped"
        assert rest.values("sys_choice", query, "value") == [value]

    def test_lengths_can_be_read(self, rest: RestClient) -> None:
        rows = rest.rows("sys_dictionary", "name=task^elementINshort_description,description,correlation_id")
        assert {row["element"]: row["max_length"] for row in rows} == {
            "short_description": "160",
            "description": "4000",
            "correlation_id": "100",
        }


class TestBatch:
    """Several requests in one (§4)."""

    def run(
        self, rest: RestClient, *items: dict[str, Any], user: str = "admin", path: str = "v1/batch"
    ) -> dict[str, Any]:
        response = rest.send(
            "POST", f"/api/now/{path}", user=user, json={"batch_request_id": 7, "rest_requests": list(items)}
        )
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        assert answer["batch_request_id"] == "7"
        return answer

    def item(self, id_: str, method: str, url: str, body: Any = None, **more: Any) -> dict[str, Any]:
        headers = [
            {"name": "Content-Type", "value": "application/json"},
            {"name": "Accept", "value": "application/json"},
        ]
        encoded = base64.b64encode(json.dumps(body).encode()).decode() if body is not None else None
        return {"id": id_, "method": method, "url": url, "headers": headers, **more} | (
            {"body": encoded} if encoded else {}
        )

    @staticmethod
    def body(served: dict[str, Any]) -> Any:
        return json.loads(base64.b64decode(served["body"]))

    def test_bodies_are_base64_and_the_outer_200_says_nothing(self, rest: RestClient) -> None:
        answer = self.run(
            rest,
            self.item("a", "POST", "/api/now/table/incident", {"short_description": "x"}),
            self.item("b", "GET", "/api/now/table/incident?sysparm_fields=short_description"),
            self.item("c", "GET", "/api/now/table/no_such_table", exclude_response_headers=True),
        )
        created, listed, failed = answer["serviced_requests"]
        assert (created["id"], created["status_code"], created["status_text"]) == ("a", 201, "Created")
        assert {header["name"].lower() for header in created["headers"]} >= {"location", "content-type"}
        assert isinstance(created["execution_time"], int)
        assert self.body(created)["result"]["number"] == "INC0010001"
        assert self.body(listed) == {"result": [{"short_description": "x"}]}
        assert (failed["status_code"], "headers" in failed) == (400, False)
        assert answer["unserviced_requests"] == []

    def test_what_its_time_did_not_suffice_for(self, rest: RestClient) -> None:
        rest.instance.properties["simulator.batch.serviced_at_most"] = 1
        answer = self.run(rest, *(self.item(id_, "POST", "/api/now/table/incident", {}) for id_ in "abc"))
        assert [served["id"] for served in answer["serviced_requests"]] == ["a"]
        assert answer["unserviced_requests"] == ["b", "c"]
        assert rest.instance.records.count("incident") == 1

    def test_nothing_is_serviced_once_the_time_is_up(self, rest: RestClient) -> None:
        rest.instance.properties["simulator.batch.maximum_s"] = 0
        answer = self.run(rest, self.item("a", "POST", "/api/now/table/incident", {}))
        assert (answer["serviced_requests"], answer["unserviced_requests"]) == ([], ["a"])

    def test_items_run_as_the_caller(self, rest: RestClient) -> None:
        answer = self.run(rest, self.item("a", "POST", "/api/now/table/incident", {}), user="adele.vance")
        assert answer["serviced_requests"][0]["status_code"] == 403

    def test_queries_of_20000_characters(self, rest: RestClient) -> None:
        created = rest.create("incident")
        query = "AAAA=BBBB^" * 2300 + f"sys_id={created['sys_id']}"
        answer = self.run(rest, self.item("a", "GET", f"/api/now/table/incident?sysparm_query={query}"))
        assert len(self.body(answer["serviced_requests"][0])["result"]) == 1

    def test_items_nobody_can_read(self, rest: RestClient) -> None:
        too_large = "x" * (5 * 1024 * 1024)
        answer = self.run(
            rest,
            self.item("a", "POST", "/api/now/table/incident", too_large),
            {"id": "b", "method": "POST", "url": "/api/now/table/incident", "body": "no base64!"},
            {"id": "c", "method": "GET", "url": "https://elsewhere.example/api/now/table/incident"},
            {"id": "d", "method": "POST", "url": "/api/now/v1/batch"},
        )
        assert [served["status_code"] for served in answer["serviced_requests"]] == [400] * 4
        assert rest.instance.records.count("incident") == 0

    def test_deleting_has_no_body(self, rest: RestClient) -> None:
        created = rest.create("incident")
        answer = self.run(rest, self.item("a", "DELETE", f"/api/now/table/incident/{created['sys_id']}"), path="batch")
        assert (answer["serviced_requests"][0]["status_code"], answer["serviced_requests"][0]["body"]) == (204, "")

    @pytest.mark.parametrize("body", [{}, {"rest_requests": [{"id": "a"}]}, []])
    def test_what_is_no_batch(self, rest: RestClient, body: Any) -> None:
        assert rest.send("POST", "/api/now/batch", json=body).status_code == 400


class TestAggregates:
    """Counts and more (§4)."""

    def stats(self, rest: RestClient, user: str = "admin", **parameters: str) -> Any:
        sent = {f"sysparm_{name}": value for name, value in parameters.items()}
        response = rest.send("GET", "/api/now/stats/incident", sent, user=user)
        assert response.status_code == 200, response.text
        return response.json()["result"]

    @pytest.fixture
    def incidents(self, rest: RestClient) -> RestClient:
        for state, impact in (("1", "1"), ("1", "2"), ("2", "3")):
            rest.create("incident", state=state, impact=impact)
            rest.instance.clock.advance(60)
        return rest

    def test_count(self, incidents: RestClient) -> None:
        assert self.stats(incidents, count="true") == {"stats": {"count": "3"}}
        assert self.stats(incidents, count="true", query="state=1") == {"stats": {"count": "2"}}

    def test_anything_new(self, incidents: RestClient) -> None:
        assert self.stats(incidents, count="true", max_fields="sys_updated_on") == {
            "stats": {"count": "3", "max": {"sys_updated_on": "2026-03-02 09:02:00"}}
        }

    def test_groups(self, incidents: RestClient) -> None:
        result = self.stats(
            incidents, count="true", group_by="state", avg_fields="impact", sum_fields="impact", display_value="all"
        )
        assert result == [
            {
                "stats": {"count": "2", "avg": {"impact": "1.5000"}, "sum": {"impact": "3"}},
                "groupby_fields": [{"field": "state", "value": "1", "display_value": "New"}],
            },
            {
                "stats": {"count": "1", "avg": {"impact": "3.0000"}, "sum": {"impact": "3"}},
                "groupby_fields": [{"field": "state", "value": "2", "display_value": "In Progress"}],
            },
        ]
        assert len(self.stats(incidents, count="true", group_by="state", having="count^state^>^1")) == 1

    def test_forbidden_fields_stay_forbidden(self, incidents: RestClient) -> None:
        response = incidents.send(
            "GET", "/api/now/stats/sys_user_has_role", {"sysparm_count": "true"}, user="agent.smith"
        )
        assert response.status_code == 403
        incidents.instance.access.add(AccessRule("incident", "read", ADMIN_ONLY, field="close_notes"))
        response = incidents.send(
            "GET", "/api/now/stats/incident", {"sysparm_query": "close_notes=x"}, user="agent.smith"
        )
        assert response.status_code == 403


class TestAttachments:
    """Files attached to records (§12)."""

    def attach(self, rest: RestClient, sys_id: str, user: str = "admin") -> Any:
        return rest.send(
            "POST",
            "/api/now/attachment/file",
            {"table_name": "incident", "table_sys_id": sys_id, "file_name": "log.bin"},
            user=user,
            content=bytes(range(256)),
            headers={"Content-Type": "application/octet-stream"},
        )

    def test_a_file_comes_back_as_it_went_in(self, rest: RestClient) -> None:
        created = rest.create("incident")
        response = self.attach(rest, created["sys_id"])
        attachment = response.json()["result"]
        assert response.status_code == 201
        assert (attachment["file_name"], attachment["size_bytes"]) == ("log.bin", "256")
        listed = rest.send("GET", "/api/now/attachment", {"sysparm_query": f"table_sys_id={created['sys_id']}"})
        assert [row["sys_id"] for row in listed.json()["result"]] == [attachment["sys_id"]]
        content = rest.send("GET", response.headers["location"])
        assert (content.content, content.headers["content-type"]) == (bytes(range(256)), "application/octet-stream")
        path = f"/api/now/attachment/{attachment['sys_id']}"
        assert rest.send("DELETE", path).status_code == 204
        assert rest.send("GET", path).status_code == 404

    def test_only_where_the_record_can_be_seen(self, rest: RestClient) -> None:
        created = rest.create("incident")
        assert self.attach(rest, created["sys_id"], user="adele.vance").status_code == 404
        assert self.attach(rest, "0" * 32).status_code == 404


def test_demonstration_data_is_the_size_of_a_new_instances(demonstration: RestClient) -> None:
    count = demonstration.instance.records.count
    assert count("sys_user") > 600
    assert min(count("incident"), count("problem"), count("change_request")) > 24
    assert count("task", "correlation_idISNOTEMPTY") == 0
    assert count("syslog") > 600
