"""What the address of a list of customers asks for: of the portfolio, of its file, and of the connections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final
from urllib.parse import quote, urlencode

from shared.connections.model import ConnectionStatus
from shared.portfolio.model import Portfolio, PortfolioRow
from shared.portfolio.rules import PortfolioFilter, Show, SortColumn, first_order, matching, ordered
from shared.tickets.lists import Order
from shared.triggers.links import PAGE_NUMBER, NotUnderstood, misunderstood, read_choice
from shared.value_object import value_object
from shared.web.lists import Chip, Heading, next_order
from shared.words.language import Language


class Excluded(StrEnum):
    """Whether excluded customers are shown."""

    SHOWN = "shown"


FILTERS: Final = ("text", "group", "status", "show", "excluded")
PARAMETERS: Final = (*FILTERS, "sort", "order", "page")
CHOICES: Final[Mapping[str, tuple[type[StrEnum], str]]] = {
    "status": (ConnectionStatus, "status"),
    "show": (Show, "portfolio.show"),
    "excluded": (Excluded, "portfolio.excluded"),
    "sort": (SortColumn, "portfolio.column"),
    "order": (Order, "order"),
}
"""Parameters that take one of a few values, with the group of translations."""
_LABELS: Final = {
    "text": "filter.search",
    "group": "portfolio.column.group",
    "status": "connection.status",
    "show": "portfolio.show",
    "excluded": "portfolio.excluded",
}
"""What people call the filters."""


@value_object
class PortfolioLink:
    """What an address asks for.

    Attributes:
        chosen: Every parameter's value by name; empty if unused, as sent if not understood.
        path: Where the list is.
    """

    chosen: Mapping[str, str]
    not_understood: Sequence[NotUnderstood]
    path: str

    @property
    def column(self) -> SortColumn:
        """What the list is sorted by."""
        return SortColumn(self.chosen["sort"] or SortColumn.NAME)

    @property
    def order(self) -> Order:
        """The direction of the list."""
        return Order(self.chosen["order"] or first_order(self.column))

    @property
    def page(self) -> int:
        """Which page is wanted."""
        return int(self.chosen["page"] or 1)

    def rows(self, portfolio: Portfolio, now: datetime, *, with_excluded: bool = False) -> Sequence[PortfolioRow]:
        """Return the wanted customers in the wanted order.

        Args:
            with_excluded: Whether excluded customers are wanted, whatever the address says.
        """
        wanted = PortfolioFilter(
            text=self.chosen["text"] or None,
            group=self.chosen["group"] or None,
            status=ConnectionStatus(self.chosen["status"]) if self.chosen["status"] else None,
            show=Show(self.chosen["show"]) if self.chosen["show"] else None,
            with_excluded=with_excluded or self.chosen["excluded"] == Excluded.SHOWN,
        )
        return ordered(matching(portfolio.rows, wanted, now), self.column, self.order)

    def address(self, path: str | None = None, **changed: str) -> str:
        """Return the address of the same list with other parameters; empty ones are left out.

        Args:
            path: Where else the same parameters are understood.
        """
        path = path or self.path
        chosen = {**self.chosen, **changed}
        given = [(name, chosen[name]) for name in PARAMETERS if chosen[name]]
        return f"{path}?{urlencode(given, quote_via=quote)}" if given else path


def sort_headings(link: PortfolioLink, t: Language) -> Mapping[str, Heading]:
    """Return the heading of each column, by its name."""
    return {each.value: _heading(each, link, t) for each in SortColumn}


def used_filters(link: PortfolioLink, t: Language) -> Sequence[Chip]:
    """Return a chip for each filter that is used."""
    return [
        Chip(t(_LABELS[name]), _value_words(name, link.chosen[name], t), link.address(**{name: "", "page": ""}))
        for name in FILTERS
        if link.chosen[name]
    ]


def _value_words(name: str, value: str, t: Language) -> str:
    return t.named(CHOICES[name][1], value) if name in CHOICES else value


def sort_choices(columns: Iterable[SortColumn], t: Language) -> Sequence[tuple[str, str]]:
    """Return columns to sort by, in words."""
    return [(each.value, t(f"portfolio.column.{each}")) for each in columns]


def status_choices(portfolio: Portfolio, t: Language) -> Sequence[tuple[str, str]]:
    """Return the statuses that some customer has, in words; the value itself if another release wrote it."""
    return [(each, t.get(f"status.{each}") or each) for each in sorted({row.customer.status for row in portfolio.rows})]


def _heading(column: SortColumn, link: PortfolioLink, t: Language) -> Heading:
    present = link.order if column is link.column else None
    return Heading(
        name=t(f"portfolio.column.{column}"),
        sorted=None if present is None else present.value,
        address=link.address(sort=column.value, order=next_order(present, first_order(column)).value, page=""),
    )


def read_portfolio_link(query: Mapping[str, str], path: str = "/portfolio") -> PortfolioLink:
    """Read the parameters of a list of customers."""
    chosen = {name: query.get(name, "").strip() for name in PARAMETERS}
    not_understood = []
    for name, (choices, words) in CHOICES.items():
        if asked := chosen[name]:
            choice = read_choice(choices, words, asked)
            chosen[name] = asked if choice is None else choice.value
            not_understood += [misunderstood(name, asked)] if choice is None else []
    if chosen["page"] and not PAGE_NUMBER.fullmatch(chosen["page"]):
        not_understood.append(misunderstood("page", chosen["page"]))
    not_understood += [misunderstood(name, value, "parameter") for name, value in query.items() if name not in chosen]
    return PortfolioLink(chosen, not_understood, path)
