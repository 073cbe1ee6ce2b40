from __future__ import annotations

from shared.connections.options import Choice
from shared.tickets.model import Ticket
from shared.tickets.updates.record_details import RecordDetails
from shared.tickets.views import TicketView, ticket_view
from shared.triggers.shown_tickets import Assigned, assigned_rows
from tests.english import ENGLISH
from tests.memory.clock import START
from tests.unit.tickets.examples import a_connection, delivered_ticket, new_ticket

GROUP, ITEM, OTHER = "a" * 32, "b" * 32, "c" * 32


def view(ticket: Ticket) -> TicketView:
    return ticket_view(ticket, a_connection(), START, ENGLISH)


def test_a_ticket_that_waits_shows_what_was_asked_for() -> None:
    shown = view(new_ticket(START, assignment_group=GROUP))
    assert assigned_rows(shown, None) == [Assigned("assignment_group", None, GROUP)]


def test_what_servicenow_has_is_shown_by_its_name_and_beside_it_what_was_asked_for_if_that_differs() -> None:
    ticket = delivered_ticket(START, assignment_group=GROUP, configuration_item=ITEM)
    record = RecordDetails(assigned={"assignment_group": Choice(GROUP, "Network"), "cmdb_ci": Choice(OTHER, "Shop")})
    assert assigned_rows(view(ticket), record) == [
        Assigned("assignment_group", "Network", None),
        Assigned("configuration_item", "Shop", ITEM),
    ]


def test_without_the_record_the_last_known_names_are_shown() -> None:
    ticket = delivered_ticket(START, record={"assignment_group": "Network", "assigned_to": "Ada"})
    assert assigned_rows(view(ticket), None) == [
        Assigned("assignment_group", "Network", None),
        Assigned("assigned_to", "Ada", None),
    ]
