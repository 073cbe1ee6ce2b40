from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import (
    AccessRefused,
    Failure,
    FixRequest,
    InstanceClosed,
    OutcomeUnknown,
    RecordsHidden,
    ServiceNowThrottled,
    ServiceNowUnavailable,
    StorageUnavailable,
)
from shared.tickets.attempts import (
    COMMIT_MAY_TAKE_S,
    FIRST_BACKOFF_S,
    LEASE_S,
    LEFT_PATIENCE_S,
    LONGEST_BACKOFF_S,
    RIGHTS_PATIENCE_S,
    WRITE_MAY_TAKE_S,
    backoff_s,
)
from shared.tickets.deliver import DeliveryCounts, TicketDelivery, begin_attempt, is_deliverable, postponed, refused
from shared.tickets.model import Delivery, EventKind, Record, Ticket
from tests.english import told
from tests.memory import ticket_store
from tests.memory.clock import START, ManualClock
from tests.memory.instance import MemoryInstanceHealth, MemoryRequesterDirectory
from tests.memory.servicenow import MemoryServiceNow, ReadFault, WriteFault
from tests.memory.steps import at_once
from tests.unit.tickets.examples import CONNECTION_ID, INSTANCE, a_connection, new_ticket, record_for


class World:
    """A connection with its instance; every step can have a duration."""

    def __init__(self, *, honours_sys_id: bool = True) -> None:
        self.clock = ManualClock()
        self.durations: dict[str, float] = {}
        self.connection = a_connection()
        self.store = ticket_store.MemoryTicketStore()
        self.servicenow = MemoryServiceNow(self.clock, honours_sys_id=honours_sys_id, step=self.step)
        self.health = MemoryInstanceHealth()
        self.delivery = TicketDelivery(
            store=self.store,
            records=self.servicenow,
            requesters=MemoryRequesterDirectory(step=self.step),
            health=self.health,
            clock=self.clock,
            random=lambda: 0.0,
        )

    async def step(self, name: str) -> None:
        self.clock.advance(self.durations.get(name, 0.0))

    async def create(self) -> Ticket:
        ticket = await self.store.create_ticket(begin_attempt(new_ticket(self.clock()), self.clock()))
        return await self.delivery.deliver_first(self.connection, ticket)

    async def run(self) -> DeliveryCounts:
        return await self.delivery.deliver_pending(self.connection, deadline=self.clock() + timedelta(seconds=50))

    def stored(self, ticket: Ticket) -> Ticket:
        return self.store.tickets[CONNECTION_ID][ticket.ticket_id]

    def records(self, ticket: Ticket) -> int:
        return len(self.servicenow.records_of(ticket.ticket_id))


@pytest.mark.parametrize("honours_sys_id", [True, False])
async def test_a_record_that_the_instance_hides_is_made_once_and_found_when_it_is_shown(honours_sys_id: bool) -> None:
    world = World(honours_sys_id=honours_sys_id)
    world.servicenow.hides_new = True
    ticket = await world.create()
    assert (ticket.delivery.status, ticket.delivery.error_code) == (Delivery.FAILED, "record_hidden")
    for _ in range(2):
        ticket = await world.delivery.retry(world.connection, ticket)
        assert (ticket.delivery.status, ticket.delivery.error_code) == (Delivery.FAILED, "record_hidden")
    assert world.servicenow.requests["create_record"] == 1, "it certainly exists, so it is only looked for"

    world.servicenow.hidden.clear()
    ticket = await world.delivery.retry(world.connection, ticket)
    assert ticket.delivery.status is Delivery.DELIVERED
    assert world.records(ticket) == 1


