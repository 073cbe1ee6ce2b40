"""What messages are made of."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from shared.connections.model import Connection, ConnectionStatus, Portal, TicketKind
from shared.reminders.contents import MOST_TICKETS, NAME_MAX_LENGTH, most_urgent, urgent
from shared.reminders.links import Links
from shared.reminders.model import Cause, CauseLine, Figures, Why
from shared.reminders.views import said
from shared.tickets.listed import ListedTicket
from shared.tickets.lists import Show
from shared.tickets.model import Delivery, Phase, Priority
from shared.tickets.outcomes import Outcome
from shared.triggers.links import list_address

NOW = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)
DAY = timedelta(days=1)
CONNECTION = Connection("contoso", "Contoso", "https://contoso.service-now.com", "id", "m365", language="ja")
OPEN = ListedTicket(
    "0" * 32,
    "contoso",
    "https://contoso.service-now.com",
    TicketKind.INCIDENT,
    Portal.SECURITY,
    "MFA",
    Priority.HIGH,
    NOW - 30 * DAY,
    delivery=Delivery.DELIVERED,
    phase=Phase.NEW,
    number="INC0010001",
)
CLOSED = replace(OPEN, phase=Phase.CLOSED)


def test_the_most_urgent_tickets_come_first_and_each_once() -> None:
    tickets = [
        replace(OPEN, ticket_id="due", due_at=NOW + DAY),
        replace(OPEN, ticket_id="late", due_at=NOW - DAY),
        replace(OPEN, ticket_id="later", due_at=NOW - 9 * DAY),
        replace(CLOSED, ticket_id="not fixed", outcome=Outcome.NOT_FIXED),
        replace(CLOSED, ticket_id="regressed", outcome=Outcome.REGRESSED),
        replace(OPEN, ticket_id="refused", delivery=Delivery.FAILED, phase=None),
        replace(OPEN, ticket_id="no date"),
        replace(CLOSED, ticket_id="taken care of", outcome=Outcome.REGRESSED, is_superseded=True),
    ]
    found = most_urgent(tickets, frozenset(Why), NOW)
    assert len(found) == MOST_TICKETS
    assert [each.ticket_id for each in found] == ["refused", "regressed", "not fixed", "later", "late"]
    assert [each.days_late for each in found] == [None, None, None, 9, 1]
    assert [each.ticket_id for each in most_urgent(tickets, frozenset({Why.OVERDUE}), NOW)] == ["later", "late"]


def test_a_long_name_is_shortened() -> None:
    (line,) = most_urgent([replace(OPEN, name="n" * 1000, due_at=NOW)], frozenset(Why), NOW + DAY)
    assert len(line.name) == NAME_MAX_LENGTH


def test_a_consent_has_its_end_until_it_has_ended() -> None:
    ending = replace(CONNECTION, consent_ends_at=NOW + DAY)
    refused = replace(ending, status=ConnectionStatus.REAUTHORIZATION_REQUIRED)
    for connection, until_at in ((ending, NOW + DAY), (refused, None)):
        content = urgent(connection, [Cause.CONSENT_ENDS, Cause.OVERDUE], Figures(overdue=900), [], NOW)
        assert content.causes == (CauseLine(Cause.CONSENT_ENDS, 0, until_at), CauseLine(Cause.OVERDUE, 900))


def test_a_message_is_in_the_connections_language_and_english_in_an_unknown_one() -> None:
    content = urgent(CONNECTION, [Cause.OVERDUE], Figures(overdue=900), [replace(OPEN, due_at=NOW - DAY)], NOW)
    links = Links("https://tickets.contoso.com")
    assert said(content, links).paragraphs[0].text == "期限を過ぎたチケット：900 件"
    assert said(replace(content, language="tlh"), links).paragraphs[0].text == "Overdue tickets: 900"


def test_a_regression_leads_to_the_tickets_that_it_counts() -> None:
    """The outcome alone would also list those that newer tickets take care of."""
    address = Links("https://tickets.contoso.com").cause(Cause.REGRESSION, "contoso")
    assert address == f"https://tickets.contoso.com{list_address(show=Show.REGRESSED, connection='contoso')}"
