"""ServiceNow §10, item 7: pages and their headers (§2.2, §2.6, §2.7)."""

import pytest

from sandbox.servicenow.engine.rules.access import AccessRule
from sandbox.servicenow.stage.bulk import insert_tickets
from tests.sandbox.servicenow.rest_client import BASE_URL, RestClient

INCIDENTS = "/api/now/table/incident"


def insert(rest: RestClient, count: int, **values: str) -> None:
    insert_tickets(
        rest.instance,
        "incident",
        [(f"{number:032x}", f"m365:{number}") for number in range(1, count + 1)],
        values=values,
    )


def test_link_keeps_the_parameters_and_goes_below_zero(rest: RestClient) -> None:
    insert(rest, 5)
    response = rest.send(
        "GET", f"{INCIDENTS}?sysparm_query=sys_idINa,b%5EORactive%3Dtrue&sysparm_fields=number&sysparm_limit=2"
    )
    page = f"{BASE_URL}{INCIDENTS}?sysparm_query=sys_idINa,b%5EORactive%3Dtrue&sysparm_fields=number&sysparm_limit=2"
    assert response.headers["link"] == (
        f'<{page}&sysparm_offset=0>;rel="first",<{page}&sysparm_offset=-2>;rel="prev",'
        f'<{page}&sysparm_offset=2>;rel="next",<{page}&sysparm_offset=4>;rel="last"'
    )
    assert response.headers["x-total-count"] == "5"


def test_link_may_name_only_pages_there_are(rest: RestClient) -> None:
    insert(rest, 5)
    rest.instance.properties["simulator.pagination.links"] = "applicable_only"

    def relations(offset: int) -> list[str]:
        link = rest.send("GET", INCIDENTS, {"sysparm_limit": "2", "sysparm_offset": str(offset)}).headers["link"]
        return [part.split('"')[1] for part in link.split(",<")]

    assert relations(0) == ["first", "next", "last"]
    assert relations(2) == ["first", "prev", "next", "last"]
    assert relations(4) == ["first", "prev", "last"]
    assert "link" not in rest.send("GET", INCIDENTS, {"sysparm_limit": "5"}).headers


def test_headers_may_be_suppressed(rest: RestClient) -> None:
    insert(rest, 3)
    suppressed = rest.send("GET", INCIDENTS, {"sysparm_limit": "1", "sysparm_suppress_pagination_header": "true"})
    assert "link" not in suppressed.headers
    assert suppressed.headers["x-total-count"] == "3"
    uncounted = rest.send("GET", INCIDENTS, {"sysparm_limit": "1", "sysparm_no_count": "true"})
    assert "x-total-count" not in uncounted.headers


def test_the_default_limit_is_10000(rest: RestClient) -> None:
    insert(rest, 10_001)
    assert len(rest.rows("incident", fields="sys_id")) == 10_000


@pytest.mark.parametrize("limit", ["0", "-1", "x", ""])
def test_limits_that_are_none(rest: RestClient, limit: str) -> None:
    response = rest.send("GET", INCIDENTS, {"sysparm_limit": limit})
    assert response.status_code == 400
    assert response.json() == {
        "error": {
            "message": "Invalid value given for sysparm_limit",
            "detail": "sysparm_limit value must be a positive integer",
        },
        "status": "failure",
    }


@pytest.mark.parametrize("offset", ["-1", "x"])
def test_offsets_are_not_negative(rest: RestClient, offset: str) -> None:
    assert rest.send("GET", INCIDENTS, {"sysparm_offset": offset}).status_code == 400


def test_offsets_walk_through_an_ordered_list(rest: RestClient) -> None:
    insert(rest, 5)
    pages = [rest.rows("incident", "ORDERBYnumber", fields="number", limit="2", offset=str(at)) for at in (0, 2, 4, 6)]
    assert [len(page) for page in pages] == [2, 2, 1, 0]
    numbers = [row["number"] for page in pages for row in page]
    assert numbers == sorted(set(numbers))


