from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.connections.fixed_fields import FixedField
from shared.connections.model import KindSettings, TicketKind
from shared.servicenow.fields import date_time_of, date_time_text, record_fields
from shared.tickets.model import Priority
from tests.unit.servicenow.support import TICKET_ID, ticket

PRIORITY_MATRIX = {
    ("1", "1"): 1, ("1", "2"): 2, ("1", "3"): 3,
    ("2", "1"): 2, ("2", "2"): 3, ("2", "3"): 4,
    ("3", "1"): 3, ("3", "2"): 4, ("3", "3"): 5,
}  # fmt: skip
"""Impact and urgency to priority, as ServiceNow looks it up (ServiceNow §5.5)."""


def test_incident() -> None:
    fields = record_fields(ticket(), KindSettings(assignment_group="a" * 32, category="software"), "b" * 32)
    description = fields.pop("description")
    assert description.endswith("\n\ncanary-ticket-description")
    assert fields == {
        "sys_id": TICKET_ID,
        "correlation_id": f"m365:{TICKET_ID}",
        "correlation_display": "Microsoft 365 recommendation",
        "short_description": "canary-ticket-name",
        "due_date": "2026-03-31 21:59:59",
        "impact": "2",
        "urgency": "1",
        "caller_id": "b" * 32,
        "assignment_group": "a" * 32,
        "category": "software",
    }


def test_change_request() -> None:
    fields = record_fields(ticket(kind=TicketKind.CHANGE, due_at=None), KindSettings(), "b" * 32)
    assert fields["priority"] == "2"
    assert fields["requested_by"] == "b" * 32
    assert not {"impact", "urgency", "caller_id", "due_date", "assignment_group", "category"} & set(fields)


@pytest.mark.parametrize("kind", TicketKind)
def test_company(kind: TicketKind) -> None:
    assert record_fields(ticket(kind=kind, company="c" * 32), KindSettings(), None)["company"] == "c" * 32
    assert "company" not in record_fields(ticket(kind=kind), KindSettings(), None)


def test_unknown_requester() -> None:
    for kind in TicketKind:
        assert not {"caller_id", "requested_by"} & set(record_fields(ticket(kind=kind), KindSettings(), None))


@pytest.mark.parametrize(("priority", "number"), list(zip(Priority, range(1, 6), strict=True)))
def test_priority(priority: Priority, number: int) -> None:
    incident = record_fields(ticket(priority=priority), KindSettings(), None)
    assert PRIORITY_MATRIX[incident["impact"], incident["urgency"]] == number
    change = record_fields(ticket(priority=priority, kind=TicketKind.CHANGE), KindSettings(), None)
    assert change["priority"] == str(number)


@given(
    st.datetimes(
        min_value=datetime(1970, 1, 2),  # noqa: DTZ001 - the strategy adds the zone
        max_value=datetime(9998, 1, 1),  # noqa: DTZ001
        timezones=st.integers(-14, 14).map(lambda hours: timezone(timedelta(hours=hours))),
    )
)
def test_date_times_are_utc_to_the_second(at: datetime) -> None:
    text = date_time_text(at)
    assert len(text) == len("YYYY-MM-DD HH:MM:SS")
    assert date_time_of(text) == at.astimezone(UTC).replace(microsecond=0)


@pytest.mark.parametrize("text", ["", "31/03/2026 23:59:59", "tomorrow", "0001-01-01 00:00:00"])
def test_what_is_no_date_time(text: str) -> None:
    assert date_time_of(text) is None


@pytest.mark.parametrize(("kind", "field"), [(TicketKind.INCIDENT, "caller_id"), (TicketKind.CHANGE, "requested_by")])
def test_the_default_caller_stands_in_for_a_requester_who_is_not_found(kind: TicketKind, field: str) -> None:
    settings = KindSettings(default_caller="d" * 32)
    assert record_fields(ticket(kind=kind), settings, None)[field] == "d" * 32
    assert record_fields(ticket(kind=kind), settings, "b" * 32)[field] == "b" * 32


@pytest.mark.parametrize("kind", TicketKind)
def test_what_was_chosen_for_the_ticket_wins_over_the_settings_of_its_kind(kind: TicketKind) -> None:
    settings = KindSettings(assignment_group="a" * 32, fixed_fields=(FixedField("cmdb_ci", "b" * 32),))
    usual = record_fields(ticket(kind=kind), settings, None)
    assert (usual["assignment_group"], usual["cmdb_ci"]) == ("a" * 32, "b" * 32)
    chosen = ticket(kind=kind, assignment_group="c" * 32, configuration_item="d" * 32, assigned_to="e" * 32)
    fields = record_fields(chosen, settings, None)
    assert (fields["assignment_group"], fields["cmdb_ci"], fields["assigned_to"]) == ("c" * 32, "d" * 32, "e" * 32)
