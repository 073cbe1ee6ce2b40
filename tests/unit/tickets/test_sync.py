from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.connections.directory import Place, SyncState
from shared.connections.turns import OpenSyncState
from shared.errors import (
    AccessRefused,
    AnswerTooLarge,
    InsufficientRights,
    NoRoomForAnswer,
    QuotaExceeded,
    ServiceNowUnavailable,
    StorageUnavailable,
)
from shared.tickets.deliver import failed
from shared.tickets.model import Delivery, EventKind, Phase, Ticket
from shared.tickets.reach import TRY_MORE_AFTER, Reach
from shared.tickets.record_effects import with_record
from shared.tickets.sync import (
    CONFLICT_TRIES,
    HALF_A_MINUTE_S,
    LATE_COMMIT_S,
    SyncCounts,
    TicketSync,
    completed,
    first_bound,
    is_sync_due,
)
from tests.memory.clock import START, ManualClock
from tests.memory.servicenow import MemoryServiceNow, ReadFault
from tests.memory.ticket_store import MemoryTicketStore, WriteFault
from tests.unit.tickets.examples import CONNECTION_ID, INSTANCE, a_connection, delivered_ticket, new_ticket, record_for

INTERVAL_S = 300.0


def kinds(ticket: Ticket) -> list[EventKind]:
    return [event.kind for event in ticket.timeline]


class World:
    """A connection with delivered tickets, its instance, and the synchronisation."""

    def __init__(self, *, page_size: int = 10, skew_s: float = 0.0) -> None:
        self.clock = ManualClock()
        self.page_s = 0.0
        self.connection = a_connection()
        self.kept = OpenSyncState(SyncState())
        self.store = MemoryTicketStore()
        self.servicenow = MemoryServiceNow(self.clock, skew=timedelta(seconds=skew_s), step=self.step)
        self.sync = TicketSync(
            store=self.store,
            records=self.servicenow,
            clock=self.clock,
            page_size=page_size,
        )

    async def step(self, name: str) -> None:
        if name == "list_changes answers":
            self.clock.advance(self.page_s)

    async def tickets(self, count: int) -> list[Ticket]:
        """Create delivered tickets with records in ServiceNow, newest first."""
        made = [await self.store.create_ticket(delivered_ticket(self.clock())) for _ in range(count)]
        for ticket in made:
            assert ticket.record is not None
            self.servicenow.insert(ticket.record)
        return sorted(made, key=lambda ticket: ticket.ticket_id)

    async def run(self, *, within_s: float = 50.0) -> SyncCounts:
        return await self.sync.run(self.connection, self.kept, deadline=self.clock() + timedelta(seconds=within_s))

    async def settle(self) -> None:
        """Run until an idle run has nothing left to read."""
        for _ in range(3):
            await self.run()
            self.clock.advance(INTERVAL_S)

    def stored(self, ticket: Ticket) -> Ticket:
        return self.store.tickets[CONNECTION_ID][ticket.ticket_id]

    @property
    def state(self) -> SyncState:
        return self.kept.state

    @property
    def pages(self) -> int:
        return self.servicenow.requests["list_changes"]

    def assert_same(self) -> None:
        for ticket in self.store.tickets[CONNECTION_ID].values():
            assert ticket.record == self.servicenow.record(ticket.ticket_id)


# Cost


@pytest.mark.parametrize("count", [0, 1, 30])
async def test_an_idle_run_is_one_request(count: int) -> None:
    world = World()
    await world.tickets(count)
    await world.settle()
    before = world.pages
    counts = await world.run()
    assert world.pages == before + 1
    assert counts == SyncCounts(requests=1, complete=True)


@pytest.mark.parametrize("changes", [1, 9, 10, 11, 20, 35])
async def test_n_changes_are_n_by_page_size_requests(changes: int) -> None:
    world = World(page_size=10)
    tickets = await world.tickets(40)
    await world.settle()
    before = world.pages
    for ticket in tickets[:changes]:
        world.servicenow.change(ticket.ticket_id, state="2")
    counts = await world.run()
    assert world.pages == before + ceil(changes / 10)
    assert (counts.seen, counts.applied) == (changes, changes)
    assert sum(world.stored(ticket).phase is Phase.IN_PROGRESS for ticket in tickets) == changes
    world.assert_same()


