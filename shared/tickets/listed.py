"""What lists of tickets show, sort, filter, search and count by.

It is kept apart from the tickets, so that a list of many tickets reads few rows
(:meth:`shared.tickets.ports.TicketStore.list_current`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Final

from shared.connections.model import Portal, TicketKind
from shared.tickets.counted import closed_at, days_until_proof
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
        closed_at: When it was resolved, closed, canceled or deleted, as well as we know; None while it is open.
        is_superseded: It is closed, and newer tickets take care of all its recommendations.
        proof_days: Whole days from the ticket to the measurement that proved the fix; None if it is not verified, or
            nothing says when.
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
    proof_days: int | None = None

    @property
    def opened_on(self) -> date | None:
        """The day (UTC) of its creation; None until it is in ServiceNow."""
        return None if self.phase is None else self.created_at.astimezone(UTC).date()

    @property
    def closed_on(self) -> date | None:
        """The day (UTC) on which it was closed, as well as we know; None until then."""
        if self.phase is None or self.is_open:
            return None
        return max(self.created_at, self.closed_at or self.created_at).astimezone(UTC).date()

    @property
    def is_open(self) -> bool:
        """Whether it is in ServiceNow and somebody still has to work on it."""
        return self.phase in OPEN_PHASES

    @property
    def is_unsettled(self) -> bool:
        """Whether somebody may still have to do something about its outcome, and no newer ticket takes care of that."""
        return _is_unsettled(self.outcome, is_superseded=self.is_superseded)

    @property
    def is_current(self) -> bool:
        """Whether somebody may still have to do something about it."""
        return is_current(self.phase, self.delivery, self.outcome, is_superseded=self.is_superseded)

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


def is_current(phase: str | None, delivery: str, outcome: str | None, *, is_superseded: bool) -> bool:
    """Whether somebody may still have to do something about a ticket in these states."""
    return phase in OPEN_PHASES or delivery != Delivery.DELIVERED or _is_unsettled(outcome, is_superseded=is_superseded)


def is_ticket_current(ticket: Ticket) -> bool:
    """Whether somebody may still have to do something about a ticket, whole or partly read."""
    verification = ticket.verification
    return is_current(
        ticket.phase,
        ticket.delivery.status,
        None if verification is None else verification.outcome,
        is_superseded=verification is not None and verification.is_superseded,
    )


def _is_unsettled(outcome: str | None, *, is_superseded: bool) -> bool:
    return outcome in UNSETTLED_OUTCOMES and not is_superseded


def agree(summary: Summary, tickets: Iterable[ListedTicket], *, are_all: bool) -> bool:
    """Whether these are as many tickets as the counts say, by kind and phase.

    Args:
        are_all: Whether all tickets are compared, or only the current ones.
    """
    phases = frozenset(Phase) if are_all else OPEN_PHASES
    names = {*phases, Delivery.PENDING, Delivery.FAILED}
    found = Counter((each.kind, each.phase or each.delivery) for each in tickets)
    wanted = {cell: count for cell, count in summary.cells.items() if cell[1] in names}
    return wanted == {cell: count for cell, count in found.items() if cell[1] in names}


def recommendation_ids(linked: Iterable[str], free_id: str | None) -> tuple[str, ...]:
    """Return the ids of a ticket's recommendations: of those that it is linked to, and the one that somebody typed."""
    return tuple(dict.fromkeys([*linked, *([free_id] if free_id else [])]))


def listed(ticket: Ticket) -> ListedTicket:
    """Return a ticket as lists know it; of a partly read one, only what can still change is right."""
    content, record = ticket.content, ticket.record
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
        error_code=None if ticket.delivery.status is Delivery.DELIVERED else ticket.delivery.error_code,
        phase=ticket.phase,
        number="" if record is None else record.number,
        sys_id="" if record is None else record.sys_id,
        table="" if record is None else record.table,
        state="" if record is None else record.state,
        state_label=None if record is None else record.state_label,
        assigned_to=None if record is None else record.assigned_to,
        assignment_group=None if record is None else record.assignment_group,
        recommendation_ids=recommendation_ids(
            (each.source_id for each in content.references), content.recommendation.id
        ),
        outcome=None if ticket.verification is None else ticket.verification.outcome,
        closed_at=None if ticket.phase is None or ticket.is_open else closed_at(ticket),
        is_superseded=ticket.verification is not None and ticket.verification.is_superseded,
        proof_days=None if ticket.phase is None else days_until_proof(ticket.verification),
    )
