"""Lists of tickets: which ones a list shows, in which order, and on which page. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from operator import attrgetter, itemgetter
from typing import Any, Final

from shared.connections.model import TicketKind
from shared.tickets.listed import ListedTicket
from shared.tickets.model import OPEN_PHASES, Delivery, Phase, Priority
from shared.tickets.outcomes import MOST_URGENT_FIRST, Outcome
from shared.tickets.ports import NO_NAME, TicketFilter
from shared.tickets.ranges import Range
from shared.value_object import value_object

DUE_SOON: Final = timedelta(days=7)
FEWEST_DIGITS: Final = 3
"""How many digits of a number a search needs; with fewer, it would find nearly everything."""


class Show(StrEnum):
    """The parts of a list that people open at a click. All of them hold current tickets only."""

    OPEN = "open"
    MINE = "mine"
    """Current tickets that the reader asked for, or that are assigned to somebody of that name."""
    OVERDUE = "overdue"
    NOT_OVERDUE = "not_overdue"
    """Open tickets that are not overdue."""
    DUE_SOON = "due_soon"
    """Open tickets due within :data:`DUE_SOON`."""
    NOT_DELIVERED = "not_delivered"
    """Waiting to be delivered, or failed."""
    PENDING = "pending"
    FAILED = "failed"
    WAITING_FOR_PROOF = "waiting_for_proof"
    NOT_FIXED = "not_fixed"
    REGRESSED = "regressed"
    """As the outcome of that name, without the tickets that newer ones take care of."""


class SortColumn(StrEnum):
    """What a list can be sorted by."""

    NAME = "name"
    NUMBER = "number"
    KIND = "kind"
    CUSTOMER = "customer"
    STATE = "state"
    OUTCOME = "outcome"
    PRIORITY = "priority"
    ASSIGNED_TO = "assigned_to"
    GROUP = "group"
    REQUESTER = "requester"
    DUE = "due"
    CREATED = "created"


class Order(StrEnum):
    """The direction of a sorted list, as ``aria-sort`` calls it."""

    ASCENDING = "ascending"
    DESCENDING = "descending"


@value_object
class Reader:
    """The person who looks at a list.

    Attributes:
        object_id: In Entra ID.
        name: ServiceNow may know somebody of the same name.
    """

    object_id: str
    name: str


@value_object
class Page[Item]:
    """A page of a list.

    Attributes:
        items: What it shows.
        total: How many the list has.
        number: Which page it is, from 1.
        pages: How many there are; 1 for an empty list.
        first: Place of its first item in the list, from 1; 0 if it has none.
    """

    items: Sequence[Item]
    total: int
    number: int
    pages: int
    first: int

    @property
    def last(self) -> int:
        """Place of its last item in the list; 0 if it has none."""
        return self.first + len(self.items) - 1 if self.items else 0


def is_in(ticket: ListedTicket, show: Show, now: datetime, reader: Reader) -> bool:
    """Whether a ticket is in a part of the list."""
    match show:
        case Show.OPEN:
            return ticket.is_open
        case Show.MINE:
            return ticket.is_current and is_of(ticket, reader)
        case Show.OVERDUE:
            return ticket.is_overdue(now)
        case Show.NOT_OVERDUE:
            return ticket.is_open and not ticket.is_overdue(now)
        case Show.DUE_SOON:
            return ticket.is_open and ticket.due_at is not None and now <= ticket.due_at < now + DUE_SOON
        case Show.NOT_DELIVERED:
            return ticket.delivery is not Delivery.DELIVERED
        case Show.PENDING:
            return ticket.delivery is Delivery.PENDING
        case Show.FAILED:
            return ticket.delivery is Delivery.FAILED
        case Show.WAITING_FOR_PROOF:
            return ticket.is_unsettled and ticket.outcome is Outcome.WAITING
        case Show.NOT_FIXED:
            return ticket.is_unsettled and ticket.outcome is Outcome.NOT_FIXED
        case Show.REGRESSED:
            return ticket.is_unsettled and ticket.outcome is Outcome.REGRESSED


def is_of(ticket: ListedTicket, reader: Reader) -> bool:
    """Whether the person asked for the ticket, or it is assigned to somebody of the same name."""
    return ticket.requester_id == reader.object_id or (
        ticket.assigned_to is not None and bool(reader.name) and plain(ticket.assigned_to) == plain(reader.name)
    )


def is_about_current(wanted: TicketFilter, show: Show | None = None) -> bool:
    """Whether only current tickets can be wanted, so that no finished ones have to be read."""
    return (
        show is not None
        or wanted.open_only
        or wanted.overdue_at is not None
        or wanted.delivery in {Delivery.PENDING, Delivery.FAILED}
        or wanted.phase in OPEN_PHASES
    )


def filtered(tickets: Iterable[ListedTicket], wanted: TicketFilter) -> list[ListedTicket]:
    """Return the tickets that pass a filter, in their order."""
    passes = is_wanted(wanted)
    return [ticket for ticket in tickets if passes(ticket)]


def is_wanted(wanted: TicketFilter) -> Callable[[ListedTicket], bool]:
    """Return the rule that says whether a ticket passes a filter."""
    due_before, overdue_at = wanted.due_before, wanted.overdue_at
    words = search_words(wanted.text or "")
    rules: list[Callable[[ListedTicket], bool]] = []
    for value, value_of in (
        (wanted.kind, attrgetter("kind")),
        (wanted.phase, attrgetter("phase")),
        (wanted.portal, attrgetter("portal")),
        (wanted.delivery, attrgetter("delivery")),
        (wanted.outcome, attrgetter("outcome")),
        (wanted.priority, attrgetter("priority")),
    ):
        if value is not None:
            rules.append(partial(_has, value_of, value))
    for name, name_of in (
        (wanted.assigned_to, attrgetter("assigned_to")),
        (wanted.assignment_group, attrgetter("assignment_group")),
    ):
        if name is not None:
            rules.append(partial(_has_name, name_of, plain(name)))
    for values, value_of in (
        (wanted.opened_on, attrgetter("opened_on")),
        (wanted.closed_on, attrgetter("closed_on")),
        (wanted.created_at, attrgetter("created_at")),
        (wanted.proof_days, attrgetter("proof_days")),
    ):
        if values:
            rules.append(partial(_is_within, value_of, values))
    if wanted.open_only:
        rules.append(lambda ticket: ticket.is_open)
    if overdue_at is not None:
        rules.append(lambda ticket: ticket.is_overdue(overdue_at))
    if due_before is not None:
        rules.append(lambda ticket: ticket.due_at is not None and ticket.due_at < due_before)
    if words:
        rules.append(lambda ticket: matches_text(ticket, words))
    return lambda ticket: all(rule(ticket) for rule in rules)


def search_words(text: str) -> tuple[str, ...]:
    """Return the words of a search, for :func:`matches_text`."""
    return tuple(plain(text).split())


def matches_text(ticket: ListedTicket, words: Sequence[str]) -> bool:
    """Whether every word is part of the ticket's name, its requester's name, a recommendation's id or its number.

    Case and width of letters do not matter. Part of a number needs :data:`FEWEST_DIGITS` digits.
    """
    searched = plain("\n".join((ticket.name, ticket.requester_name, *ticket.recommendation_ids)))
    number = plain(ticket.number)
    return all(word in searched or (word in number and _is_of_number(word, number)) for word in words)


def usual_sort(show: Show | None) -> tuple[SortColumn, Order]:
    """Return the order of a list for which nobody has chosen one: the newest, or what is due first, at the top."""
    if show in {Show.OVERDUE, Show.DUE_SOON}:
        return SortColumn.DUE, Order.ASCENDING
    return SortColumn.CREATED, Order.DESCENDING


def first_order(column: SortColumn) -> Order:
    """Return the direction in which people first want to see a column."""
    return Order.DESCENDING if column is SortColumn.CREATED else Order.ASCENDING


def ordered(
    tickets: Iterable[ListedTicket], column: SortColumn, order: Order, customers: Mapping[str, str]
) -> list[ListedTicket]:
    """Return the tickets in the order of a column.

    Tickets without a value are last in both directions. Equal ones are in the order of their ids: the newest first.

    Args:
        customers: Names of the connections by id.
    """
    names = {connection_id: plain(name) for connection_id, name in customers.items()}

    def value_of(ticket: ListedTicket) -> _Value | None:
        return names.get(ticket.connection_id) if column is SortColumn.CUSTOMER else _SORT_VALUES[column](ticket)

    pairs = [(value_of(ticket), ticket) for ticket in sorted(tickets, key=lambda each: each.ticket_id)]
    known = sorted(
        (pair for pair in pairs if pair[0] is not None), key=itemgetter(0), reverse=order is Order.DESCENDING
    )
    return [*(ticket for _, ticket in known), *(ticket for value, ticket in pairs if value is None)]


def page_of[Item](items: Sequence[Item], number: int, size: int) -> Page[Item]:
    """Return a page of a list; the last one if the list ends before it: it was longer when somebody counted its pages.

    Args:
        number: Which page, from 1.
        size: Items on a page.
    """
    pages = max(1, -(-len(items) // size))
    number = min(max(number, 1), pages)
    start = (number - 1) * size
    part = items[start : start + size]
    return Page(part, len(items), number, pages, start + 1 if part else 0)


def plain(text: str) -> str:
    """Return a text without differences of case, width and margin."""
    return unicodedata.normalize("NFKC", text).casefold().strip()


def _has(value_of: Callable[[ListedTicket], object], value: object, ticket: ListedTicket) -> bool:
    return value_of(ticket) == value


def _is_within(value_of: Callable[[ListedTicket], Any], values: Range[Any], ticket: ListedTicket) -> bool:
    value = value_of(ticket)
    return value is not None and value in values


def _has_name(name_of: Callable[[ListedTicket], str | None], name: str, ticket: ListedTicket) -> bool:
    return plain(name_of(ticket) or "") == ("" if name == NO_NAME else name)


def _is_of_number(word: str, number: str) -> bool:
    return word == number or sum(map(str.isdecimal, word)) >= FEWEST_DIGITS


def _number_order(number: str) -> _Value | None:
    """Return the place of a number: by its prefix, then as a number, however many digits it has."""
    if not number:
        return None
    prefix, digits = _NUMBER_PARTS.fullmatch(plain(number)).groups()  # type: ignore[union-attr]
    significant = digits.lstrip("0")
    return prefix, len(significant), significant, digits


def _place_in(order: Iterable[str]) -> Callable[[str | None], int | None]:
    """Return the rule that gives a value's place; None for one that only another release knows."""
    places = {each: place for place, each in enumerate(order)}
    return lambda each: None if each is None else places.get(each)


