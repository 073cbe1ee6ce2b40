"""Creating records, finding them again, and reading changes (ServiceNow §2, §5)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import ceil

import pytest

from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.engine.rules.access import AccessRule
from sandbox.servicenow.stage.control.client import ControlClient
from shared.connections.directory import Place
from shared.connections.model import Connection, KindSettings, TicketKind
from shared.errors import (
    AccessRefused,
    AccessTokenRefused,
    QueryRefused,
    RecordHidden,
    RecordsHidden,
    ServiceNowThrottled,
    ValuesRefused,
)
from shared.tickets.kinds import KINDS
from shared.tickets.model import EventKind, Priority, Record
from shared.tickets.ports import RecordPage
from shared.tickets.reach import Reach
from shared.tickets.record_effects import delivered
from tests.contract.servicenow.conftest import USER, Registered
from tests.contract.servicenow.support import KIND_SETTINGS, new_ticket
from tests.english import told
from tests.fixtures.servicenow import ANY_TIME, WholeClient

ADMIN_ONLY = frozenset({"admin"})
TASK_REQUESTS = "GET /api/now/table/task"


@pytest.mark.parametrize("resolves_names", [False, True])
@pytest.mark.parametrize("kind", TicketKind)
async def test_the_seven_data_stand_in_the_record(
    kind: TicketKind, resolves_names: bool, client: WholeClient, connection: Connection, control: ControlClient
) -> None:
    control.set_properties({"simulator.reference.resolves_names": resolves_names})
    requester = control.create_user("ada", email="ada@contoso.example")["sys_id"]
    group = control.insert_record("sys_user_group", {"name": "Security operations"})["sys_id"]
    ticket = new_ticket(kind)
    record = await client.records.create_record(
        connection, ticket, KindSettings(assignment_group=group, category="software"), requester, send_by=ANY_TIME
    )
    table = KINDS[kind].table
    assert control.request_counts() == {f"POST /api/now/table/{table}": 1}
    assert (record.sys_id, record.correlation_id) == (ticket.ticket_id, ticket.correlation_id)
    assert record.table == table
    assert record.number.startswith({"incident": "INC", "change_request": "CHG"}[table])
    assert (record.state_label, record.active, record.mod_count) == ("New", True, 0)
    assert record.due_at == ticket.content.due_at
    assert record.assignment_group == "Security operations"
    stored = control.record(table, record.sys_id)
    assert stored["short_description"] == ticket.content.name
    assert stored["description"] == (
        "-- Microsoft 365 recommendation --\n"
        "Requested by: Ada Lovelace <ada@contoso.example>\n"
        "User id: object-id\n"
        "Portal: security\n"
        "Source: microsoft\n"
        "Category: identity\n"
        "Recommendation: AdminMFAV2\n"
        "Link: https://security.microsoft.com/securescore?viewid=actions\n"
        "\n"
        "Turn it on for all administrators.\n"
        "Then for everybody ✓"
    )
    assert stored["due_date"] == "2026-03-31 21:59:59"
    assert stored["priority"] == "2"
    assert stored["caller_id" if kind is TicketKind.INCIDENT else "requested_by"] == requester
    assert (stored["assignment_group"], stored["category"]) == (group, "software")
    assert stored["correlation_display"] == "Microsoft 365 recommendation"


async def test_a_record_that_a_rule_moves_out_of_sight(
    client: WholeClient, connection: Connection, control: ControlClient
) -> None:
    [user] = control.records("sys_user", f"user_name={USER}")
    control.move_to_domain("sys_user", user["sys_id"], control.create_domain("ACME"))
    other = control.create_domain("Service desk")
    control.add_business_rule("incident", {"sys_domain": other, "sys_domain_path": f"!!{other[:8]}/"})
    ticket = new_ticket()
    with pytest.raises(RecordHidden):
        await client.records.create_record(connection, ticket, KIND_SETTINGS, None, send_by=ANY_TIME)
    find = partial(
        client.records.find_records,
        connection,
        "incident",
        sys_id=ticket.ticket_id,
        correlation_id=ticket.correlation_id,
    )
    with pytest.raises(RecordsHidden):
        await find()
    control.set_properties({"simulator.total_count.respects_acl": True})
    assert await find() == [], "without a true count, nothing says that there is one"
    control.insert_record("sys_user_visibility", {"user": user["sys_id"], "domain": other})
    assert [each.correlation_id for each in await find()] == [ticket.correlation_id]


@pytest.mark.parametrize(("stores", "lost"), [("kept", None), ("cut", 26), ("replaced", 1)])
async def test_a_text_of_which_the_instance_keeps_less(
    stores: str, lost: int | None, client: WholeClient, connection: Connection, control: ControlClient
) -> None:
    control.set_properties({"simulator.text_beyond_bmp": stores})
    new = new_ticket()
    ticket = replace(new, content=replace(new.content, description="Turn it on 😀 for all administrators."))
    record = await client.records.create_record(connection, ticket, KIND_SETTINGS, None, send_by=ANY_TIME)
    after = delivered(ticket, record, ticket.created_at)
    told = [event.details for event in after.timeline if event.kind is EventKind.SHORTENED]
    assert told == ([] if lost is None else [{"description": str(lost)}])
    stored = control.record("incident", record.sys_id)["description"]
    assert stored.startswith("-- Microsoft 365 recommendation --\nRequested by: Ada Lovelace")
    assert "Link: https://security.microsoft.com/" in stored
    found = await client.records.find_records(
        connection, "incident", sys_id=ticket.ticket_id, correlation_id=ticket.correlation_id
    )
    assert delivered(ticket, found[0], ticket.created_at).timeline == after.timeline


@pytest.mark.parametrize("kind", TicketKind)
@pytest.mark.parametrize(("priority", "number"), list(zip(Priority, "12345", strict=True)))
async def test_every_priority(
    kind: TicketKind, priority: Priority, number: str, client: WholeClient, connection: Connection
) -> None:
    record = await client.records.create_record(
        connection, new_ticket(kind, priority), KIND_SETTINGS, None, send_by=ANY_TIME
    )
    assert record.priority == number


@pytest.mark.usefixtures("either_text_comparison")
async def test_an_instance_that_replaces_our_sys_id(
    client: WholeClient, connection: Connection, control: ControlClient
) -> None:
    control.set_properties({"glide.rest.table_api.admin_only_sys_fields": True})
    ticket = new_ticket()
    record = await client.records.create_record(connection, ticket, KIND_SETTINGS, None, send_by=ANY_TIME)
    assert record.sys_id != ticket.ticket_id
    found = await client.records.find_records(
        connection, "incident", sys_id=ticket.ticket_id, correlation_id=ticket.correlation_id
    )
    assert found == [record]


async def test_the_same_ticket_twice_is_refused(client: WholeClient, connection: Connection) -> None:
    ticket = new_ticket()
    record = await client.records.create_record(connection, ticket, KIND_SETTINGS, None, send_by=ANY_TIME)
    with pytest.raises(AccessRefused) as caught:
        await client.records.create_record(connection, ticket, KIND_SETTINGS, None, send_by=ANY_TIME)
    assert caught.value.code == "servicenow_access_refused"
    found = await client.records.find_records(
        connection, "incident", sys_id=ticket.ticket_id, correlation_id=ticket.correlation_id
    )
    assert found == [record]


@pytest.mark.usefixtures("either_text_comparison")
async def test_find_reports_doubled_records_oldest_first(
    client: WholeClient, connection: Connection, control: ControlClient
) -> None:
    ticket = new_ticket()
    await client.records.create_record(connection, ticket, KIND_SETTINGS, None, send_by=ANY_TIME)
    control.advance_clock(5)
    twin = control.insert_record("incident", {"correlation_id": ticket.correlation_id})
    found = await client.records.find_records(
        connection, "incident", sys_id=ticket.ticket_id, correlation_id=ticket.correlation_id
    )
    assert [record.sys_id for record in found] == [ticket.ticket_id, twin["sys_id"]]


async def test_times_do_not_depend_on_the_callers_zone_and_format(
    client: WholeClient, connection: Connection, control: ControlClient
) -> None:
    control.change_user(USER, time_zone="Pacific/Auckland", date_format="dd/MM/yyyy", time_format="hh:mm:ss a")
    ticket = new_ticket()
    record = await client.records.create_record(connection, ticket, KIND_SETTINGS, None, send_by=ANY_TIME)
    assert record.due_at == ticket.content.due_at
    assert record.updated_at_text == control.record("incident", record.sys_id)["sys_updated_on"]


async def test_an_own_state_shows_its_own_label(
    client: WholeClient, connection: Connection, control: ControlClient
) -> None:
    control.add_choice("incident", "state", "42", "Waiting for the vendor")
    ticket = new_ticket()
    await client.records.create_record(connection, ticket, KIND_SETTINGS, None, send_by=ANY_TIME)
    control.change_record("incident", ticket.ticket_id, {"state": "42"})
    (record,) = await client.records.list_by_sys_id(connection, [ticket.ticket_id])
    assert (record.state, record.state_label) == ("42", "Waiting for the vendor")
    control.change_record("incident", ticket.ticket_id, {"state": "2"})
    control.change_record("incident", ticket.ticket_id, {"state": "43"})
    (record,) = await client.records.list_by_sys_id(connection, [ticket.ticket_id])
    assert (record.state, record.state_label) == ("43", None)


async def test_a_business_rule_refuses(client: WholeClient, connection: Connection, control: ControlClient) -> None:
    control.insert_record(
        "sys_script",
        {
            "name": "No tickets on Friday",
            "collection": "incident",
            "active": "true",
            "abort_action": "true",
            "action_insert": "true",
            "filter_condition": "",
        },
    )
    with pytest.raises(ValuesRefused) as caught:
        await client.records.create_record(connection, new_ticket(), KIND_SETTINGS, None, send_by=ANY_TIME)
    assert caught.value.code == "business_rule_refused"
    assert "No tickets on Friday" in told(caught.value)


async def test_rights_are_refused(client: WholeClient, connection: Connection, control: ControlClient) -> None:
    control.change_user(USER, roles=[])
    with pytest.raises(AccessRefused) as caught:
        await client.records.create_record(connection, new_ticket(), KIND_SETTINGS, None, send_by=ANY_TIME)
    assert caught.value.code == "insufficient_rights"


async def test_the_api_as_a_whole_is_refused(
    client: WholeClient, connection: Connection, control: ControlClient
) -> None:
    control.set_properties({"simulator.rest_endpoint_acl.active": True})
    with pytest.raises(AccessRefused) as caught:
        await client.records.list_by_sys_id(connection, ["1" * 32])
    assert caught.value.code == "insufficient_rights"


async def test_an_access_scope_is_missing(
    client: WholeClient, connection: Connection, registered: Registered, control: ControlClient
) -> None:
    control.change_oauth_client(registered.connection.client_id, scope_restriction_status="restricted")
    with pytest.raises(AccessRefused) as caught:
        await client.records.create_record(connection, new_ticket(), KIND_SETTINGS, None, send_by=ANY_TIME)
    assert caught.value.code == "access_scope_missing"


async def test_a_rate_limit_says_how_long(client: WholeClient, connection: Connection, control: ControlClient) -> None:
    control.set_fault("rate_limited", retry_after_s=1200)
    with pytest.raises(ServiceNowThrottled) as caught:
        await client.records.create_record(connection, new_ticket(), KIND_SETTINGS, None, send_by=ANY_TIME)
    assert caught.value.retry_after_s == 1200


async def test_a_dead_token(client: WholeClient, connection: Connection, control: ControlClient) -> None:
    control.revoke_tokens()
    with pytest.raises(AccessTokenRefused):
        await client.records.create_record(connection, new_ticket(), KIND_SETTINGS, None, send_by=ANY_TIME)
    assert control.records("incident", "correlation_idSTARTSWITHm365:") == []


# Changes


async def everything(
    client: WholeClient, connection: Connection, page_size: int, *, counted: bool = True
) -> list[Record]:
    """Read the changes page by page, as the synchronisation does."""
    found: list[Record] = []
    place: Place | None = Place()
    while place is not None:
        page = await client.records.list_changes(
            connection, since=None, inclusive=True, until=None, place=place, reach=Reach(page_size, counted)
        )
        assert page.next != place, "the reading would never get on"
        found += page.records
        place = page.next
    return found


def places(records: list[Record]) -> list[tuple[str, str]]:
    return [(record.updated_at_text, record.sys_id) for record in records]


def prepare(control: ControlClient, *counts: int) -> None:
    """Create a number of records in each of several seconds, and foreign ones among them."""
    for number, count in enumerate(counts):
        control.bulk_insert("incident", count, {"state": "2"}, correlation_prefix=f"m365:{number}-")
        control.bulk_insert("change_request", 3, {}, correlation_prefix=f"other:{number}-")
        control.advance_clock(1)


@pytest.mark.usefixtures("either_text_comparison")
@pytest.mark.parametrize("counts", [(0,), (1,), (20,), (21,), (7, 33, 1, 20)])
async def test_changes_in_as_few_requests_as_there_are_pages(
    counts: tuple[int, ...], client: WholeClient, connection: Connection, control: ControlClient
) -> None:
    control.stop_clock()
    prepare(control, *counts)
    found = await everything(client, connection, 20)
    assert len(found) == sum(counts)
    assert places(found) == sorted(set(places(found)))
    assert control.request_counts()[TASK_REQUESTS] == max(1, ceil(sum(counts) / 20))


@pytest.mark.usefixtures("either_text_comparison")
async def test_changes_since(client: WholeClient, connection: Connection, control: ControlClient) -> None:
    control.stop_clock()
    prepare(control, 2, 3, 4)
    seconds = sorted({record.updated_at_text for record in await everything(client, connection, 20)})
    read = partial(client.records.list_changes, connection, until=None, place=Place(), reach=Reach(20))
    after = await read(since=seconds[1], inclusive=False)
    assert [record.updated_at_text for record in after.records] == [seconds[2]] * 4
    upward = await read(since=seconds[1], inclusive=True)
    assert len(upward.records) == 7
    below = await read(since=seconds[0], inclusive=True, until=seconds[2])
    assert len(below.records) == 5
    assert await read(since=seconds[2], inclusive=False) == RecordPage([], None)


async def test_records_of_every_class(client: WholeClient, connection: Connection, control: ControlClient) -> None:
    incident, change = new_ticket(), new_ticket(TicketKind.CHANGE)
    for ticket in (incident, change):
        await client.records.create_record(connection, ticket, KIND_SETTINGS, None, send_by=ANY_TIME)
    control.move_record("incident", incident.ticket_id, "problem")
    found = {record.sys_id: record for record in await everything(client, connection, 20)}
    assert found[incident.ticket_id].table == "problem"
    assert found[change.ticket_id].table == "change_request"
    assert found[change.ticket_id].state_label == "New"


@pytest.mark.usefixtures("either_text_comparison")
@pytest.mark.parametrize("hidden", [range(10, 20), range(45), range(40, 60), range(60)])
async def test_hidden_records_hide_no_others(
    hidden: range, client: WholeClient, connection: Connection, control: ControlClient
) -> None:
    control.stop_clock()
    prepare(control, 30, 30)
    everyone = await everything(client, connection, 20)
    for number in hidden:
        control.hide_record("incident", everyone[number].sys_id)
    visible = {record.sys_id for number, record in enumerate(everyone) if number not in hidden}
    found = await everything(client, connection, 20)
    assert {record.sys_id for record in found} == visible


async def test_an_empty_page_although_there_are_rows(
    client: WholeClient, connection: Connection, control: ControlClient
) -> None:
    control.stop_clock()
    prepare(control, 30)
    control.set_fault("empty_page", path="/table/task$")
    with_hole = await everything(client, connection, 20)
    assert len(with_hole) == 12, (
        "a hidden page is skipped except for a tenth of it, and the records behind it are found"
    )


async def test_pages_of_hidden_rows_come_to_an_end(
    client: WholeClient, connection: Connection, control: ControlClient
) -> None:
    prepare(control, 30)
    control.set_fault("empty_page", path="/table/task$", remaining=None)
    assert await everything(client, connection, 1) == []
    assert control.request_counts()[TASK_REQUESTS] <= 30


@pytest.mark.usefixtures("either_text_comparison")
async def test_without_a_count_only_an_empty_page_is_the_end(
    client: WholeClient, connection: Connection, control: ControlClient
) -> None:
    control.stop_clock()
    prepare(control, 20, 20)
    everyone = await everything(client, connection, 100)
    control.hide_record("incident", everyone[5].sys_id)
    control.clear_requests()
    found = await everything(client, connection, 20, counted=False)
    assert {record.sys_id for record in found} == {record.sys_id for record in everyone if record is not everyone[5]}
    assert control.request_counts()[TASK_REQUESTS] <= 4


@pytest.mark.usefixtures("either_text_comparison")
async def test_correlation_ids_of_others_hold_nothing_up(
    client: WholeClient, connection: Connection, control: ControlClient
) -> None:
    """Ids in capitals, which most instances take for ours, and many in a row that no query can name."""
    control.stop_clock()
    tickets = [new_ticket() for _ in range(3)]
    for ticket in tickets:
        await client.records.create_record(connection, ticket, KIND_SETTINGS, None, send_by=ANY_TIME)
    for foreign in ("M365:LEGACY", "m365:_x", "M365:a", *(f"m365:0^{number}" for number in range(12)), "m365:f,g"):
        control.insert_record("incident", {"correlation_id": foreign})
    ours = {ticket.correlation_id for ticket in tickets}
    by_time = await everything(client, connection, 5)
    assert ours <= {record.correlation_id for record in by_time}
    place: Place | None = Place()
    found: list[str | None] = []
    while place is not None:
        page = await client.records.list_by_correlation(connection, until=None, place=place, reach=Reach(5))
        found += [record.correlation_id for record in page.records]
        place = page.next
    assert [each for each in found if each in ours] == sorted(ours)


async def test_an_instance_that_forbids_the_query(
    client: WholeClient, connection: Connection, instance: Instance
) -> None:
    ticket = new_ticket()
    record = await client.records.create_record(connection, ticket, KIND_SETTINGS, None, send_by=ANY_TIME)
    instance.access.add(AccessRule("task", "query_range", ADMIN_ONLY, field="sys_updated_on"))
    with pytest.raises(AccessRefused) as caught:
        await everything(client, connection, 20)
    assert isinstance(caught.value, QueryRefused)
    (seen,) = await client.records.list_by_sys_id(connection, [ticket.ticket_id])
    assert seen == record


async def test_an_instance_that_answers_invalid_queries_with_nothing(
    client: WholeClient, connection: Connection, control: ControlClient
) -> None:
    control.set_properties({"glide.invalid_query.returns_no_rows": True})
    ticket = new_ticket()
    record = await client.records.create_record(connection, ticket, KIND_SETTINGS, None, send_by=ANY_TIME)
    assert await everything(client, connection, 20) == [record]
    assert await client.records.list_by_sys_id(connection, [ticket.ticket_id]) == [record]
    assert await client.records.find_records(
        connection, "incident", sys_id=ticket.ticket_id, correlation_id=ticket.correlation_id
    ) == [record]


async def test_fields_that_may_not_be_read(
    client: WholeClient, connection: Connection, instance: Instance, control: ControlClient
) -> None:
    for field in ("number", "due_date", "assigned_to", "priority"):
        instance.access.add(AccessRule("task", "read", ADMIN_ONLY, field=field))
    for mode in ("omitted", "empty"):
        control.set_properties({"simulator.unreadable_field": mode})
        ticket = new_ticket()
        record = await client.records.create_record(connection, ticket, KIND_SETTINGS, None, send_by=ANY_TIME)
        assert (record.sys_id, record.number, record.due_at, record.priority) == (ticket.ticket_id, "", None, None)


@pytest.mark.usefixtures("either_text_comparison")
async def test_walking_by_correlation_id(client: WholeClient, connection: Connection, control: ControlClient) -> None:
    prepare(control, 25, 25)
    twin = control.records("incident", "correlation_idSTARTSWITHm365:0-", limit=1)[0]["correlation_id"]
    control.insert_record("incident", {"correlation_id": twin})
    found: list[tuple[str, str]] = []
    place: Place | None = Place()
    while place is not None:
        page = await client.records.list_by_correlation(connection, until=None, place=place, reach=Reach(10))
        found += [(record.correlation_id or "", record.sys_id) for record in page.records]
        place = page.next
    assert len(found) == 51
    assert found == sorted(set(found))
    assert sum(correlation_id == twin for correlation_id, _ in found) == 2
    assert control.request_counts()[TASK_REQUESTS] == 6


async def test_many_by_sys_id(client: WholeClient, connection: Connection, control: ControlClient) -> None:
    prepare(control, 150)
    sys_ids = [record.sys_id for record in await everything(client, connection, 500)]
    control.clear_requests()
    seen = await client.records.list_by_sys_id(connection, [*sys_ids, "0" * 32])
    assert {record.sys_id for record in seen} == set(sys_ids)
    assert control.request_counts()[TASK_REQUESTS] == 2
