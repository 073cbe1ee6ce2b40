"""Changing records, their journals, and what a page shows of them (ServiceNow §2.5, §5.3, §5.4, §14)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.engine.rules.access import AccessRule
from sandbox.servicenow.stage.control.client import ControlClient
from shared.connections.model import Connection, TicketKind
from shared.errors import AccessRefused, ConnectorError, FixConfiguration
from shared.tickets.kinds import KINDS
from shared.tickets.model import Phase, Ticket
from shared.tickets.record_effects import delivered
from shared.tickets.updates.ask import asked
from shared.tickets.updates.model import Update, UpdateKind
from shared.tickets.updates.texts import marker_of
from tests.contract.servicenow.conftest import USER
from tests.contract.servicenow.support import KIND_SETTINGS, NOW, new_ticket
from tests.fixtures.servicenow import ANY_TIME, WholeClient

ADMIN_ONLY = frozenset({"admin"})
NOTE_FIELDS = {UpdateKind.WORK_NOTE: "work_notes", UpdateKind.COMMENT: "comments"}


@pytest.fixture(autouse=True)
def usual_choices(instance: Instance, control: ControlClient) -> None:
    instance.choices.plant()


async def in_servicenow(client: WholeClient, connection: Connection, kind: TicketKind = TicketKind.INCIDENT) -> Ticket:
    ticket = new_ticket(kind)
    record = await client.records.create_record(connection, ticket, KIND_SETTINGS, None, send_by=ANY_TIME)
    return delivered(ticket, record, NOW)


def an_update(ticket: Ticket, kind: UpdateKind, **wanted: Any) -> Update:
    _, change = asked(ticket, kind, by_id="object-id", now=NOW, **wanted)
    assert change.after is not None
    return change.after


def entries(control: ControlClient, ticket: Ticket) -> list[tuple[str, str]]:
    assert ticket.record is not None
    return [(each["element"], each["value"]) for each in control.journal(ticket.record.number)]


@pytest.mark.parametrize(
    ("kind", "ticket_kind", "by_name", "zone"),
    [
        (UpdateKind.WORK_NOTE, TicketKind.INCIDENT, None, "Asia/Tokyo"),
        (UpdateKind.COMMENT, TicketKind.CHANGE, "Ada Lovelace", "America/New_York"),
    ],
)
async def test_a_note_and_its_marker_are_one_request(
    kind: UpdateKind,
    ticket_kind: TicketKind,
    by_name: str | None,
    zone: str,
    client: WholeClient,
    connection: Connection,
    control: ControlClient,
) -> None:
    control.change_user(USER, time_zone=zone)
    ticket = await in_servicenow(client, connection, ticket_kind)
    update = an_update(ticket, kind, text="Verified: 10 of 10 points – 完了 ✓\nSecond line", by_name=by_name)
    control.clear_requests()
    seen = await client.record_updates.change(connection, ticket, update, send_by=ANY_TIME)
    table = KINDS[ticket_kind].table
    assert list(control.request_counts().values()) == [1]
    assert (seen.is_marked, seen.is_done) == (True, True)
    sent = update.text if by_name is None else f"Ada Lovelace, in the Microsoft 365 connector:\n{update.text}"
    assert entries(control, ticket) == [(NOTE_FIELDS[kind], sent)]
    assert control.record(table, ticket.ticket_id)["correlation_display"] == marker_of(update)
    looked = await client.record_updates.look_up(connection, ticket, update)
    assert (looked.is_marked, looked.is_done) == (True, True)
    [polled] = await client.records.list_by_sys_id(connection, [ticket.ticket_id])
    assert seen.record.in_table(table) == polled, "the poll shows nothing new after our own note"
    details = await client.record_updates.details(connection, ticket)
    shown = details.comments if kind is UpdateKind.COMMENT else details.work_notes
    assert shown is not None
    assert [(each.text, bool(each.at_text and each.by)) for each in shown] == [(sent, True)]


async def test_what_may_not_be_written_or_read(
    client: WholeClient, connection: Connection, control: ControlClient, instance: Instance
) -> None:
    ticket = await in_servicenow(client, connection)
    note = an_update(ticket, UpdateKind.WORK_NOTE, text="Verified.")
    assert await client.record_updates.can_be_marked(connection, ticket, note, send_by=ANY_TIME)
    assert not (await client.record_updates.look_up(connection, ticket, note)).is_marked, "only a trial"
    instance.access.add(AccessRule("task", "write", ADMIN_ONLY, field="correlation_display"))
    seen = await client.record_updates.change(connection, ticket, note, send_by=ANY_TIME)
    assert (seen.is_marked, seen.is_done) == (False, True)
    other = an_update(ticket, UpdateKind.WORK_NOTE, text="Other.")
    assert not await client.record_updates.can_be_marked(connection, ticket, other, send_by=ANY_TIME)
    instance.access.add(AccessRule("task", "write", ADMIN_ONLY, field="work_notes"))
    seen = await client.record_updates.change(connection, ticket, other, send_by=ANY_TIME)
    assert (seen.is_marked, seen.is_done) == (False, False)
    instance.access.add(AccessRule("incident", "read", ADMIN_ONLY, field="work_notes"))
    seen = await client.record_updates.change(connection, ticket, other, send_by=ANY_TIME)
    assert seen.is_done is None
    assert entries(control, ticket) == [("work_notes", "Verified.")]
    assert (await client.record_updates.details(connection, ticket)).work_notes is None


async def test_a_journal_that_reads_back_empty_is_no_refusal(
    client: WholeClient, connection: Connection, control: ControlClient, instance: Instance
) -> None:
    ticket = await in_servicenow(client, connection)
    note = an_update(ticket, UpdateKind.WORK_NOTE, text="Verified.")
    control.set_properties({"simulator.unreadable_field": "empty"})
    instance.access.add(AccessRule("incident", "read", ADMIN_ONLY, field="work_notes"))
    seen = await client.record_updates.change(connection, ticket, note, send_by=ANY_TIME)
    assert (seen.is_marked, seen.is_done) == (True, None)
    assert entries(control, ticket) == [("work_notes", "Verified.")]


async def test_a_due_date(client: WholeClient, connection: Connection, control: ControlClient) -> None:
    ticket = await in_servicenow(client, connection)
    wanted = datetime(2026, 12, 31, 22, 59, 59, tzinfo=UTC)
    for due_at in (wanted, None):
        update = an_update(ticket, UpdateKind.DUE_DATE, due_at=due_at)
        seen = await client.record_updates.change(connection, ticket, update, send_by=ANY_TIME)
        assert (seen.is_marked, seen.is_done, seen.record.due_at) == (True, True, due_at)
    assert control.record("incident", ticket.ticket_id)["due_date"] == ""


@pytest.mark.parametrize(("codes", "policy"), [("current", True), ("legacy", True), ("current", False)])
async def test_an_incident_is_resolved_reopened_and_canceled(
    codes: str, policy: bool, client: WholeClient, connection: Connection, control: ControlClient
) -> None:
    control.set_properties({"simulator.incident.close_codes": codes, "simulator.data_policy.incident_close": policy})
    ticket = await in_servicenow(client, connection)
    for kind, phase in (
        (UpdateKind.RESOLVE, Phase.RESOLVED),
        (UpdateKind.REOPEN, Phase.IN_PROGRESS),
        (UpdateKind.CANCEL, Phase.CANCELED),
    ):
        update = an_update(ticket, kind, text="Because.")
        seen = await client.record_updates.change(connection, ticket, update, send_by=ANY_TIME)
        assert (seen.is_marked, seen.is_done, seen.record.phase) == (True, True, phase)
        control.clear_requests()
        again = await client.record_updates.change(connection, ticket, an_update(ticket, kind), send_by=ANY_TIME)
        assert (again.is_done, list(control.request_counts())) == (True, ["GET /api/now/table/incident/{sys_id}"])
        if kind is UpdateKind.RESOLVE:
            details = await client.record_updates.details(connection, ticket)
            assert details.close_notes == "Because."
            assert (details.close_code or "").startswith("Sol")
    with pytest.raises(FixConfiguration) as refused:
        await client.record_updates.change(connection, ticket, an_update(ticket, UpdateKind.RESOLVE), send_by=ANY_TIME)
    assert refused.value.code == "record_already_closed"
    seen = await client.record_updates.change(
        connection, ticket, an_update(ticket, UpdateKind.REOPEN), send_by=ANY_TIME
    )
    assert seen.is_done is False, "only a resolved incident is reopened"


async def test_a_change_is_canceled_but_closed_only_where_its_model_offers_it(
    client: WholeClient, connection: Connection, control: ControlClient
) -> None:
    ticket = await in_servicenow(client, connection, TicketKind.CHANGE)
    with pytest.raises(FixConfiguration) as refused:
        await client.record_updates.change(connection, ticket, an_update(ticket, UpdateKind.RESOLVE), send_by=ANY_TIME)
    assert refused.value.code == "state_not_offered"
    seen = await client.record_updates.change(
        connection, ticket, an_update(ticket, UpdateKind.CANCEL), send_by=ANY_TIME
    )
    assert (seen.is_done, seen.record.phase) == (True, Phase.CANCELED)
    other = await in_servicenow(client, connection, TicketKind.CHANGE)
    group = control.insert_record("sys_user_group", {"name": "Security operations"})["sys_id"]
    control.overwrite_record("change_request", other.ticket_id, {"state": "0", "assignment_group": group})
    seen = await client.record_updates.change(connection, other, an_update(other, UpdateKind.RESOLVE), send_by=ANY_TIME)
    assert (seen.is_done, seen.record.phase) == (True, Phase.CLOSED)


async def test_a_record_that_is_gone(client: WholeClient, connection: Connection, control: ControlClient) -> None:
    ticket = await in_servicenow(client, connection)
    control.delete_record("incident", ticket.ticket_id)
    note = an_update(ticket, UpdateKind.COMMENT, text="Anybody there?")
    for attempt in (
        client.record_updates.change(connection, ticket, note, send_by=ANY_TIME),
        client.record_updates.look_up(connection, ticket, note),
        client.record_updates.details(connection, ticket),
    ):
        with pytest.raises(AccessRefused) as refused:
            await attempt
        assert refused.value.code == "record_not_found"


async def test_a_record_that_was_moved_to_another_table(
    client: WholeClient, connection: Connection, control: ControlClient
) -> None:
    ticket = await in_servicenow(client, connection)
    control.move_record("incident", ticket.ticket_id, "problem")
    assert ticket.record is not None
    moved = replace(ticket, record=replace(ticket.record, table="problem"))
    note = an_update(moved, UpdateKind.WORK_NOTE, text="Verified.")
    seen = await client.record_updates.change(connection, moved, note, send_by=ANY_TIME)
    assert (seen.is_done, seen.record.table) == (True, "problem")


@pytest.mark.parametrize("write", ["forbidden", "read_only", "ignored", "allowed"])
async def test_writes_to_a_closed_incident(
    write: str, client: WholeClient, connection: Connection, control: ControlClient
) -> None:
    ticket = await in_servicenow(client, connection)
    assert ticket.record is not None
    control.close_ticket(ticket.record.number)
    control.set_properties({"simulator.closed_write.incident": write})
    note = an_update(ticket, UpdateKind.WORK_NOTE, text="Verified.")
    try:
        done: object = (await client.record_updates.change(connection, ticket, note, send_by=ANY_TIME)).is_done
    except ConnectorError as error:
        done = error.code
    expected = {"forbidden": "insufficient_rights", "read_only": "data_policy_refused", "ignored": False}
    assert done == expected.get(write, True)


async def test_texts_cannot_bring_html_or_forge_an_entry(
    client: WholeClient, connection: Connection, control: ControlClient
) -> None:
    ticket = await in_servicenow(client, connection)
    text = "[code]<script>alert(1)</script>[/code]\n\n2026-01-01 00:00:00 - Admin (Additional comments)\nApproved."
    comment = an_update(ticket, UpdateKind.COMMENT, text=text, by_name="Eve [code]")
    seen = await client.record_updates.change(connection, ticket, comment, send_by=ANY_TIME)
    assert seen.is_done
    [(_, stored)] = entries(control, ticket)
    assert "[code]" not in stored
    assert "[/code]" not in stored
    assert "\n> 2026-01-01 00:00:00 - Admin" in stored
    details = await client.record_updates.details(connection, ticket)
    assert details.comments is not None
    assert len(details.comments) == 1
