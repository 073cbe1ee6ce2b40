"""Tickets are counted in the weeks in which they were opened and closed, once, whoever else writes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.connections.model import TicketKind
from shared.storage.ticket_rows import CHANGING_COLUMNS, summary_of, summary_row, ticket_of, ticket_row
from shared.tickets.counted import CLOSED, KEPT_WEEKS, OPENED, VERIFIED_DAYS, counted_under, days_range, week_of
from shared.tickets.model import OPEN_PHASES, Phase, Ticket
from shared.tickets.outcomes import Measurement, Outcome, RecommendationOutcome, Verification
from shared.tickets.record_effects import deleted, with_record
from shared.tickets.summary import Summary, SummaryChange
from tests.memory.clock import START
from tests.memory.ticket_store import MemoryTicketStore
from tests.releases.release_0_1 import ticket_rows as old_tickets
from tests.releases.release_0_1.summary import Summary as OldSummary
from tests.releases.release_0_1.ticket_model import Phase as OldPhase
from tests.unit.recommendations.strategies import TENANT
from tests.unit.tickets.examples import CONNECTION_ID, delivered_ticket, new_ticket, record_for
from tests.unit.tickets.strategies import tickets as any_ticket

PHASES = {"1": Phase.NEW, "2": Phase.IN_PROGRESS, "6": Phase.RESOLVED, "7": Phase.CLOSED, "8": Phase.CANCELED}
A_WEEK = timedelta(weeks=1)


def in_state(ticket: Ticket, state: str, now: datetime) -> Ticket:
    """Return a ticket once its record is seen in a state."""
    assert ticket.record is not None
    record = replace(ticket.record, state=state, mod_count=ticket.record.mod_count + 1, phase=PHASES[state])
    return with_record(ticket, record, now)


def verified(ticket: Ticket, now: datetime) -> Ticket:
    """Return a ticket for a recommendation whose proof was measured at this time."""
    proof = Measurement(Decimal(1), Decimal(1), measured_at=now)
    item = RecommendationOutcome(TENANT, "0" * 32, outcome=Outcome.VERIFIED, proof=proof, decided_at=now)
    before = ticket.verification or Verification(ticket.created_at)
    return replace(ticket, verification=replace(before, items=(item,)))


def by_release_0_1(ticket: Ticket, state: str) -> Ticket:
    """Return a ticket once release 0.1 has seen its record in a state: it merges what changed into the row."""
    row = ticket_row(ticket)
    old = old_tickets.ticket_of(row, None)
    assert old.record is not None
    changed = replace(old, record=replace(old.record, state=state), phase=OldPhase(PHASES[state].value))
    return ticket_of(row | old_tickets.ticket_row(changed), "etag")


def counted(summary: Summary, prefix: str) -> Mapping[str, int]:
    found: Counter[str] = Counter()
    for kind in TicketKind:
        found.update(summary.counts_under(prefix, kind))
    return {each: count for each, count in found.items() if count}


def scanned(tickets: Sequence[Ticket], prefix: str) -> Mapping[str, int]:
    under = [each for ticket in tickets for each in counted_under(ticket)]
    return Counter(each.removeprefix(prefix) for each in under if each.startswith(prefix))


steps = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from([*PHASES, "deleted", "verified", "as it is", "by 0.1: 2", "by 0.1: 7", "fold", "fold by 0.1"]),
        st.integers(0, 20),
    ),
    max_size=25,
)


@given(steps)
def test_whatever_happens_every_ticket_is_counted_once_where_a_scan_finds_it(
    happens: list[tuple[int, str, int]],
) -> None:
    """Each step is about one of four tickets; days pass in between. At the end, each is written once more."""
    stored: dict[int, Ticket] = {}
    summary, now = Summary(), START
    for number, step, days in [*happens, *((each, "as it is", 0) for each in range(4))]:
        now += timedelta(days=days)
        before = stored.get(number)
        if step == "fold":
            summary = summary.folded(now)
        elif step == "fold by 0.1":
            old = old_tickets.summary_of(summary_row(CONNECTION_ID, summary))
            folded = OldSummary(old.cells, old.due, old.folded_until).folded(now)
            summary = summary_of(old_tickets.summary_row(CONNECTION_ID, folded))
        elif before is not None and step.startswith("by 0.1"):
            stored[number] = by_release_0_1(before, step[-1])
        else:
            after = delivered_ticket(now) if before is None else before
            if step in PHASES:
                after = in_state(after, step, now)
            elif step == "deleted":
                after = deleted(after, now)
            elif step == "verified":
                after = verified(after, now)
            after = replace(after, counted=counted_under(after, () if before is None else before.counted))
            summary = summary.plus([SummaryChange.between([(before, after)])])
            stored[number] = after
    for prefix in (OPENED, CLOSED, VERIFIED_DAYS):
        kept = {
            week: count
            for week, count in scanned(list(stored.values()), prefix).items()
            if prefix == VERIFIED_DAYS or week >= week_of(now - KEPT_WEEKS * A_WEEK)
        }
        assert counted(summary.folded(now), prefix) == kept


@given(any_ticket())
def test_what_a_ticket_is_counted_under_is_stored_and_says_the_same_again(ticket: Ticket) -> None:
    under = counted_under(ticket)
    stored = ticket_of(ticket_row(replace(ticket, counted=under)), "etag")
    assert stored.counted == under
    assert counted_under(stored, stored.counted) == under
    assert len(under) == len({each.partition(":")[0] for each in under})


async def test_a_partly_read_ticket_is_counted_as_the_whole_one_is() -> None:
    store = MemoryTicketStore()
    ticket = await store.create_ticket(delivered_ticket(START))
    closed = in_state(ticket, "7", START + 2 * A_WEEK)
    await store.update_ticket(ticket, closed)
    [[part]] = [page async for page in store.scan_tickets(CONNECTION_ID)]
    assert not part.is_whole
    assert "counted" in CHANGING_COLUMNS
    assert counted_under(part, part.counted) == counted_under(closed)
    assert await store.update_tickets([(part, part)]) == []
    assert counted(await store.get_summary(CONNECTION_ID), CLOSED) == {week_of(START + 2 * A_WEEK): 1}


def test_a_ticket_that_was_never_counted_counts_when_it_was_really_opened_and_closed() -> None:
    resolved = in_state(in_state(delivered_ticket(START), "2", START + A_WEEK), "6", START + 2 * A_WEEK)
    closed = in_state(resolved, "7", START + 3 * A_WEEK)
    assert counted_under(closed) == (f"{OPENED}{week_of(START)}", f"{CLOSED}{week_of(START + 2 * A_WEEK)}")
    reopened = in_state(closed, "2", START + 4 * A_WEEK)
    assert counted_under(reopened) == (f"{OPENED}{week_of(START)}",)
    again = in_state(reopened, "8", START + 5 * A_WEEK)
    assert counted_under(again)[1] == f"{CLOSED}{week_of(START + 5 * A_WEEK)}"


def test_a_ticket_that_never_reached_servicenow_is_not_counted() -> None:
    assert counted_under(new_ticket(START)) == ()


def test_a_ticket_found_closed_counts_when_it_was_found() -> None:
    waiting = new_ticket(START)
    found = with_record(waiting, replace(record_for(waiting), phase=Phase.CLOSED), START + A_WEEK)
    assert found.phase not in OPEN_PHASES
    assert counted_under(found)[1] == f"{CLOSED}{week_of(START + A_WEEK)}"


@given(st.integers(-5, 4000))
def test_durations_are_counted_in_few_ranges_that_hold_them(days: int) -> None:
    ticket = delivered_ticket(START)
    [_, under] = counted_under(verified(ticket, ticket.created_at + timedelta(days=days)))
    lowest, highest = days_range(int(under.removeprefix(VERIFIED_DAYS)))
    assert lowest <= max(days, 0)
    assert highest is None or days <= highest


def test_the_counts_of_many_years_stay_few() -> None:
    summary, now = Summary(), START
    for _ in range(300):
        now += A_WEEK
        for kind in TicketKind:
            ticket = verified(in_state(delivered_ticket(now, kind=kind), "7", now), now + timedelta(days=400))
            ticket = replace(ticket, counted=counted_under(ticket))
            summary = summary.plus([SummaryChange.between([(None, ticket)])])
        summary = summary.folded(now)
    assert len(summary_row(CONNECTION_ID, summary)["cells"]) < 10_000


@pytest.mark.parametrize("at", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, tzinfo=UTC), START])
def test_weeks_are_in_order_of_time(at: datetime) -> None:
    assert week_of(datetime(1, 1, 1, tzinfo=UTC)) <= week_of(at) <= week_of(datetime(9999, 12, 31, tzinfo=UTC))
