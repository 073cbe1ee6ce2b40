"""The caller of a record."""

from __future__ import annotations

from datetime import timedelta

from shared.tickets.deliver import TicketDelivery, begin_attempt
from shared.tickets.model import Delivery, Requester, Ticket
from tests.memory.clock import ManualClock
from tests.memory.instance import MemoryInstanceHealth, MemoryRequesterDirectory
from tests.memory.servicenow import MemoryServiceNow, WriteFault
from tests.memory.ticket_store import MemoryTicketStore
from tests.unit.tickets.examples import REQUESTER, a_connection, new_ticket

AIKO = "a1" * 16


class World:
    """A connection with its instance, and people who may be added to it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.connection = a_connection()
        self.store = MemoryTicketStore()
        self.servicenow = MemoryServiceNow(self.clock)
        self.directory = MemoryRequesterDirectory()
        self.delivery = TicketDelivery(
            store=self.store,
            records=self.servicenow,
            requesters=self.directory,
            health=MemoryInstanceHealth(),
            clock=self.clock,
            random=lambda: 0.0,
        )

    async def create(self, requester: Requester = REQUESTER) -> Ticket:
        new = new_ticket(self.clock(), requester=requester)
        ticket = await self.store.create_ticket(begin_attempt(new, self.clock()))
        return await self.delivery.deliver_first(self.connection, ticket)

    def add_aiko(self) -> None:
        self.directory.users["aiko@contoso.com"] = AIKO


async def test_a_refusal_for_a_mandatory_caller_does_not_believe_a_remembered_absence() -> None:
    world = World()
    world.servicenow.caller_mandatory = True
    refused = await world.create()
    assert (refused.delivery.status, refused.delivery.error_code) == (Delivery.FAILED, "mandatory_fields_missing")
    world.add_aiko()
    second = await world.create()
    assert second.delivery.status is Delivery.DELIVERED
    assert world.servicenow.callers == {second.ticket_id: AIKO}
    assert world.servicenow.requests["create_record"] == 3


async def test_a_person_who_retries_has_the_requester_looked_up_afresh() -> None:
    world = World()
    world.servicenow.write_faults.append(WriteFault.VALUES_REFUSED)
    refused = await world.create()
    world.add_aiko()
    world.clock.advance(1)
    retried = await world.delivery.retry(world.connection, refused)
    assert retried.delivery.status is Delivery.DELIVERED
    assert world.servicenow.callers == {refused.ticket_id: AIKO}


async def test_the_timer_believes_what_is_remembered() -> None:
    world = World()
    world.servicenow.write_faults.append(WriteFault.NOT_SENT)
    waiting = await world.create()
    world.add_aiko()
    world.clock.advance(3600)
    await world.delivery.deliver_pending(world.connection, deadline=world.clock() + timedelta(seconds=50))
    assert world.servicenow.callers == {waiting.ticket_id: None}


async def test_a_guest_is_found_by_the_real_address() -> None:
    world = World()
    world.add_aiko()
    guest = await world.create(Requester("object-id", "Aiko", "aiko_contoso.com#EXT#@fabrikam.onmicrosoft.com"))
    assert world.servicenow.callers == {guest.ticket_id: AIKO}


async def test_nobody_is_asked_for_without_an_address() -> None:
    world = World()
    world.servicenow.caller_mandatory = True
    refused = await world.create(Requester("object-id", "A program", None))
    assert refused.delivery.error_code == "mandatory_fields_missing"
    assert world.servicenow.requests["create_record"] == 1