@pytest.mark.parametrize("fault", list(ReadFault))
async def test_a_look_up_that_fails_does_not_forget_that_there_is_a_hidden_record(
    fault: ReadFault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where domains are separated, not even the count of a query shows it."""
    world = World(honours_sys_id=False)
    world.servicenow.hides_new = True
    ticket = await world.create()
    find = world.servicenow.find_records

    async def uncounted(*args: Any, **kwargs: Any) -> Sequence[Record]:
        try:
            return await find(*args, **kwargs)
        except RecordsHidden:
            return ()

    monkeypatch.setattr(world.servicenow, "find_records", uncounted)
    world.servicenow.read_faults += [fault, fault]
    ticket = await world.delivery.retry(world.connection, ticket)
    for _ in range(4):
        world.clock.advance(4000)
        await world.run()
    assert world.stored(ticket).delivery.error_code == "record_hidden"
    assert world.servicenow.requests["create_record"] == 1
    world.servicenow.hidden.clear()
    assert (await world.delivery.retry(world.connection, world.stored(ticket))).delivery.status is Delivery.DELIVERED


async def test_happy_path_is_one_request() -> None:
    world = World()
    ticket = await world.create()
    assert ticket.delivery.status is Delivery.DELIVERED
    assert world.servicenow.requests == {"create_record": 1}
    assert [event.kind for event in ticket.timeline] == [EventKind.CREATED, EventKind.DELIVERED]
    assert world.health.successes == 1


@pytest.mark.parametrize(
    "fault",
    [
        WriteFault.ANSWER_LOST,
        WriteFault.COMMITTED_LATE,
        WriteFault.LOST_ON_THE_WAY,
        WriteFault.PAGE_IN_FRONT,
        WriteFault.PAGE_INSTEAD,
    ],
)
async def test_unknown_outcome_is_looked_up_only_when_it_is_settled(fault: WriteFault) -> None:
    world = World(honours_sys_id=False)
    world.servicenow.write_faults.append(fault)
    ticket = await world.create()
    assert ticket.delivery.status is Delivery.PENDING
    await world.run()
    world.clock.advance(COMMIT_MAY_TAKE_S - 1)
    await world.run()
    assert world.servicenow.requests == {"create_record": 1}
    world.clock.advance(1)
    await world.run()
    assert world.stored(ticket).delivery.status is Delivery.DELIVERED
    assert world.records(ticket) == 1
    written_again = fault in {WriteFault.LOST_ON_THE_WAY, WriteFault.PAGE_INSTEAD}
    assert world.servicenow.requests == {"create_record": 1 + written_again, "find_records": 1}


@pytest.mark.parametrize("fault", [ReadFault.ACCESS_REFUSED, ReadFault.NO_ANSWER, ReadFault.ADDRESS_BLOCKED])
async def test_a_look_up_that_fails_forgets_nothing(fault: ReadFault) -> None:
    """The record exists, but the look-up is refused; somebody presses retry when the rights are back."""
    world = World(honours_sys_id=False)
    world.servicenow.write_faults.append(WriteFault.ANSWER_LOST)
    ticket = await world.create()
    world.clock.advance(COMMIT_MAY_TAKE_S)
    world.servicenow.read_faults.append(fault)
    await world.run()
    waiting = world.stored(ticket)
    assert waiting.delivery.status is Delivery.PENDING
    world.clock.advance(LEASE_S)
    retried = await world.delivery.retry(world.connection, waiting)
    assert retried.delivery.status is Delivery.DELIVERED
    assert world.records(ticket) == 1


@pytest.mark.parametrize("slow", ["access_token", "sys_id_of", "find_records"])
async def test_a_slow_way_to_the_write_leaves_it_to_the_next_attempt(slow: str) -> None:
    """The next holder of the lease looks up the record, and must not do so before the write is visible."""
    world = World(honours_sys_id=False)
    world.servicenow.write_faults.append(WriteFault.NOT_SENT if slow != "find_records" else WriteFault.LOST_ON_THE_WAY)
    ticket = await world.create()
    world.clock.advance(LEASE_S)
    world.durations = {slow: LEASE_S - COMMIT_MAY_TAKE_S}
    await world.run()
    assert world.servicenow.requests["create_record"] == 1
    assert world.stored(ticket).delivery.status is Delivery.PENDING
    world.durations = {}
    world.clock.advance(LONGEST_BACKOFF_S)
    await world.run()
    assert world.stored(ticket).delivery.status is Delivery.DELIVERED
    assert world.records(ticket) == 1


async def test_a_paused_deliverer_does_not_double() -> None:
    """A deliverer pauses before its write until its lease is over and another has looked up the record."""
    world = World(honours_sys_id=False)
    ticket = await world.store.create_ticket(begin_attempt(new_ticket(START), START))

    async def meanwhile(name: str) -> None:
        if name == "sys_id_of":
            world.servicenow._step = at_once
            world.delivery.requesters._step = at_once  # type: ignore[attr-defined]
            world.clock.advance(LEASE_S)
            await world.run()

    world.delivery.requesters._step = meanwhile  # type: ignore[attr-defined]
    await world.delivery.deliver_first(world.connection, ticket)
    assert world.stored(ticket).delivery.status is Delivery.DELIVERED
    assert world.records(ticket) == 1


async def test_a_refused_duplicate_is_looked_up() -> None:
    """The first write is committed after the look-up of the second attempt."""
    world = World()
    world.servicenow.write_faults.append(WriteFault.LOST_ON_THE_WAY)
    ticket = await world.create()
    world.clock.advance(COMMIT_MAY_TAKE_S)

    async def committed_meanwhile(name: str) -> None:
        if name == "sys_id_of":
            world.servicenow.insert(record_for(ticket))

    world.delivery.requesters._step = committed_meanwhile  # type: ignore[attr-defined]
    await world.run()
    assert world.stored(ticket).delivery.status is Delivery.DELIVERED
    assert world.records(ticket) == 1


async def test_two_records_found_are_reported() -> None:
    world = World()
    world.servicenow.write_faults.append(WriteFault.ANSWER_LOST)
    ticket = await world.create()
    world.servicenow.insert(record_for(ticket, sys_id="f" * 32, number="INC0099999"))
    world.clock.advance(COMMIT_MAY_TAKE_S)
    await world.run()
    stored = world.stored(ticket)
    assert stored.record is not None
    assert stored.record.sys_id == ticket.ticket_id
    assert stored.timeline[-1].kind is EventKind.DOUBLED
    assert stored.timeline[-1].details["number"] == "INC0099999"


async def test_a_refusal_is_kept_in_words_and_works_after_the_fix() -> None:
    world = World()
    world.servicenow.write_faults.append(WriteFault.VALUES_REFUSED)
    failed = await world.create()
    assert failed.delivery.status is Delivery.FAILED
    assert (failed.delivery.error_code, failed.delivery.error_status) == ("data_policy_refused", 422)
    await world.run()
    world.clock.advance(LONGEST_BACKOFF_S)
    await world.run()
    assert world.servicenow.requests == {"create_record": 1, "find_records": 1}
    assert world.health.failures == [], "the values of one ticket are not the connection's fault"
    retried = await world.delivery.retry(world.connection, failed)
    assert retried.delivery.status is Delivery.DELIVERED
    assert retried.delivery.error_code is None
    kinds = [event.kind for event in retried.timeline]
    assert kinds == [EventKind.CREATED, EventKind.DELIVERY_FAILED, EventKind.RETRIED, EventKind.DELIVERED]


async def test_missing_rights_are_tried_again_for_a_quarter_of_an_hour() -> None:
    world = World()
    world.servicenow.write_faults += [WriteFault.ACCESS_REFUSED] * 20
    began_at = world.clock()
    ticket = await world.create()
    while world.stored(ticket).delivery.status is Delivery.PENDING:
        assert world.clock() - began_at <= timedelta(seconds=RIGHTS_PATIENCE_S)
        world.clock.advance(15)
        await world.run()
    assert world.stored(ticket).delivery.error_code == "insufficient_rights"
    assert world.clock() - began_at == timedelta(seconds=RIGHTS_PATIENCE_S)
    assert world.servicenow.requests["create_record"] == 7
    assert {error.code for error in world.health.failures} == {"insufficient_rights"}
    kinds = [event.kind for event in world.stored(ticket).timeline]
    assert kinds == [EventKind.CREATED, EventKind.DELIVERY_POSTPONED, EventKind.DELIVERY_FAILED]
    # Somebody retries before the rights are back: the waiting time begins again.
    assert (await world.delivery.retry(world.connection, world.stored(ticket))).delivery.status is Delivery.PENDING
    world.servicenow.write_faults.clear()
    world.clock.advance(30)
    await world.run()
    assert world.stored(ticket).delivery.status is Delivery.DELIVERED


@pytest.mark.parametrize("fault", [WriteFault.ADDRESS_BLOCKED, WriteFault.PAGE_INSTEAD, WriteFault.PAGE_IN_FRONT])
async def test_what_stands_in_front_fails_no_ticket_and_shows_on_the_connection(fault: WriteFault) -> None:
    world = World(honours_sys_id=False)
    world.servicenow.write_faults += [fault] * 9
    ticket = await world.create()
    for _ in range(8):
        world.clock.advance(LONGEST_BACKOFF_S)
        await world.run()
        assert world.stored(ticket).delivery.status is (
            Delivery.DELIVERED if fault is WriteFault.PAGE_IN_FRONT else Delivery.PENDING
        )
    assert {type(error) for error in world.health.failures} == {InstanceClosed}
    world.servicenow.write_faults.clear()
    world.clock.advance(LONGEST_BACKOFF_S)
    await world.run()
    assert world.stored(ticket).delivery.status is Delivery.DELIVERED
    assert world.records(ticket) == 1


async def test_a_duplicate_refused_at_the_first_attempt_is_looked_up() -> None:
    """A proxy sent the insert twice; the answer is the refusal of the second one."""
    world = World()
    ticket = await world.store.create_ticket(begin_attempt(new_ticket(world.clock()), world.clock()))
    world.servicenow.insert(record_for(ticket))
    delivered = await world.delivery.deliver_first(world.connection, ticket)
    assert delivered.delivery.status is Delivery.DELIVERED
    assert world.records(ticket) == 1


async def test_a_record_of_another_class_is_found() -> None:
    world = World(honours_sys_id=False)
    world.servicenow.write_faults.append(WriteFault.ANSWER_LOST)
    ticket = await world.create()
    [record] = world.servicenow.records_of(ticket.ticket_id)
    world.servicenow.change(record.sys_id, table="problem")
    world.clock.advance(LEASE_S)
    await world.run()
    stored = world.stored(ticket)
    assert stored.record is not None
    assert stored.record.table == "problem"
    assert world.records(ticket) == 1


async def test_a_record_that_is_hidden_gets_no_second_one() -> None:
    world = World(honours_sys_id=False)
    world.servicenow.write_faults.append(WriteFault.ANSWER_LOST)
    ticket = await world.create()
    [record] = world.servicenow.records_of(ticket.ticket_id)
    world.servicenow.hidden.add(record.sys_id)
    for _ in range(4):
        world.clock.advance(LONGEST_BACKOFF_S)
        await world.run()
    failed = world.stored(ticket)
    assert (failed.delivery.status, failed.delivery.error_code) == (Delivery.FAILED, "records_not_visible")
    assert world.records(ticket) == 1
    world.servicenow.hidden.clear()
    assert (await world.delivery.retry(world.connection, failed)).delivery.status is Delivery.DELIVERED
    assert world.records(ticket) == 1


async def test_retry_of_what_needs_none() -> None:
    world = World()
    ticket = await world.create()
    with pytest.raises(FixRequest) as caught:
        await world.delivery.retry(world.connection, ticket)
    assert caught.value.code == "already_delivered"


@pytest.mark.parametrize("fault", [WriteFault.ANSWER_LOST, WriteFault.COMMITTED_LATE])
async def test_retry_waits_for_an_outcome(fault: WriteFault) -> None:
    world = World(honours_sys_id=False)
    world.servicenow.write_faults.append(fault)
    ticket = await world.create()
    with pytest.raises(FixRequest) as caught:
        await world.delivery.retry(world.connection, ticket)
    assert caught.value.code == "delivery_under_way"
    world.clock.advance(LEASE_S)
    assert (await world.delivery.retry(world.connection, world.stored(ticket))).delivery.status is Delivery.DELIVERED
    assert world.records(ticket) == 1


async def test_retry_of_an_old_copy_is_refused() -> None:
    world = World()
    world.servicenow.write_faults += [WriteFault.VALUES_REFUSED, WriteFault.VALUES_REFUSED]
    failed = await world.create()
    await world.delivery.retry(world.connection, failed)
    with pytest.raises(FixRequest) as caught:
        await world.delivery.retry(world.connection, failed)
    assert caught.value.code == "delivery_under_way"


async def test_an_outage_costs_one_request_a_run() -> None:
    world = World()
    for _ in range(5):
        world.clock.advance(1)
        await world.store.create_ticket(new_ticket(world.clock()))
    world.servicenow.write_faults += [WriteFault.NOT_SENT] * 2
    await world.run()
    assert world.servicenow.requests == {"create_record": 1}
    await world.run()
    assert world.servicenow.requests == {"create_record": 2}
    world.clock.advance(LONGEST_BACKOFF_S)
    await world.run()
    assert {ticket.delivery.status for ticket in world.store.tickets[CONNECTION_ID].values()} == {Delivery.DELIVERED}
    assert world.servicenow.requests == {"create_record": 7}


@pytest.mark.parametrize("fault", [WriteFault.ANSWER_LOST, WriteFault.PAGE_INSTEAD, WriteFault.VALUES_REFUSED])
async def test_tickets_that_always_fail_delay_others_by_no_more_than_their_turn(fault: WriteFault) -> None:
    world = World()
    poison = []
    for _ in range(20):
        world.clock.advance(0.01)
        poison.append(await world.store.create_ticket(new_ticket(world.clock())))
    world.clock.advance(1)
    good = await world.store.create_ticket(new_ticket(world.clock()))
    world.servicenow.write_faults += [fault] * 20
    await world.run()
    assert world.stored(good).delivery.status is Delivery.DELIVERED
    assert {world.stored(ticket).delivery.attempts for ticket in poison} == {1}


async def test_tickets_that_hang_delay_others_by_no_more_than_their_turn() -> None:
    """Each insert takes the longest time; tickets that fail again wait behind new ones."""
    world = World()
    hanging = []
    for _ in range(6):
        world.clock.advance(0.01)
        hanging.append(await world.store.create_ticket(new_ticket(world.clock())))
    world.clock.advance(1)
    good = await world.store.create_ticket(new_ticket(world.clock()))
    world.servicenow.write_faults += [WriteFault.LOST_ON_THE_WAY] * len(hanging)

    async def step(name: str) -> None:
        if name == "create_record answers" and world.servicenow.requests["create_record"] <= len(hanging):
            world.clock.advance(WRITE_MAY_TAKE_S)

    world.servicenow._step = step
    runs = 0
    while world.stored(good).delivery.status is Delivery.PENDING:
        began_at = world.clock()
        await world.run()
        runs += 1
        assert world.clock() - began_at <= timedelta(seconds=50 + WRITE_MAY_TAKE_S), "a run stays bounded"
        world.clock.advance(max(0.0, 60 - (world.clock() - began_at).total_seconds()))
    assert runs == 4


async def test_an_unknown_outcome_ends_the_run_when_a_cheap_read_fails_as_well() -> None:
    world = World()
    for _ in range(5):
        world.clock.advance(1)
        await world.store.create_ticket(new_ticket(world.clock()))
    world.servicenow.write_faults.append(WriteFault.LOST_ON_THE_WAY)
    world.servicenow.read_faults.append(ReadFault.NO_ANSWER)
    await world.run()
    assert world.servicenow.requests == {"create_record": 1, "list_by_sys_id": 1}
    assert [error.code for error in world.health.failures] == ["outcome_unknown", "servicenow_unavailable"]


@pytest.mark.parametrize("fault", [WriteFault.NOT_SENT, WriteFault.THROTTLED, WriteFault.ADDRESS_BLOCKED])
async def test_a_connection_that_fails_ends_the_run(fault: WriteFault) -> None:
    world = World()
    for _ in range(5):
        world.clock.advance(1)
        await world.store.create_ticket(new_ticket(world.clock()))
    world.servicenow.write_faults.append(fault)
    await world.run()
    assert world.servicenow.requests == {"create_record": 1}


async def test_a_look_up_that_fails_for_one_ticket_holds_up_no_other() -> None:
    world = World()
    world.servicenow.write_faults.append(WriteFault.ANSWER_LOST)
    uncertain = await world.create()
    world.clock.advance(LEASE_S)
    good = await world.store.create_ticket(new_ticket(world.clock()))
    world.servicenow.read_faults.append(ReadFault.NO_ANSWER)
    await world.run()
    assert world.stored(uncertain).delivery.status is Delivery.PENDING
    assert world.stored(good).delivery.status is Delivery.DELIVERED


# An instance that the connection has left

OLD = f"{INSTANCE}.old"


async def left(world: World, fault: WriteFault) -> Ticket:
    """A ticket waits for an instance while the connection is authorized for another one."""
    world.servicenow.write_faults.append(fault)
    ticket = await world.create()
    world.clock.advance(LEASE_S)
    world.connection = a_connection(instance=OLD, consented_at=world.clock())
    return ticket


@pytest.mark.parametrize("fault", [WriteFault.NOT_SENT, WriteFault.LOST_ON_THE_WAY])
async def test_a_ticket_of_an_instance_that_was_left_is_delivered_when_the_connection_comes_back(
    fault: WriteFault,
) -> None:
    world = World()
    ticket = await left(world, fault)
    world.clock.advance(LEFT_PATIENCE_S - 1)
    await world.run()
    assert world.stored(ticket).delivery.status is Delivery.PENDING
    world.connection = a_connection(consented_at=world.clock())
    world.clock.advance(LONGEST_BACKOFF_S)
    await world.run()
    assert world.stored(ticket).delivery.status is Delivery.DELIVERED


async def test_a_ticket_of_an_instance_that_was_left_is_given_up_and_retried_at_the_present_one() -> None:
    world = World()
    ticket = await left(world, WriteFault.NOT_SENT)
    world.clock.advance(LEFT_PATIENCE_S)
    counts = await world.run()
    failed = world.stored(ticket)
    assert (counts.failed, failed.delivery.status, failed.delivery.error_code) == (1, Delivery.FAILED, "instance_left")
    assert failed.delivery.failure == Failure("instance_left")
    assert failed.timeline[-1].kind is EventKind.DELIVERY_FAILED
    assert (await world.run()).failed == 0
    retried = await world.delivery.retry(world.connection, failed)
    assert (retried.delivery.status, retried.instance) == (Delivery.DELIVERED, OLD)
    assert world.servicenow.requests == {"create_record": 2}


async def test_an_unknown_outcome_at_the_instance_that_was_left_is_for_a_person_to_decide() -> None:
    world = World()
    ticket = await left(world, WriteFault.LOST_ON_THE_WAY)
    world.clock.advance(LEFT_PATIENCE_S)
    await world.run()
    failed = world.stored(ticket)
    assert failed.delivery.error_code == "instance_left_outcome_unknown"
    assert ticket.correlation_id in told(failed.delivery.failure)
    with pytest.raises(FixRequest) as caught:
        await world.delivery.retry(world.connection, failed)
    assert (caught.value.code, caught.value.status) == ("instance_left_outcome_unknown", 409)
    assert world.stored(ticket) == failed
    # Back at the instance itself, nobody has to decide: the ticket is looked up there.
    back = await world.delivery.retry(a_connection(), failed)
    assert back.delivery.status is Delivery.DELIVERED
    assert world.servicenow.requests == {"create_record": 2, "find_records": 1}


async def test_a_person_may_send_it_to_the_present_instance_all_the_same() -> None:
    world = World()
    ticket = await left(world, WriteFault.LOST_ON_THE_WAY)
    sent = await world.delivery.retry(world.connection, world.stored(ticket), although_outcome_unknown=True)
    assert (sent.delivery.status, sent.instance) == (Delivery.DELIVERED, OLD)
    assert world.servicenow.requests == {"create_record": 2}


async def test_many_tickets_that_cannot_go_do_not_hold_up_the_others() -> None:
    """Six hundred tickets wait for an instance that the connection no longer points to."""
    world = World()
    for number in range(600):
        world.clock.advance(0.01)
        old = new_ticket(world.clock())
        await world.store.create_ticket(replace(old, instance=f"{INSTANCE}.old") if number else old)
    world.clock.advance(1)
    newest = await world.store.create_ticket(new_ticket(world.clock()))
    await world.run()
    assert world.stored(newest).delivery.status is Delivery.DELIVERED


async def test_a_run_ends_at_its_deadline() -> None:
    world = World()
    for _ in range(5):
        world.clock.advance(1)
        await world.store.create_ticket(new_ticket(world.clock()))
    world.durations = {"create_record answers": 20.0}
    await world.run()
    assert world.servicenow.requests == {"create_record": 3}


@pytest.mark.parametrize("fault", list(ticket_store.WriteFault))
async def test_storage_that_fails_after_the_write(fault: ticket_store.WriteFault) -> None:
    world = World(honours_sys_id=False)
    ticket = await world.store.create_ticket(begin_attempt(new_ticket(START), START))
    world.store.faults.append(fault)
    try:
        await world.delivery.deliver_first(world.connection, ticket)
    except StorageUnavailable:
        assert fault is not ticket_store.WriteFault.REPEATED
    world.clock.advance(LEASE_S)
    await world.run()
    assert world.stored(ticket).delivery.status is Delivery.DELIVERED
    assert world.records(ticket) == 1


# Rules


@given(st.integers(0, 10_000), st.none() | st.floats(0, 1e6), st.floats(0, 1))
def test_backoff(attempts: int, retry_after_s: float | None, jitter: float) -> None:
    wait = backoff_s(attempts, retry_after_s, jitter)
    assert wait >= (retry_after_s or 0)
    assert FIRST_BACKOFF_S / 2 <= wait <= max(LONGEST_BACKOFF_S, retry_after_s or 0)
    assert backoff_s(attempts + 1, retry_after_s, jitter) >= wait
    assert backoff_s(attempts, retry_after_s, 1.0) <= wait <= backoff_s(attempts, retry_after_s, 0.0)


@given(st.integers(1, 100), st.floats(0, 1), st.none() | st.floats(0, 10_000))
def test_nothing_is_tried_while_it_may_still_succeed(attempts: int, jitter: float, asked_s: float | None) -> None:
    ticket = begin_attempt(new_ticket(START), START)
    ticket = replace(ticket, delivery=replace(ticket.delivery, attempts=attempts))
    assert not is_deliverable(ticket, START + timedelta(seconds=LEASE_S, microseconds=-1))
    assert is_deliverable(ticket, START + timedelta(seconds=LEASE_S))
    after = postponed(ticket, OutcomeUnknown(retry_after_s=asked_s), START, jitter=jitter, unknown=True)
    assert not is_deliverable(after, START + timedelta(seconds=COMMIT_MAY_TAKE_S, microseconds=-1))
    assert after.delivery.attempt_started_at == START
    known = postponed(ticket, ServiceNowUnavailable(), START, jitter=jitter, unknown=False)
    assert known.delivery.attempt_started_at is None
    assert known.delivery.leased_until_at is None


@given(st.lists(st.floats(1, 2000), max_size=20), st.booleans())
def test_a_refusal_lasts_no_longer_than_the_patience(waits: list[float], clock_was_ahead: bool) -> None:
    ticket = begin_attempt(new_ticket(START), START)
    if clock_was_ahead:
        ahead = START + timedelta(days=1)
        ticket = replace(ticket, delivery=replace(ticket.delivery, refused_since_at=ahead))
    now = START
    for wait in [0.0, *waits]:
        now += timedelta(seconds=wait)
        ticket = refused(ticket, AccessRefused(), now, unknown=False)
        over = now - START >= timedelta(seconds=RIGHTS_PATIENCE_S)
        assert ticket.delivery.status is (Delivery.FAILED if over else Delivery.PENDING)
        if over:
            break
        assert ticket.delivery.next_attempt_at is not None
        assert now < ticket.delivery.next_attempt_at <= START + timedelta(seconds=RIGHTS_PATIENCE_S)
        ticket = begin_attempt(ticket, now)


def test_the_same_trouble_is_reported_once() -> None:
    ticket = begin_attempt(new_ticket(START), START)
    for _ in range(5):
        ticket = postponed(ticket, ServiceNowUnavailable(), START, jitter=0, unknown=False)
        ticket = begin_attempt(ticket, START)
    ticket = postponed(ticket, ServiceNowThrottled(), START, jitter=0, unknown=False)
    kinds = [event.kind for event in ticket.timeline]
    assert kinds == [EventKind.CREATED, EventKind.DELIVERY_POSTPONED, EventKind.DELIVERY_POSTPONED]
    assert ticket.delivery.attempts == 6
