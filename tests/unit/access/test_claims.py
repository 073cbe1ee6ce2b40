"""One open ticket for each recommendation, also across customers; a refusal names none that the caller may not see."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.access.current import seen_by
from shared.access.model import EVERYTHING, Access
from shared.access.sight import Sight
from shared.connections.seen import SeenConnectionStore
from shared.errors import FixRequest, IdempotencyKeyReused
from shared.recommendations.ticketing.ticket_claims import TicketClaims
from shared.tickets.search import TicketSearch
from shared.tickets.seen import SeenTicketStore
from tests.memory.customer_limits import MemoryCustomerLimits, limited_to
from tests.unit.recommendations.world import ONE, World
from tests.unit.tickets.examples import CONNECTION_ID

FRIEND, STRANGER = Access(frozenset({"friend"})), Access(frozenset({"stranger"}))


@pytest.mark.parametrize("access", [EVERYTHING, FRIEND, STRANGER])
async def test_an_open_ticket_of_a_hidden_customer_is_in_the_way(access: Access) -> None:
    world = World()
    ticket = (await world.create()).ticket
    sight = Sight(MemoryCustomerLimits(limits={CONNECTION_ID: limited_to("friend")}), world.clock)
    seen = SeenTicketStore(world.store, sight), SeenConnectionStore(world.connections, sight)
    claims = TicketClaims(world.claim_store, *seen, world.clock)
    with seen_by(access), pytest.raises(FixRequest) as refused:
        await claims.take_one(ONE, "another", "f" * 32)
    values = dict(refused.value.values)
    assert refused.value.code == "recommendation_has_open_ticket"
    assert (ticket.ticket_id in values.values()) is (access is not STRANGER)
    assert (values.get("variant") == "hidden") is (access is STRANGER)
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
