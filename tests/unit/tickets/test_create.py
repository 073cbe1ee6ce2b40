from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from shared.connections.directory import AT_ONCE
from shared.connections.model import Connection, ConnectionStatus, LastError
from shared.connections.turns import Turns
from shared.errors import Failure, FixRequest, StorageUnavailable
from shared.recommendations.ticketing.ticket_claims import TicketClaims
from shared.tenants.companies import TenantCompanies
from shared.tenants.model import Tenant
from shared.tickets.attempts import LEASE_S
from shared.tickets.create import POLL_S, WAIT_FOR_TWIN_S, Creation, TicketCreation
from shared.tickets.deliver import TicketDelivery
from shared.tickets.identity import connection_digits, connection_digits_of
from shared.tickets.model import Delivery, DeliveryProgress, EventKind, Requester, Ticket
from shared.tickets.requests import read_ticket_request
from shared.tickets.search import TicketSearch
from shared.tickets.warnings import keys_of
from tests.memory.clock import START, ManualClock
from tests.memory.connection_store import MemoryConnectionStore
from tests.memory.directory import MemoryDirectory
from tests.memory.idempotency_store import MemoryIdempotencyStore
from tests.memory.instance import MemoryInstanceHealth, MemoryRequesterDirectory
from tests.memory.recommendation_store import MemoryClaimStore
from tests.memory.servicenow import MemoryServiceNow, WriteFault
from tests.memory.tenant_store import MemoryTenantStore
from tests.memory.ticket_store import MemoryTicketStore
from tests.memory.ticket_store import WriteFault as StorageFault
from tests.unit.tickets.examples import CONNECTION_ID, REQUESTER, a_connection

BODY: dict[str, Any] = {
    "kind": "incident",
    "portal": "security",
    "name": "Block legacy authentication",
    "priority": "high",
    "recommendation": {"source": "microsoft", "category": "identity"},
}


class World:
    """An app with some connections; two apps can share storage, as two instances do."""

    def __init__(self, *connections: Connection) -> None:
        self.clock = ManualClock()
        self.slept: list[float] = []
        self.store = MemoryTicketStore()
        self.servicenow = MemoryServiceNow(self.clock)
        self.connections = MemoryConnectionStore(*connections)
        self.directory = MemoryDirectory()
        self.tenants = MemoryTenantStore()
        self.creation = TicketCreation(
            connections=self.connections,
            store=self.store,
            reservations=MemoryIdempotencyStore(),
            search=TicketSearch(self.connections, self.store),
            claims=TicketClaims(MemoryClaimStore(), self.store, self.connections, self.clock),
            turns=Turns(self.directory, self.connections, self.clock),
            delivery=TicketDelivery(
                store=self.store,
                records=self.servicenow,
                requesters=MemoryRequesterDirectory(),
                health=MemoryInstanceHealth(),
                clock=self.clock,
            ),
            companies=TenantCompanies(self.tenants, self.clock),
            clock=self.clock,
            sleep=self.sleep,
        )

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.advance(seconds)
        await asyncio.sleep(0)

    async def create(
        self, *, key: str | None = None, caller: str = "caller", requester: Requester = REQUESTER, **changes: Any
    ) -> Creation:
        request = read_ticket_request({**BODY, **changes})
        return await self.creation.create(request, requester, caller=caller, idempotency_key=key)

    async def create_refused(self, **options: Any) -> FixRequest:
        with pytest.raises(FixRequest) as caught:
            await self.create(**options)
        return caught.value

    async def refused(self, **options: Any) -> FixRequest:
        refusal = await self.create_refused(**options)
        assert self.servicenow.requests == {}
        assert all(not tickets for tickets in self.store.tickets.values())
        return refusal


async def test_a_request_becomes_a_record() -> None:
    world = World(a_connection())
    creation = await world.create()
    assert not creation.replayed
    ticket = creation.ticket
    assert ticket.delivery.status is Delivery.DELIVERED
    assert ticket.content.requester == REQUESTER
    assert ticket.created_at == START
    assert world.store.tickets[CONNECTION_ID][ticket.ticket_id] == ticket
    assert [record.correlation_id for record in world.servicenow.records] == [ticket.correlation_id]


# Choice of the connection


async def test_without_any_connection() -> None:
    error = await World().refused()
    assert (error.code, error.status) == ("connection_not_found", 404)


