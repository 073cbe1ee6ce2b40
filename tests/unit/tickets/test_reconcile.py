from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.connections.directory import SyncState
from shared.connections.turns import OpenSyncState
from shared.errors import AccessRefused, InsufficientRights, ServiceNowUnavailable
from shared.servicenow.states import phase_of
from shared.tickets.deliver import failed
from shared.tickets.model import Delivery, EventKind, Phase, Ticket
from shared.tickets.reach import Reach
from shared.tickets.reconcile import GRACE, MANY, ReconciliationCounts, TicketReconciliation, is_reconciliation_due
from shared.tickets.record_effects import with_record
from tests.memory.clock import START, ManualClock
from tests.memory.servicenow import MemoryServiceNow, ReadFault, as_shown
from tests.memory.ticket_store import MemoryTicketStore
from tests.unit.tickets.examples import CONNECTION_ID, INSTANCE, a_connection, delivered_ticket, new_ticket, record_for

OLD = GRACE + timedelta(minutes=1)


class World:
    """A connection with delivered tickets, its instance, and the reconciliation."""

    def __init__(self, *, page_size: int = 4) -> None:
        self.clock = ManualClock(START)
        self.page_s = 0.0
        self.connection = a_connection()
        self.kept = OpenSyncState(SyncState())
        self.store = MemoryTicketStore()
        self.servicenow = MemoryServiceNow(self.clock, step=self.step)
        self.reconciliation = TicketReconciliation(
            store=self.store,
            records=self.servicenow,
            clock=self.clock,
            page_size=page_size,
        )

    async def step(self, name: str) -> None:
        if name == "list_by_correlation":
            self.clock.advance(self.page_s)

    async def tickets(self, count: int) -> list[Ticket]:
        """Create delivered tickets that are old enough to be compared, in the order of their ids."""
        made = []
        for _ in range(count):
            ticket = await self.store.create_ticket(delivered_ticket(self.clock()))
            assert ticket.record is not None
            self.servicenow.insert(ticket.record)
            made.append(
                await self.store.update_ticket(ticket, replace(ticket, record=self.servicenow.record(ticket.ticket_id)))
            )
            self.clock.advance(0.01)
        self.clock.advance(OLD.total_seconds())
        return sorted(made, key=lambda ticket: ticket.ticket_id)

    async def run(self) -> ReconciliationCounts:
        return await self.reconciliation.run(self.connection, self.kept, deadline=self.clock() + timedelta(seconds=50))

    async def run_to_the_end(self) -> list[ReconciliationCounts]:
        runs = [await self.run()]
        while not runs[-1].complete:
            runs.append(await self.run())
        return runs

    def stored(self, ticket: Ticket) -> Ticket:
        return self.store.tickets[CONNECTION_ID][ticket.ticket_id]

    async def change_here(self, ticket: Ticket, **values: Any) -> None:
        """Store another state of the record than ServiceNow's."""
        stored = self.stored(ticket)
        assert stored.record is not None
        await self.store.update_ticket(
            stored, with_record(stored, as_shown(replace(stored.record, **values)), self.clock())
        )

    def double(self, ticket: Ticket, sys_id: str) -> None:
        self.servicenow.insert(record_for(ticket, sys_id=sys_id, number=f"INC{sys_id[:7]}", state="7", active=False))

    @property
    def state(self) -> SyncState:
        return self.kept.state


def kinds(ticket: Ticket) -> list[EventKind]:
    return [event.kind for event in ticket.timeline]


@pytest.mark.parametrize("count", [0, 1, 4, 5, 23])
async def test_both_sides_alike(count: int) -> None:
    world = World()
    tickets = await world.tickets(count)
    counts = await world.run()
    assert counts == ReconciliationCounts(compared=count, compared_open=count, complete=True)
    assert [world.stored(ticket).etag for ticket in tickets] == [ticket.etag for ticket in tickets]
    assert world.state.reconciled_at == world.clock()