async def test_what_was_applied_is_not_written_again() -> None:
    world = World()
    (ticket,) = await world.tickets(1)
    await world.run()
    world.clock.advance(INTERVAL_S)
    world.servicenow.change(ticket.ticket_id, state="2")
    assert (await world.run()).applied == 1
    etag = world.stored(ticket).etag
    world.clock.advance(INTERVAL_S)
    counts = await world.run()
    assert (counts.seen, counts.applied) == (1, 0)
    assert world.stored(ticket).etag == etag


# No change is missed


@st.composite
def changes(draw: st.DrawFn) -> list[tuple[float, int, float]]:
    """Changes in about an hour: seconds since the last one, the ticket, and how late it is committed."""
    return draw(
        st.lists(
            st.tuples(
                st.sampled_from([0.0, 0.3, 1.0, 20.0, 59.0, 119.0, 121.0, 300.0, 700.0]),
                st.integers(0, 4),
                st.sampled_from([0.0, 1.0, 30.0, 60.0]),
            ),
            min_size=1,
            max_size=12,
        )
    )


@given(changes(), st.sampled_from([31.0, 60.0, 119.0, 121.0, 300.0]), st.sampled_from([-400.0, 0.0, 400.0]), st.data())
async def test_late_commits_are_not_missed(
    history: list[tuple[float, int, float]], interval_s: float, skew_s: float, data: st.DataObject
) -> None:
    """Runs come at an interval and take some time; changes become visible up to a minute after their time."""
    world = World(page_size=3, skew_s=skew_s)
    tickets = await world.tickets(5)
    next_run_at = world.clock()
    for passed_s, number, late_s in history:
        moment = world.clock() + timedelta(seconds=passed_s)
        while next_run_at <= moment:
            world.clock.now = max(world.clock(), next_run_at)
            world.page_s = data.draw(st.sampled_from([0.0, 5.0, 30.0]))
            await world.run()
            next_run_at = world.clock() + timedelta(seconds=interval_s)
        world.clock.now = max(world.clock(), moment)
        state = data.draw(st.sampled_from(["1", "2", "3", "6"]))
        world.servicenow.change(tickets[number].ticket_id, state=state, commit_after_s=late_s)
    world.page_s = 0.0
    world.clock.advance(60)
    for _ in range(3):
        await world.run()
        world.clock.advance(interval_s)
    world.assert_same()
    for _ in range(ceil(LATE_COMMIT_S / interval_s) + 1):
        await world.run()
        world.clock.advance(interval_s)
    assert await world.run() == SyncCounts(requests=1, complete=True)


async def test_a_long_run_does_not_shorten_the_overlap() -> None:
    """The newest change is read 85 s after the run began, and one of the same second is committed a minute later."""
    world = World(page_size=1)
    first, second, third = await world.tickets(3)
    await world.settle()
    began_at = world.clock()
    world.servicenow.change(first.ticket_id, state="2")

    async def slow(name: str) -> None:
        if name == "list_changes":
            page = world.pages - pages_before
            world.clock.now = began_at + timedelta(seconds={1: 40, 2: 84}[page])
            if page == 1:
                world.servicenow.change(third.ticket_id, state="2")
            else:
                world.servicenow.change(third.ticket_id, state="6")
                world.servicenow.change(second.ticket_id, state="2", commit_after_s=60)

    pages_before = world.pages
    world.servicenow._step = slow
    assert (await world.run()).requests == 2
    world.servicenow._step = world.step
    for later_s in (LATE_COMMIT_S + 1, 300, 600):
        world.clock.now = began_at + timedelta(seconds=later_s)
        await world.run()
    world.assert_same()


