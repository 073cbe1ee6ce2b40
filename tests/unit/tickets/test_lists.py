"""Which tickets a list shows, in which order, and on which page."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.connections.model import Portal, TicketKind
from shared.tickets.listed import ListedTicket, listed
from shared.tickets.lists import (
    DUE_SOON,
    Order,
    Reader,
    Show,
    SortColumn,
    filtered,
    is_about_current,
    is_in,
    matches_text,
    ordered,
    page_of,
    plain,
    search_words,
)
from shared.tickets.model import Delivery, Phase, Priority
from shared.tickets.outcomes import Outcome
from shared.tickets.ports import TicketFilter
from tests.memory.clock import START
from tests.unit.tickets.examples import REQUESTER, new_ticket
from tests.unit.tickets.strategies import ticket_ids

READER = Reader(REQUESTER.id, REQUESTER.name)
CUSTOMERS = {"contoso": "Contoso", "fabrikam": "fabrikam"}
names = st.none() | st.sampled_from(["", "Beth Anglin", "BETH ANGLIN", "Ａｉｋｏ Tanaka", "aiko tanaka"])
moments = st.sampled_from([START + timedelta(days=days) for days in (-40, -1, 0, 3, 7, 8)])
listed_tickets = st.builds(
    ListedTicket,
    ticket_id=ticket_ids,
    connection_id=st.sampled_from(["contoso", "fabrikam", "gone"]),
    instance=st.just("https://contoso.service-now.com"),
    kind=st.sampled_from(TicketKind),
    portal=st.sampled_from(Portal),
    name=st.text(max_size=6),
    priority=st.sampled_from(Priority),
    created_at=moments,
    requester_id=st.sampled_from([REQUESTER.id, "somebody else"]),
    requester_name=st.sampled_from(["", "Aiko Tanaka"]),
    due_at=st.none() | moments,
    delivery=st.sampled_from(Delivery),
    phase=st.none() | st.sampled_from(Phase),
    number=st.sampled_from(["", "INC0010001", "INC0010002", "CHG0010001", "CHG99"]),
    assigned_to=names,
    assignment_group=names,
    recommendation_ids=st.sampled_from([(), ("AdminMFAV2",), ("mdo_1", "mdo_2")]),
    outcome=st.none() | st.sampled_from(Outcome),
    is_superseded=st.booleans(),
)
lists = st.lists(listed_tickets, max_size=8, unique_by=lambda each: each.ticket_id)
filters = st.builds(
    TicketFilter,
    kind=st.none() | st.sampled_from(TicketKind),
    phase=st.none() | st.sampled_from(Phase),
    delivery=st.none() | st.sampled_from(Delivery),
    open_only=st.booleans(),
    overdue_at=st.none() | st.just(START),
    text=st.none() | st.text(max_size=3),
    outcome=st.none() | st.sampled_from(Outcome),
    priority=st.none() | st.sampled_from(Priority),
    due_before=st.none() | moments,
    assigned_to=names,
)


def a_listed(**changes: object) -> ListedTicket:
    """A ticket for the administrators' second factor."""
    known = replace(listed(new_ticket(START)), number="INC0010042", recommendation_ids=("AdminMFAV2",))
    return replace(known, **changes)  # type: ignore[arg-type]


@given(lists, st.sampled_from(SortColumn), st.sampled_from(Order))
def test_a_sorted_list_has_the_same_tickets_in_one_order(
    some: list[ListedTicket], column: SortColumn, order: Order
) -> None:
    found = ordered(some, column, order, CUSTOMERS)
    assert sorted(each.ticket_id for each in found) == sorted(each.ticket_id for each in some)
    assert ordered(reversed(some), column, order, CUSTOMERS) == found


@given(lists)
def test_equal_ones_are_newest_first_and_those_without_a_value_last(some: list[ListedTicket]) -> None:
    for order in Order:
        found = ordered(some, SortColumn.DUE, order, CUSTOMERS)
        assert all(second.due_at is None for first, second in pairwise(found) if first.due_at is None)
        equal = [(first, second) for first, second in pairwise(found) if first.due_at == second.due_at]
        assert all(first.ticket_id < second.ticket_id for first, second in equal)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (SortColumn.NAME, [{"name": "alpha"}, {"name": "Ｂeta"}, {"name": "gamma"}, {"name": ""}]),
        (SortColumn.NUMBER, [{"number": each} for each in ("CHG10", "CHG0011", "INC9", "INC0010", "")]),
        (SortColumn.KIND, [{"kind": each} for each in (*TicketKind, "problem")]),
        (SortColumn.CUSTOMER, [{"connection_id": each} for each in ("contoso", "fabrikam", "gone")]),
        (
            SortColumn.STATE,
            [
                {"phase": None, "delivery": Delivery.FAILED},
                {"phase": None, "delivery": Delivery.PENDING},
                *({"phase": each} for each in (Phase.NEW, Phase.ON_HOLD, Phase.CLOSED, Phase.DELETED)),
            ],
        ),
        (
            SortColumn.OUTCOME,
            [{"outcome": each} for each in (Outcome.REGRESSED, Outcome.WAITING, Outcome.VERIFIED, None)],
        ),
        (SortColumn.PRIORITY, [{"priority": each} for each in (*Priority, "urgent")]),
        (SortColumn.ASSIGNED_TO, [{"assigned_to": each} for each in ("Abel", "beth", None)]),
        (SortColumn.GROUP, [{"assignment_group": each} for each in ("Network", "service desk", "")]),
        (SortColumn.REQUESTER, [{"requester_name": each} for each in ("Aiko", "Beth", "")]),
        (SortColumn.DUE, [{"due_at": each} for each in (START, START + DUE_SOON, None)]),
        (SortColumn.CREATED, [{"created_at": each} for each in (START, START + DUE_SOON)]),
    ],
)
def test_what_a_column_is_sorted_by(column: SortColumn, values: list[dict[str, object]]) -> None:
    some = [a_listed(ticket_id=f"{place:032x}", **each) for place, each in enumerate(values)]
    assert ordered(reversed(some), column, Order.ASCENDING, CUSTOMERS) == some


