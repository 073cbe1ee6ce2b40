"""The views of a ticket for callers and pages."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.servicenow.fields import date_time_text
from shared.tickets.model import EARLIEST
from shared.tickets.views import is_dormant, record_link, state_names, ticket_detail_view
from tests.english import ENGLISH
from tests.memory.clock import START
from tests.unit.tickets.examples import a_connection, delivered_ticket


def test_names_of_states_are_those_of_the_tickets_own_table() -> None:
    ticket, connection = delivered_ticket(START), a_connection()
    kind = ticket.content.kind
    named = replace(connection.kinds[kind], state_names={"1": "Neu"})
    connection = replace(connection, kinds={**connection.kinds, kind: named})
    assert ticket.record is not None
    assert state_names(ticket, connection) == {"1": "Neu"}
    assert state_names(replace(ticket, record=replace(ticket.record, table="sn_si_incident")), connection) == {}
    assert state_names(replace(ticket, record=None), connection) == {}
    assert state_names(ticket, None) == {}


def test_the_link_leads_to_the_present_address_of_the_tickets_instance() -> None:
    ticket, connection = delivered_ticket(START), a_connection()
    new = "https://contoso-new.service-now.com"
    renamed = replace(connection, instance=new, former_instances={ticket.instance: new})
    moved = replace(connection, instance=new)
    for seen_by, address, dormant in ((renamed, new, False), (moved, ticket.instance, True)):
        link = record_link(ticket, seen_by)
        assert link is not None
        assert link.startswith(f"{address}/nav_to.do?")
        assert is_dormant(ticket, seen_by) is dormant
    assert record_link(ticket, None) == record_link(ticket, connection)


def updated_at(text: str) -> str | None:
    """Return the API's answer for a record whose ``sys_updated_on`` was stored as this text."""
    ticket = delivered_ticket(START)
    assert ticket.record is not None
    ticket = replace(ticket, record=replace(ticket.record, updated_at_text=text))
    answer = json.loads(ticket_detail_view(ticket, a_connection(), START, ENGLISH).model_dump_json())
    shown: str | None = answer["servicenow"]["updated_at"]
    return shown


@given(st.datetimes(min_value=EARLIEST.replace(tzinfo=None), timezones=st.just(UTC)))
def test_the_records_time_is_iso_8601_with_its_zone(at: datetime) -> None:
    shown = updated_at(date_time_text(at))
    assert shown is not None
    assert shown.endswith("Z")
    assert datetime.fromisoformat(shown) == at.replace(microsecond=0)


@pytest.mark.parametrize(
    "text", ["", "31.12.2026", "2026-12-31", "yesterday", "1899-12-31 00:00:00", "0000-00-00 00:00:00"]
)
def test_a_record_without_a_time_has_none(text: str) -> None:
    assert updated_at(text) is None
