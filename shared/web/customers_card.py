"""What the home page of a provider shows of all customers together: counts that lead to the customers behind them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from shared.portfolio.model import PortfolioRow, totals_of
from shared.portfolio.rules import Show, is_in, most_pressing
from shared.value_object import value_object
from shared.web.cards import Tile

MOST_PRESSING: Final = 5
_ALARMS: Final = frozenset({Show.OVERDUE, Show.FAILED})


@value_object
class CustomersCard:
    """All customers together.

    Attributes:
        percent, points_to_gain: As those of :class:`shared.portfolio.model.Totals`.
        open: Their open tickets.
        tiles: What they need: tickets, or customers whose consent ends soon.
        pressing: Whom to look at first, at most :data:`MOST_PRESSING`.
    """

    customers: int
    percent: Decimal | None
    points_to_gain: Decimal
    open: int
    tiles: Sequence[Tile]
    pressing: Sequence[PortfolioRow]


def customers_card(rows: Sequence[PortfolioRow], now: datetime) -> CustomersCard:
    """Return the card of these customers."""
    totals = totals_of(rows)

    def tile(show: Show) -> Tile:
        count = sum(is_in(row, show, now) for row in rows) if show is Show.CONSENT else getattr(totals, show.value)
        return Tile(show.value, count, f"/portfolio?show={show}", is_alarm=show in _ALARMS and count > 0)

    return CustomersCard(
        customers=totals.customers,
        percent=totals.percent,
        points_to_gain=totals.points_to_gain,
        open=totals.open,
        tiles=list(map(tile, Show)),
        pressing=most_pressing(rows, MOST_PRESSING),
    )