@given(st.integers(0, 200), st.integers(1, 30))
def test_every_item_is_on_exactly_one_page(total: int, size: int) -> None:
    items = list(range(total))
    pages = [page_of(items, number, size) for number in range(1, page_of(items, 1, size).pages + 1)]
    assert [each for page in pages for each in page.items] == items
    for page in pages:
        assert page.total == total
        assert [*range(page.first, page.last + 1)] == [each + 1 for each in page.items] or not total
    assert page_of(items, len(pages) + 3, size) == pages[-1]
    assert page_of(items, 0, size) == pages[0]


@given(lists, filters, filters)
def test_every_further_filter_narrows_the_list(
    some: list[ListedTicket], one: TicketFilter, other: TicketFilter
) -> None:
    assert filtered(some, TicketFilter()) == some
    both = filtered(filtered(some, one), other)
    assert both == [each for each in some if each in filtered(some, one) and each in filtered(some, other)]


@given(listed_tickets, st.text(max_size=4), st.text(max_size=4))
def test_every_further_word_narrows_a_search(ticket: ListedTicket, one: str, other: str) -> None:
    found = [matches_text(ticket, search_words(text)) for text in (f"{one} {other}", one, other)]
    assert found[0] == (found[1] and found[2])


@given(listed_tickets, st.data())
def test_a_ticket_is_found_by_any_part_of_its_name_and_by_its_number(ticket: ListedTicket, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(ticket.name)))
    end = data.draw(st.integers(start, len(ticket.name)))
    part = plain(ticket.name)[start:end]
    assert matches_text(ticket, search_words(part))
    assert matches_text(ticket, search_words(f" {ticket.number.lower()} "))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("MULTIFACTOR", True),
        ("ｍultifactor admin", True),
        ("multifactor reader", False),
        ("0042", True),
        ("42", False),
        ("inc", False),
        ("inc0010042", True),
        ("INC001", True),
        ("aiko", True),
        ("tanaka multifactor 0042", True),
        ("adminmfa", True),
        ("m", True),
        ("", True),
    ],
)
def test_what_a_search_finds(text: str, found: bool) -> None:
    assert matches_text(a_listed(), search_words(text)) is found
    assert bool(filtered([a_listed()], TicketFilter(text=text))) is found


@given(listed_tickets, filters, st.sampled_from([None, *Show]))
def test_what_is_about_current_tickets_wants_no_finished_one(
    ticket: ListedTicket, wanted: TicketFilter, show: Show | None
) -> None:
    is_found = bool(filtered([ticket], wanted)) and (show is None or is_in(ticket, show, START, READER))
    if is_found and is_about_current(wanted, show):
        assert ticket.is_current


SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("show", "inside", "outside"),
    [
        (Show.OPEN, {"phase": Phase.ON_HOLD}, {"phase": Phase.RESOLVED}),
        (Show.MINE, {"assigned_to": "aiko ｔanaka", "requester_id": "x"}, {"requester_id": "x"}),
        (Show.MINE, {"phase": Phase.NEW}, {"phase": Phase.CLOSED, "outcome": Outcome.VERIFIED}),
        (Show.OVERDUE, {"due_at": START - SECOND}, {"due_at": START}),
        (Show.DUE_SOON, {"due_at": START}, {"due_at": START - SECOND}),
        (Show.DUE_SOON, {"due_at": START + DUE_SOON - SECOND}, {"due_at": START + DUE_SOON}),
        (Show.NOT_DELIVERED, {"phase": None, "delivery": Delivery.PENDING}, {}),
        (Show.NOT_DELIVERED, {"phase": None, "delivery": Delivery.FAILED}, {}),
        (Show.PENDING, {"phase": None, "delivery": Delivery.PENDING}, {"delivery": Delivery.FAILED}),
        (Show.FAILED, {"phase": None, "delivery": Delivery.FAILED}, {"delivery": Delivery.PENDING}),
        (Show.WAITING_FOR_PROOF, {"outcome": Outcome.WAITING}, {"outcome": Outcome.OPEN}),
        (Show.NOT_FIXED, {"outcome": Outcome.NOT_FIXED}, {"outcome": Outcome.PARTLY}),
        (Show.REGRESSED, {"outcome": Outcome.REGRESSED}, {}),
        (Show.REGRESSED, {"outcome": Outcome.REGRESSED}, {"outcome": Outcome.REGRESSED, "is_superseded": True}),
    ],
)
def test_parts_of_the_list(show: Show, inside: dict[str, object], outside: dict[str, object]) -> None:
    delivered = a_listed(phase=Phase.NEW, delivery=Delivery.DELIVERED)
    assert is_in(replace(delivered, **inside), show, START, READER)  # type: ignore[arg-type]
    assert not is_in(replace(delivered, **outside), show, START, READER)  # type: ignore[arg-type]


def test_nobody_without_a_name_is_assigned() -> None:
    ticket = a_listed(assigned_to="", requester_id="x", phase=Phase.NEW)
    assert not is_in(ticket, Show.MINE, START, Reader("", ""))
