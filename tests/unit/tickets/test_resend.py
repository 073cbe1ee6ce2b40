"""Sending many failed tickets again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.connections import directory
from shared.connections.model import Connection, ConnectionStatus
from shared.connections.turns import Turns
from shared.errors import Failure, FixRequest
from shared.recommendations.ticketing.ticket_claims import TicketClaims
from shared.tickets.attempts import LEASE_S
from shared.tickets.deliver import TicketDelivery, begin_attempt
from shared.tickets.model import Delivery, Ticket
from shared.tickets.ports import TicketFilter
from shared.tickets.requests import MAX_RETRIED, read_retry_request
from shared.tickets.resend import AT_ONCE, AT_ONCE_S, Resent, TicketResending
from tests.memory.clock import ManualClock
from tests.memory.connection_store import MemoryConnectionStore
from tests.memory.directory import MemoryDirectory
from tests.memory.instance import MemoryInstanceHealth, MemoryRequesterDirectory
from tests.memory.recommendation_store import MemoryClaimStore
from tests.memory.servicenow import MemoryServiceNow, WriteFault
from tests.memory.ticket_store import MemoryTicketStore
from tests.unit.tickets.examples import CONNECTION_ID, INSTANCE, a_connection, new_ticket

FAILED = TicketFilter(delivery=Delivery.FAILED)


class World:
    """A connection whose instance refused tickets."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryTicketStore()
        self.servicenow = MemoryServiceNow(self.clock, step=self.step)
        self.answer_s = 0.0
        self.delivery = TicketDelivery(
            self.store,
            self.servicenow,
            MemoryRequesterDirectory(),
            MemoryInstanceHealth(),
            self.clock,
        )
        self.connection = a_connection()
        self.directory = MemoryDirectory()
        connections = MemoryConnectionStore(self.connection)
        turns = Turns(self.directory, connections, self.clock)
        claims = TicketClaims(MemoryClaimStore(), self.store, connections, self.clock)
        self.resending = TicketResending(self.store, self.delivery, claims, turns, self.clock)

    async def step(self, name: str) -> None:
        if name == "create_record answers":
            self.clock.advance(self.answer_s)

    async def refused(self, count: int) -> list[Ticket]:
        """Make ServiceNow refuse some tickets."""
        tickets = []
        for _ in range(count):
            self.clock.advance(0.01)
            self.servicenow.write_faults.append(WriteFault.VALUES_REFUSED)
            ticket = await self.store.create_ticket(begin_attempt(new_ticket(self.clock()), self.clock()))
            tickets.append(await self.delivery.deliver_first(self.connection, ticket))
        return tickets

    async def resend(self, tickets: list[Ticket], connection: Connection | None = None) -> list[Resent]:
        """Send them again; return the result of each."""
        resent = await self.resending.resend({CONNECTION_ID: connection or self.connection}, tickets)
        assert [each.ticket_id for each in resent] == [ticket.ticket_id for ticket in tickets]
        return [each.outcome for each in resent]

    def stored(self) -> list[Ticket]:
        return list(self.store.tickets[CONNECTION_ID].values())


async def test_a_few_are_sent_at_once_and_the_timer_sends_the_others() -> None:
    world = World()
    tickets = await world.refused(AT_ONCE + 5)
    outcomes = await world.resend(tickets)
    assert outcomes == [Resent.DELIVERED] * AT_ONCE + [Resent.WAITING] * 5
    await world.delivery.deliver_pending(world.connection, deadline=world.clock() + timedelta(seconds=45))
    assert {ticket.delivery.status for ticket in world.stored()} == {Delivery.DELIVERED}
    assert {len(world.servicenow.records_of(ticket.ticket_id)) for ticket in tickets} == {1}


async def test_what_is_refused_again_says_why() -> None:
    world = World()
    tickets = await world.refused(3)
    world.servicenow.write_faults.append(WriteFault.VALUES_REFUSED)
    resent = await world.resending.resend({CONNECTION_ID: world.connection}, tickets)
    assert [(each.outcome, each.failure and each.failure.code) for each in resent] == [
        (Resent.REFUSED, "data_policy_refused"),
        (Resent.DELIVERED, None),
        (Resent.DELIVERED, None),
    ]


async def test_pressed_twice_nothing_is_sent_twice() -> None:
    world = World()
    tickets = await world.refused(AT_ONCE + 5)
    first, second = await asyncio.gather(world.resend(tickets), world.resend(tickets))
    assert set(first) | set(second) <= {Resent.DELIVERED, Resent.WAITING}
    again = await world.resend(world.stored())
    assert again.count(Resent.NOT_SENT) >= AT_ONCE, "the records in ServiceNow stay as they are"
    assert {len(world.servicenow.records_of(ticket.ticket_id)) for ticket in tickets} == {1}


