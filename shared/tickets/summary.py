"""Exact counts of tickets without counting them.

Every write of a ticket stores a :class:`SummaryChange` in the same transaction. Reading adds the changes to the last
folded :class:`Summary`; folding only tidies up and never changes what a reader sees. Overdue tickets are counted from
a histogram of due dates by minute, so that a ticket becomes overdue without a write.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from shared.connections.model import TicketKind
from shared.tickets.counted import is_past
from shared.tickets.model import OPEN_PHASES, Delivery, Phase, Ticket
from shared.tickets.outcomes import Outcome
from shared.value_object import value_object

OVERDUE: Final = "overdue"
"""Bucket of all tickets whose due minute had passed when the summary was folded."""

FOLD_AFTER: Final = timedelta(days=2)
"""How long after a minute has passed it is merged: even with a wrong clock, no ticket is overdue too early."""

_OUTCOME: Final = "outcome:"
_SUPERSEDED: Final = "superseded:"

type Cell = tuple[str, str]
"""Kind and what is counted: a phase, ``pending``, ``failed``, or ``outcome:…`` and ``superseded:…``, which
release 0.1 keeps unread; or a week or duration of :mod:`shared.tickets.counted`."""
type DueCell = tuple[str, str]
"""Kind and due minute, as ``YYYY-MM-DDTHH:MM`` (UTC); tickets are overdue once the minute is over."""


def _minute(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()[: len("YYYY-MM-DDTHH:MM")]


@value_object
class SummaryChange:
    """What a write of some tickets adds to the counts; may be negative."""

    cells: Mapping[Cell, int] = field(default_factory=dict)
    due: Mapping[DueCell, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.cells or self.due)

    @classmethod
    def between(cls, changes: Iterable[tuple[Ticket | None, Ticket]]) -> Self:
        """Return the change when the second ticket of each pair replaces the first (None for a new ticket)."""
        cells: Counter[Cell] = Counter()
        due: Counter[DueCell] = Counter()
        for before, after in changes:
            for ticket, sign in ((before, -1), (after, 1)):
                if ticket is None:
                    continue
                for cell in _cells(ticket):
                    cells[cell] += sign
                if ticket.is_open and ticket.due_at is not None:
                    due[ticket.content.kind, _minute(ticket.due_at)] += sign
        return cls(_without_zeros(cells), _without_zeros(due))


@value_object
class Summary:
    """The number of tickets of each kind by phase, pending, failed, by outcome, and by due time.

    Attributes:
        cells: Counts by kind and phase (or ``pending``, ``failed``), and by kind and outcome: all tickets, and the
            superseded ones among them.
        due: Open tickets with a due date, by kind and due minute.
        folded_until: Buckets before this minute have been merged into ``overdue``; empty before the first fold.
    """

    cells: Mapping[Cell, int] = field(default_factory=dict)
    due: Mapping[DueCell, int] = field(default_factory=dict)
    folded_until: str = ""

    @classmethod
    def together(cls, summaries: Iterable[Summary]) -> Summary:
        """Return the counts of several connections as those of one."""
        cells: Counter[Cell] = Counter()
        due: Counter[DueCell] = Counter()
        for each in summaries:
            cells.update(each.cells)
            due.update(each.due)
        return cls(cells, due)

    def plus(self, changes: Iterable[SummaryChange]) -> Summary:
        """Return the summary with these changes added."""
        cells, due = Counter(self.cells), Counter(self.due)
        for change in changes:
            cells.update(change.cells)
            for (kind, minute), count in change.due.items():
                due[kind, OVERDUE if minute < self.folded_until else minute] += count
        return Summary(_without_zeros(cells), _without_zeros(due), self.folded_until)

    def folded(self, now: datetime) -> Summary:
        """Return the same counts with every bucket that is overdue now merged into one, without weeks long past."""
        until = max(self.folded_until, _minute(now - FOLD_AFTER))
        due: Counter[DueCell] = Counter()
        for (kind, minute), count in self.due.items():
            due[kind, OVERDUE if minute < until else minute] += count
        cells = {cell: count for cell, count in self.cells.items() if not is_past(cell[1], now)}
        return Summary(cells, _without_zeros(due), until)

    def phase_counts(self, kind: TicketKind) -> dict[Phase, int]:
        """Return the number of delivered tickets of that kind in every phase, zeros included."""
        return {phase: self.cells.get((kind, phase), 0) for phase in Phase}

    def open_count(self, kind: TicketKind) -> int:
        """Return the number of tickets of that kind in an open phase."""
        return sum(self.cells.get((kind, phase), 0) for phase in OPEN_PHASES)

    def delivery_count(self, kind: TicketKind, delivery: Delivery) -> int:
        """Return the number of tickets of that kind that are pending or failed."""
        return self.cells.get((kind, delivery), 0)

    def ticket_count(self, kind: TicketKind) -> int:
        """Return the number of all tickets of that kind."""
        undelivered = (Delivery.PENDING, Delivery.FAILED)
        return sum(self.phase_counts(kind).values()) + sum(self.delivery_count(kind, each) for each in undelivered)

    def outcome_counts(self, kind: TicketKind) -> dict[Outcome, int]:
        """Return the number of tickets of that kind with every outcome, zeros included."""
        return {outcome: self.cells.get((kind, f"{_OUTCOME}{outcome}"), 0) for outcome in Outcome}

    def counts_under(self, prefix: str, kind: TicketKind) -> dict[str, int]:
        """Return what was counted of that kind under a prefix of :mod:`shared.tickets.counted`, by week or days."""
        return {
            counted.removeprefix(prefix): count
            for (of_kind, counted), count in self.cells.items()
            if of_kind == kind and counted.startswith(prefix)
        }

    def unsettled_count(self, outcome: Outcome) -> int:
        """Return the number of tickets of every kind with that outcome of which no newer ticket takes care."""
        return sum(
            self.cells.get((kind, f"{_OUTCOME}{outcome}"), 0) - self.cells.get((kind, f"{_SUPERSEDED}{outcome}"), 0)
            for kind in TicketKind
        )

    def total(self, delivery: Delivery) -> int:
        """Return the number of tickets of every kind that are pending or failed."""
        return sum(self.delivery_count(kind, delivery) for kind in TicketKind)

    def overdue_count(self, kind: TicketKind, now: datetime) -> int:
        """Return the number of open tickets of that kind whose due minute is over."""
        present = _minute(now)
        return sum(
            count
            for (counted_kind, minute), count in self.due.items()
            if counted_kind == kind and (minute == OVERDUE or minute < present)
        )


def _cells(ticket: Ticket) -> Iterator[Cell]:
    kind, counted = ticket.content.kind.value, ticket.phase if ticket.phase is not None else ticket.delivery.status
    yield kind, counted.value
    if ticket.verification is not None:
        outcome = ticket.verification.outcome.value
        yield kind, f"{_OUTCOME}{outcome}"
        if ticket.verification.is_superseded:
            yield kind, f"{_SUPERSEDED}{outcome}"
    for each in ticket.counted:
        yield kind, each


def _without_zeros[Key](counts: Mapping[Key, int]) -> dict[Key, int]:
    return {key: count for key, count in counts.items() if count}
