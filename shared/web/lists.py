"""What pages with a sorted list in parts have in common. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.tickets.lists import Order
from shared.value_object import value_object

NEIGHBOURS: Final = 2
"""How many pages on each side of the present one a page links to, besides the first and the last."""


@value_object
class Heading:
    """A column's heading, which sorts the list.

    Attributes:
        sorted: The list's direction if it is sorted by this column.
        address: The list sorted by it, or by it in the other direction.
    """

    name: str
    sorted: str | None
    address: str


@value_object
class Chip:
    """A filter that is used.

    Attributes:
        value: In words; empty for a filter that is only on or off.
        address: The list without it.
    """

    label: str
    value: str
    address: str


def page_numbers(present: int, pages: int) -> Sequence[int | None]:
    """Return the numbers that a page links to; None where some are left out."""
    near = range(max(1, present - NEIGHBOURS), min(pages, present + NEIGHBOURS) + 1)
    numbers = sorted({1, *near, pages})
    shown: list[int | None] = []
    for number in numbers:
        if shown and shown[-1] != number - 1:
            shown.append(None)
        shown.append(number)
    return shown


def next_order(present: Order | None, first: Order) -> Order:
    """Return the direction in which a heading's link sorts.

    Args:
        present: The list's direction if it is sorted by that column.
        first: The direction in which people first want to see it.
    """
    if present is None:
        return first
    return Order.ASCENDING if present is Order.DESCENDING else Order.DESCENDING