@given(st.sets(st.integers(0, 14)), st.sampled_from([1, 2, 4, 100]))
async def test_deleted_records_are_found_wherever_they_stood(numbers: set[int], page_size: int) -> None:
    world = World(page_size=page_size)
    tickets = await world.tickets(15)
    for number in numbers:
        world.servicenow.delete(tickets[number].ticket_id)
    counts = await world.run()
    assert counts.deleted == len(numbers)
    for number, ticket in enumerate(tickets):
        stored = world.stored(ticket)
        assert (stored.phase is Phase.DELETED) == (number in numbers)
        assert (stored == ticket) == (number not in numbers)
    again = await world.run()
    assert (again.deleted, again.corrected) == (0, 0)


async def test_a_deleted_record_that_comes_back_is_found_again() -> None:
    world = World()
    (ticket,) = await world.tickets(1)
    assert ticket.record is not None
    world.servicenow.delete(ticket.ticket_id)
    await world.run()
    world.servicenow.insert(ticket.record)
    await world.run()
    assert world.stored(ticket).phase is Phase.NEW
    assert kinds(world.stored(ticket))[-2:] == [EventKind.DELETED, EventKind.FOUND_AGAIN]


async def test_differences_are_corrected() -> None:
    world = World()
    tickets = await world.tickets(9)
    world.servicenow.change(tickets[3].ticket_id, state="6")
    world.servicenow.change(tickets[7].ticket_id, table="sn_si_incident", number="SIR0000001", state="16")
    counts = await world.run()
    assert counts.corrected == 2
    assert world.stored(tickets[3]).phase is Phase.RESOLVED
    moved = world.stored(tickets[7])
    assert moved.record is not None
    assert (moved.record.number, moved.phase) == ("SIR0000001", Phase.IN_PROGRESS)
    assert EventKind.MOVED in kinds(moved)


@pytest.mark.parametrize("page_size", [1, 2, 3, 4, 100])
@pytest.mark.parametrize("sys_id", ["0" * 31 + "1", "f" * 32], ids=["before its own", "behind it"])
async def test_doubled_records_are_found_even_across_a_page_border(page_size: int, sys_id: str) -> None:
    world = World(page_size=page_size)
    tickets = await world.tickets(6)
    for number in (1, 3, 5):
        world.double(tickets[number], f"{sys_id[:-1]}{number}")
    world.page_s = 20.0
    await world.run_to_the_end()
    for number, ticket in enumerate(tickets):
        stored = world.stored(ticket)
        assert kinds(stored).count(EventKind.DOUBLED) == (number in (1, 3, 5))
        assert stored.record == ticket.record
        assert stored.phase is Phase.NEW
    etags = [world.stored(ticket).etag for ticket in tickets]
    await world.run_to_the_end()
    assert [world.stored(ticket).etag for ticket in tickets] == etags


async def test_records_that_no_ticket_knows_are_counted() -> None:
    world = World()
    await world.tickets(5)
    for number in range(3):
        stranger = new_ticket(START + timedelta(hours=number))
        world.servicenow.insert(record_for(stranger))
    assert (await world.run()).never_seen == 3


@pytest.mark.parametrize("foreign", ["", "nonsense", "zzz", "7", "FFFF"])
async def test_a_correlation_id_that_somebody_made_up_does_no_harm(foreign: str) -> None:
    world = World(page_size=2)
    tickets = await world.tickets(8)
    for number in range(3):
        record = record_for(tickets[0], sys_id=f"{number:032x}", correlation_id=f"m365:{foreign}")
        world.servicenow.insert(record)
    requests = world.servicenow.requests
    counts = await world.run()
    assert counts.compared == 8
    assert (counts.deleted, counts.corrected, counts.doubled) == (0, 0, 0)
    assert requests["list_by_sys_id"] == 0


async def test_a_cleared_correlation_id_is_no_deletion() -> None:
    world = World()
    tickets = await world.tickets(5)
    world.servicenow.change(tickets[2].ticket_id, correlation_id=None, state="2")
    counts = await world.run()
    assert counts.deleted == 0
    stored = world.stored(tickets[2])
    assert stored.phase is Phase.IN_PROGRESS
    assert (await world.run()).deleted == 0
    assert world.stored(tickets[2]).etag == stored.etag


