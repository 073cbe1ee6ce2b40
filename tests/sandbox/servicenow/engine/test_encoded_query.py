"""ServiceNow §10, item 6: encoded queries (§2.3, §2.4)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sandbox.clock import Clock
from sandbox.servicenow.engine.data.encoded_query import Condition, Operator, RelatedRows, SortKey, parse
from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.stage.seed.essentials import plant_essentials
from sandbox.servicenow.stage.seed.people import user_sys_id
from tests.sandbox.servicenow.rest_client import RestClient

TEXT_COMPARISON = "simulator.query.text_comparison"
AGENT, ADELE = user_sys_id("agent.smith"), user_sys_id("adele.vance")


class TestParsing:
    """Text to syntax tree."""

    def test_or_binds_to_the_neighbouring_condition_only(self) -> None:
        a, b, c = (Condition(name, Operator.EQUALS, "1") for name in "abc")
        assert parse("a=1^b=1^ORc=1").groups == (((a,), (b, c)),)
        assert parse("a=1^ORb=1^c=1").groups == (((a, b), (c,)),)

    def test_nq_begins_a_new_alternative(self) -> None:
        a, b, c = (Condition(name, Operator.EQUALS, "1") for name in "abc")
        assert parse("a=1^b=1^NQc=1").groups == (((a,), (b,)), ((c,),))

    def test_order_may_stand_anywhere_and_alone(self) -> None:
        assert parse("ORDERBYnumber").sort_keys == (SortKey("number"),)
        query = parse("ORDERBYa^x=1^ORDERBYDESCb^ORy=2^EQ")
        assert query.sort_keys == (SortKey("a"), SortKey("b", descending=True))
        assert len(query.groups[0][0]) == 2

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("a!=b=c", Condition("a", Operator.NOT_EQUALS, "b=c")),
            ("a>=1", Condition("a", Operator.GREATER_OR_EQUAL, "1")),
            ("a=", Condition("a", Operator.EQUALS)),
            ("aBETWEEN1@2", Condition("a", Operator.BETWEEN, "1@2")),
            ("aNOT LIKEx", Condition("a", Operator.NOT_CONTAINS, "x")),
            ("aNOTLIKEx", Condition("a", Operator.NOT_CONTAINS, "x")),
            ("aCONTAINSx", Condition("a", Operator.CONTAINS, "x")),
            ("aNOT IN1,2", Condition("a", Operator.NOT_IN, "1,2")),
            ("aISNOTEMPTY", Condition("a", Operator.IS_NOT_EMPTY)),
            ("a.b.cIN1", Condition("a.b.c", Operator.IN, "1")),
            ("aSAMEASb", Condition("a", Operator.SAME_AS, "b")),
            ("aINSTANCEOFtask", Condition("a", Operator.INSTANCE_OF, "task")),
        ],
    )
    def test_operators(self, text: str, expected: Condition) -> None:
        assert parse(text).clauses() == [expected]

    @pytest.mark.parametrize("text", ["AAAA=BBBB", "a~1", "a like x", "=1", "astartswithx"])
    def test_what_is_no_condition_is_listed_as_invalid(self, text: str) -> None:
        query = parse(f"active=true^{text}")
        assert query.invalid_terms == (text,)
        assert len(query.clauses()) == 1

    def test_related_rows(self) -> None:
        listed = parse("active=true^RLQUERYa.b,>=2,m2m^c=1^ENDRLQUERY^ORDERBYname")
        related = listed.clauses()[1]
        assert isinstance(related, RelatedRows)
        assert (related.table, related.field, related.comparison, related.number) == ("a", "b", ">=", 2)
        assert related.query.clauses() == [Condition("c", Operator.EQUALS, "1")]
        joined = parse("JOINx.sys_id=a.b!c=1^d=2^ORDERBYname").clauses()[0]
        assert isinstance(joined, RelatedRows)
        assert (joined.comparison, joined.number, len(joined.query.clauses())) == (">", 0, 2)


@dataclass
class Tickets:
    """Three different incidents: a is urgent and assigned, b is on hold, c is closed and empty."""

    rest: RestClient

    def found(self, query: str, user: str = "admin") -> str:
        return "".join(sorted(self.rest.values("incident", query, "short_description", user=user)))


@pytest.fixture(params=["case_insensitive", "case_sensitive"])
def tickets(three_incidents: Tickets, request: pytest.FixtureRequest) -> Iterator[Tickets]:
    """The tickets, in an instance that ignores case and in one that distinguishes it."""
    three_incidents.rest.instance.properties[TEXT_COMPARISON] = request.param
    yield three_incidents
    three_incidents.rest.instance.properties.reset()


@pytest.fixture
def tickets_of_a_new_instance(three_incidents: Tickets) -> Tickets:
    return three_incidents


@pytest.fixture(scope="module")
def three_incidents() -> Iterator[Tickets]:
    instance = Instance(clock=Clock.stopped_at(datetime(2026, 3, 2, 9, 0, tzinfo=UTC)))
    plant_essentials(instance)
    rest = RestClient.of(instance)
    insert = instance.records.insert
    insert(
        "incident",
        {
            "short_description": "a",
            "state": "2",
            "priority": "1",
            "assigned_to": AGENT,
            "opened_by": AGENT,
            "description": "Mail is slow",
            "due_date": "2026-03-02 09:30:00",
            "correlation_id": "m365:1",
        },
    )
    insert(
        "incident",
        {
            "short_description": "b",
            "state": "3",
            "priority": "10",
            "assigned_to": ADELE,
            "opened_by": AGENT,
            "description": "mail is down",
            "due_date": "2026-03-03 07:30:00",
            "correlation_id": "m365:2",
        },
    )
    insert("incident", {"short_description": "c", "state": "7", "priority": "3", "active": "false"})
    yield Tickets(rest)
    rest.transport.end()
    instance.close()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "abc"),
        ("state=2", "a"),
        ("state!=2", "bc"),
        ("assigned_to!=" + AGENT, "bc"),
        ("description=", "c"),
        ("description!=", "ab"),
        ("priority>2", "bc"),
        ("priority>=3^priority<=10", "bc"),
        ("priority<10", "ac"),
        ("priorityBETWEEN1@3", "ac"),
        ("descriptionLIKEis", "ab"),
        ("descriptionLIKEslow", "a"),
        ("descriptionNOT LIKEslow", "bc"),
        ("correlation_idSTARTSWITHm365:", "ab"),
        ("correlation_idENDSWITH:2", "b"),
        ("assigned_toISEMPTY", "c"),
        ("assigned_toISNOTEMPTY", "ab"),
        ("descriptionEMPTYSTRING", "c"),
        ("descriptionANYTHING", "abc"),
        ("stateIN2,7", "ac"),
        ("stateNOT IN2,7", "b"),
        ("assigned_toNOT IN" + AGENT, "bc"),
        ("stateIN", ""),
        ("assigned_toSAMEASopened_by", "ac"),
        ("assigned_toNSAMEASopened_by", "b"),
        ("active=true^state=2^ORstate=3", "ab"),
        ("state=2^ORstate=3^priority=1", "a"),
        ("state=2^priority=1^NQstate=7", "ac"),
        ("state=7^NQstate=2^ORstate=3^priority=1", "ac"),
        ("state=2^EQ", "a"),
        ("assigned_to.user_name=agent.smith", "a"),
        ("assigned_to.emailENDSWITH@contoso.example^assigned_to.name!=Alex Smith", "b"),
        ("assigned_to.manager.emailISEMPTY", "abc"),
        ("assigned_to.email!=alex.smith@contoso.example", "bc"),
        ("sys_class_nameINSTANCEOFtask", "abc"),
        ("due_date>2026-03-02 09:30:00", "b"),
        ("due_date>=2026-03-02 09:30:00", "ab"),
        ("due_date<2026-03-03", "a"),
        ("due_dateONwhatever@2026-03-03 00:00:00@2026-03-03 23:59:59", "b"),
        ("due_dateNOTONwhatever@2026-03-03 00:00:00@2026-03-03 23:59:59", "ac"),
        ("due_dateDATEPARTTuesday@javascript:gs.datePart('dayofweek','monday','GT')", ""),
    ],
)
def test_what_a_query_finds(tickets: Tickets, query: str, expected: str) -> None:
    assert tickets.found(query) == expected


def test_date_parts_are_those_of_the_callers_zone(tickets: Tickets) -> None:
    # 07:30 UTC is still Monday in Los Angeles, the instance's zone, and Tuesday in Berlin.
    query = "due_dateDATEPARTTuesday@javascript:gs.datePart('dayofweek','tuesday','EE')"
    assert tickets.found(query) == ""
    assert tickets.found(query, user="agent.smith") == "b"


@pytest.mark.parametrize(
    ("query", "in_any_case", "by_case"),
    [
        ("description=MAIL IS SLOW", "a", ""),
        ("description!=MAIL IS SLOW", "bc", "abc"),
        ("descriptionLIKEMail", "ab", "a"),
        ("descriptionNOT LIKEMail", "c", "bc"),
        ("descriptionSTARTSWITHMAIL", "ab", ""),
        ("correlation_idSTARTSWITHM365:", "ab", ""),
        ("descriptionENDSWITHSLOW", "a", ""),
        ("descriptionINMAIL IS SLOW,x", "a", ""),
        ("descriptionNOT INMAIL IS SLOW,x", "bc", "abc"),
        ("description>Mail is down", "a", "ab"),
        ("descriptionBETWEENmail is a@mail is z", "ab", "b"),
        ("assigned_to.user_name=Agent.Smith", "a", ""),
        ("assigned_to.emailSTARTSWITHALEX", "a", ""),
        # Ids, references and dates are not text.
        ("assigned_to=" + AGENT.upper(), "", ""),
    ],
)
def test_text_is_compared_without_regard_to_case_unless_the_instance_does(
    tickets_of_a_new_instance: Tickets, query: str, in_any_case: str, by_case: str
) -> None:
    tickets, properties = tickets_of_a_new_instance, tickets_of_a_new_instance.rest.instance.properties
    assert tickets.found(query) == in_any_case
    properties[TEXT_COMPARISON] = "case_sensitive"
    found = tickets.found(query)
    del properties[TEXT_COMPARISON]
    assert found == by_case
    assert tickets.found(query) == in_any_case


def test_text_is_sorted_grouped_and_named_in_the_same_way(rest: RestClient) -> None:
    for text in ("b", "C", "a", "B"):
        rest.instance.records.insert("incident", {"short_description": text})

    def in_order() -> str:
        return "".join(rest.values("incident", "ORDERBYshort_description^ORDERBYnumber", "short_description"))

    def groups() -> list[str]:
        parameters = {"sysparm_count": "true", "sysparm_group_by": "short_description"}
        result = rest.send("GET", "/api/now/stats/incident", parameters).json()["result"]
        return [group["stats"]["count"] for group in result]

    def of_group(name: str) -> int:
        return len(rest.send("GET", "/api/now/table/sys_user_group", {"name": name}).json()["result"])

    assert (in_order(), groups(), of_group("network")) == ("abBC", ["1", "2", "1"], 1)
    rest.instance.properties[TEXT_COMPARISON] = "case_sensitive"
    assert (in_order(), groups(), of_group("network")) == ("BCab", ["1"] * 4, 0)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("no_such_field=1", "abc"),
        ("state=2^no_such_field=1", "a"),
        ("no_such_field=1^ORstate=2", "a"),
        ("state=2^ORno_such_field=1", "a"),
        ("state=2^NQno_such_field=1", "a"),
        ("assigned_to.no_such_field=1^state=2", "a"),
        ("state.name=1^state=2", "a"),
        ("stateBEFORE2^state=3", "b"),
        ("due_date>yesterday^state=3", "b"),
        ("user_name=javascript:alert(1)^state=3", "b"),
        ("state=javascript:gs.noSuchFunction()^state=3", "b"),
        ("priorityBETWEEN1^state=3", "b"),
        ("state=3^ORDERBYno_such_field", "b"),
    ],
)
def test_invalid_parts_are_dropped_without_a_word(tickets: Tickets, query: str, expected: str) -> None:
    assert tickets.found(query) == expected


def test_invalid_parts_may_empty_the_result(tickets: Tickets) -> None:
    tickets.rest.instance.properties["glide.invalid_query.returns_no_rows"] = True
    assert tickets.found("state=2") == "a"
    assert tickets.found("state=2^no_such_field=1") == ""


def test_unknown_fields_may_be_forbidden(tickets: Tickets) -> None:
    tickets.rest.instance.properties["simulator.unknown_query_field"] = "forbidden"
    response = tickets.rest.send("GET", "/api/now/table/incident", {"sysparm_query": "no_such_field=1"})
    assert response.status_code == 403
    assert response.json()["error"]["message"] == "Insufficient rights to query records"


def test_thousands_of_conditions(tickets: Tickets) -> None:
    dropped = "AAAA=BBBB^" * 2300
    assert tickets.found(f"{dropped}state=2") == "a"
    assert tickets.found("^OR".join(f"priority={number}" for number in range(1000, 4000)) + "^ORpriority=1") == "a"


def test_order(tickets: Tickets) -> None:
    def in_order(query: str) -> list[str]:
        return tickets.rest.values("incident", query, "short_description")

    assert in_order("ORDERBYpriority") == ["a", "c", "b"]
    assert in_order("ORDERBYDESCpriority^active=true") == ["b", "a"]
    assert in_order("ORDERBYactive^ORDERBYDESCshort_description") == ["c", "b", "a"]
    assert in_order("ORDERBYassigned_to.name") == ["c", "b", "a"]


RELATIVE_QUERIES = [
    # It is Monday, 09:00 UTC; a is due at 09:30, b on Tuesday at 07:30 UTC.
    ("due_dateRELATIVEGT@minute@ahead@29", "ab"),
    ("due_dateRELATIVEGT@minute@ahead@30", "b"),
    ("due_dateRELATIVEGE@minute@ahead@30", "ab"),
    ("due_dateRELATIVELT@minute@ahead@30", ""),
    ("due_dateRELATIVELE@minute@ahead@30", "a"),
    ("due_dateRELATIVEGT@hour@ago@1", "ab"),
    ("due_dateRELATIVELT@hour@ago@1", ""),
    ("due_dateRELATIVELT@hour@ahead@22", "a"),
    ("due_dateRELATIVELE@day@ahead@1", "ab"),
    ("due_dateRELATIVEGT@dayofweek@ahead@1", ""),
    ("due_dateRELATIVEGE@week@ahead@0", "ab"),
    ("due_dateRELATIVELT@week@ahead@1", "ab"),
    ("due_dateRELATIVEGT@month@ahead@1", ""),
    ("due_dateRELATIVEGT@quarter@ago@1", "ab"),
    ("due_dateRELATIVELT@year@ago@1", ""),
    ("due_dateRELATIVEEE@hour@ahead@0", "a"),
    ("due_dateRELATIVEEE@year@ahead@0", "ab"),
    ("state=3^due_dateRELATIVEGT@hour@ago@1", "b"),
    ("due_dateRELATIVELT@hour@ago@1^NQstate=7", "c"),
    # An unreadable value is dropped like any other invalid condition.
    ("state=3^due_dateRELATIVEGT@fortnight@ago@1", "b"),
    ("state=3^due_dateRELATIVELT@hour@ago@", "b"),
    ("state=3^due_dateRELATIVELT@hour@before@1", "b"),
    ("state=3^due_dateRELATIVELT@year@ago@999999999", "b"),
    ("state=3^due_dateRELATIVEEE@year@ahead@7974", "b"),
    ("state=3^descriptionRELATIVELT@hour@ago@1", "b"),
]


@pytest.mark.parametrize(("query", "expected"), RELATIVE_QUERIES)
def test_times_counted_from_now(tickets_of_a_new_instance: Tickets, query: str, expected: str) -> None:
    assert tickets_of_a_new_instance.found(query) == expected


def test_days_counted_from_now_are_those_of_the_callers_calendar(tickets_of_a_new_instance: Tickets) -> None:
    # Tuesday 07:30 UTC is still Monday in Los Angeles, the instance's zone, and Tuesday in Berlin.
    assert tickets_of_a_new_instance.found("due_dateRELATIVEEE@day@ahead@1") == ""
    assert tickets_of_a_new_instance.found("due_dateRELATIVEEE@day@ahead@1", user="agent.smith") == "b"


def test_dates_without_a_time_are_counted_too(rest: RestClient) -> None:
    rest.instance.records.insert("change_request", {"cab_date": "2026-03-01"})

    def count(query: str) -> int:
        return rest.instance.records.count("change_request", query)

    assert [count(f"cab_dateRELATIVE{way}@day@ago@1") for way in ("EE", "GE", "GT", "LE", "LT")] == [1, 1, 0, 1, 0]


class TestScripts:
    """The functions evaluated on the server."""

    def test_who_asks(self, tickets: Tickets) -> None:
        assert tickets.found("assigned_to=javascript:gs.getUserID()", user="agent.smith") == "a"
        assert tickets.found("assigned_to.user_name=javascript:gs.getUserName()", user="agent.smith") == "a"
        names = tickets.rest.values(
            "sys_user", "user_name=javascript:gs.getUserName()", "user_name", user="adele.vance"
        )
        assert names == ["adele.vance"]
        assert tickets.found("assigned_toDYNAMIC90d1921e5f510100a9ad2572f2b477fe", user="agent.smith") == "a"

    def test_literals_are_utc_and_generated_dates_the_callers(self, tickets: Tickets) -> None:
        # The agent is in Berlin: 10:30 there is the 09:30 UTC stored.
        assert tickets.found("due_date=2026-03-02 09:30:00", user="agent.smith") == "a"
        generated = "due_date=javascript:gs.dateGenerate('2026-03-02','{}:30:00')"
        assert tickets.found(generated.format("10"), user="agent.smith") == "a"
        assert tickets.found(generated.format("09"), user="agent.smith") == ""
        assert tickets.found(generated.format("09"), user="m365.connector") == "a"
        assert tickets.found("due_date<javascript:gs.dateGenerate('2026-03-02','end')", user="agent.smith") == "a"

    @pytest.mark.parametrize(
        ("script", "expected"),
        [
            ("gs.beginningOfToday()", "2026-03-01 23:00:00"),
            ("gs.endOfToday()", "2026-03-02 22:59:59"),
            ("gs.beginningOfYesterday()", "2026-02-28 23:00:00"),
            ("gs.beginningOfThisMonth()", "2026-02-28 23:00:00"),
            ("gs.endOfThisMonth()", "2026-03-31 21:59:59"),
            ("gs.beginningOfLastWeek()", "2026-02-22 23:00:00"),
            ("gs.beginningOfThisYear()", "2025-12-31 23:00:00"),
            ("gs.daysAgoStart(1)", "2026-02-28 23:00:00"),
            ("gs.daysAgoEnd(0)", "2026-03-02 22:59:59"),
            ("gs.daysAgo(1)", "2026-03-01 09:00:00"),
            ("gs.hoursAgo(2)", "2026-03-02 07:00:00"),
            ("gs.minutesAgoStart(0)", "2026-03-02 09:00:00"),
            ("gs.monthsAgo(1)", "2026-02-02 09:00:00"),
            ("gs.beginningOfThisQuarter()", "2025-12-31 23:00:00"),
        ],
    )
    def test_moments_in_the_callers_zone(self, tickets: Tickets, script: str, expected: str) -> None:
        agent = tickets.rest.instance.caller("agent.smith")
        assert agent is not None
        assert tickets.rest.instance.scripts_of(agent).evaluate(f"javascript:{script}") == expected


def test_related_rows(demonstration: RestClient) -> None:
    admins = demonstration.values(
        "sys_user", "JOINsys_user.sys_id=sys_user_has_role.user!role.name=admin^ORDERBYuser_name", "user_name"
    )
    assert "admin" in admins
    assert len(admins) == 12
    without = "RLQUERYsys_user_grmember.user,=0^ENDRLQUERY"
    with_group = "RLQUERYsys_user_grmember.user,>0^group.name=Network^ENDRLQUERY"
    count = demonstration.instance.records.count
    assert count("sys_user", with_group) == 5
    members = len(set(demonstration.values("sys_user_grmember", "", "user.sys_id")))
    assert count("sys_user", without) == count("sys_user") - members


# The same rules, applied row by row without a database.

type Row = dict[str, str]
INTEGERS, DATES = {"priority", "state"}, {"due_date"}
FIELDS = ("state", "priority", "description", "active", "due_date", "assigned_to", "assigned_to.user_name", "bunk")
VALUES = {
    "state": ["1", "2", "6", "-5", "", "x"],
    "priority": ["1", "2", "10", ""],
    "description": ["mail", "Mail", "mail down", "m", ""],
    "active": ["true", "false"],
    "due_date": ["2026-03-01 00:00:00", "2026-03-02 12:00:00", ""],
    "assigned_to": [AGENT, ADELE, ""],
    "assigned_to.user_name": ["agent.smith", "adele.vance", "a", ""],
    "bunk": ["1"],
}
UNARY = ("ISEMPTY", "ISNOTEMPTY", "ANYTHING")
BINARY = ("=", "!=", "<", "<=", ">", ">=", "LIKE", "NOT LIKE", "STARTSWITH", "ENDSWITH", "~")
LISTS = ("IN", "NOT IN")


@st.composite
def conditions(draw: st.DrawFn) -> tuple[str, str, str]:
    field = draw(st.sampled_from(FIELDS))
    operator = draw(st.sampled_from(UNARY + BINARY + LISTS + ("BETWEEN",)))
    values = VALUES[field]
    if operator in UNARY:
        return field, operator, ""
    if operator in LISTS:
        return field, operator, ",".join(draw(st.lists(st.sampled_from(values), min_size=1, max_size=3)))
    if operator == "BETWEEN":
        bounds = [value for value in values if value]
        return field, operator, f"{draw(st.sampled_from(bounds))}@{draw(st.sampled_from(bounds))}"
    return field, operator, draw(st.sampled_from(values))


GROUPS = st.lists(
    st.lists(st.lists(conditions(), min_size=1, max_size=3), min_size=1, max_size=3), min_size=1, max_size=3
)


def folded(text: str, case_sensitive: bool) -> str:
    return text if case_sensitive else text.lower()


def compare(field: str, operator: str, value: str, other: str) -> bool:
    """Order two values by the column's kind; an empty value is neither before nor after another."""
    if value == "" or (field in INTEGERS and not other.removeprefix("-").isdecimal()):
        return False
    order = int(value) - int(other) if field in INTEGERS else (value > other) - (value < other)
    return {"<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[operator]


def is_valid(condition: tuple[str, str, str]) -> bool:
    field, operator, value = condition
    if field == "bunk" or operator == "~":
        return False
    # A malformed date is invalid; an empty one tests for emptiness, only with = and !=.
    return not (field in DATES and operator in ("<", "<=", ">", ">=") and value == "")


def holds(row: Row, condition: tuple[str, str, str], case_sensitive: bool) -> bool:
    field, operator, operand = condition
    value, operand = folded(row[field], case_sensitive), folded(operand, case_sensitive)
    match operator:
        case "ISEMPTY":
            return value == ""
        case "ISNOTEMPTY":
            return value != ""
        case "ANYTHING":
            return True
        case "=":
            return value == operand
        case "!=":
            return value != operand
        case "LIKE":
            return value != "" and operand in value
        case "NOT LIKE":
            return not (value != "" and operand in value)
        case "STARTSWITH":
            return value != "" and value.startswith(operand)
        case "ENDSWITH":
            return value != "" and value.endswith(operand)
        case "IN":
            return value != "" and value in operand.split(",")
        case "NOT IN":
            return not (value != "" and value in operand.split(","))
        case "BETWEEN":
            low, high = operand.split("@")
            return compare(field, ">=", value, low) and compare(field, "<=", value, high)
        case _:
            return compare(field, operator, value, operand)


def matches(row: Row, groups: list[list[list[tuple[str, str, str]]]], case_sensitive: bool) -> bool:
    kept = [[[c for c in any_of if is_valid(c)] for any_of in group] for group in groups]
    kept = [[any_of for any_of in group if any_of] for group in kept]
    kept = [group for group in kept if group]
    return not kept or any(
        all(any(holds(row, c, case_sensitive) for c in any_of) for any_of in group) for group in kept
    )


def text_of(groups: list[list[list[tuple[str, str, str]]]]) -> str:
    return "^NQ".join("^".join("^OR".join("".join(c) for c in any_of) for any_of in group) for group in groups)


@pytest.fixture(scope="module")
def varied() -> Iterator[tuple[Instance, list[Row]]]:
    instance = Instance(clock=Clock.stopped_at(datetime(2026, 3, 2, 9, 0, tzinfo=UTC)))
    plant_essentials(instance)
    names = {AGENT: "agent.smith", ADELE: "adele.vance", "": ""}
    rows = []
    for number in range(48):
        row = {
            "state": ("1", "2", "6", "-5")[number % 4],
            "priority": ("1", "2", "10")[number % 3],
            "description": ("mail", "Mail", "mail down", "")[number // 3 % 4],
            "active": ("true", "false")[number // 2 % 2],
            "due_date": ("2026-03-01 00:00:00", "2026-03-02 12:00:00", "")[number // 4 % 3],
            "assigned_to": (AGENT, ADELE, "")[number // 5 % 3],
        }
        stored = instance.records.insert("incident", row)
        rows.append(row | {"sys_id": stored["sys_id"], "assigned_to.user_name": names[row["assigned_to"]]})
    yield instance, rows
    instance.close()


@settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    groups=GROUPS,
    order=st.sampled_from(["", "ORDERBYnumber^", "ORDERBYDESCdue_date^", "EQ^"]),
    case_sensitive=st.booleans(),
)
def test_the_database_finds_what_reading_row_by_row_finds(
    varied: tuple[Instance, list[Row]],
    groups: list[list[list[tuple[str, str, str]]]],
    order: str,
    case_sensitive: bool,
) -> None:
    instance, rows = varied
    instance.records.case_sensitive = case_sensitive
    found = {row["sys_id"] for row in instance.records.query("incident", order + text_of(groups))}
    assert found == {row["sys_id"] for row in rows if matches(row, groups, case_sensitive)}


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet="@AZ[`az{m:é", min_size=1, max_size=3), st.text(alphabet="@AZ[`az{m:é", max_size=4))
@example("@", "[x")
@example("m@", "M`")
@example("Z", "z")
def test_a_prefix_is_found_in_any_case(varied: tuple[Instance, list[Row]], prefix: str, text: str) -> None:
    instance, _ = varied
    instance.records.case_sensitive = False
    row = instance.records.insert("core_company", {"name": text})
    found = instance.records.count("core_company", f"sys_id={row['sys_id']}^nameSTARTSWITH{prefix}")
    assert bool(found) == text.lower().startswith(prefix.lower())


WORDS = (
    "^ ^OR ^NQ ^EQ ORDERBY JOIN RLQUERY ENDRLQUERY BETWEEN ON DATEPART DYNAMIC SAMEAS INSTANCEOF @ , ' \\ % 1 "
    "RELATIVEGT RELATIVEEE @hour@ago@ "
    "javascript:gs. daysAgo(1) dateGenerate('1','2') 9999999999999999999"
)
TOKENS = st.sampled_from([*FIELDS, *UNARY, *BINARY, *LISTS, *WORDS.split()])


@settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(max_size=40), st.lists(TOKENS, max_size=12).map("".join)))
@example("due_date>javascript:gs.daysAgo(999999999999)")
@example("due_date>javascript:gs.monthsAgo(999999)")
@example("due_dateRELATIVEEE@week@ahead@416000")
@example("state=9999999999999999999^ORstate>9999999999999999999")
@example("RLQUERYsys_user.manager,>999999999^ENDRLQUERY")
def test_no_text_at_all_is_an_error(varied: tuple[Instance, list[Row]], text: str) -> None:
    instance, rows = varied
    assert 0 <= instance.records.count("incident", text) <= len(rows)
