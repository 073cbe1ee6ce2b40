"""What a card of the home page shows: counts that lead to the tickets they count, and the most urgent tickets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from shared.connections.model import Connection, TicketKind
from shared.tickets.listed import CurrentTickets
from shared.tickets.outcomes import Outcome
from shared.tickets.urgency import most_urgent
from shared.tickets.views import KindSummaryView, summary_view
from shared.value_object import value_object
from shared.web.charts import PlacedPart, phase_parts, stacked
from shared.web.ticket_rows import TicketRow, ticket_rows
from shared.words.language import Language

SHOWN_OUTCOMES: Final = (Outcome.WAITING, Outcome.VERIFIED, Outcome.NOT_FIXED, Outcome.REGRESSED)
MOST_URGENT: Final = 5
TILES: Final = ("open", "overdue", "pending", "failed")
_ALARMS: Final = frozenset({"overdue", "failed"})


@value_object
class Tile:
    """A count, and the list of exactly these tickets.

    Attributes:
        is_alarm: Whether somebody should look at them.
    """

    name: str
    count: int
    address: str
    is_alarm: bool = False


@value_object
class Card:
    """The tickets of one kind.

    Attributes:
        open_count, delivered_count: How many are open, of how many that are in ServiceNow or were.
        has_tickets: Whether there is any ticket of the kind.
        outcomes: What became of tickets; empty if nothing is known of any.
        is_complete: Whether the urgent ones are among all current tickets.
    """

    kind: TicketKind
    enabled: bool
    open_count: int
    delivered_count: int
    has_tickets: bool
    tiles: Sequence[Tile]
    outcomes: Sequence[Tile]
    phases: Sequence[PlacedPart]
    urgent: Sequence[TicketRow]
    is_complete: bool


def cards(
    connections: Sequence[Connection], current: Sequence[CurrentTickets], now: datetime, t: Language
) -> Sequence[Card]:
    """Return the card of each kind of ticket.

    Args:
        connections: Those whose tickets are shown.
        current: Their tickets.
    """
    by_id = {each.connection_id: each for each in connections}
    counts = summary_view([each.summary for each in current], now).kinds
    return [_card(kind, counts[kind], by_id, current, now, t) for kind in TicketKind]


def _card(
    kind: TicketKind,
    counts: KindSummaryView,
    connections: Mapping[str, Connection],
    current: Sequence[CurrentTickets],
    now: datetime,
    t: Language,
) -> Card:
    address = f"/tickets?kind={kind}"
    numbers = counts.model_dump(include=set(TILES))
    outcomes = [
        Tile(outcome.value, counts.outcomes[outcome], f"{address}&outcome={outcome}") for outcome in SHOWN_OUTCOMES
    ]
    delivered = sum(counts.phases.values())
    of_kind = (ticket for each in current for ticket in each.tickets if ticket.kind is kind)
    return Card(
        kind=kind,
        enabled=any(each.kinds[kind].enabled for each in connections.values()),
        open_count=counts.open,
        delivered_count=delivered,
        has_tickets=bool(delivered + counts.pending + counts.failed),
        tiles=[
            Tile(name, numbers[name], f"{address}&show={name}", is_alarm=name in _ALARMS and numbers[name] > 0)
            for name in TILES
        ],
        outcomes=outcomes if sum(counts.outcomes.values()) else (),
        phases=stacked(phase_parts(counts.phases, address, t)),
        urgent=ticket_rows(most_urgent(of_kind, now, MOST_URGENT), connections, t),
        is_complete=all(each.is_complete for each in current),
    )
