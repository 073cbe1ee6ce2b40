"""How tickets were closed: ServiceNow's time and close code, asked for once."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.connections.model import TicketKind
from shared.errors import InstanceClosed, ServiceNowUnavailable
from shared.tickets.closings import PATIENCE, ClosingReading
from shared.tickets.model import EventKind, RecommendationReference, Ticket
from shared.tickets.outcomes import Closing, Outcome, RecommendationOutcome, Verification
from shared.tickets.ports import RecordClosing
from shared.tickets.record_effects import with_record
from tests.memory.clock import ManualClock
from tests.memory.servicenow import MemoryServiceNow, ReadFault, as_shown
from tests.memory.ticket_store import MemoryTicketStore
from tests.unit.tickets.examples import CONNECTION_ID, a_connection, delivered_ticket

REFERENCE = RecommendationReference("11111111-aaaa-4bbb-8ccc-000000000001", "secure_score", "AdminMFAV2")


class World:
    """A connection with tickets for recommendations."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store, self.servicenow = MemoryTicketStore(), MemoryServiceNow(self.clock)
        self.closings = ClosingReading(self.store, self.servicenow, self.clock)
        self.connection = a_connection()

    async def ticket(self, state: str | None = "7", **asked: Any) -> Ticket:
        """Make a ticket and, an hour later, change its state."""
        ticket = delivered_ticket(self.clock(), references=(REFERENCE,), **asked)
        items = (RecommendationOutcome(REFERENCE.tenant_id, REFERENCE.key),)
        ticket = await self.store.create_ticket(replace(ticket, verification=Verification(self.clock(), items)))
        assert ticket.record is not None
        self.servicenow.insert(ticket.record)
        self.clock.advance(3600)
        return ticket if state is None else await self.change_state(ticket, state)

    async def change_state(self, ticket: Ticket, state: str) -> Ticket:
        active = state not in {"3", "4", "7", "8"}
        record = as_shown(self.servicenow.change(ticket.ticket_id, state=state, active=active))
        stored = self.store.tickets[CONNECTION_ID][ticket.ticket_id]
        return await self.store.update_ticket(stored, with_record(stored, record, self.clock()))

    def shows(self, ticket: Ticket, **values: Any) -> None:
        self.servicenow.closings[ticket.ticket_id] = RecordClosing(ticket.ticket_id, **values)

    async def read(self) -> int:
        return await self.closings.run(self.connection, deadline=self.clock() + timedelta(seconds=50))

    def closing(self, ticket: Ticket) -> Closing:
        verification = self.store.tickets[CONNECTION_ID][ticket.ticket_id].verification
        assert verification is not None
        assert verification.closing is not None
        return verification.closing

    def outcome(self, ticket: Ticket) -> Outcome:
        verification = self.store.tickets[CONNECTION_ID][ticket.ticket_id].verification
        assert verification is not None
        return verification.outcome


async def test_the_earlier_time_counts_and_nothing_is_asked_twice() -> None:
    world = World()
    ticket = await world.ticket()
    resolved_at = world.clock() - timedelta(minutes=20)
    world.shows(ticket, closed_at=world.clock(), resolved_at=resolved_at, close_code="Solution provided")
    assert await world.read() == 1
    closing = world.closing(ticket)
    assert (closing.closed_at, closing.close_code) == (resolved_at, "Solution provided")
    assert (closing.is_read, closing.claims_fix) == (True, True)
    assert (await world.read(), world.servicenow.requests["list_closings"]) == (0, 1)


@pytest.mark.parametrize(
    ("kind", "state", "code"),
    [(TicketKind.INCIDENT, "6", "Duplicate"), (TicketKind.CHANGE, "3", " UNSUCCESSFUL ")],
)
async def test_a_close_code_that_claims_no_fix(kind: TicketKind, state: str, code: str) -> None:
    world = World()
    ticket = await world.ticket(state, kind=kind)
    assert world.outcome(ticket) is Outcome.WAITING
    world.shows(ticket, close_code=code)
    await world.read()
    assert world.outcome(ticket) is Outcome.NOT_DONE
    stored = world.store.tickets[CONNECTION_ID][ticket.ticket_id]
    assert stored.timeline[-1].kind is EventKind.OUTCOME
    assert stored.timeline[-1].details["outcome"] == "not_done"


async def test_what_servicenow_hides_is_replaced_by_what_is_known() -> None:
    world = World()
    hidden, without = await world.ticket(), await world.ticket()
    world.servicenow.hidden.add(hidden.ticket_id)
    await world.read()
    for ticket in (hidden, without):
        record = world.store.tickets[CONNECTION_ID][ticket.ticket_id].record
        assert record is not None
        assert world.closing(ticket).is_read
        assert world.closing(ticket).closed_at == datetime.fromisoformat(f"{record.updated_at_text}+00:00")


async def test_an_earlier_closing_does_not_count_after_a_reopening() -> None:
    world = World()
    ticket = await world.ticket("6")
    first_at = world.clock()
    await world.read()
    world.clock.advance(3600)
    await world.change_state(ticket, "2")
    world.clock.advance(3600)
    await world.change_state(ticket, "7")
    world.shows(ticket, resolved_at=first_at, closed_at=world.clock())
    await world.read()
    assert world.closing(ticket).closed_at == world.clock()


async def test_an_incident_that_closes_after_it_was_resolved_keeps_its_first_closing() -> None:
    world = World()
    ticket = await world.ticket("6")
    await world.read()
    before = world.closing(ticket)
    world.clock.advance(86400)
    await world.change_state(ticket, "7")
    assert (await world.read(), world.closing(ticket)) == (0, before)


async def test_a_refused_table_is_asked_for_a_day() -> None:
    world = World()
    ticket = await world.ticket()
    world.servicenow.read_faults.append(ReadFault.ACCESS_REFUSED)
    assert await world.read() == 0
    world.clock.advance(PATIENCE.total_seconds())
    world.servicenow.read_faults.append(ReadFault.ACCESS_REFUSED)
    assert await world.read() == 1
    assert world.closing(ticket).is_read


@pytest.mark.parametrize(
    ("fault", "error"),
    [(ReadFault.NO_ANSWER, ServiceNowUnavailable), (ReadFault.ADDRESS_BLOCKED, InstanceClosed)],
)
async def test_a_failure_leaves_them_for_the_next_turn(fault: ReadFault, error: type[Exception]) -> None:
    world = World()
    await world.ticket()
    world.servicenow.read_faults.append(fault)
    with pytest.raises(error):
        await world.read()
    assert await world.read() == 1


async def test_tickets_of_another_instance_are_not_asked_about() -> None:
    world = World()
    ticket = await world.ticket()
    world.connection = replace(world.connection, instance="https://other.service-now.com")
    assert await world.read() == 1
    assert (world.closing(ticket).is_read, world.servicenow.requests["list_closings"]) == (True, 0)


async def test_more_than_one_page() -> None:
    world = World()
    tickets = [await world.ticket() for _ in range(101)]
    assert await world.read() == 101
    assert world.servicenow.requests["list_closings"] == 2
    assert all(world.closing(ticket).is_read for ticket in tickets)
