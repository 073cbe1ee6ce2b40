"""A write whose access token ServiceNow refuses: never repeated blindly."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.connections.model import Connection
from shared.tickets.attempts import COMMIT_MAY_TAKE_S
from shared.tickets.deliver import TicketDelivery, begin_attempt
from shared.tickets.model import Delivery, Ticket
from tests.memory import ticket_store
from tests.memory.clock import ManualClock
from tests.memory.instance import MemoryInstanceHealth, MemoryRequesterDirectory
from tests.memory.servicenow import MemoryServiceNow, ReadFault, WriteFault
from tests.unit.tickets.examples import a_connection, new_ticket


class Deliveries:
    """A connection to an instance that chooses its own sys_ids: only a look-up can prevent a second record."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.connection: Connection = a_connection()
        self.health = MemoryInstanceHealth()
        self.store = ticket_store.MemoryTicketStore()
        self.servicenow = MemoryServiceNow(self.clock, honours_sys_id=False)
        self.delivery = TicketDelivery(
            store=self.store,
            records=self.servicenow,
            requesters=MemoryRequesterDirectory(),
            health=self.health,
            clock=self.clock,
            random=lambda: 0.0,
        )

    async def create(self) -> Ticket:
        ticket = await self.store.create_ticket(begin_attempt(new_ticket(self.clock()), self.clock()))
        return await self.delivery.deliver_first(self.connection, ticket)

    async def run(self, after_s: float) -> None:
        self.clock.advance(after_s)
        await self.delivery.deliver_pending(self.connection, deadline=self.clock() + timedelta(seconds=50))


@pytest.mark.parametrize("fault", [WriteFault.TOKEN_REFUSED, WriteFault.COMMITTED_THEN_TOKEN_REFUSED])
async def test_a_write_that_was_answered_401_is_looked_up_before_it_is_sent_again(fault: WriteFault) -> None:
    world = Deliveries()
    world.servicenow.write_faults.append(fault)
    ticket = await world.create()
    assert ticket.delivery.status is Delivery.DELIVERED
    assert len(world.servicenow.records_of(ticket.ticket_id)) == 1
    assert world.servicenow.requests["find_records"] == 1


@pytest.mark.parametrize("then", ["no new token", "refused again", "look-up fails", "look-up refuses", "write refused"])
async def test_a_write_that_was_answered_401_is_remembered_when_nothing_else_works(then: str) -> None:
    world = Deliveries()
    world.servicenow.write_faults.append(WriteFault.COMMITTED_THEN_TOKEN_REFUSED)
    match then:
        case "no new token":
            world.servicenow.read_faults.append(ReadFault.NO_TOKEN)
        case "refused again":
            world.servicenow.read_faults.append(ReadFault.TOKEN_REFUSED)
        case "look-up fails":
            world.servicenow.read_faults.append(ReadFault.NO_ANSWER)
        case "look-up refuses":
            world.servicenow.read_faults.append(ReadFault.ACCESS_REFUSED)
        case "write refused":
            world.servicenow.write_faults.clear()
            world.servicenow.write_faults.extend(
                [WriteFault.TOKEN_REFUSED, WriteFault.COMMITTED_THEN_TOKEN_REFUSED, WriteFault.TOKEN_REFUSED]
            )
    ticket = await world.create()
    assert ticket.delivery.status is not Delivery.DELIVERED
    assert ticket.delivery.attempt_started_at is not None, "the next attempt looks it up"
    assert world.servicenow.requests["create_record"] <= 2, "a write is sent again once"
    if ticket.delivery.status is Delivery.FAILED:
        await world.delivery.retry(world.connection, ticket)
    else:
        await world.run(COMMIT_MAY_TAKE_S)
    assert world.store.tickets[ticket.connection_id][ticket.ticket_id].delivery.status is Delivery.DELIVERED
    assert len(world.servicenow.records_of(ticket.ticket_id)) == 1
