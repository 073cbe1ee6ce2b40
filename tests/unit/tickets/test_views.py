"""What callers and pages see of a ticket."""

from __future__ import annotations

from dataclasses import replace

from shared.tickets.views import is_dormant, record_link, state_names
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