async def test_the_watermark_is_servicenows_own_time() -> None:
    world = World(skew_s=-86_400)
    (ticket,) = await world.tickets(1)
    await world.settle()
    assert world.state.watermark == "2026-03-01 09:30:15"
    world.servicenow.change(ticket.ticket_id, state="2")
    assert (await world.run()).applied == 1


async def test_a_record_from_the_future_hides_no_change() -> None:
    world = World(page_size=2)
    first, second, third = await world.tickets(3)
    await world.settle()
    world.servicenow.change(first.ticket_id, state="2", updated_at_text="2099-01-01 00:00:00")
    for state, page_s in (("2", 0.0), ("3", 60.0), ("6", 0.0)):
        world.page_s = page_s
        world.servicenow.change(second.ticket_id, state=state)
        world.servicenow.change(third.ticket_id, state=state)
        for _ in range(3):
            await world.run()
        world.assert_same()
        world.clock.advance(INTERVAL_S)
    await world.settle()
    assert (await world.run()).requests == 1


async def test_a_run_that_stops_at_a_record_from_the_future_hides_no_change() -> None:
    world = World(page_size=1)
    first, second, third = await world.tickets(3)
    await world.settle()
    for ticket, year in ((first, 2098), (second, 2099)):
        world.servicenow.change(ticket.ticket_id, state="2", updated_at_text=f"{year}-01-01 00:00:00")
    assert not (await world.run(within_s=0)).complete
    assert (await world.run()).complete
    world.servicenow.change(third.ticket_id, state="2")
    await world.run()
    world.assert_same()


async def test_a_restored_record_counts_once_somebody_changes_it() -> None:
    """The record comes back from a backup with a smaller count; its next change makes it newer."""
    world = World()
    (ticket,) = await world.tickets(1)
    for state in ("2", "3", "6"):
        world.servicenow.change(ticket.ticket_id, state=state)
    await world.settle()
    world.servicenow.change(ticket.ticket_id, state="2", mod_count=1)
    await world.run()
    world.assert_same()
    assert world.stored(ticket).phase is Phase.IN_PROGRESS


async def test_an_older_state_with_a_smaller_count_does_not_count() -> None:
    """The page was read before a change that another run has applied since."""
    world = World()
    (ticket,) = await world.tickets(1)
    before = world.servicenow.record(ticket.ticket_id)
    assert before is not None
    await world.settle()
    world.servicenow.change(ticket.ticket_id, state="6")
    await world.run()
    await world.sync.apply(world.connection, {ticket.ticket_id: [before]}, SyncCounts(), first_answer=False)
    world.assert_same()


async def test_the_first_answer_counts_when_a_connection_comes_back_to_its_instance() -> None:
    """A clone has written greater counts to the tickets; going back resets the state of the synchronisation."""
    world = World(page_size=1)
    tickets = await world.tickets(2)
    await world.settle()
    for ticket in tickets:
        stored = world.stored(ticket)
        assert stored.record is not None
        wrong = replace(stored.record, state="7", mod_count=9, updated_at_text="2027-01-01 00:00:00")
        await world.store.update_ticket(stored, replace(stored, record=wrong, phase=Phase.CLOSED))
    world.kept.state = SyncState()
    assert not (await world.run(within_s=0)).complete
    await world.run()
    world.assert_same()
    assert [world.stored(ticket).phase for ticket in tickets] == [Phase.NEW, Phase.NEW]


async def test_a_failed_ticket_whose_record_exists_is_adopted() -> None:
    world = World()
    refusal = InsufficientRights()
    ticket = await world.store.create_ticket(failed(new_ticket(START), refusal, START, unknown=True))
    world.servicenow.insert(record_for(ticket, sys_id="0" * 32, number="INC0000009"))
    own = world.servicenow.insert(record_for(ticket, state="2"))
    counts = await world.run()
    stored = world.stored(ticket)
    assert counts.applied == 1
    assert (stored.delivery.status, stored.delivery.error_code) == (Delivery.DELIVERED, None)
    assert (stored.record, stored.phase) == (own, Phase.IN_PROGRESS)
    assert stored.timeline[-1].details["found"] == "true"


