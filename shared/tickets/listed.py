"""What lists of tickets show, sort, filter, search and count by.

It is kept apart from the tickets, so that a list of many tickets reads few rows
(:meth:`shared.tickets.ports.TicketStore.list_current`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from datetime import datetime
from typing import Final

from shared.connections.model import Portal, TicketKind
from shared.tickets.model import OPEN_PHASES, Delivery, Phase, Priority, Ticket
from shared.tickets.outcomes import Outcome
from shared.tickets.summary import Summary
from shared.value_object import value_object

UNSETTLED_OUTCOMES: Final = frozenset({Outcome.WAITING, Outcome.NOT_FIXED, Outcome.PARTLY, Outcome.REGRESSED})
"""Outcomes of closed tickets that somebody may still have to do something about."""


@value_object
class ListedTicket:
    """A ticket as lists know it.

    Attributes:
        instance: Base URL of the instance that it belongs to.
        requester_id, requester_name: Who asked for it.
        due_at: The current due date.
        number, sys_id, table, state, state_label: Of its record; empty or None until it is delivered.
        assigned_to, assignment_group: ServiceNow's names for people, as last seen.
        recommendation_ids: The sources' ids of the recommendations that it is for.
        error_code: Why it is not delivered.
        closed_at: When the connector saw that it was resolved, closed or canceled; None while it is open.
        is_superseded: It is closed, and newer tickets take care of all its recommendations.
        revision: How many times this release has written the ticket; of two entries the higher one is the newer.
    """

    ticket_id: str
    connection_id: str
    instance: str
    kind: TicketKind
    portal: Portal
    name: str
    priority: Priority
    created_at: datetime
    requester_id: str = ""
    requester_name: str = ""
    due_at: datetime | None = None
    delivery: Delivery = Delivery.PENDING
    error_code: str | None = None
    phase: Phase | None = None
    number: str = ""
    sys_id: str = ""
    table: str = ""
    state: str = ""
    state_label: str | None = None
    assigned_to: str | None = None
    assignment_group: str | None = None
    recommendation_ids: tuple[str, ...] = ()
    outcome: Outcome | None = None
    closed_at: datetime | None = None
    is_superseded: bool = False
    revision: int = field(default=0, compare=False)

    @property
    def is_open(self) -> bool:
        """Whether it is in ServiceNow and somebody still has to work on it."""
        return self.phase in OPEN_PHASES

    @property
    def is_unsettled(self) -> bool:
        """Whether somebody may still have to do something about its outcome, and no newer ticket takes care of that."""
        return self.outcome in UNSETTLED_OUTCOMES and not self.is_superseded

    @property
    def is_current(self) -> bool:
        """Whether somebody may still have to do something about it."""
        return self.is_open or self.delivery is not Delivery.DELIVERED or self.is_unsettled

    def is_overdue(self, now: datetime) -> bool:
        """Whether it is still open after its due date."""
        return self.is_open and self.due_at is not None and self.due_at < now


@value_object
class CurrentTickets:
    """A connection's current tickets and the counts of all its tickets.

    Attributes:
        is_complete: Whether every current ticket is among them; False while a new release is still collecting them.
    """

    connection_id: str
    summary: Summary
    tickets: Sequence[ListedTicket]
    is_complete: bool = True


def listed(ticket: Ticket) -> ListedTicket:
    """Return a whole ticket as lists know it."""
    content, record = ticket.content, ticket.record
    free_id = content.recommendation.id
    return ListedTicket(
        ticket_id=ticket.ticket_id,
        connection_id=ticket.connection_id,
        instance=ticket.instance,
        kind=content.kind,
        portal=content.portal,
        name=content.name,
        priority=content.priority,
        created_at=ticket.created_at,
        requester_id=content.requester.id,
        requester_name=content.requester.name,
        due_at=ticket.due_at,
        delivery=ticket.delivery.status,
        error_code=ticket.delivery.error_code,
        phase=ticket.phase,
        number="" if record is None else record.number,
        sys_id="" if record is None else record.sys_id,
        table="" if record is None else record.table,
        state="" if record is None else record.state,
        state_label=None if record is None else record.state_label,
        assigned_to=None if record is None else record.assigned_to,
        assignment_group=None if record is None else record.assignment_group,
        recommendation_ids=tuple(
            dict.fromkeys([*(each.source_id for each in content.references), *([free_id] if free_id else [])])
        ),
        outcome=None if ticket.verification is None else ticket.verification.outcome,
        closed_at=_closed_at(ticket),
        is_superseded=ticket.verification is not None and ticket.verification.is_superseded,
    )


def _closed_at(ticket: Ticket) -> datetime | None:
    closing = None if ticket.verification is None else ticket.verification.closing
    return None if ticket.is_open or closing is None else closing.noticed_at
