"""What messages are made of: figures and the most urgent tickets. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from shared.attention.needs import needs_of_summary
from shared.connections.model import Connection, ConnectionStatus, TicketKind
from shared.reminders.model import Cause, CauseLine, Content, Figures, MessageKind, TicketLine, Why
from shared.tickets.listed import ListedTicket
from shared.tickets.model import OPEN_PHASES, Delivery, Phase
from shared.tickets.outcomes import Outcome
from shared.tickets.summary import Summary

MOST_TICKETS: Final = 5
"""Tickets in a message."""
NAME_MAX_LENGTH: Final = 150
"""Characters of a ticket's name in a message."""

REFUSED_CONSENT: Final = ConnectionStatus.REAUTHORIZATION_REQUIRED

_FINISHED: Final = frozenset(Phase) - OPEN_PHASES
_ORDER: Final = (Why.REFUSED, Why.REGRESSED, Why.NOT_FIXED, Why.OVERDUE, Why.DUE)
_ABOUT: Final[Mapping[Cause, Why]] = {
    Cause.REFUSED: Why.REFUSED,
    Cause.REGRESSION: Why.REGRESSED,
    Cause.OVERDUE: Why.OVERDUE,
}
_NEVER: Final = datetime.max.replace(tzinfo=UTC)

type Points = tuple[Decimal | None, Decimal | None]
"""Points now and a week ago; None if unknown."""


def figures_of(summary: Summary, now: datetime, points: Points = (None, None)) -> Figures:
    """Return the numbers in the exact counts of a connection's tickets."""
    needs = needs_of_summary(summary, now)
    phases = [summary.phase_counts(kind) for kind in TicketKind]
    undelivered = sum(summary.total(each) for each in (Delivery.PENDING, Delivery.FAILED))
    return Figures(
        open=sum(summary.open_count(kind) for kind in TicketKind),
        overdue=needs.overdue,
        refused=needs.failed,
        waiting=needs.waiting,
        not_fixed=needs.not_fixed,
        regressed=needs.regressed,
        created=undelivered + sum(sum(each.values()) for each in phases),
        finished=sum(each[phase] for each in phases for phase in _FINISHED),
        points=points[0],
        points_before=points[1],
    )


def bare(connection: Connection, kind: MessageKind, now: datetime) -> Content:
    """Return the content of a message that says nothing but what it is about."""
    return Content(
        kind=kind,
        connection_id=connection.connection_id,
        connection_name=connection.display_name,
        language=connection.language,
        time_zone=connection.time_zone,
        created_at=now,
    )


def digest(
    connection: Connection, figures: Figures, former: Figures | None, tickets: Sequence[ListedTicket], now: datetime
) -> Content:
    """Return the content of a digest."""
    return replace(
        bare(connection, MessageKind.DIGEST, now),
        figures=figures,
        former=former,
        tickets=most_urgent(tickets, frozenset(Why), now),
    )


def urgent(
    connection: Connection, causes: Sequence[Cause], figures: Figures, tickets: Sequence[ListedTicket], now: datetime
) -> Content:
    """Return the content of an urgent message; many tickets of a cause are one line with their number."""
    counts = {
        Cause.REGRESSION: figures.regressed,
        Cause.REFUSED: figures.refused,
        Cause.OVERDUE: figures.overdue,
    }
    ends_at = connection.consent_ends_at
    is_ending = ends_at is not None and ends_at > now and connection.status is not REFUSED_CONSENT
    return replace(
        bare(connection, MessageKind.URGENT, now),
        causes=tuple(
            CauseLine(cause, counts.get(cause, 0), ends_at if cause is Cause.CONSENT_ENDS and is_ending else None)
            for cause in causes
        ),
        tickets=most_urgent(tickets, frozenset(_ABOUT[cause] for cause in causes if cause in _ABOUT), now),
    )


def most_urgent(tickets: Sequence[ListedTicket], wanted: frozenset[Why], now: datetime) -> tuple[TicketLine, ...]:
    """Return the most urgent tickets: refused, regressed, not fixed, overdue, due; each by its due date."""
    found = [(why, each) for each in tickets if (why := why_urgent(each, now)) in wanted and why is not None]
    found.sort(key=lambda pair: (_ORDER.index(pair[0]), pair[1].due_at or _NEVER, pair[1].ticket_id))
    return tuple(
        TicketLine(
            ticket_id=each.ticket_id,
            name=_shortened(each.name),
            why=why,
            number=each.number or None,
            due_at=each.due_at,
            days_late=(now - each.due_at).days if each.due_at is not None and each.is_overdue(now) else None,
        )
        for why, each in found[:MOST_TICKETS]
    )


def why_urgent(ticket: ListedTicket, now: datetime) -> Why | None:
    """Return the most urgent reason to look at a ticket; None if there is none."""
    if ticket.delivery is Delivery.FAILED:
        return Why.REFUSED
    if ticket.is_unsettled and ticket.outcome is Outcome.REGRESSED:
        return Why.REGRESSED
    if ticket.is_unsettled and ticket.outcome is Outcome.NOT_FIXED:
        return Why.NOT_FIXED
    if ticket.is_overdue(now):
        return Why.OVERDUE
    return Why.DUE if ticket.is_open and ticket.due_at is not None else None


def _shortened(name: str) -> str:
    return name if len(name) <= NAME_MAX_LENGTH else f"{name[: NAME_MAX_LENGTH - 1]}…"
