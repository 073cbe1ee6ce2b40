"""What reports say about tickets: opened and closed by week, the age of open ones, and the time to a proof. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Final

from shared.connections.model import TicketKind
from shared.tickets.counted import CLOSED, OPENED, VERIFIED_DAYS, days_range, monday_of, weeks_until
from shared.tickets.listed import CurrentTickets
from shared.tickets.summary import Summary
from shared.value_object import value_object

AGES: Final = (7, 30, 90)
"""Where one age ends and the next begins, in days."""
DURATIONS: Final = (7, 14, 30, 60, 90, 180)
"""The same for the days until a proof; each is the end of a range that is counted (:mod:`shared.tickets.counted`)."""


@value_object
class Week:
    """How many tickets were opened and closed in the week that begins on this Monday (UTC)."""

    monday: date
    opened: int
    closed: int


@value_object
class Days:
    """How many tickets took, or are, this long.

    Attributes:
        shortest, longest: In whole days; None has no end.
        overdue: How many of them are overdue.
    """

    shortest: int
    longest: int | None
    count: int
    overdue: int = 0


@value_object
class Report:
    """What a report says.

    Attributes:
        weeks: Oldest first; the last one is not over yet.
        ages: Of open tickets.
        proofs: Of the verified tickets, by days from the ticket to the measurement that proved the fix.
        median: The range of days that half of them took at most; None if there are none.
        is_complete: Whether every open ticket is counted in ``ages``.
    """

    weeks: Sequence[Week]
    ages: Sequence[Days]
    proofs: Sequence[Days]
    median: tuple[int, int | None] | None
    is_complete: bool

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show."""
        return not any(week.opened or week.closed for week in self.weeks) and not any(
            each.count for each in (*self.ages, *self.proofs)
        )


def report(
    current: Iterable[CurrentTickets],
    kinds: Collection[TicketKind],
    weeks: int,
    now: datetime,
    removed: Collection[str] = (),
) -> Report:
    """Return the report about the tickets of some connections.

    Args:
        kinds: Which kinds count.
        weeks: How many weeks back, the present one included.
        removed: Connections whose open tickets do not count.
    """
    found = [*current]
    summaries = [each.summary for each in found]
    opened, closed = _counts(summaries, OPENED, kinds), _counts(summaries, CLOSED, kinds)
    durations = {int(days): count for days, count in _counts(summaries, VERIFIED_DAYS, kinds).items() if count > 0}
    active = [each for each in found if each.connection_id not in removed]
    open_tickets = [each for part in active for each in part.tickets if each.is_open and each.kind in kinds]
    ages = [(max(0, (now - each.created_at) // timedelta(days=1)), each.is_overdue(now)) for each in open_tickets]
    return Report(
        weeks=[Week(monday_of(week), max(0, opened[week]), max(0, closed[week])) for week in weeks_until(now, weeks)],
        ages=[
            Days(
                low,
                high,
                count=sum(_is_in(age, low, high) for age, _ in ages),
                overdue=sum(is_overdue and _is_in(age, low, high) for age, is_overdue in ages),
            )
            for low, high in _ranges(AGES)
        ],
        proofs=[
            Days(low, high, sum(count for days, count in durations.items() if _is_in(days, low, high)))
            for low, high in _ranges(DURATIONS)
        ],
        median=_median(durations),
        is_complete=all(each.is_complete for each in found),
    )


def _counts(summaries: Iterable[Summary], prefix: str, kinds: Iterable[TicketKind]) -> Counter[str]:
    total: Counter[str] = Counter()
    for summary in summaries:
        for kind in kinds:
            total.update(summary.counts_under(prefix, kind))
    return total


def _ranges(ends: Sequence[int]) -> list[tuple[int, int | None]]:
    return list(zip([0, *(end + 1 for end in ends)], [*ends, None], strict=True))


def _is_in(days: int, low: int, high: int | None) -> bool:
    return low <= days and (high is None or days <= high)


def _median(durations: dict[int, int]) -> tuple[int, int | None] | None:
    half, reached = sum(durations.values()) / 2, 0
    for days, count in sorted(durations.items()):
        reached += count
        if reached >= half:
            return days_range(days)
    return None
