"""Under which weeks and durations a ticket is counted. Pure.

A ticket's row keeps what the ticket has been counted under. So each write changes the counts by the difference between
what is right now and what is stored, whatever a release that does not count has written in between. Only where
release 0.1 removes a value from a row, it also removes what it does not know, and the ticket is counted again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

from shared.tickets.model import OPEN_PHASES, EventKind, Ticket
from shared.tickets.outcomes import Outcome, Verification

OPENED: Final = "opened:"
CLOSED: Final = "closed:"
VERIFIED_DAYS: Final = "verified_days:"

KEPT_WEEKS: Final = 53
"""Counts of older weeks are dropped: a summary is read with every turn of a connection, and its counts are one text
property, which holds 32,768 characters."""

EXACT_DAYS: Final = 30
"""Longer durations are counted in steps of :data:`STEP_DAYS`, so that there are few of them."""
STEP_DAYS: Final = 10
LONGEST_DAYS: Final = 361
"""Everything that took longer counts as this."""


def counted_under(ticket: Ticket, before: Sequence[str] = ()) -> tuple[str, ...]:
    """Return what a ticket is counted under: the week of its creation, of its closing, and the days until its proof.

    A ticket counts once it is in ServiceNow, and as closed while it is resolved, closed, canceled or deleted.

    Args:
        before: What it has been counted under. The week of its creation stays, because a partly read ticket only
            knows the time of its id.
    """
    return tuple(_counted_under(ticket, before))


def _counted_under(ticket: Ticket, before: Sequence[str]) -> Iterator[str]:
    if ticket.phase is None:
        return
    opened = next((each.removeprefix(OPENED) for each in before if each.startswith(OPENED)), week_of(ticket.created_at))
    yield f"{OPENED}{opened}"
    if ticket.phase not in OPEN_PHASES:
        at = closed_at(ticket)
        yield f"{CLOSED}{opened if at is None else max(opened, week_of(at))}"
    if (days := days_until_proof(ticket.verification)) is not None:
        yield f"{VERIFIED_DAYS}{_counted_days(days)}"


def week_of(at: datetime) -> str:
    """Return the ISO week (UTC) of a time, such as ``2026-W47``; the text order is that of time."""
    year, week, _ = at.astimezone(UTC).isocalendar()
    return f"{year:04}-W{week:02}"


def monday_of(week: str) -> date:
    """Return the first day of an ISO week."""
    return date.fromisoformat(f"{week}-1")


def weeks_until(now: datetime, number: int) -> list[str]:
    """Return the last weeks, the present one included, oldest first."""
    return [week_of(now - timedelta(weeks=back)) for back in reversed(range(number))]


def is_past(counted: str, now: datetime) -> bool:
    """Whether this is a week whose counts are no longer kept."""
    name, colon, week = counted.partition(":")
    return name + colon in {OPENED, CLOSED} and week < week_of(now - timedelta(weeks=KEPT_WEEKS))


def days_range(lowest: int) -> tuple[int, int | None]:
    """Return the shortest and the longest duration that count under this number of days; None has no end."""
    if lowest <= EXACT_DAYS:
        return lowest, lowest
    return lowest, None if lowest >= LONGEST_DAYS else lowest + STEP_DAYS - 1


def days_until_proof(verification: Verification | None) -> int | None:
    """Return the whole days from a ticket to the measurement that proved the fix; None if nothing says them."""
    if verification is None or verification.outcome is not Outcome.VERIFIED:
        return None
    proofs = [item.proof.measured_at if item.proof else None for item in verification.items]
    times = [proof or item.decided_at for proof, item in zip(proofs, verification.items, strict=True)]
    known = [at for at in times if at is not None]
    if not known:
        return None
    return max(0, (max(known) - verification.asked_at).days)


def _counted_days(days: int) -> int:
    if days <= EXACT_DAYS:
        return days
    return min(days - (days - EXACT_DAYS - 1) % STEP_DAYS, LONGEST_DAYS)


def closed_at(ticket: Ticket) -> datetime | None:
    """Return when a ticket was first closed since it was last open, as well as we know; None if nothing says it.

    A ticket whose record was never seen open counts as closed when it was delivered.
    """
    closing = None if ticket.verification is None else ticket.verification.closing
    if closing is not None:
        return min(closing.at, closing.noticed_at)
    first_at = None
    for event in reversed(ticket.timeline):
        match event.kind:
            case EventKind.STATE_CHANGED if event.details.get("phase") in OPEN_PHASES:
                break
            case EventKind.STATE_CHANGED | EventKind.DELETED:
                first_at = event.at
            case EventKind.DELIVERED:
                return first_at or event.at
    return first_at
