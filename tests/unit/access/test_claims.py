"""One open ticket for each recommendation, also across customers; a refusal names none of another connection."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.access.current import seen_by
from shared.access.model import EVERYTHING, Access
from shared.access.sight import Sight
from shared.connections.model import Connection
from shared.connections.seen import SeenConnectionStore
from shared.errors import FixRequest, IdempotencyKeyReused
from shared.recommendations.ticketing.ticket_claims import TicketClaims
from shared.tickets.model import Ticket
from shared.tickets.search import TicketSearch
from shared.tickets.seen import SeenTicketStore
from tests.memory.customer_limits import MemoryCustomerLimits, limited_to
from tests.unit.recommendations.world import ONE, World
from tests.unit.tickets.examples import CONNECTION_ID

FRIEND, STRANGER = Access(frozenset({"friend"})), Access(frozenset({"stranger"}))


@pytest.mark.parametrize("access", [EVERYTHING, FRIEND, STRANGER])
@pytest.mark.parametrize("is_stored", [True, False])
async def test_an_open_ticket_of_another_customer_is_in_the_way_and_not_named(
    access: Access, *, is_stored: bool
) -> None:
    world = World()
    ticket = (await world.create()).ticket
    if not is_stored:
        del world.store.tickets[CONNECTION_ID][ticket.ticket_id]
    sight = Sight(MemoryCustomerLimits(limits={CONNECTION_ID: limited_to("friend")}), world.clock)
    seen = SeenTicketStore(world.store, sight), SeenConnectionStore(world.connections, sight)
    claims = TicketClaims(world.claim_store, *seen, world.clock)
    with seen_by(access), pytest.raises(FixRequest) as refused:
        await claims.take_one(ONE, "another", "f" * 32)
    values = {"variant": "elsewhere"} if is_stored else {}
    assert refused.value.code == ("recommendation_has_open_ticket" if is_stored else "ticket_being_created")
    assert refused.value.values == {"recommendation_id": ONE.key, **values}
    assert {each.ticket_id for each in (await world.claim_store.get_claim(ONE.tenant_id, ONE.key)).tickets} == {
        ticket.ticket_id
    }


async def test_a_key_whose_ticket_is_hidden_by_now_makes_no_second_ticket_with_its_id() -> None:
    world = World()
    await world.create(key="k")
    sight = Sight(MemoryCustomerLimits(limits={CONNECTION_ID: limited_to("friend")}), world.clock)
    search = TicketSearch(world.connections, SeenTicketStore(world.store, sight))
    world.creation = replace(world.creation, search=search)
    with seen_by(STRANGER), pytest.raises(IdempotencyKeyReused):
        await world.create(key="k")
    with seen_by(FRIEND):
        assert (await world.create(key="k")).replayed


async def test_a_ticket_that_is_stored_while_its_key_is_repeated_does_not_seem_hidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    sight = Sight(MemoryCustomerLimits(), world.clock)
    search = TicketSearch(world.connections, SeenTicketStore(world.store, sight))
    first = (await world.create(key="k")).ticket
    tickets, find, looked = world.store.tickets[CONNECTION_ID], TicketSearch.find, 0
    stored = tickets.pop(first.ticket_id)

    async def found_on_the_second_look(self: TicketSearch, ticket_id: str) -> tuple[Ticket, Connection] | None:
        nonlocal looked
        looked += 1
        result = await find(self, ticket_id)
        tickets[first.ticket_id] = stored
        return result

    monkeypatch.setattr(TicketSearch, "find", found_on_the_second_look)
    world.creation = replace(world.creation, search=search)
    with seen_by(STRANGER):
        again = await world.create(key="k")
    assert (again.ticket.ticket_id, again.replayed) == (first.ticket_id, True)
    assert looked