async def test_what_the_comparison_reads_is_simply_true() -> None:
    """A record was restored from a backup: its count and its time are older than the known ones."""
    world = World()
    (ticket,) = await world.tickets(1)
    await world.change_here(ticket, state="6", mod_count=9, updated_at_text="2026-03-02 11:00:00")
    assert (await world.run()).corrected == 1
    assert world.stored(ticket).record == world.servicenow.record(ticket.ticket_id)
    assert world.stored(ticket).phase is Phase.NEW


async def test_a_page_that_is_older_than_what_was_applied_since_turns_nothing_back() -> None:
    """Another host's synchronisation applies a change after the page is read and before the tickets are."""
    world = World()
    tickets = await world.tickets(3)
    scan = world.store.scan_tickets

    async def synchronised_meanwhile(connection_id: str, *, after: str | None = None):  # type: ignore[no-untyped-def]
        world.servicenow.change(tickets[1].ticket_id, state="6")
        newest = world.servicenow.record(tickets[1].ticket_id)
        stored = world.stored(tickets[1])
        assert newest is not None
        await world.store.update_ticket(stored, with_record(stored, newest, world.clock()))
        async for page in scan(connection_id, after=after):
            yield page

    world.store.scan_tickets = synchronised_meanwhile  # type: ignore[method-assign]
    counts = await world.run()
    assert (counts.corrected, counts.deleted) == (0, 0)
    assert world.stored(tickets[1]).phase is Phase.RESOLVED


async def test_a_failed_ticket_whose_record_exists_is_adopted() -> None:
    world = World()
    await world.tickets(2)
    refusal = InsufficientRights()
    lost, refused = [
        await world.store.create_ticket(failed(new_ticket(START), refusal, START, unknown=True)) for _ in range(2)
    ]
    own = world.servicenow.insert(record_for(lost, state="2"))
    world.double(lost, "0" * 32)
    counts = await world.run()
    assert (counts.compared, counts.adopted, counts.deleted) == (2, 1, 0)
    stored = world.stored(lost)
    assert (stored.record, stored.delivery.status) == (own, Delivery.DELIVERED)
    assert kinds(stored)[-2:] == [EventKind.DELIVERED, EventKind.DOUBLED]
    assert world.stored(refused) == refused


async def test_a_lost_correlation_id_is_found_and_noted_once() -> None:
    world = World()
    tickets = await world.tickets(5)
    world.servicenow.change(tickets[1].ticket_id, correlation_id=None)
    world.servicenow.change(tickets[3].ticket_id, correlation_id="TASK-1", state="2")
    for _ in range(2):
        await world.run()
        assert [world.stored(ticket).is_unlinked for ticket in tickets] == [False, True, False, True, False]
        assert [kinds(world.stored(ticket)).count(EventKind.UNLINKED) for ticket in tickets] == [0, 1, 0, 1, 0]
    unlinked = await world.store.list_unlinked(CONNECTION_ID, limit=10)
    assert [each.ticket_id for each in unlinked] == [tickets[1].ticket_id, tickets[3].ticket_id]
    world.servicenow.change(tickets[1].ticket_id, correlation_id=tickets[1].correlation_id)
    await world.run()
    assert not world.stored(tickets[1]).is_unlinked


@pytest.mark.parametrize("case_counts", [False, True])
async def test_a_correlation_id_in_capitals_is_followed_wherever_the_prefix_finds_it(case_counts: bool) -> None:
    world = World()
    world.servicenow.case_counts = case_counts
    (ticket,) = await world.tickets(1)
    world.servicenow.change(ticket.ticket_id, correlation_id=ticket.correlation_id.upper(), state="2")
    counts = await world.run()
    assert (counts.corrected, counts.deleted, counts.doubled) == (1, 0, 0)
    assert (world.stored(ticket).phase, world.stored(ticket).is_unlinked) == (Phase.IN_PROGRESS, True)


