from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from math import ceil

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.connections.directory import Place
from shared.connections.model import TicketKind
from shared.errors import AccessRefused, OutcomeUnknown, QueryRefused, RecordHidden
from shared.outbound.bodies import ANSWER_LIMIT
from shared.outbound.transport import Transport
from shared.servicenow.records import FIELDS, TEXTS
from shared.tickets.model import Record
from shared.tickets.ports import RecordPage
from shared.tickets.reach import Reach
from shared.tickets.sync import PAGE_SIZE
from tests.fixtures.servicenow import ANY_TIME, WholeClient
from tests.unit.outbound.support import Answering
from tests.unit.servicenow.support import (
    CONNECTION,
    KIND_SETTINGS,
    TICKET_ID,
    Reply,
    cell,
    error_reply,
    instance,
    json_reply,
    raw_reply,
    record_cells,
    ticket,
)


def rows(*cells: dict[str, dict[str, str]], total: int | None = None) -> Reply:
    return json_reply({"result": list(cells)}, 200, {} if total is None else {"X-Total-Count": str(total)})


async def test_create_asks_for_everything_at_once() -> None:
    peer = instance(json_reply({"result": record_cells()}, 201))
    record = await peer.client().records.create_record(
        CONNECTION, ticket(kind=TicketKind.CHANGE), KIND_SETTINGS, "b" * 32, send_by=ANY_TIME
    )
    request = peer.requests[0]
    assert (request.method, request.url.path) == ("POST", "/api/now/table/change_request")
    assert request.headers["content-type"] == "application/json"
    assert peer.parameters() == {
        "sysparm_fields": ",".join((*FIELDS, *TEXTS)),
        "sysparm_display_value": "all",
        "sysparm_exclude_reference_link": "true",
    }
    sent = json.loads(request.content)
    assert sent["sys_id"] == TICKET_ID
    assert sent["requested_by"] == "b" * 32
    assert record == Record(
        sys_id=f"{1:032x}",
        table="incident",
        number="INC0000001",
        state="2",
        active=True,
        updated_at_text="2026-03-01 10:00:00",
        mod_count=3,
        state_label="In Progress",
        priority="2",
        assigned_to="Beth Anglin",
        assignment_group=None,
        due_at=datetime(2026, 3, 31, 21, 59, 59, tzinfo=UTC),
        correlation_id=f"m365:{1:032x}",
    )


async def test_a_missing_key_reads_like_an_empty_one() -> None:
    for row in (
        {"sys_id": cell("1" * 32)},
        {name: "" if name != "sys_id" else cell("1" * 32) for name in FIELDS},
        {name: None if name != "sys_id" else cell("1" * 32) for name in FIELDS},
    ):
        client = instance(json_reply({"result": row}, 201)).client()
        assert await client.records.create_record(
            CONNECTION, ticket(), KIND_SETTINGS, None, send_by=ANY_TIME
        ) == Record(
            sys_id="1" * 32, table="incident", number="", state="", active=True, updated_at_text="", mod_count=0
        )