async def test_a_tenant_names_the_connection_and_the_company() -> None:
    tenant, other = "0c0ffee0-0000-4000-8000-000000000001", "0c0ffee0-0000-4000-8000-000000000002"
    world = World(a_connection(), a_connection(connection_id="fabrikam"))
    for each, connection_id, company in ((tenant, "fabrikam", "c" * 32), (other, CONNECTION_ID, "d" * 32)):
        await world.tenants.save_tenant(Tenant(each, "A customer", connection_id, company))
    created = (await world.create(tenant_id=tenant, key="key")).ticket
    assert (created.connection_id, created.content.company) == ("fabrikam", "c" * 32)
    assert (await world.create(tenant_id=tenant, key="key")).replayed
    refusal = await world.create_refused(tenant_id=tenant, connection_id=CONNECTION_ID)
    assert (refusal.code, refusal.values["connection_id"]) == ("tenant_other_connection", "fabrikam")
    drafted, _ = await world.creation.draft(read_ticket_request({**BODY, "tenant_id": other}), REQUESTER)
    assert (drafted.connection_id, drafted.content.company) == (CONNECTION_ID, "d" * 32)


async def test_a_ticket_by_hand_has_the_company_of_all_tenants_of_its_connection() -> None:
    world = World(a_connection())
    await world.tenants.save_tenant(Tenant("0c0ffee0-0000-4000-8000-000000000001", "Contoso", CONNECTION_ID, "c" * 32))
    assert (await world.create()).ticket.content.company == "c" * 32


async def test_an_unknown_connection() -> None:
    error = await World(a_connection()).refused(connection_id="other")
    assert (error.code, error.status) == ("connection_not_found", 404)


async def test_several_connections_must_be_distinguished() -> None:
    world = World(a_connection(), a_connection(connection_id="fabrikam"))
    error = await world.refused()
    assert (error.code, error.status) == ("connection_ambiguous", 409)
    assert error.values == {"connection_ids": ["contoso", "fabrikam"]}
    creation = await world.create(connection_id="fabrikam")
    assert creation.ticket.connection_id == "fabrikam"


async def test_a_removed_connection_does_not_count() -> None:
    removed = a_connection(connection_id="old", status=ConnectionStatus.DISCONNECTED)
    world = World(a_connection(), removed)
    error = await world.refused(connection_id="old")
    assert (error.code, error.status) == ("connection_not_authorized", 409)
    assert (await world.create()).ticket.connection_id == CONNECTION_ID


async def test_without_a_consent_there_never_was() -> None:
    waiting = a_connection(status=ConnectionStatus.AWAITING_AUTHORIZATION, consented_at=None)
    error = await World(waiting).refused()
    assert (error.code, error.status) == ("connection_not_authorized", 409)


@pytest.mark.parametrize("status", [ConnectionStatus.REAUTHORIZATION_REQUIRED, ConnectionStatus.UNAVAILABLE])
async def test_an_interrupted_connection_keeps_the_ticket(status: ConnectionStatus) -> None:
    error = LastError(Failure("consent_ended"), START)
    world = World(a_connection(status=status, last_error=error))
    ticket = (await world.create()).ticket
    assert ticket.delivery.status is Delivery.PENDING
    assert ticket.delivery.failure == error.failure
    assert ticket.delivery.attempt_started_at is None
    assert world.servicenow.requests == {}
    await world.creation.delivery.deliver_pending(a_connection(), deadline=world.clock.now.replace(year=2027))
    assert world.store.tickets[CONNECTION_ID][ticket.ticket_id].delivery.status is Delivery.DELIVERED


# Idempotency


async def test_the_same_key_makes_one_ticket() -> None:
    world = World(a_connection())
    first = await world.create(key="key")
    second = await world.create(key="key")
    assert second.ticket == first.ticket
    assert (first.replayed, second.replayed) == (False, True)
    assert world.slept == []
    assert len(world.servicenow.records) == 1


async def test_without_a_key_nothing_is_guessed() -> None:
    world = World(a_connection())
    await world.create()
    await world.create()
    assert len(world.servicenow.records) == 2


async def test_keys_belong_to_their_callers() -> None:
    world = World(a_connection())
    await world.create(key="key", caller="one")
    assert not (await world.create(key="key", caller="other")).replayed
    assert len(world.servicenow.records) == 2


