"""What callers of the API see of the portfolio."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import Field

from shared.connections.model import ConnectionStatus
from shared.portfolio.model import PortfolioRow, totals_of
from shared.tenants.model import Tenant, TenantStatus
from shared.views import View


class PortfolioTenantView(View):
    """A customer's tenant."""

    tenant_id: str
    name: str
    status: TenantStatus | None = Field(description="What its last reading showed; null before the first.")
    read_at: datetime | None = Field(description="When it was last read.")


class PortfolioFiguresView(View):
    """Counts and scores.

    Counts are as of the customers' last turns, at most a few minutes ago; scores are as of the tenants' last readings.
    """

    percent: float | None = Field(description="Secure Score in percent of its maximum; null if it is not known.")
    points_to_gain: float | None = Field(description="Points that open improvement actions promise.")
    open: int = Field(description="Tickets that somebody still works on.")
    overdue: int
    pending: int = Field(description="Tickets that wait for their delivery.")
    failed: int = Field(description="Tickets that ServiceNow refused.")
    awaiting_proof: int = Field(description="Closed tickets whose recommendation has not been measured since.")
    not_fixed: int = Field(description="Closed tickets whose recommendation still lacks points.")
    regressed: int = Field(description="Tickets whose fix did not last.")


class PortfolioCustomerView(PortfolioFiguresView):
    """A customer: a connection and the tenants whose tickets go to it."""

    connection_id: str
    name: str
    group: str | None
    is_excluded: bool
    status: ConnectionStatus
    consent_ends_at: datetime | None
    consent_days_left: int | None = Field(description="0 if it has ended; null if no consent ends.")
    last_sync_at: datetime | None = Field(description="Start of the last synchronisation that read everything.")
    percent_change: float | None = Field(description="Percentage points in 30 days; null if it is not known.")
    tenants: tuple[PortfolioTenantView, ...]


class PortfolioTotalsView(PortfolioFiguresView):
    """The listed customers together."""

    customers: int


class PortfolioView(View):
    """Customers, ordered by name, and what they have together."""

    totals: PortfolioTotalsView
    customers: tuple[PortfolioCustomerView, ...]


def portfolio_view(rows: Sequence[PortfolioRow], now: datetime) -> PortfolioView:
    """Return what callers see of these customers."""
    totals = totals_of(rows)
    return PortfolioView(
        totals=PortfolioTotalsView(
            customers=totals.customers,
            percent=None if totals.percent is None else float(totals.percent),
            points_to_gain=float(totals.points_to_gain),
            open=totals.open,
            overdue=totals.overdue,
            pending=totals.pending,
            failed=totals.failed,
            awaiting_proof=totals.awaiting_proof,
            not_fixed=totals.not_fixed,
            regressed=totals.regressed,
        ),
        customers=tuple(_customer_view(row, now) for row in rows),
    )


def _customer_view(row: PortfolioRow, now: datetime) -> PortfolioCustomerView:
    customer, figures = row.customer, row.figures
    return PortfolioCustomerView(
        connection_id=row.connection_id,
        name=customer.name,
        group=customer.group,
        is_excluded=customer.is_excluded,
        status=customer.status,
        consent_ends_at=customer.consent_ends_at,
        consent_days_left=row.consent_days_left(now),
        last_sync_at=figures.last_sync_at,
        percent=None if row.percent is None else float(row.percent),
        percent_change=None if row.change is None else float(row.change),
        points_to_gain=None if row.points_to_gain is None else float(row.points_to_gain),
        open=figures.open,
        overdue=figures.overdue,
        pending=figures.pending,
        failed=figures.failed,
        awaiting_proof=figures.awaiting_proof,
        not_fixed=figures.not_fixed,
        regressed=figures.regressed,
        tenants=tuple(map(_tenant_view, row.tenants)),
    )


def _tenant_view(tenant: Tenant) -> PortfolioTenantView:
    return PortfolioTenantView(
        tenant_id=tenant.tenant_id, name=tenant.name, status=tenant.status, read_at=tenant.read_at
    )