@pytest.mark.parametrize(("status", "error"), [(200, OutcomeUnknown), (201, RecordHidden)])
async def test_an_answer_that_names_no_record(status: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        await (
            instance(json_reply({"result": {}}, status))
            .client()
            .records.create_record(CONNECTION, ticket(), KIND_SETTINGS, None, send_by=ANY_TIME)
        )


@pytest.mark.parametrize(
    ("state", "label", "expected"),
    [
        ("2", "In Bearbeitung", "In Bearbeitung"),
        ("2", "", "In Progress"),
        ("2", "2", "In Progress"),
        ("42", "42", None),
    ],
)
async def test_state_labels(state: str, label: str, expected: str | None) -> None:
    row = {**record_cells(), "state": cell(state, label)}
    client = instance(rows(row)).client()
    assert (await client.records.list_by_sys_id(CONNECTION, [f"{1:032x}"]))[0].state_label == expected


async def test_an_inactive_record() -> None:
    client = instance(rows(record_cells(active="false"))).client()
    assert not (await client.records.list_by_sys_id(CONNECTION, [f"{1:032x}"]))[0].active


SOUGHT = f"{1:032x}"
NOT_READABLE = error_reply(403, "User Not Authorized", "User is unauthorized to access table: task")
CLOSED = raw_reply(b"<html>", 403)


async def find(*replies: Reply) -> tuple[list[str], list[str]]:
    """Look up a ticket; return the found records, and the queried tables."""
    peer = instance(*replies)
    try:
        found = await peer.client().records.find_records(CONNECTION, "incident", sys_id=SOUGHT, correlation_id="m365:x")
        outcome = [record.sys_id for record in found]
    except AccessRefused as error:
        outcome = [error.code]
    return outcome, [request.url.path.rpartition("/")[2] for request in peer.requests]


async def test_find_asks_for_both_in_one_request() -> None:
    by_sys_id, by_correlation = record_cells(1), record_cells(2, correlation_id="m365:x")
    peer = instance(rows(by_sys_id, by_correlation, total=2))
    found = await peer.client().records.find_records(CONNECTION, "incident", sys_id=SOUGHT, correlation_id="m365:x")
    assert [record.sys_id for record in found] == [SOUGHT, f"{2:032x}"]
    assert peer.requests[0].url.path == "/api/now/table/task"
    assert peer.query() == f"sys_id={SOUGHT}^NQcorrelation_id=m365:x^ORDERBYsys_created_on^ORDERBYsys_id"
    assert len(peer.requests) == 1


async def test_find_takes_the_kinds_class_for_one_that_is_hidden() -> None:
    peer = instance(rows(record_cells(1, sys_class_name=""), total=1))
    [found] = await peer.client().records.find_records(CONNECTION, "incident", sys_id=SOUGHT, correlation_id="m365:x")
    assert found.table == "incident"


@pytest.mark.parametrize(
    ("replies", "outcome", "asked"),
    [
        ([rows(total=0)], [], ["task"]),
        ([rows(record_cells(1), total=1)], [SOUGHT], ["task"]),
        ([NOT_READABLE, rows(record_cells(1), total=1)], [SOUGHT], ["task", "incident"]),
        ([NOT_READABLE, rows(total=0)], [], ["task", "incident"]),
        ([NOT_READABLE, rows(total=1)], ["records_not_visible"], ["task", "incident"]),
        ([NOT_READABLE, NOT_READABLE], ["insufficient_rights"], ["task", "incident"]),
        ([rows(total=1), rows(record_cells(1), total=1)], [SOUGHT], ["task", "incident"]),
        ([rows(total=1), rows(total=0)], ["records_not_visible"], ["task", "incident"]),
        ([rows(total=1), NOT_READABLE], ["records_not_visible"], ["task", "incident"]),
        ([rows(), rows(record_cells(1))], [SOUGHT], ["task", "incident"]),
        ([rows(), rows()], [], ["task", "incident"]),
        ([rows(record_cells(7, correlation_id="M365:X"), total=1)], [], ["task"]),
        ([rows(record_cells(7, correlation_id="M365:X"), total=2), rows(total=0)], ["records_not_visible"], None),
        ([CLOSED], ["ip_address_blocked"], ["task"]),
        ([NOT_READABLE, CLOSED], ["ip_address_blocked"], ["task", "incident"]),
    ],
)
async def test_a_hidden_record_is_distinguished_from_a_missing_one(
    replies: list[Reply], outcome: list[str], asked: list[str] | None
) -> None:
    found, tables = await find(*replies)
    assert found == outcome
    assert asked is None or tables == asked


async def test_a_look_up_whose_count_is_too_dear_goes_without() -> None:
    quota = error_reply(500, "Transaction cancelled: maximum execution time exceeded", None)
    peer = instance(quota, rows(record_cells(1)))
    [found] = await peer.client().records.find_records(CONNECTION, "incident", sys_id=SOUGHT, correlation_id="m365:x")
    assert found.sys_id == SOUGHT
    assert ["sysparm_no_count" in request.url.params for request in peer.requests] == [False, True]


async def test_a_look_up_that_was_not_honoured_is_not_taken_for_an_answer() -> None:
    """If a dropped condition were taken for "does not exist", the ticket would be written twice."""
    client = instance(rows(record_cells(7))).client()
    with pytest.raises(QueryRefused):
        await client.records.find_records(CONNECTION, "incident", sys_id="1" * 32, correlation_id="m365:x")


async def test_list_by_sys_id_in_chunks_that_fit_an_address() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        wanted = request.url.params["sysparm_query"].removeprefix("sys_idIN").split(",")
        assert int(request.url.params["sysparm_limit"]) >= len(wanted)
        return httpx.Response(200, json={"result": [record_cells(int(sys_id, 16)) for sys_id in wanted[:-1]]})

    peer = instance(answer)
    sys_ids = [f"{number:032x}" for number in range(250)]
    found = await peer.client().records.list_by_sys_id(CONNECTION, [*sys_ids, *sys_ids])
    assert [record.sys_id for record in found] == [
        sys_id for number, sys_id in enumerate(sys_ids) if number not in {99, 199, 249}
    ]
    assert len(peer.requests) == 3
    assert all(len(str(request.url)) < 4300 for request in peer.requests)
    assert all(request.url.path == "/api/now/table/task" for request in peer.requests)


async def test_list_by_sys_id_of_nothing_asks_nothing() -> None:
    peer = instance()
    assert await peer.client().records.list_by_sys_id(CONNECTION, []) == []
    assert not peer.requests


async def test_changes_are_asked_of_the_parent_table() -> None:
    peer = instance(rows(total=0))
    page = await peer.client().records.list_changes(
        CONNECTION, since="2026-03-01 10:00:00", inclusive=False, until=None, place=Place(), reach=Reach(100)
    )
    assert page == RecordPage([], None)
    assert peer.requests[0].url.path == "/api/now/table/task"
    assert peer.parameters() == {
        "sysparm_query": "correlation_idSTARTSWITHm365:^sys_updated_on>2026-03-01 10:00:00"
        "^ORDERBYsys_updated_on^ORDERBYsys_id",
        "sysparm_fields": ",".join(FIELDS),
        "sysparm_limit": "101",
        "sysparm_display_value": "all",
        "sysparm_exclude_reference_link": "true",
        "sysparm_suppress_pagination_header": "true",
    }
    assert len(peer.requests) == 1


type Key = tuple[str, str]


class Table:
    """Our records in the order of one key; the limit applies before access controls, as in ServiceNow."""

    def __init__(self, places: list[tuple[Key, bool]], *, key: str, counted: bool = True) -> None:
        self.places = sorted(places)
        self.key = key
        self.counted = counted
        self.requests = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        parameters = request.url.params
        query = parameters["sysparm_query"]
        matching = self.places
        if after := re.search(rf"\^{self.key}=([^^]*)\^sys_id>([^^]*)\^NQ", query):
            assert f"^{self.key}>{after[1]}^ORDERBY{self.key}^ORDERBYsys_id" in query
            matching = [place for place in matching if place[0] > (after[1], after[2])]
        offset = int(parameters.get("sysparm_offset", 0))
        window = matching[offset : offset + int(parameters["sysparm_limit"])]
        shown = [
            {**record_cells(), "sys_id": cell(sys_id), self.key: cell(value)}
            for (value, sys_id), visible in window
            if visible
        ]
        return httpx.Response(
            200, json={"result": shown}, headers={"X-Total-Count": str(len(matching))} if self.counted else {}
        )

    async def walk(self, page_size: int) -> list[Key]:
        client = WholeClient(Transport(network=Answering(self)))
        found: list[Key] = []
        place: Place | None = Place()
        while place is not None:
            if self.key == "sys_updated_on":
                page = await client.records.list_changes(
                    CONNECTION,
                    since=None,
                    inclusive=True,
                    until=None,
                    place=place,
                    reach=Reach(page_size, self.counted),
                )
                found += [(record.updated_at_text, record.sys_id) for record in page.records]
            else:
                page = await client.records.list_by_correlation(
                    CONNECTION, until=None, place=place, reach=Reach(page_size, self.counted)
                )
                found += [(record.correlation_id or "", record.sys_id) for record in page.records]
            assert len(page.records) <= page_size
            assert page.next != place, "the reading would never get on"
            place = page.next
        return found


SECONDS = st.integers(0, 3).map("2026-03-01 10:00:0{}".format)
CORRELATIONS = st.integers(0, 3).map("m365:{}".format)
SYS_IDS = st.integers(0, 40).map("{:032x}".format)


@pytest.mark.parametrize("counted", [True, False])
@given(places=st.sets(st.tuples(SECONDS, SYS_IDS), max_size=40), page_size=st.integers(1, 12))
async def test_n_changes_need_n_by_page_size_requests(places: set[Key], page_size: int, counted: bool) -> None:
    table = Table([(place, True) for place in places], key="sys_updated_on", counted=counted)
    assert await table.walk(page_size) == sorted(places)
    # Without a count, only an empty page is certainly the last.
    assert table.requests == (max(1, ceil(len(places) / page_size)) if counted else ceil(len(places) / page_size) + 1)


@given(
    places=st.dictionaries(st.tuples(SECONDS, SYS_IDS), st.booleans(), max_size=40),
    page_size=st.integers(3, 12),
)
async def test_hidden_rows_hide_no_others(places: dict[Key, bool], page_size: int) -> None:
    table = Table(list(places.items()), key="sys_updated_on")
    assert await table.walk(page_size) == sorted(place for place, visible in places.items() if visible)


@given(
    places=st.dictionaries(st.tuples(CORRELATIONS, SYS_IDS), st.booleans(), max_size=40),
    page_size=st.integers(3, 12),
)
async def test_walking_by_correlation_id(places: dict[Key, bool], page_size: int) -> None:
    table = Table(list(places.items()), key="correlation_id")
    assert await table.walk(page_size) == sorted(place for place, visible in places.items() if visible)


LATER = "2026-03-01 10:00:01"


@pytest.mark.parametrize(
    "page",
    [
        [record_cells(1)],
        [record_cells(2)],
        [record_cells(3, sys_updated_on="2026-03-01 09:00:00")],
        [record_cells(3, sys_updated_on=LATER), record_cells(4)],
        [record_cells(3, correlation_id="other:1")],
    ],
    ids=["before the place", "at the place", "an earlier second", "not in order", "not ours"],
)
async def test_a_page_that_does_not_answer_the_query_is_refused(page: list[dict[str, dict[str, str]]]) -> None:
    """ServiceNow silently drops conditions; going on would loop for ever or miss rows."""
    after = ("2026-03-01 10:00:00", f"{2:032x}")
    with pytest.raises(QueryRefused):
        await (
            instance(rows(*page))
            .client()
            .records.list_changes(
                CONNECTION, since=None, inclusive=True, until=None, place=Place(after), reach=Reach(10)
            )
        )


@pytest.mark.parametrize("hidden", ["sys_id", "sys_updated_on"])
async def test_fields_that_cannot_be_done_without(hidden: str) -> None:
    row = record_cells()
    del row[hidden]
    with pytest.raises(AccessRefused) as caught:
        await (
            instance(rows(row))
            .client()
            .records.list_changes(CONNECTION, since=None, inclusive=True, until=None, place=Place(), reach=Reach(10))
        )
    assert caught.value.code == "insufficient_rights"


async def test_a_record_of_another_class_keeps_its_class() -> None:
    moved = record_cells(sys_class_name="problem", state="103")
    page = (
        await instance(rows(moved))
        .client()
        .records.list_changes(CONNECTION, since=None, inclusive=True, until=None, place=Place(), reach=Reach(10))
    )
    assert (page.records[0].table, page.records[0].state_label) == ("problem", "Root Cause Analysis")


LONGEST = {
    "sys_id": (32, "x" * 32),
    "sys_class_name": (80, "漢" * 80),
    "number": (40, "x" * 40),
    "state": (3, "漢" * 40),
    "active": (5, "false"),
    "sys_updated_on": (19, "x" * 30),
    "sys_mod_count": (10, "x" * 14),
    "priority": (1, "漢" * 40),
    "assigned_to": (32, "漢" * 151),
    "assignment_group": (32, "漢" * 80),
    "due_date": (19, "x" * 30),
    "correlation_id": (100, "x" * 100),
}
"""The length of the value and of the longest label of each field of a page (ServiceNow §5.1)."""


@pytest.mark.parametrize("escaped", [False, True], ids=["UTF-8", "escaped"])
def test_the_largest_page_is_no_answer_too_large(escaped: bool) -> None:
    assert set(LONGEST) == set(FIELDS)
    row = {field: cell("x" * length, label) for field, (length, label) in LONGEST.items()}
    rows = [row] * (PAGE_SIZE + 1)
    assert len(json.dumps({"result": rows}, ensure_ascii=escaped).encode()) < ANSWER_LIMIT