async def test_foreign_and_waiting_tickets_are_left_alone() -> None:
    world = World()
    waiting = await world.store.create_ticket(new_ticket(START))
    world.servicenow.insert(record_for(waiting))
    stranger = new_ticket(START)
    world.servicenow.insert(record_for(stranger))
    world.servicenow.insert(replace(record_for(stranger), sys_id="1" * 32, correlation_id="m365:nonsense"))
    world.servicenow.insert(replace(record_for(stranger), sys_id="2" * 32, correlation_id="somebody else's"))
    counts = await world.run()
    assert (counts.seen, counts.applied, counts.unknown) == (3, 0, 1)
    assert world.stored(waiting) == waiting


async def test_a_clone_does_not_change_the_tickets_of_another_instance() -> None:
    """The connection points to a clone, whose records have the ids of the tickets left behind."""
    world = World()
    (ticket,) = await world.tickets(1)
    world.connection = replace(world.connection, instance=f"{INSTANCE}.test")
    world.servicenow.change(ticket.ticket_id, state="7", active=False)
    for query_refused in (False, True):
        world.servicenow.query_refused = query_refused
        counts = await world.run()
        assert (counts.applied, counts.unknown) == (0, 0)
        assert world.stored(ticket) == ticket
    assert world.servicenow.requests["list_by_sys_id"] == 0


async def test_a_second_record_of_a_ticket_does_not_change_it() -> None:
    world = World()
    (ticket,) = await world.tickets(1)
    world.servicenow.insert(record_for(ticket, sys_id="f" * 32, state="7", active=False, mod_count=9))
    await world.run()
    assert world.stored(ticket) == ticket


# Records that have lost their correlation id


async def unlinked(world: World, count: int) -> list[Ticket]:
    """Create tickets whose records are known to have lost their correlation id to a rule in ServiceNow."""
    tickets = await world.tickets(count)
    for ticket in tickets:
        record = world.servicenow.change(ticket.ticket_id, correlation_id="TASK-1")
        stored = world.stored(ticket)
        await world.store.update_ticket(stored, with_record(stored, record, world.clock()))
    return tickets


async def test_an_instance_on_which_every_correlation_id_is_replaced() -> None:
    world = World(page_size=4)
    tickets = await unlinked(world, 10)
    for ticket in tickets:
        world.servicenow.change(ticket.ticket_id, state="2")
    counts = await world.run()
    assert (counts.applied, counts.complete) == (10, True)
    assert {world.stored(ticket).phase for ticket in tickets} == {Phase.IN_PROGRESS}
    assert [kind for kind in kinds(world.stored(tickets[0])) if kind is EventKind.UNLINKED] == [EventKind.UNLINKED]
    for ticket in tickets:
        world.servicenow.change(ticket.ticket_id, state="7")
    await world.run()
    assert await world.run() == SyncCounts(requests=1, complete=True), "closed tickets are not followed"


async def test_following_by_sys_id_is_one_more_request_for_each_hundred() -> None:
    world = World(page_size=500)
    await unlinked(world, 101)
    assert (await world.run()).requests == 1 + 2


async def test_a_record_whose_correlation_id_is_right_again_is_followed_as_any_other() -> None:
    world = World()
    first, second = await unlinked(world, 2)
    world.servicenow.change(first.ticket_id, correlation_id=first.correlation_id, state="2")
    await world.run()
    assert [world.stored(each).is_unlinked for each in (first, second)] == [False, True]
    assert world.stored(first).phase is Phase.IN_PROGRESS


async def test_following_by_sys_id_goes_on_where_it_stopped() -> None:
    world = World(page_size=4)
    tickets = await unlinked(world, 10)
    for ticket in tickets:
        world.servicenow.change(ticket.ticket_id, state="2")
    applied = []
    for _ in range(3):
        counts = await world.run(within_s=0)
        applied.append(counts.applied)
        assert is_sync_due(world.state, world.clock(), INTERVAL_S) is not counts.complete
    assert applied == [4, 4, 2]
    assert world.state.last_completed_at is not None


# Foreign records


