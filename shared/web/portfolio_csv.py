"""The portfolio as a table for a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from shared.portfolio.model import PortfolioRow
from shared.web.csv_export import csv_table, headings
from shared.words.language import Language

COLUMNS: Final = (
    "connection_id",
    "name",
    "group",
    "excluded",
    "status",
    "consent_ends_at",
    "consent_days_left",
    "tenants",
    "tenant_ids",
    "percent",
    "percent_change",
    "points_to_gain",
    "open",
    "overdue",
    "pending",
    "failed",
    "awaiting_proof",
    "not_fixed",
    "regressed",
    "last_sync_at",
)


def portfolio_csv(rows: Iterable[PortfolioRow], now: datetime, t: Language) -> bytes:
    """Return customers as CSV, under headings in a language."""
    return csv_table(headings(COLUMNS, t), (_cells(row, now) for row in rows))


def _cells(row: PortfolioRow, now: datetime) -> Sequence[str]:
    customer, figures = row.customer, row.figures
    return (
        row.connection_id,
        customer.name,
        customer.group or "",
        "true" if customer.is_excluded else "false",
        customer.status.value,
        _text(customer.consent_ends_at),
        _text(row.consent_days_left(now)),
        "; ".join(each.name for each in row.tenants),
        "; ".join(each.tenant_id for each in row.tenants),
        _text(row.percent),
        _text(row.change),
        _text(row.points_to_gain),
        str(figures.open),
        str(figures.overdue),
        str(figures.pending),
        str(figures.failed),
        str(figures.awaiting_proof),
        str(figures.not_fixed),
        str(figures.regressed),
        _text(figures.last_sync_at),
    )


def _text(value: Decimal | datetime | int | None) -> str:
    match value:
        case None:
            return ""
        case Decimal():
            return format(value, "f")
        case datetime():
            return value.isoformat()
    return str(value)
