"""After any sequence of writes, folded at any time, the summary equals a count."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.connections.model import TicketKind
from shared.tickets.listed import listed
from shared.tickets.model import OPEN_PHASES, Delivery, Phase, Ticket
from shared.tickets.outcomes import Outcome, RecommendationOutcome, Verification
from shared.tickets.summary import Summary, SummaryChange
from tests.memory.clock import START
from tests.unit.recommendations.strategies import TENANT
from tests.unit.tickets.examples import delivered_ticket, new_ticket

near = st.integers(-7200, 7200).map(lambda offset: START.replace(microsecond=0) + timedelta(seconds=offset))
far = st.sampled_from([datetime(1970, 1, 2, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)])
due_dates = st.none() | near | far


@st.composite
def versions(draw: st.DrawFn) -> Ticket:
    """A ticket in any state that the counts distinguish."""
    kind = draw(st.sampled_from(TicketKind))
    due_at = draw(due_dates)
    status = draw(st.sampled_from(Delivery))
    outcome = draw(st.none() | st.sampled_from(Outcome))
    items = () if outcome is None else (RecommendationOutcome(TENANT, "0" * 32, outcome=outcome),)
    verification = None if outcome is None else Verification(START, items, is_superseded=draw(st.booleans()))
    if status is Delivery.DELIVERED:
        ticket = delivered_ticket(START, kind=kind, due_at=due_at)
        return replace(ticket, phase=draw(st.sampled_from(Phase)), verification=verification)
    ticket = new_ticket(START, kind=kind, due_at=due_at)
    return replace(ticket, verification=verification, delivery=replace(ticket.delivery, status=status))


def assert_counted(summary: Summary, tickets: list[Ticket], now: datetime) -> None:
    minute = now.replace(second=0, microsecond=0)
    unsettled = [each.outcome for each in map(listed, tickets) if not each.is_superseded]
    assert {each: summary.unsettled_count(each) for each in Outcome} == {
        each: unsettled.count(each) for each in Outcome
    }
    for kind in TicketKind:
        of_kind = [ticket for ticket in tickets if ticket.content.kind is kind]
        assert summary.phase_counts(kind) == {
            phase: sum(ticket.phase is phase for ticket in of_kind) for phase in Phase
        }
        assert summary.open_count(kind) == sum(ticket.phase in OPEN_PHASES for ticket in of_kind)
        outcomes = [each.verification.outcome for each in of_kind if each.verification is not None]
        assert summary.outcome_counts(kind) == {outcome: outcomes.count(outcome) for outcome in Outcome}
        for delivery in (Delivery.PENDING, Delivery.FAILED):
            assert summary.delivery_count(kind, delivery) == sum(
                ticket.delivery.status is delivery for ticket in of_kind
            )
        assert summary.overdue_count(kind, now) == sum(ticket.is_overdue(minute) for ticket in of_kind)


@given(
    st.lists(st.tuples(st.integers(0, 5), versions(), st.integers(0, 4000), st.booleans(), st.booleans()), max_size=25)
)
def test_incremental_counts_are_the_count(steps: list[tuple[int, Ticket, int, bool, bool]]) -> None:
    """Each step writes one of six tickets, lets seconds pass, and may add the waiting changes or fold."""
    tickets: dict[int, Ticket] = {}
    summary, waiting, now = Summary(), list[SummaryChange](), START
    for number, after, passed_s, adds, folds in steps:
        waiting.append(SummaryChange.between([(tickets.get(number), after)]))
        tickets[number] = after
        now += timedelta(seconds=passed_s)
        if adds:
            summary, waiting = summary.plus(waiting), []
            if folds:
                summary = summary.folded(now)
        assert_counted(summary.plus(waiting), list(tickets.values()), now)
    assert_counted(summary.plus(reversed(waiting)), list(tickets.values()), now + timedelta(days=3_000))


@given(st.lists(versions(), max_size=10), st.integers(0, 9000))
def test_folding_changes_nothing_that_is_seen(tickets: list[Ticket], passed_s: int) -> None:
    now = START + timedelta(seconds=passed_s)
    summary = Summary().plus([SummaryChange.between([(None, ticket) for ticket in tickets])])
    folded = summary.folded(now)
    assert_counted(folded, tickets, now)
    assert folded.folded(now) == folded
    undone = folded.plus([SummaryChange.between([(ticket, replace(ticket, phase=Phase.CLOSED)) for ticket in tickets])])
    assert not undone.due


@given(versions())
def test_writing_the_same_again_is_no_change(ticket: Ticket) -> None:
    assert not SummaryChange.between([(ticket, ticket)])
    assert SummaryChange.between([(None, ticket)])


def test_overdue_begins_with_the_minute_after_the_due_date() -> None:
    due_at = datetime(2026, 3, 2, 12, 0, 30, tzinfo=UTC)
    summary = Summary().plus([SummaryChange.between([(None, delivered_ticket(START, due_at=due_at))])])
    last = datetime(2026, 3, 2, 12, 0, 59, 999_999, tzinfo=UTC)
    assert summary.overdue_count(TicketKind.INCIDENT, last) == 0
    assert summary.overdue_count(TicketKind.INCIDENT, last + timedelta(microseconds=1)) == 1
    assert summary.overdue_count(TicketKind.CHANGE, last + timedelta(days=1)) == 0


@given(st.lists(versions(), max_size=8), st.integers(0, 8))
def test_the_counts_of_several_connections_are_the_count_of_all_their_tickets(
    tickets: list[Ticket], first: int
) -> None:
    parts = [tickets[:first], tickets[first:]]
    summaries = [Summary().plus([SummaryChange.between([(None, each) for each in part])]) for part in parts]
    later = START + timedelta(days=3)
    assert_counted(Summary.together([summaries[0].folded(later), summaries[1]]), tickets, later)
