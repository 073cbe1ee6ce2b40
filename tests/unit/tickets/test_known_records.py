from __future__ import annotations

from dataclasses import replace

from shared.tickets.known_records import NEWEST, TicketsKnownRecords
from shared.tickets.model import Phase
from tests.memory.clock import START, ManualClock
from tests.memory.ticket_store import MemoryTicketStore
from tests.unit.tickets.examples import INSTANCE, a_connection, delivered_ticket, new_ticket

NEW = "https://contoso-new.service-now.com"


async def test_an_instance_is_known_by_its_newest_records() -> None:
    clock, store = ManualClock(), MemoryTicketStore()
    known = []
    for number in range(NEWEST + 5):
        clock.advance(1)
        ticket = await store.create_ticket(delivered_ticket(clock(), record={"number": f"INC{number:07}"}))
        known.append(ticket.ticket_id)
    clock.advance(1)
    gone = delivered_ticket(clock())
    for other in (
        new_ticket(clock()),
        replace(gone, phase=Phase.DELETED),
        replace(delivered_ticket(START), instance=NEW),
    ):
        await store.create_ticket(other)
    connection = a_connection(instance=NEW, renamed_from=INSTANCE)
    numbers = await TicketsKnownRecords(store).at(connection, INSTANCE)
    assert numbers == {ticket_id: f"INC{known.index(ticket_id):07}" for ticket_id in known[-NEWEST:]}


async def test_an_address_of_long_ago_belongs_to_the_instance() -> None:
    clock, store = ManualClock(), MemoryTicketStore()
    ticket = await store.create_ticket(delivered_ticket(clock()))
    between = "https://contoso-between.service-now.com"
    connection = a_connection(instance=NEW, renamed_from=between, former_instances={INSTANCE: between})
    assert list(await TicketsKnownRecords(store).at(connection, between)) == [ticket.ticket_id]
