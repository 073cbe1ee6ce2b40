"""How records were closed (ServiceNow §5.4 and §5.6)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.engine.rules.access import AccessRule
from sandbox.servicenow.stage.control.client import ControlClient
from shared.connections.model import Connection, TicketKind
from shared.tickets.ports import RecordClosing
from tests.contract.servicenow.support import KIND_SETTINGS, new_ticket
from tests.fixtures.servicenow import ANY_TIME, WholeClient

ADMIN_ONLY = frozenset({"admin"})


async def test_an_incident_and_a_change_say_when_and_with_which_code(
    client: WholeClient, connection: Connection, control: ControlClient
) -> None:
    incident, change = new_ticket(), new_ticket(TicketKind.CHANGE)
    await client.records.create_record(connection, incident, KIND_SETTINGS, None, send_by=ANY_TIME)
    await client.records.create_record(connection, change, KIND_SETTINGS, None, send_by=ANY_TIME)
    resolved = {"state": "6", "close_code": "Duplicate", "resolved_at": "2026-03-02 09:30:00"}
    control.overwrite_record("incident", incident.ticket_id, resolved)
    control.overwrite_record(
        "change_request",
        change.ticket_id,
        {"state": "3", "close_code": "unsuccessful", "closed_at": "2026-03-02 10:00:00"},
    )
    [closing] = await client.records.list_closings(connection, "incident", [incident.ticket_id])
    assert (closing.close_code, closing.closed_at) == ("Duplicate", None)
    assert closing.resolved_at == datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
    [closing] = await client.records.list_closings(connection, "change_request", [change.ticket_id])
    assert (closing.close_code, closing.resolved_at) == ("unsuccessful", None)
    assert closing.closed_at == datetime(2026, 3, 2, 10, tzinfo=UTC)
    # An incident is no change: its own table has to be asked.
    assert await client.records.list_closings(connection, "change_request", [incident.ticket_id]) == []


@pytest.mark.parametrize("mode", ["omitted", "empty"])
async def test_hidden_columns_and_records(
    mode: str, client: WholeClient, connection: Connection, instance: Instance, control: ControlClient
) -> None:
    shown, hidden = new_ticket(), new_ticket()
    for ticket in (shown, hidden):
        await client.records.create_record(connection, ticket, KIND_SETTINGS, None, send_by=ANY_TIME)
        resolved = {"state": "6", "close_code": "Duplicate", "resolved_at": "2026-03-02 09:30:00"}
        control.overwrite_record("incident", ticket.ticket_id, resolved)
    control.set_properties({"simulator.unreadable_field": mode})
    for field in ("close_code", "resolved_at", "closed_at"):
        instance.access.add(AccessRule("incident", "read", ADMIN_ONLY, field=field))
        instance.access.add(AccessRule("task", "read", ADMIN_ONLY, field=field))
    control.hide_record("incident", hidden.ticket_id)
    wanted = [shown.ticket_id, hidden.ticket_id]
    assert await client.records.list_closings(connection, "incident", wanted) == [RecordClosing(shown.ticket_id)]