async def test_an_instance_on_which_every_correlation_id_is_replaced() -> None:
    """Correlation ids find nothing; all records are read by sys_id, within the deadline of each run."""
    world = World()
    tickets = await world.tickets(30)
    for ticket in tickets:
        world.servicenow.change(ticket.ticket_id, correlation_id="TASK-1", state="2")
    assert (await world.run()).complete
    assert all(world.stored(ticket).phase is Phase.IN_PROGRESS for ticket in tickets)


# Foreign records, and reads that are too expensive


@pytest.mark.parametrize("case_counts", [False, True])
async def test_many_records_that_cannot_be_asked_for_hold_nothing_up(case_counts: bool) -> None:
    """More in a row than a run can skip; every third run fails."""
    world = World(page_size=4)
    world.servicenow.case_counts = case_counts
    tickets = await world.tickets(9)
    for number in range(60):
        correlation_id = f"{tickets[4].correlation_id}{'^' if number % 2 else ','}{number}"
        world.servicenow.insert(record_for(tickets[0], sys_id=f"{number:032x}", correlation_id=correlation_id))
    world.servicenow.insert(record_for(tickets[0], sys_id="e" * 32, correlation_id="M365:LEGACY"))
    world.servicenow.delete(tickets[7].ticket_id)
    world.page_s = 20.0
    compared = deleted = runs = 0
    complete = False
    while not complete:
        runs += 1
        if runs % 3 == 0:
            world.servicenow.read_faults.append(ReadFault.NO_ANSWER)
            with pytest.raises(ServiceNowUnavailable):
                await world.run()
            continue
        assert runs < 30, "it does not get on"
        counts = await world.run()
        compared, deleted, complete = compared + counts.compared, deleted + counts.deleted, counts.complete
    assert (compared, deleted) == (9, 1)
    assert world.state.reconcile_place is None


async def test_hidden_records_of_others_are_passed_over() -> None:
    world = World(page_size=4)
    tickets = await world.tickets(3)
    for _ in range(100):
        world.servicenow.hidden.add(world.servicenow.insert(record_for(new_ticket(world.clock()))).sys_id)
    counts = await world.run()
    assert (counts.compared, counts.deleted, counts.complete) == (3, 0, True)
    assert [world.stored(ticket) for ticket in tickets] == tickets


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
    tickets = []
    for _ in range(3):
        tickets += await world.tickets(5)
        world.clock.advance(86_400 * 5)
    world.servicenow.cancels = is_dear
    world.servicenow.delete(tickets[2].ticket_id)
    counts = await world.run()
    assert (counts.compared, counts.deleted, counts.complete) == (15, 1, True)
    assert world.state.read_step == step


# Copies and archives


@pytest.mark.parametrize("page_size", [1, 2, 100])
@pytest.mark.parametrize("sys_id", ["0" * 31 + "1", "f" * 32], ids=["before its own", "behind it"])
async def test_the_copy_is_adopted_once_the_original_is_deleted(page_size: int, sys_id: str) -> None:
    world = World(page_size=page_size)
    tickets = await world.tickets(4)
    world.double(tickets[2], sys_id)
    await world.run()
    assert world.stored(tickets[2]).record == tickets[2].record
    world.servicenow.delete(tickets[2].ticket_id)
    counts = await world.run()
    assert (counts.adopted, counts.deleted) == (1, 0)
    stored = world.stored(tickets[2])
    assert stored.record == world.servicenow.record(sys_id)
    assert stored.phase is Phase.CLOSED
    assert kinds(stored)[-3:] == [EventKind.DOUBLED, EventKind.ADOPTED, EventKind.STATE_CHANGED]
    again = await world.run()
    assert (again.adopted, again.corrected, again.doubled) == (0, 0, 0)


async def test_a_ticket_that_was_marked_as_deleted_adopts_its_copy() -> None:
    world = World()
    (ticket,) = await world.tickets(1)
    world.servicenow.delete(ticket.ticket_id)
    await world.run()
    assert world.stored(ticket).phase is Phase.DELETED
    world.double(ticket, "f" * 32)
    await world.run()
    assert world.stored(ticket).phase is Phase.CLOSED


