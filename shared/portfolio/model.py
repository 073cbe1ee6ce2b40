"""What the portfolio shows of a customer, and of all of them together."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Final

from shared.connections.customers import Customer, Figures, ListedCustomer
from shared.connections.model import ConnectionStatus, Grant
from shared.connections.ports import ConnectionDirectory
from shared.recommendations.overview import percent_of
from shared.tenants.model import Tenant, TenantScore
from shared.tenants.ports import TenantStore
from shared.value_object import value_object

NOTHING: Final = Decimal(0)


@value_object
class PortfolioRow:
    """A customer: a connection and the tenants whose tickets go to it.

    What its tenants have together is worked out when somebody asks: a page shows few of a thousand customers.

    Attributes:
        tenants: Ordered by name.
    """

    connection_id: str
    customer: Customer
    figures: Figures
    tenants: Sequence[Tenant]

    @property
    def percent(self) -> Decimal | None:
        """What part of the maximum its tenants have together; None if no score is known."""
        return _percent(self._scores)

    @property
    def change(self) -> Decimal | None:
        """By how many percentage points that has changed in 30 days; None if that is not known for each tenant."""
        percent, former = self.percent, _former_percent(self._scores)
        return None if percent is None or former is None else percent - former

    @property
    def points_to_gain(self) -> Decimal | None:
        """Points that open improvement actions promise; None if no score is known."""
        scores = self._scores
        return sum((each.points_to_gain for each in scores), NOTHING) if scores else None

    @property
    def _scores(self) -> Sequence[TenantScore]:
        return [each.score for each in self.tenants if each.score is not None]

    def consent_days_left(self, now: datetime) -> int | None:
        """Return how many whole days are left of the consent, 0 if it has ended, None if none ends."""
        ends_at = self.customer.consent_ends_at
        if ends_at is None or self.customer.grant is not Grant.AUTHORIZATION_CODE:
            return None
        return max(0, (ends_at - now).days)


@value_object
class Totals:
    """Several customers together.

    Attributes:
        percent: What part of the maximum they have together; None if no score is known.
    """

    customers: int
    open: int
    overdue: int
    pending: int
    failed: int
    awaiting_proof: int
    not_fixed: int
    regressed: int
    percent: Decimal | None
    points_to_gain: Decimal


class Portfolio:
    """All customers, ordered by connection id, without removed ones."""

    def __init__(self, rows: Sequence[PortfolioRow]) -> None:
        self.rows = rows

    @cached_property
    def groups(self) -> Sequence[str]:
        """The groups that there are, in order of their names."""
        return sorted({each.customer.group for each in self.rows if each.customer.group}, key=str.casefold)


async def read_portfolio(directory: ConnectionDirectory, tenants: TenantStore) -> Portfolio:
    """Return all customers with one read of each of two tables. Raises StorageUnavailable."""
    return portfolio_of(*await asyncio.gather(directory.list_customers(), tenants.list_tenants()))


def portfolio_of(customers: Iterable[ListedCustomer], tenants: Iterable[Tenant]) -> Portfolio:
    """Return the portfolio of these customers and tenants."""
    by_connection: dict[str, list[Tenant]] = defaultdict(list)
    for tenant in tenants:
        if tenant.connection_id is not None:
            by_connection[tenant.connection_id].append(tenant)
    return Portfolio(
        [
            PortfolioRow(
                connection_id=each.connection_id,
                customer=each.customer,
                figures=each.figures,
                tenants=sorted(by_connection.get(each.connection_id, ()), key=lambda tenant: tenant.name.casefold()),
            )
            for each in customers
            if each.customer.status is not ConnectionStatus.DISCONNECTED
        ]
    )


def totals_of(rows: Sequence[PortfolioRow]) -> Totals:
    """Return what these customers have together."""
    figures = [each.figures for each in rows]
    scores = [tenant.score for each in rows for tenant in each.tenants if tenant.score is not None]
    return Totals(
        customers=len(rows),
        open=sum(each.open for each in figures),
        overdue=sum(each.overdue for each in figures),
        pending=sum(each.pending for each in figures),
        failed=sum(each.failed for each in figures),
        awaiting_proof=sum(each.awaiting_proof for each in figures),
        not_fixed=sum(each.not_fixed for each in figures),
        regressed=sum(each.regressed for each in figures),
        percent=_percent(scores),
        points_to_gain=sum((each.points_to_gain for each in scores), NOTHING),
    )


def _percent(scores: Sequence[TenantScore]) -> Decimal | None:
    if not scores:
        return None
    return percent_of(
        sum((each.points for each in scores), NOTHING), sum((each.max_points for each in scores), NOTHING)
    )


def _former_percent(scores: Sequence[TenantScore]) -> Decimal | None:
    """Return what part of today's maximum they had 30 days before; None if that is not known for each."""
    former = [each.former_percent * each.max_points / 100 for each in scores if each.former_percent is not None]
    if len(former) < len(scores):
        return None
    return percent_of(sum(former, NOTHING), sum((each.max_points for each in scores), NOTHING))