def foreign(world: World, count: int) -> set[str]:
    """Insert records of other domains' connectors; return their sys_ids."""
    return {world.servicenow.insert(record_for(new_ticket(world.clock()))).sys_id for _ in range(count)}


async def test_hidden_records_of_other_domains_do_not_stop_it() -> None:
    world = World(page_size=10)
    first, last = await world.tickets(2)
    await world.settle()
    world.servicenow.hidden = foreign(world, 250)
    world.clock.advance(1)
    world.servicenow.change(last.ticket_id, state="2")
    world.page_s = 20.0
    runs = [await world.run()]
    while not runs[-1].complete:
        assert world.state.resume_at is not None
        runs.append(await world.run())
    assert len(runs) > 3
    assert sum(run.hidden for run in runs) == 25
    world.assert_same()
    assert world.stored(first) == first


async def test_hidden_records_of_our_own_are_missing_rights() -> None:
    world = World(page_size=10)
    tickets = await world.tickets(30)
    world.servicenow.hidden = {ticket.ticket_id for ticket in tickets}
    with pytest.raises(AccessRefused) as caught:
        await world.run()
    assert caught.value.code == "records_not_visible"
    assert world.state.last_completed_at is not None, "the run itself completed"


async def test_a_run_that_fails_keeps_its_place() -> None:
    world = World(page_size=4)
    tickets = await world.tickets(10)
    for ticket in tickets:
        world.servicenow.change(ticket.ticket_id, state="2")

    async def fail_on_the_second_page(name: str) -> None:
        if name == "list_changes" and world.pages == 2:
            world.servicenow.read_faults.append(ReadFault.NO_ANSWER)

    world.servicenow._step = fail_on_the_second_page
    with pytest.raises(ServiceNowUnavailable):
        await world.run()
    assert world.state.resume_at is not None
    counts = await world.run()
    assert (counts.requests, counts.seen, counts.complete) == (2, 6, True)
    world.assert_same()


async def test_what_is_committed_late_during_an_outage_is_not_missed() -> None:
    """The run fails after a record that is newer than one still being committed, and goes on much later."""
    world = World(page_size=1)
    first, second, third = await world.tickets(3)
    await world.settle()
    world.servicenow.change(first.ticket_id, state="6", commit_after_s=30)
    world.clock.advance(1)
    world.servicenow.change(second.ticket_id, state="2")
    world.clock.advance(1)
    world.servicenow.change(third.ticket_id, state="2")

    async def fail_on_the_second_page(name: str) -> None:
        if name == "list_changes" and world.pages == before + 2:
            world.servicenow.read_faults.append(ReadFault.NO_ANSWER)

    before = world.pages
    world.servicenow._step = fail_on_the_second_page
    with pytest.raises(ServiceNowUnavailable):
        await world.run()
    world.clock.advance(7200)
    world.servicenow.change(third.ticket_id, state="3")
    await world.run()
    world.assert_same()


# Reads that are too expensive


@pytest.mark.parametrize(
    ("is_dear", "step"),
    [
        (lambda reach: reach.counted, 1),
        (lambda reach: reach.page_size > 4, 2),
        (lambda reach: reach.span is None, 3),
    ],
    ids=["the count", "the page", "the whole time"],
)
async def test_less_is_asked_for_where_servicenow_cancels_a_read(is_dear: Callable[[Reach], bool], step: int) -> None:
    world = World(page_size=40)
    tickets = await world.tickets(30)
    for number, ticket in enumerate(tickets):
        world.servicenow.change(ticket.ticket_id, state="2")
        if number % 7 == 0:
            world.clock.advance(86_400 * 3)
    world.servicenow.cancels = is_dear
    assert (await world.run()).complete
    world.assert_same()
    assert (world.state.read_step, world.state.read_step_at) == (step, world.clock())
    # The page size is remembered, and a larger one is tried now and then.
    world.clock.advance(INTERVAL_S)
    before = world.pages
    assert (await world.run()).requests == world.pages - before
    world.clock.advance(TRY_MORE_AFTER.total_seconds())
    before = world.pages
    counts = await world.run()
    assert world.pages - before == counts.requests + 1
    assert world.state.read_step == step
    world.servicenow.cancels = lambda reach: False
    for _ in range(step):
        world.clock.advance(TRY_MORE_AFTER.total_seconds())
        await world.run()
    assert (world.state.read_step, world.state.read_step_at) == (0, None)