@pytest.mark.parametrize("state", ["6", "7", "8"])
async def test_archived_records_leave_their_closed_tickets_as_they_are(state: str) -> None:
    world = World(page_size=100)
    tickets = await world.tickets(MANY + 10)
    closed, opened = tickets[2:], tickets[:2]
    for ticket in closed:
        await world.change_here(ticket, state=state)
        world.servicenow.delete(ticket.ticket_id)
    counts = await world.run()
    assert (counts.archived, counts.deleted, counts.compared_open) == (len(closed), 0, 2)
    for ticket in closed:
        stored = world.stored(ticket)
        assert stored.phase is phase_of("incident", state, active=True)
        assert kinds(stored)[-1] is EventKind.ARCHIVED
    assert [world.stored(ticket) for ticket in opened] == opened
    # Noted once, and not read again.
    etags = [world.stored(ticket).etag for ticket in tickets]
    before = world.servicenow.requests["list_by_sys_id"]
    assert (await world.run()).archived == 0
    assert world.servicenow.requests["list_by_sys_id"] == before
    assert [world.stored(ticket).etag for ticket in tickets] == etags


async def test_closed_tickets_do_not_dilute_the_guard() -> None:
    """A hundred closed tickets are found; if all open ones are gone, it still means lost rights."""
    world = World(page_size=200)
    tickets = await world.tickets(100 + MANY + 1)
    for ticket in tickets[:100]:
        world.servicenow.change(ticket.ticket_id, state="7")
        await world.change_here(ticket, state="7", mod_count=1)
    world.servicenow.hidden = {ticket.ticket_id for ticket in tickets[100:]}
    with pytest.raises(AccessRefused) as caught:
        await world.run()
    assert caught.value.code == "records_not_visible"


async def test_other_corrections_are_stored_before_the_guard_refuses() -> None:
    world = World(page_size=100)
    tickets = await world.tickets(MANY + 5)
    world.servicenow.hidden = {ticket.ticket_id for ticket in tickets[2:]}
    world.servicenow.change(tickets[0].ticket_id, state="6")
    with pytest.raises(AccessRefused):
        await world.run()
    assert world.stored(tickets[0]).phase is Phase.RESOLVED
    assert [world.stored(ticket) for ticket in tickets[2:]] == tickets[2:]


async def test_young_waiting_and_dormant_tickets_are_left_alone() -> None:
    world = World()
    await world.tickets(3)
    young = await world.store.create_ticket(delivered_ticket(world.clock()))
    waiting = await world.store.create_ticket(new_ticket(START))
    dormant = await world.store.create_ticket(replace(delivered_ticket(START), instance=f"{INSTANCE}.old"))
    counts = await world.run()
    assert (counts.compared, counts.deleted) == (3, 0)
    for ticket in (young, waiting, dormant):
        assert world.stored(ticket) == ticket


async def test_a_ticket_delivered_while_both_sides_are_read_is_not_deleted() -> None:
    world = World(page_size=100)
    await world.tickets(3)
    waiting = await world.store.create_ticket(new_ticket(START - timedelta(days=1)))

    scan = world.store.scan_tickets

    def delivered_meanwhile(connection_id: str, *, after: str | None = None):  # type: ignore[no-untyped-def]
        record = world.servicenow.insert(record_for(waiting))
        stored = replace(delivered_ticket(START), ticket_id=waiting.ticket_id, created_at=waiting.created_at)
        world.store.tickets[CONNECTION_ID][waiting.ticket_id] = replace(stored, record=record, etag="new")
        return scan(connection_id, after=after)

    world.store.scan_tickets = delivered_meanwhile  # type: ignore[method-assign]
    assert (await world.run()).deleted == 0
    assert world.stored(waiting).phase is Phase.NEW


# Interruptions