@pytest.mark.parametrize(
    "other",
    [
        {"name": "Other"},
        {"due_date": "2026-12-31"},
        {"connection_id": "contoso"},
        {"requester": replace(REQUESTER, id="2")},
    ],
)
async def test_the_same_key_with_another_request_is_refused(other: dict[str, Any]) -> None:
    world = World(a_connection())
    await world.create(key="key")
    with pytest.raises(FixRequest) as caught:
        await world.create(key="key", **other)
    assert (caught.value.code, caught.value.status) == ("idempotency_key_reused", 422)
    assert len(world.servicenow.records) == 1


@pytest.mark.parametrize("same", [{"description": ""}, {"name": "Block legacy authentication "}, {"due_date": None}])
async def test_the_meaning_of_a_request_counts(same: dict[str, Any]) -> None:
    world = World(a_connection())
    await world.create(key="key")
    assert (await world.create(key="key", **same)).replayed


async def test_ten_at_once_make_one_ticket() -> None:
    world = World(a_connection())
    creations = await asyncio.gather(*(world.create(key="key") for _ in range(10)))
    assert len({creation.ticket.ticket_id for creation in creations}) == 1
    assert [creation.replayed for creation in creations].count(False) == 1
    assert {creation.ticket.delivery.status for creation in creations} == {Delivery.DELIVERED}
    assert len(world.servicenow.records) == 1


async def test_the_key_still_works_when_the_connection_is_gone() -> None:
    world = World(a_connection())
    first = await world.create(key="key", connection_id=CONNECTION_ID)
    stored = world.connections.connections[CONNECTION_ID]
    world.connections.connections[CONNECTION_ID] = replace(
        stored, status=ConnectionStatus.DISCONNECTED, consented_at=None
    )
    second = await world.create(key="key", connection_id=CONNECTION_ID)
    assert second.ticket == first.ticket


async def test_the_key_still_works_when_the_tenant_is_gone() -> None:
    tenant_id = "0c0ffee0-0000-4000-8000-000000000001"
    world = World(a_connection())
    await world.tenants.save_tenant(Tenant(tenant_id, "Contoso", CONNECTION_ID))
    first = await world.create(key="key", tenant_id=tenant_id)
    await world.tenants.delete_tenant(tenant_id)
    again = await world.create(key="key", tenant_id=tenant_id)
    assert (again.ticket, again.replayed) == (first.ticket, True)
    assert (await world.create_refused(key="other", tenant_id=tenant_id)).code == "tenant_not_found"


async def test_a_request_that_died_between_key_and_ticket_is_made_good() -> None:
    world = World(a_connection())
    world.store.faults.append(StorageFault.NOT_CARRIED_OUT)
    with pytest.raises(StorageUnavailable):
        await world.create(key="key")
    creation = await world.create(key="key")
    assert creation.ticket.delivery.status is Delivery.DELIVERED
    assert not creation.replayed
    assert len(world.servicenow.records) == 1


async def test_a_ticket_whose_writing_was_not_confirmed_is_delivered_once() -> None:
    world = World(a_connection())
    world.store.faults.append(StorageFault.ANSWER_LOST)
    with pytest.raises(StorageUnavailable):
        await world.create(key="key")
    repeated = await world.create(key="key")
    assert repeated.ticket.delivery.status is Delivery.PENDING
    world.clock.advance(LEASE_S)
    await world.creation.delivery.deliver_pending(a_connection(), deadline=world.clock.now.replace(year=2027))
    assert (await world.create(key="key")).ticket.delivery.status is Delivery.DELIVERED
    assert len(world.servicenow.records) == 1


async def test_a_repetition_waits_for_the_first_to_end_but_not_for_ever() -> None:
    world = World(a_connection())
    world.store.faults.append(StorageFault.ANSWER_LOST)
    with pytest.raises(StorageUnavailable):
        await world.create(key="key")
    repeated = await world.create(key="key")
    assert repeated.ticket.delivery.status is Delivery.PENDING
    assert world.slept == [POLL_S] * int(WAIT_FOR_TWIN_S / POLL_S)


async def test_a_repetition_does_not_wait_for_a_ticket_that_waits_itself() -> None:
    world = World(a_connection())
    world.servicenow.write_faults.append(WriteFault.THROTTLED)
    first = await world.create(key="key")
    assert first.ticket.delivery.status is Delivery.PENDING
    assert (await world.create(key="key")).ticket == first.ticket
    assert world.slept == []