class TestRightsComeAfterTheLimit:
    """Rows that the caller may not read leave gaps in the page."""

    @pytest.fixture
    def mixed(self, rest: RestClient) -> RestClient:
        for number in range(6):
            caller = "adele.vance" if number % 3 == 0 else "agent.smith"
            found = rest.instance.caller(caller)
            assert found is not None
            rest.instance.records.insert("incident", {"caller_id": found.user_sys_id})
        return rest

    def test_pages_come_back_short_or_empty(self, mixed: RestClient) -> None:
        def sizes() -> list[int]:
            return [
                len(mixed.rows("incident", "ORDERBYnumber", user="adele.vance", limit="2", offset=str(offset)))
                for offset in (0, 2, 4)
            ]

        assert sizes() == [1, 1, 0]

    def test_the_total_counts_what_cannot_be_seen(self, mixed: RestClient) -> None:
        response = mixed.send("GET", INCIDENTS, {"sysparm_limit": "2"}, user="adele.vance")
        assert response.headers["x-total-count"] == "6"
        mixed.instance.properties["simulator.total_count.respects_acl"] = True
        response = mixed.send("GET", INCIDENTS, {"sysparm_limit": "2"}, user="adele.vance")
        assert response.headers["x-total-count"] == "2"

    def test_hidden_rows_look_as_if_they_did_not_exist(self, mixed: RestClient) -> None:
        hidden = mixed.values("incident", "caller_id.user_name=agent.smith", "sys_id")[0]
        read = mixed.send("GET", f"{INCIDENTS}/{hidden}", user="adele.vance")
        missing = mixed.send("GET", f"{INCIDENTS}/{'0' * 32}", user="adele.vance")
        assert read.status_code == missing.status_code == 404
        assert read.json() == missing.json()

    def test_through_task_each_row_follows_the_rules_of_its_class(self, mixed: RestClient) -> None:
        mixed.instance.access.add(AccessRule("change_request", "read", frozenset({"sn_change_read"})))
        mixed.instance.records.insert("change_request", {})
        assert len(mixed.rows("task", user="adele.vance")) == 2


class TestUnspecifiedOrder:
    """Without ORDERBY, no order is promised."""

    def test_it_differs_from_request_to_request(self, demonstration: RestClient) -> None:
        orders = {tuple(demonstration.values("sys_user", "active=true", "sys_id")) for _ in range(6)}
        assert len(orders) > 1
        assert len({frozenset(order) for order in orders}) == 1

    def test_pages_of_it_overlap(self, demonstration: RestClient) -> None:
        pages = [
            demonstration.rows("sys_user", fields="sys_id", limit="100", offset=str(at)) for at in range(0, 600, 100)
        ]
        seen = [row["sys_id"] for page in pages for row in page]
        assert len(set(seen)) < len(seen)

    def test_it_can_be_stopped(self, demonstration: RestClient) -> None:
        demonstration.instance.properties["simulator.default_order"] = "sys_id"
        first, second = (demonstration.values("sys_user", "", "sys_id") for _ in range(2))
        del demonstration.instance.properties["simulator.default_order"]
        assert first == second == sorted(first)


def test_name_value_filters_take_display_values(rest: RestClient) -> None:
    agent = rest.instance.caller("agent.smith")
    assert agent is not None
    rest.instance.records.insert(
        "incident", {"state": "7", "short_description": "a^b", "assigned_to": agent.user_sys_id}
    )
    rest.instance.records.insert("incident", {"state": "1"})

    def count(**filters: str) -> int:
        return len(rest.send("GET", INCIDENTS, filters).json()["result"])

    assert count(state="closed") == count(state="7") == 1
    assert count(assigned_to="Alex Smith") == count(assigned_to=agent.user_sys_id) == 1
    assert count(short_description="a^b") == 1
    assert count(state="Closed", short_description="other") == 0
    assert count(bunk="1") == 2
    assert count(state="closed", sysparm_query="state=1") == 1


def test_version_1_answers_404_for_an_empty_list(rest: RestClient) -> None:
    query = {"sysparm_query": "number=none"}
    assert rest.send("GET", INCIDENTS, query).json() == {"result": []}
    assert rest.send("GET", "/api/now/v2/table/incident", query).json() == {"result": []}
    response = rest.send("GET", "/api/now/v1/table/incident", query)
    assert response.status_code == 404
    assert response.json()["error"]["message"] == "No Record found"


def test_head_is_get_without_body(rest: RestClient) -> None:
    insert(rest, 3)
    response = rest.send("HEAD", INCIDENTS)
    assert (response.status_code, response.content, response.headers["x-total-count"]) == (200, b"", "3")


def test_xml_for_those_who_want_it(rest: RestClient) -> None:
    insert(rest, 1)
    response = rest.send("GET", INCIDENTS, {"sysparm_fields": "number,active"}, headers={"Accept": "application/xml"})
    assert response.headers["content-type"].startswith("application/xml")
    assert "<response><result><number>INC0010001</number><active>true</active></result></response>" in response.text
    assert rest.send("GET", INCIDENTS, headers={"Accept": "text/csv"}).status_code == 406
