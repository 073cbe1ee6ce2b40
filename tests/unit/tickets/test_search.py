"""Finding a ticket by its id: one read, or one in each connection if the id does not name its connection."""

from __future__ import annotations

import pytest

from shared.errors import FixRequest
from shared.tickets.identity import new_ticket_id
from shared.tickets.model import Ticket
from shared.tickets.search import TicketSearch
from tests.memory.clock import START
from tests.memory.connection_store import MemoryConnectionStore
from tests.memory.ticket_store import MemoryTicketStore
from tests.unit.tickets.examples import a_connection, new_ticket

COUNT = 30
OF_BEFORE = "fe5b3a0a1c4d" + "0123456789abcdef0123"
"""An id of an older release, with random digits in the place of the connection's."""


class World:
    """Connections, each with a ticket, and the requests to storage."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        connections = [a_connection(connection_id=f"tenant-{number}") for number in range(COUNT)]
        self.connections = MemoryConnectionStore(*connections, step=self._step)
        self.store = MemoryTicketStore(step=self._step)
        self.search = TicketSearch(self.connections, self.store)

    async def _step(self, name: str) -> None:
        if not name.endswith("answers"):
            self.asked.append(name)

    async def ticket(self, connection_id: str, ticket_id: str | None = None) -> Ticket:
        ticket = await self.store.create_ticket(new_ticket(START, connection_id=connection_id, ticket_id=ticket_id))
        self.asked.clear()
        return ticket

    async def found(self, ticket_id: str) -> tuple[Ticket, str] | None:
        self.asked.clear()
        found = await self.search.find(ticket_id)
        return None if found is None else (found[0], found[1].connection_id)


@pytest.fixture
def world() -> World:
    return World()


async def test_a_ticket_is_found_with_one_read(world: World) -> None:
    ticket = await world.ticket("tenant-7")
    assert await world.found(ticket.ticket_id) == (ticket, "tenant-7")
    assert sorted(world.asked) == ["get_connection", "get_ticket", "list_connections"], "only once for each process"
    for connection_id in ("tenant-7", "tenant-8"):
        ticket = await world.ticket(connection_id)
        assert await world.found(ticket.ticket_id) == (ticket, connection_id)
        assert sorted(world.asked) == ["get_connection", "get_ticket"]


async def test_a_connection_made_since_is_known_at_its_first_ticket(world: World) -> None:
    await world.found((await world.ticket("tenant-7")).ticket_id)
    await world.connections.create_connection(a_connection(connection_id="new"))
    ticket = await world.ticket("new")
    assert await world.found(ticket.ticket_id) == (ticket, "new")
    assert world.asked.count("get_ticket") == 1


@pytest.mark.parametrize("digits_of", [None, "tenant-7"])
async def test_an_id_of_a_release_before_is_looked_for_everywhere(world: World, digits_of: str | None) -> None:
    """This includes ids whose random digits happen to be those of a connection."""
    ticket_id = OF_BEFORE if digits_of is None else new_ticket_id(START, digits_of)
    ticket = await world.ticket("tenant-3", ticket_id)
    for _ in range(2):
        assert await world.found(ticket_id) == (ticket, "tenant-3")


async def test_what_is_nowhere_is_not_found(world: World) -> None:
    assert await world.found(OF_BEFORE) is None
    assert await world.found(new_ticket_id(START, "tenant-7")) is None


async def test_many_are_read_where_they_are(world: World) -> None:
    connections = {each.connection_id: each for each in await world.connections.list_connections()}
    tickets = [await world.ticket(connection_id) for connection_id in ("tenant-1", "tenant-2", "tenant-2")]
    ids = [ticket.ticket_id for ticket in tickets]
    assert await world.search.find_all(connections, ids) == {ticket.ticket_id: ticket for ticket in tickets}
    assert world.asked.count("get_tickets") == 2
    old = await world.ticket("tenant-3", OF_BEFORE)
    found = await world.search.find_all(connections, [*ids, OF_BEFORE, new_ticket_id(START, "tenant-9")])
    assert found == {ticket.ticket_id: ticket for ticket in [*tickets, old]}


async def test_a_ticket_that_somebody_names_is_found_or_refused(world: World) -> None:
    ticket = await world.ticket("tenant-7")
    found, connection = await world.search.get_known(ticket.ticket_id.upper())
    assert (found, connection.connection_id) == (ticket, "tenant-7")
    for text in ("0" * 32, "", "not-an-id", ticket.ticket_id + "0"):
        world.asked.clear()
        with pytest.raises(FixRequest) as caught:
            await world.search.get_known(text)
        assert (caught.value.code, caught.value.status) == ("ticket_not_found", 404)
        assert (world.asked == []) is (len(text) != 32), "storage is asked for ids only"