async def test_an_old_copy_of_a_ticket_is_not_sent_again() -> None:
    world = World()
    tickets = await world.refused(2)
    await world.resend(tickets)
    assert await world.resend(tickets) == [Resent.DELIVERED] * 2
    assert {len(world.servicenow.records_of(ticket.ticket_id)) for ticket in tickets} == {1}


async def test_a_slow_instance_leaves_the_rest_to_the_timer() -> None:
    world = World()
    tickets = await world.refused(4)
    world.answer_s = AT_ONCE_S / 2
    outcomes = await world.resend(tickets)
    assert outcomes == [Resent.DELIVERED] * 2 + [Resent.WAITING] * 2


@pytest.mark.parametrize("status", [ConnectionStatus.UNAVAILABLE, ConnectionStatus.REAUTHORIZATION_REQUIRED])
async def test_while_the_connection_does_not_work_all_wait(status: ConnectionStatus) -> None:
    world = World()
    tickets = await world.refused(2)
    world.servicenow.requests.clear()
    assert await world.resend(tickets, a_connection(status=status)) == [Resent.WAITING] * 2
    assert world.servicenow.requests == {}
    assert all(ticket.delivery.error_code is None for ticket in world.stored())


async def test_what_cannot_be_sent_is_left_as_it_is() -> None:
    world = World()
    [unknown_elsewhere, known_elsewhere] = await world.refused(2)
    started = replace(unknown_elsewhere.delivery, attempt_started_at=world.clock())
    unknown_elsewhere = await world.store.update_ticket(unknown_elsewhere, replace(unknown_elsewhere, delivery=started))
    world.clock.advance(LEASE_S)
    elsewhere = a_connection(instance=f"{INSTANCE}.new")
    resent = await world.resending.resend({CONNECTION_ID: elsewhere}, [unknown_elsewhere, known_elsewhere])
    assert [(each.outcome, each.failure and each.failure.code) for each in resent] == [
        (Resent.NOT_SENT, "instance_left_outcome_unknown"),
        (Resent.DELIVERED, None),
    ]
    assert world.store.tickets[CONNECTION_ID][unknown_elsewhere.ticket_id] == unknown_elsewhere
    removed = a_connection(status=ConnectionStatus.DISCONNECTED)
    assert await world.resend([unknown_elsewhere], removed) == [Resent.NOT_SENT]


async def test_as_many_as_one_request_takes() -> None:
    world = World()
    await world.refused(3)
    failed, more = await world.resending.failed_tickets([CONNECTION_ID], FAILED)
    assert (len(failed), more) == (3, False)
    for _ in range(MAX_RETRIED - 2):
        world.clock.advance(0.01)
        ticket = new_ticket(world.clock())
        await world.store.create_ticket(
            replace(ticket, delivery=replace(ticket.delivery, status=Delivery.FAILED, failure=Failure("x")))
        )
    failed, more = await world.resending.failed_tickets([CONNECTION_ID], FAILED)
    assert (len(failed), more) == (MAX_RETRIED, True)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ticket_ids": [], "filter": None},
        {"ticket_ids": ["0" * 32], "filter": {}},
        {"ticket_ids": ["x"]},
        {"ticket_ids": [f"{number:032x}" for number in range(MAX_RETRIED + 1)]},
        {"filter": {"phase": "new"}},
        {"filter": {"kind": "problem"}},
        [],
    ],
)
def test_a_request_names_tickets_in_one_way(body: object) -> None:
    with pytest.raises(FixRequest) as caught:
        read_retry_request(body)
    assert (caught.value.code, caught.value.status) == ("invalid_retry", 422)
    assert read_retry_request({"filter": {}}).ticket_ids is None


@pytest.mark.parametrize("all_at_once", [True, False])
async def test_only_tickets_that_wait_make_their_connection_due(all_at_once: bool) -> None:
    world = World()

    async def send_again(*faults: WriteFault) -> None:
        [ticket] = await world.refused(1)
        world.servicenow.write_faults += faults
        if all_at_once:
            await world.resend([ticket])
        else:
            await world.resending.retry(world.connection, ticket)

    await send_again()
    assert world.directory.entries == {}
    await send_again(WriteFault.THROTTLED)
    assert world.directory.entries[CONNECTION_ID].due_at == directory.AT_ONCE
