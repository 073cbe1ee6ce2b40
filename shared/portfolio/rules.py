"""Which customers a portfolio shows, and in which order. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from heapq import nlargest
from operator import itemgetter
from typing import Final

from shared.connections.model import CONSENT_WARNING_DAYS, ConnectionStatus
from shared.portfolio.model import PortfolioRow
from shared.tickets.lists import Order, plain
from shared.value_object import value_object


class Show(StrEnum):
    """What a customer may need."""

    OVERDUE = "overdue"
    PENDING = "pending"
    FAILED = "failed"
    AWAITING_PROOF = "awaiting_proof"
    NOT_FIXED = "not_fixed"
    REGRESSED = "regressed"
    CONSENT = "consent"
    """The consent ends within 30 days, or has ended."""


class SortColumn(StrEnum):
    """What a portfolio can be sorted by."""

    NAME = "name"
    GROUP = "group"
    STATUS = "status"
    CONSENT = "consent"
    PERCENT = "percent"
    TREND = "trend"
    POINTS_TO_GAIN = "points_to_gain"
    OPEN = "open"
    OVERDUE = "overdue"
    PENDING = "pending"
    FAILED = "failed"
    AWAITING_PROOF = "awaiting_proof"
    REGRESSED = "regressed"
    LAST_SYNC = "last_sync"


@value_object
class PortfolioFilter:
    """Which customers somebody wants; None means any.

    Attributes:
        text: Words, each of which is part of the customer's name, id or instance, or of a name or id of its
            tenants.
        with_excluded: Whether excluded customers are wanted, too.
    """

    text: str | None = None
    group: str | None = None
    status: ConnectionStatus | None = None
    show: Show | None = None
    with_excluded: bool = False


def matching(rows: Iterable[PortfolioRow], wanted: PortfolioFilter, now: datetime) -> list[PortfolioRow]:
    """Return the customers that pass a filter, in their order."""
    words = plain(wanted.text or "").split()
    return [
        row
        for row in rows
        if (wanted.with_excluded or not row.customer.is_excluded)
        and (wanted.group is None or row.customer.group == wanted.group)
        and (wanted.status is None or row.customer.status is wanted.status)
        and (wanted.show is None or is_in(row, wanted.show, now))
        and (not words or _matches(row, words))
    ]


def is_in(row: PortfolioRow, show: Show, now: datetime) -> bool:
    """Whether a customer needs this."""
    if show is Show.CONSENT:
        days = row.consent_days_left(now)
        return days is not None and days <= CONSENT_WARNING_DAYS[0]
    return bool(getattr(row.figures, show.value))


def most_pressing(rows: Iterable[PortfolioRow], most: int) -> Sequence[PortfolioRow]:
    """Return the customers whose tickets need people most: first count refused, then overdue, then bad outcomes."""

    def pressure(row: PortfolioRow) -> tuple[int, int, int]:
        figures = row.figures
        return figures.failed, figures.overdue, figures.regressed + figures.not_fixed

    return nlargest(most, (row for row in rows if any(pressure(row))), key=pressure)


def first_order(column: SortColumn) -> Order:
    """Return the direction in which people first want to see a column: what needs most is at the top."""
    return Order.DESCENDING if column in _MOST_FIRST else Order.ASCENDING


def ordered(rows: Iterable[PortfolioRow], column: SortColumn, order: Order) -> list[PortfolioRow]:
    """Return the customers in the order of a column; those without a value are last in both directions.

    Equal ones are in the order of their names.
    """
    by_name = sorted(rows, key=lambda row: (plain(row.customer.name), row.connection_id))
    pairs = [(_VALUES[column](row), row) for row in by_name]
    known = sorted(
        (pair for pair in pairs if pair[0] is not None), key=itemgetter(0), reverse=order is Order.DESCENDING
    )
    return [*(row for _, row in known), *(row for value, row in pairs if value is None)]


def _matches(row: PortfolioRow, words: Sequence[str]) -> bool:
    searched = plain(
        "\n".join(
            (
                *(row.customer.name, row.customer.instance, row.connection_id),
                *(f"{each.name}\n{each.tenant_id}" for each in row.tenants),
            )
        )
    )
    return all(word in searched for word in words)


type _Value = str | int | Decimal | datetime

_MOST_FIRST: Final = frozenset(
    {
        *(SortColumn.POINTS_TO_GAIN, SortColumn.OPEN, SortColumn.OVERDUE, SortColumn.PENDING, SortColumn.FAILED),
        *(SortColumn.AWAITING_PROOF, SortColumn.REGRESSED),
    }
)
_WORST_FIRST: Final = {
    each: place
    for place, each in enumerate(
        (
            ConnectionStatus.REAUTHORIZATION_REQUIRED,
            ConnectionStatus.UNAVAILABLE,
            ConnectionStatus.NOT_CONFIGURED,
            ConnectionStatus.AWAITING_AUTHORIZATION,
            ConnectionStatus.CONNECTED,
        )
    )
}
_VALUES: Final[Mapping[SortColumn, Callable[[PortfolioRow], _Value | None]]] = {
    SortColumn.NAME: lambda row: plain(row.customer.name) or None,
    SortColumn.GROUP: lambda row: plain(row.customer.group or "") or None,
    SortColumn.STATUS: lambda row: _WORST_FIRST.get(row.customer.status),
    SortColumn.CONSENT: lambda row: row.customer.consent_ends_at,
    SortColumn.PERCENT: lambda row: row.percent,
    SortColumn.TREND: lambda row: row.change,
    SortColumn.POINTS_TO_GAIN: lambda row: row.points_to_gain,
    SortColumn.OPEN: lambda row: row.figures.open,
    SortColumn.OVERDUE: lambda row: row.figures.overdue,
    SortColumn.PENDING: lambda row: row.figures.pending,
    SortColumn.FAILED: lambda row: row.figures.failed,
    SortColumn.AWAITING_PROOF: lambda row: row.figures.awaiting_proof,
    SortColumn.REGRESSED: lambda row: row.figures.regressed,
    SortColumn.LAST_SYNC: lambda row: row.figures.last_sync_at,
}