async def test_only_a_ticket_that_waits_makes_its_connection_due() -> None:
    world = World(a_connection())
    await world.create()
    assert world.directory.entries == {}
    world.servicenow.write_faults.append(WriteFault.THROTTLED)
    await world.create()
    assert world.directory.entries[CONNECTION_ID].due_at == AT_ONCE


@pytest.mark.parametrize("connection_id", [None, CONNECTION_ID])
async def test_the_id_of_a_ticket_names_its_connection(connection_id: str | None) -> None:
    ticket = (await World(a_connection()).create(connection_id=connection_id)).ticket
    assert connection_digits_of(ticket.ticket_id) == connection_digits(CONNECTION_ID)


async def test_a_key_that_was_reserved_before_its_connection_was_known_goes_on() -> None:
    world = World(a_connection(), a_connection(connection_id="fabrikam"))
    await world.refused(key="key")
    del world.connections.connections["fabrikam"]
    created = await world.create(key="key")
    assert (await world.create(key="key")).ticket == created.ticket


async def test_the_first_event_says_when_it_was_asked_for() -> None:
    ticket = (await World(a_connection()).create()).ticket
    assert (ticket.timeline[0].kind, ticket.timeline[0].at) == (EventKind.CREATED, START)


# Possible mistakes

BEFORE = "2020-01-01"


async def test_a_second_ticket_for_a_recommendation_is_created_and_said() -> None:
    world = World(a_connection())
    first = await world.create(key="first")
    world.clock.advance(1)
    second = await world.create(key="second", due_date=BEFORE)
    assert [each.code for each in first.warnings] == []
    assert [each.code for each in second.warnings] == ["due_date_past", "recommendation_has_open_ticket"]
    assert [each.ticket_id for each in second.warnings[1].tickets] == [first.ticket.ticket_id]
    world.clock.advance(1)
    assert [
        each.warnings for each in (await world.create(key="first"), await world.create(key="second", due_date=BEFORE))
    ] == [
        first.warnings,
        second.warnings,
    ], "the same key has the same answer"


async def test_what_nobody_accepted_is_not_created_and_the_key_goes_on() -> None:
    world = World(a_connection())
    await world.create()
    world.clock.advance(1)
    request = read_ticket_request({**BODY, "due_date": BEFORE})
    drafted, _ = await world.creation.draft(request, REQUESTER)
    keys = keys_of(await world.creation.warnings(drafted))
    assert len(keys) == 2

    async def send(accepted: frozenset[str]) -> Creation:
        return await world.creation.create(
            request, REQUESTER, caller="caller", idempotency_key="form", accepted=accepted
        )

    for accepted in (frozenset[str](), keys - {"due_date_past"}, frozenset({"due_date_past"})):
        with pytest.raises(FixRequest) as caught:
            await send(accepted)
        assert (caught.value.code, caught.value.status) == ("confirmation_needed", 409)
    assert len(world.store.tickets[CONNECTION_ID]) == 1
    created = await send(keys)
    assert not created.replayed
    again = await send(frozenset())
    assert (again.replayed, again.ticket.ticket_id) == (True, created.ticket.ticket_id)


async def test_storage_that_does_not_answer_about_other_tickets_keeps_no_program_waiting_and_asks_a_person_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(a_connection())

    async def silent(*_: object, **__: object) -> list[object]:
        raise StorageUnavailable()

    monkeypatch.setattr(world.store, "list_of_recommendation", silent)
    created = await world.create(due_date=BEFORE)
    assert created.ticket.delivery.status is Delivery.DELIVERED
    assert [each.code for each in created.warnings] == ["due_date_past"]
    with pytest.raises(StorageUnavailable):
        await world.creation.create(
            read_ticket_request(BODY), REQUESTER, caller="caller", idempotency_key=None, accepted=frozenset()
        )
    assert len(world.store.tickets[CONNECTION_ID]) == 1


async def test_a_ticket_that_another_host_has_taken_up_meanwhile_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer to the insert was lost for longer than the lease; the store recognises its own write."""
    world = World(a_connection())
    create = world.store.create_ticket

    async def late(ticket: Ticket) -> Ticket:
        stored = await create(ticket)
        return await world.store.update_ticket(stored, replace(stored, delivery=DeliveryProgress(attempts=1)))

    monkeypatch.setattr(world.store, "create_ticket", late)
    creation = await world.create()
    assert creation.ticket.delivery == DeliveryProgress(attempts=1)
    assert world.servicenow.requests["create_record"] == 0
