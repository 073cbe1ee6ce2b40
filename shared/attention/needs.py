"""What a connection's tickets need from people: from its summary, from its current tickets, and from its last turn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from shared.attention.model import Cause, TicketNeeds
from shared.connections.customers import Figures
from shared.connections.model import TicketKind
from shared.tickets.listed import CurrentTickets, ListedTicket
from shared.tickets.model import Delivery
from shared.tickets.outcomes import Outcome
from shared.tickets.summary import Summary
from shared.tickets.updates.model import Update, UpdateStatus


def needs_of_summary(summary: Summary, now: datetime, updates: Iterable[Update] = ()) -> TicketNeeds:
    """Return what exact counts say.

    Args:
        updates: Changes of records that are not carried out.
    """
    needs = TicketNeeds(
        failed=summary.total(Delivery.FAILED),
        overdue=sum(summary.overdue_count(kind, now) for kind in TicketKind),
        waiting=summary.unsettled_count(Outcome.WAITING),
        not_fixed=summary.unsettled_count(Outcome.NOT_FIXED),
        regressed=summary.unsettled_count(Outcome.REGRESSED),
    )
    return with_refused_changes(needs, updates)


def needs_of_turn(figures: Figures) -> TicketNeeds:
    """Return what a connection's tickets needed at the end of its last turn."""
    return TicketNeeds(
        failed=figures.failed,
        overdue=figures.overdue,
        waiting=figures.awaiting_proof,
        not_fixed=figures.not_fixed,
        regressed=figures.regressed,
        refused_changes=figures.refused_changes,
        refused_change_of=figures.refused_change_of,
    )


def figures_of(summary: Summary, needs: TicketNeeds) -> Figures:
    """Return what pages about all customers show of a connection's tickets.

    The end of the turn adds the synchronisation and the reminders.

    Args:
        needs: What the same summary says.
    """
    return Figures(
        open=sum(map(summary.open_count, TicketKind)),
        overdue=needs.overdue,
        pending=summary.total(Delivery.PENDING),
        failed=needs.failed,
        awaiting_proof=needs.waiting,
        not_fixed=needs.not_fixed,
        regressed=needs.regressed,
        refused_changes=needs.refused_changes,
        refused_change_of=needs.refused_change_of,
    )


def needs_of_tickets(current: CurrentTickets, figures: Figures, now: datetime) -> TicketNeeds:
    """Return what the counts say now, with the times that the tickets know.

    Args:
        figures: Of the connection's last turn, which alone knows of refused changes.
    """
    return replace(
        needs_of_summary(current.summary, now),
        refused_changes=figures.refused_changes,
        refused_change_of=figures.refused_change_of,
        since_at=_since_at(current.tickets, now),
    )


def with_refused_changes(needs: TicketNeeds, updates: Iterable[Update]) -> TicketNeeds:
    """Return the needs with the changes that are refused now, and the ticket of the oldest one."""
    refused = [each for each in updates if each.status is UpdateStatus.REFUSED]
    if not refused:
        return replace(needs, refused_changes=0, refused_change_of=None)
    oldest = min(refused, key=lambda each: each.asked_at)
    return replace(
        needs,
        refused_changes=len(refused),
        refused_change_of=oldest.ticket_id,
        since_at={**needs.since_at, Cause.CHANGES_REFUSED: oldest.asked_at},
    )


def _since_at(tickets: Iterable[ListedTicket], now: datetime) -> Mapping[Cause, datetime]:
    """Return since when the tickets need somebody: the oldest one of each cause. Nobody knows when one regressed."""
    since_at: dict[Cause, datetime] = {}
    for ticket in tickets:
        for cause, at in (
            (Cause.TICKETS_REFUSED, ticket.created_at if ticket.delivery is Delivery.FAILED else None),
            (Cause.TICKETS_OVERDUE, ticket.due_at if ticket.is_overdue(now) else None),
            (
                Cause.TICKETS_NOT_FIXED,
                ticket.closed_at if ticket.outcome is Outcome.NOT_FIXED and ticket.is_unsettled else None,
            ),
        ):
            if at is not None:
                since_at[cause] = min(at, since_at.get(cause, at))
    return since_at
