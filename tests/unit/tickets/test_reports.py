"""What reports say equals what a look at every ticket says."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from urllib.parse import parse_qsl, urlsplit

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.connections.model import TicketKind
from shared.tickets.counted import counted_under
from shared.tickets.listed import CurrentTickets, ListedTicket, listed
from shared.tickets.lists import Reader, Show, filtered, is_in
from shared.tickets.model import Ticket
from shared.tickets.reports import Report, report
from shared.tickets.summary import Summary, SummaryChange
from shared.triggers.links import list_address, read_list_link
from shared.triggers.ticket_lists import ticket_filter
from shared.web.charts import Part
from shared.web.reports import ages_section, proofs_section, weeks_section
from shared.words.language import languages
from tests.memory.clock import START
from tests.unit.tickets.examples import CONNECTION_ID, delivered_ticket
from tests.unit.tickets.test_counted import in_state, verified

NOW = START + timedelta(days=200)


@st.composite
def some_tickets(draw: st.DrawFn) -> Ticket:
    """A ticket of the last 200 days that may be overdue, closed or verified by now."""
    created_at = NOW - timedelta(days=draw(st.integers(0, 200) | st.sampled_from([7, 8, 30, 31])))
    due_at = draw(st.none() | st.integers(0, 300).map(lambda days: created_at + timedelta(days=days)))
    ticket = delivered_ticket(created_at, kind=draw(st.sampled_from(TicketKind)), due_at=due_at)
    if draw(st.booleans()):
        ticket = in_state(ticket, "7", created_at + (NOW - created_at) * draw(st.floats(0, 1)))
    if draw(st.booleans()):
        ticket = verified(ticket, created_at + timedelta(days=draw(st.integers(0, 400))))
    return replace(ticket, counted=counted_under(ticket))


def reported(tickets: list[Ticket], weeks: int = 12, kind: TicketKind | None = None) -> Report:
    summary = Summary().plus([SummaryChange.between([(None, ticket) for ticket in tickets])])
    current = [each for each in map(listed, tickets) if each.is_current]
    kinds = [*TicketKind] if kind is None else [kind]
    return report([CurrentTickets(CONNECTION_ID, summary, current)], kinds, weeks, NOW)


@settings(max_examples=20)
@given(
    st.lists(some_tickets(), min_size=6, max_size=12),
    st.sampled_from([12, 26]),
    st.none() | st.sampled_from(TicketKind),
)
def test_each_count_equals_the_list_behind_it(tickets: list[Ticket], weeks: int, kind: TicketKind | None) -> None:
    found, t = reported(tickets, weeks, kind), languages()["en"]
    of_kind = partial(list_address, kind=kind or "")
    sections = [section(found, of_kind, t) for section in (weeks_section, ages_section, proofs_section)]
    parts = [each for section in sections for each in section.key]
    parts += [each for section in sections for row in section.table.rows for each in row if isinstance(each, Part)]
    parts += [each.part for section in sections for each in (section.columns.columns if section.columns else ())]
    parts += [each.part for section in sections for row in section.bars for each in row.parts]
    for part in parts:
        assert part.address is not None
        assert part.count == len(listed_at(part.address, tickets)), part


def listed_at(address: str, tickets: list[Ticket]) -> list[ListedTicket]:
    """Return the tickets that the list at an address shows."""
    link = read_list_link(dict(parse_qsl(urlsplit(address).query)), [CONNECTION_ID], ())
    assert not link.not_understood
    found = filtered(map(listed, tickets), ticket_filter(link.chosen, NOW))
    show = link.chosen["show"]
    return [each for each in found if not show or is_in(each, Show(show), NOW, Reader("", ""))]


def closed_at(ticket: Ticket) -> datetime | None:
    return None if ticket.is_open else ticket.timeline[-1].at


@settings(max_examples=40)
@given(st.lists(some_tickets(), max_size=12), st.sampled_from([12, 26]), st.none() | st.sampled_from(TicketKind))
def test_a_report_is_what_a_scan_says(tickets: list[Ticket], weeks: int, kind: TicketKind | None) -> None:
    found = reported(tickets, weeks, kind)
    tickets = [each for each in tickets if kind in {None, each.content.kind}]
    assert [week.monday.isoweekday() for week in found.weeks] == [1] * weeks
    assert found.weeks[-1].monday <= NOW.date() < found.weeks[-1].monday + timedelta(weeks=1)
    for week in found.weeks:
        days = [week.monday + timedelta(days=each) for each in range(7)]
        assert week.opened == sum(each.created_at.date() in days for each in tickets)
        closings = [at for each in tickets if (at := closed_at(each)) is not None]
        assert week.closed == sum(at.date() in days for at in closings)
    is_open = [each for each in tickets if each.is_open]
    for age in found.ages:
        of_age = [
            each
            for each in is_open
            if age.shortest <= (NOW - each.created_at).days
            and (age.longest is None or (NOW - each.created_at).days <= age.longest)
        ]
        assert (age.count, age.overdue) == (len(of_age), sum(each.is_overdue(NOW) for each in of_age))
    assert sum(age.count for age in found.ages) == len(is_open)
    assert sum(each.count for each in found.proofs) == sum(each.verification is not None for each in tickets)


@settings(max_examples=40)
@given(st.lists(st.integers(0, 400), max_size=9))
def test_half_of_the_proofs_took_at_most_the_median(days: list[int]) -> None:
    found = reported([_verified_after(each) for each in days])
    counted = Counter(days)
    for each in found.proofs:
        assert each.count == sum(
            count
            for day, count in counted.items()
            if day >= each.shortest and (not each.longest or day <= each.longest)
        )
    if not days:
        assert found.median is None
        return
    assert found.median is not None
    low, high = found.median
    middle = sorted(days)[(len(days) - 1) // 2]
    assert low <= middle
    assert high is None or middle <= high


def _verified_after(days: int) -> Ticket:
    ticket = delivered_ticket(NOW - timedelta(days=100))
    ticket = verified(ticket, ticket.created_at + timedelta(days=days))
    return replace(ticket, counted=counted_under(ticket))


def test_a_report_without_tickets_is_empty() -> None:
    assert reported([]).is_empty
    assert not reported([delivered_ticket(START)]).is_empty, "an old open ticket has an age"