@given(st.integers(3, 6), st.integers(0, 30), st.sets(st.integers(0, 29)), st.sampled_from([10.0, 26.0, 60.0]))
async def test_a_run_goes_on_where_it_stopped(page_size: int, count: int, gone: set[int], page_s: float) -> None:
    world = World(page_size=page_size)
    tickets = await world.tickets(count)
    deleted = {tickets[number].ticket_id for number in gone if number < count} if len(gone) <= MANY else set()
    for ticket_id in deleted:
        world.servicenow.delete(ticket_id)
    world.page_s = page_s
    runs = await world.run_to_the_end()
    assert sum(run.deleted for run in runs) == len(deleted)
    assert {t.ticket_id for t in tickets if world.stored(t).phase is Phase.DELETED} == deleted
    assert world.state.reconcile_after is None
    assert world.state.reconciled_at == world.clock()


@pytest.mark.parametrize("page_size", [2, 3, 5])
async def test_foreign_records_whose_correlation_id_begins_like_ours_hold_nothing_up(page_size: int) -> None:
    world = World(page_size=page_size)
    tickets = await world.tickets(9)
    for number, ticket in enumerate(tickets[page_size - 1 :: page_size]):
        foreign = record_for(ticket, sys_id=f"{number:032x}")
        world.servicenow.insert(replace(foreign, correlation_id=f"{foreign.correlation_id}^x"))
    world.servicenow.delete(tickets[4].ticket_id)
    assert await world.run() == ReconciliationCounts(compared=9, compared_open=9, deleted=1, complete=True)


async def test_a_refused_run_is_tried_again_an_hour_later() -> None:
    world = World()
    await world.tickets(2)
    world.servicenow.read_faults.append(ReadFault.ACCESS_REFUSED)
    with pytest.raises(AccessRefused):
        await world.run()
    refused_at = world.clock()
    at = refused_at.time()
    assert not is_reconciliation_due(world.state, refused_at + timedelta(minutes=59), at)
    assert is_reconciliation_due(world.state, refused_at + timedelta(hours=1), at)
    world.clock.advance(3600)
    assert (await world.run()).complete
    assert world.state.reconcile_again_at is None


async def test_a_failed_run_is_not_complete() -> None:
    world = World()
    await world.tickets(10)
    world.servicenow.read_faults.append(ReadFault.NO_ANSWER)
    with pytest.raises(ServiceNowUnavailable):
        await world.run()
    assert world.state == SyncState()
    assert (await world.run()).complete


# Lost rights


async def test_mass_disappearance_is_held_back() -> None:
    world = World(page_size=100)
    tickets = await world.tickets(2 * MANY + 2)
    world.servicenow.hidden = {ticket.ticket_id for ticket in tickets[: MANY + 2]}
    with pytest.raises(AccessRefused) as caught:
        await world.run()
    assert caught.value.code == "records_not_visible"
    assert all(world.stored(ticket) == ticket for ticket in tickets)
    assert world.state.reconciled_at is None
    world.servicenow.hidden = set()
    assert (await world.run()).deleted == 0


async def test_everything_disappears() -> None:
    world = World(page_size=10)
    tickets = await world.tickets(MANY + 5)
    world.servicenow.hidden = {ticket.ticket_id for ticket in tickets}
    with pytest.raises(AccessRefused):
        await world.run()
    assert all(world.stored(ticket) == ticket for ticket in tickets)


# Rules


@pytest.mark.parametrize(
    ("reconciled", "now", "is_due"),
    [
        (None, "2026-03-02T09:00", True),
        ("2026-03-02T02:05", "2026-03-02T09:00", False),
        ("2026-03-02T02:05", "2026-03-03T01:59", False),
        ("2026-03-02T02:05", "2026-03-03T02:00", True),
        ("2026-03-01T02:05", "2026-03-02T09:00", True),
        ("2026-03-02T01:59", "2026-03-02T02:00", True),
    ],
)
def test_when_it_is_due(reconciled: str | None, now: str, is_due: bool) -> None:
    reconciled_at = None if reconciled is None else datetime.fromisoformat(reconciled).replace(tzinfo=UTC)
    state = SyncState(reconciled_at=reconciled_at)
    at = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert is_reconciliation_due(state, at, time(2, 0)) is is_due
    assert is_reconciliation_due(replace(state, reconcile_after="0" * 32), at, time(2, 0))