_NUMBER_PARTS: Final = re.compile(r"(.*?)([0-9]*)", re.DOTALL)
_STATES: Final = (
    Delivery.FAILED,
    Delivery.PENDING,
    Phase.UNMAPPED,
    Phase.NEW,
    Phase.IN_PROGRESS,
    Phase.ON_HOLD,
    Phase.RESOLVED,
    Phase.CLOSED,
    Phase.CANCELED,
    Phase.DELETED,
)
"""In the order of a ticket's life; what nobody has worked on yet is first."""
_place_of_state = _place_in(_STATES)
_place_of_outcome = _place_in(MOST_URGENT_FIRST)
_place_of_priority = _place_in(Priority)
_place_of_kind = _place_in(TicketKind)

type _Value = int | str | datetime | tuple[str, int, str, str]
_SORT_VALUES: Final[Mapping[SortColumn, Callable[[ListedTicket], _Value | None]]] = {
    SortColumn.NAME: lambda ticket: plain(ticket.name) or None,
    SortColumn.NUMBER: lambda ticket: _number_order(ticket.number),
    SortColumn.KIND: lambda ticket: _place_of_kind(ticket.kind),
    SortColumn.STATE: lambda ticket: _place_of_state(ticket.phase or ticket.delivery),
    SortColumn.OUTCOME: lambda ticket: _place_of_outcome(ticket.outcome),
    SortColumn.PRIORITY: lambda ticket: _place_of_priority(ticket.priority),
    SortColumn.ASSIGNED_TO: lambda ticket: plain(ticket.assigned_to or "") or None,
    SortColumn.GROUP: lambda ticket: plain(ticket.assignment_group or "") or None,
    SortColumn.REQUESTER: lambda ticket: plain(ticket.requester_name) or None,
    SortColumn.DUE: lambda ticket: ticket.due_at,
    SortColumn.CREATED: lambda ticket: ticket.created_at,
}
"""What each column is sorted by, None for a ticket without a value; customers are sorted by their names."""