@pytest.mark.parametrize("error", [AnswerTooLarge, NoRoomForAnswer])
async def test_too_large_an_answer_leads_to_smaller_pages_at_once(error: type[ServiceNowUnavailable]) -> None:
    world = World()
    await world.tickets(12)
    world.servicenow.cancels, world.servicenow.cancels_by = lambda reach: reach.page_size > 1, error
    counts = await world.run()
    assert counts.complete
    world.assert_same()
    assert world.state.read_step == 2
    assert world.pages == 1 + counts.requests, "a page of the same size without the count is not asked for"


async def test_where_even_the_smallest_page_is_too_large_it_is_reported() -> None:
    world = World()
    world.servicenow.cancels, world.servicenow.cancels_by = lambda reach: True, AnswerTooLarge
    with pytest.raises(AnswerTooLarge):
        await world.run()
    assert (world.pages, world.state.read_step) == (2, 2)


async def test_where_even_the_least_is_too_dear_it_is_reported() -> None:
    world = World()
    world.servicenow.cancels = lambda reach: True
    with pytest.raises(QuotaExceeded):
        await world.run()
    assert world.state.read_step == 3


# Interruptions


async def test_a_run_goes_on_where_it_stopped() -> None:
    world = World(page_size=4)
    tickets = await world.tickets(30)
    for number, ticket in enumerate(tickets):
        world.servicenow.change(ticket.ticket_id, state="2")
        if number % 5 == 0:
            world.clock.advance(1)
    world.page_s = 25.0
    runs = [await world.run()]
    while not runs[-1].complete:
        assert world.state.resume_at is not None
        assert is_sync_due(world.state, world.clock(), INTERVAL_S)
        runs.append(await world.run())
    assert [run.requests for run in runs] == [2, 2, 2, 2]
    assert sum(run.applied for run in runs) == 30
    assert world.state.resume_at is None
    assert not is_sync_due(world.state, world.clock(), INTERVAL_S)
    world.assert_same()


async def test_a_failed_run_begins_again() -> None:
    world = World(page_size=4)
    tickets = await world.tickets(10)
    await world.settle()
    state = world.state
    for ticket in tickets:
        world.servicenow.change(ticket.ticket_id, state="2")
    world.servicenow.read_faults.append(ReadFault.NO_ANSWER)
    with pytest.raises(ServiceNowUnavailable):
        await world.run()
    assert replace(world.state, last_started_at=None) == replace(state, last_started_at=None)
    await world.run()
    world.assert_same()


# Concurrent runs


async def test_a_ticket_that_somebody_changes_meanwhile_is_read_again() -> None:
    world = World()
    tickets = await world.tickets(3)
    for ticket in tickets:
        world.servicenow.change(ticket.ticket_id, state="2")
    world.store.faults += [WriteFault.REPEATED]
    await world.run()
    world.assert_same()


async def test_a_change_that_cannot_be_stored_is_not_passed_over() -> None:
    world = World()
    (ticket,) = await world.tickets(1)
    world.servicenow.change(ticket.ticket_id, state="2")

    async def always_refused(changes: Any) -> Any:
        return changes

    world.store.update_tickets = always_refused  # type: ignore[method-assign]
    with pytest.raises(StorageUnavailable):
        await world.run()
    assert world.state.watermark is None
    assert CONFLICT_TRIES > 1


# Without the single query


async def test_open_tickets_are_asked_for_by_id_where_the_query_is_refused() -> None:
    world = World(page_size=4)
    tickets = await world.tickets(10)
    world.servicenow.query_refused = True
    for ticket in tickets:
        world.servicenow.change(ticket.ticket_id, state="6")
    counts = await world.run()
    assert counts.complete
    assert counts.applied == 10
    world.assert_same()
    assert world.state.last_completed_at is not None
    assert world.state.watermark is None
    # Resolved ones are no longer read.
    before = world.servicenow.requests["list_by_sys_id"]
    await world.run()
    assert world.servicenow.requests["list_by_sys_id"] == before


async def test_a_run_by_ids_goes_on_where_it_stopped() -> None:
    world = World(page_size=4)
    tickets = await world.tickets(10)
    world.servicenow.query_refused = True
    for ticket in tickets:
        world.servicenow.change(ticket.ticket_id, state="2")

    async def slow(name: str) -> None:
        if name == "list_by_sys_id":
            world.clock.advance(30)

    world.servicenow._step = slow
    runs = []
    for _ in range(3):
        runs.append(await world.run(within_s=20))
        world.clock.advance(60)
        if not runs[-1].complete:
            assert world.state.resume_after_ticket is not None
            assert is_sync_due(world.state, world.clock(), 86_400)
    assert [(run.applied, run.complete) for run in runs] == [(4, False), (4, False), (2, False)]
    assert (await world.run(within_s=20)).complete
    assert world.state.resume_after_ticket is None
    world.assert_same()


async def test_other_refusals_are_reported() -> None:
    world = World()
    world.servicenow.read_faults.append(ReadFault.ACCESS_REFUSED)
    with pytest.raises(AccessRefused):
        await world.run()
    assert world.servicenow.requests["list_by_sys_id"] == 0


# Rules


def test_first_bound() -> None:
    assert first_bound(SyncState(), START) == (None, True)
    state = completed(SyncState(), "2026-03-02 00:01:00", START, START)
    assert first_bound(state, START) == ("2026-03-01 23:59:00", True)
    nearly = completed(state, None, START + timedelta(seconds=LATE_COMMIT_S - 1), START)
    assert first_bound(nearly, START) == ("2026-03-01 23:59:00", True)
    settled = completed(state, None, START + timedelta(seconds=LATE_COMMIT_S), START)
    assert first_bound(settled, START + timedelta(seconds=LATE_COMMIT_S)) == ("2026-03-02 00:01:00", False)
    older = completed(settled, "2026-03-01 00:00:00", START, START)
    assert older.watermark == "2026-03-02 00:01:00"


@given(st.floats(0, 10_000), st.floats(30, 3_600))
def test_when_a_run_is_due(passed_s: float, interval_s: float) -> None:
    state = SyncState(last_started_at=START)
    now = START + timedelta(seconds=passed_s)
    assert is_sync_due(state, now, interval_s) == (now >= START + timedelta(seconds=interval_s - HALF_A_MINUTE_S))
    assert is_sync_due(replace(state, requested_at=now), now, interval_s)
    assert is_sync_due(replace(state, resume_at=Place(("2026-03-02 00:01:00", "0" * 32))), now, interval_s)
    assert is_sync_due(SyncState(), now, interval_s)


async def test_a_record_without_a_time_is_applied_and_moves_nothing() -> None:
    world = World()
    (ticket,) = await world.tickets(1)
    world.servicenow.change(ticket.ticket_id, state="6", updated_at_text="")
    await world.run()
    assert world.stored(ticket).phase is Phase.RESOLVED
    assert world.state.watermark is None
    (other,) = await world.tickets(1)
    await world.run()
    assert world.state.watermark == world.stored(other).record.updated_at_text  # type: ignore[union-attr]


@given(
    watermark=st.none() | st.text(max_size=25) | st.sampled_from(["2026-02-30 10:00:00", "0001-01-01 00:00:00"]),
    seen=st.booleans(),
)
async def test_a_stored_watermark_that_is_no_time_is_none(watermark: str | None, seen: bool) -> None:
    world = World()
    (ticket,) = await world.tickets(1)
    world.kept.state = SyncState(
        watermark=watermark,
        resume_at=Place((watermark, "0a" * 16)) if seen and watermark is not None else None,
    )
    await world.run()
    assert world.state.watermark == world.stored(ticket).record.updated_at_text  # type: ignore[union-attr]
