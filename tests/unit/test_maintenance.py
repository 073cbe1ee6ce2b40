"""What the timer does when the synchronisation or the comparison is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import time, timedelta

import pytest

from shared.connections.grant.lease import SYNC, Lease
from shared.connections.grant.secret_names import client_secret_name
from shared.connections.grant.secret_renewal import SecretRenewal
from shared.connections.model import Connection, ConnectionStatus, LastError, Operation
from shared.errors import StorageUnavailable
from shared.maintenance import RUN_S, Maintenance
from shared.settings import Settings
from shared.tickets.deliver import TicketDelivery
from shared.tickets.model import Phase, Ticket
from shared.tickets.reconcile import MANY, PATIENCE, TicketReconciliation
from shared.tickets.sync import TicketSync
from tests.memory.connection_store import MemoryConnectionStore
from tests.memory.idempotency_store import MemoryIdempotencyStore
from tests.memory.instance import MemoryRequesterDirectory
from tests.memory.servicenow import MemoryServiceNow
from tests.memory.ticket_store import MemoryTicketStore
from tests.unit.connections.surroundings import Surroundings
from tests.unit.tickets.examples import delivered_ticket


class World:
    """A connected instance with tickets, and its timer."""

    def __init__(self, app: Surroundings, connection: Connection, *, page_size: int = 100) -> None:
        self.app = app
        self.connection = connection
        self.servicenow, self.store = MemoryServiceNow(app.clock), MemoryTicketStore()
        self.maintenance = Maintenance(
            settings=Settings.model_validate(
                {
                    "PUBLIC_BASE_URL": "https://tickets.contoso.com",
                    "KEY_VAULT_URL": "https://vault.example",
                    "TABLES_URL": "https://tables.example",
                    "RECONCILE_AT": time(2, 0),
                }
            ),
            connections=app.store,
            sync_lease=Lease(app.leases, SYNC),
            authorizations=app.authorizations,
            reservations=MemoryIdempotencyStore(),
            store=self.store,
            tokens=app.tokens,
            renewal=app.renewal,
            health=app.health,
            delivery=TicketDelivery(self.store, self.servicenow, MemoryRequesterDirectory(), app.health, app.clock),
            sync=TicketSync(app.store, self.store, self.servicenow, app.clock, page_size),
            reconciliation=TicketReconciliation(app.store, self.store, self.servicenow, app.clock, page_size),
            clock=app.clock,
        )

    async def tickets(self, count: int) -> list[Ticket]:
        made = []
        for _ in range(count):
            ticket = delivered_ticket(self.app.clock(), connection_id=self.connection.connection_id)
            made.append(await self.store.create_ticket(_of(ticket, self.connection)))
            assert ticket.record is not None
            self.servicenow.insert(ticket.record)
        return made

    async def run_after(self, passed: timedelta) -> LastError | None:
        """Run the timer; return what it leaves as the last error."""
        self.app.clock.advance(passed.total_seconds())
        await self.maintenance.run()
        stored = await self.app.store.get_connection(self.connection.connection_id)
        assert stored is not None
        return stored.last_error

    def phases(self) -> set[Phase | None]:
        return {ticket.phase for ticket in self.store.tickets[self.connection.connection_id].values()}


def _of(ticket: Ticket, connection: Connection) -> Ticket:
    return replace(ticket, instance=connection.instance)


async def test_a_refused_comparison_is_the_last_error_until_one_succeeds() -> None:
    app = Surroundings()
    world = World(app, await app.connected())
    tickets = await world.tickets(MANY + 1)
    world.servicenow.hidden = {ticket.ticket_id for ticket in tickets}
    error = await world.run_after(timedelta(hours=1))
    assert error is not None
    assert (error.code, error.operation) == ("records_not_visible", Operation.COMPARISON)
    # The synchronisation succeeds meanwhile, and does not clear it.
    assert await world.run_after(timedelta(minutes=10)) == error
    state = await app.store.get_sync_state(world.connection.connection_id)
    assert state.last_completed_at is not None
    assert state.last_completed_at > error.at
    world.servicenow.hidden = set()
    assert await world.run_after(PATIENCE) is None
    assert world.phases() == {Phase.NEW}


async def test_secrets_are_renewed_although_nothing_else_goes_well() -> None:
    """The consent is refused for months: the client secret must still be there for the next one."""
    app = Surroundings()
    world = World(app, await app.connected())
    app.servicenow.refresh_tokens.clear()
    await world.run_after(timedelta(days=60))
    assert app.stored().status is ConnectionStatus.REAUTHORIZATION_REQUIRED
    assert len(app.secrets.versions[client_secret_name("contoso")]) == 2


async def test_a_refused_synchronisation_does_not_hold_up_the_comparison() -> None:
    """A few tickets whose records were deleted, behind pages of other domains, look like missing rights."""
    app = Surroundings()
    world = World(app, await app.connected(), page_size=2)
    tickets = await world.tickets(6)
    world.servicenow.hidden = {ticket.ticket_id for ticket in tickets}
    error = await world.run_after(timedelta(hours=1))
    assert error is not None
    assert (error.code, error.operation) == ("records_not_visible", None)
    assert world.phases() == {Phase.DELETED}
    assert await world.run_after(timedelta(minutes=10)) is None


class Queue:
    """Connections whose turns take long: a run gets through five of them."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.turns: list[str] = []
        self.world = world
        clock = world.app.clock

        async def listed(_: MemoryConnectionStore) -> Sequence[Connection]:
            return [replace(world.connection, connection_id=f"tenant-{number:02}") for number in range(20)]

        async def hangs(_: SecretRenewal, connection: Connection) -> Connection:
            self.turns.append(connection.connection_id)
            clock.advance(RUN_S / 5)
            raise StorageUnavailable("It took long and came to nothing.")

        monkeypatch.setattr(MemoryConnectionStore, "list_connections", listed)
        monkeypatch.setattr(SecretRenewal, "renew_if_due", hangs)

    async def minutes_pass(self, minutes: int) -> None:
        clock = self.world.app.clock
        for _ in range(minutes):
            began_at = clock.now
            await self.world.maintenance.run()
            assert clock.now - began_at <= timedelta(seconds=RUN_S), "nothing begins after the deadline"
            clock.now = began_at + timedelta(minutes=1)


@pytest.fixture
async def queue(monkeypatch: pytest.MonkeyPatch) -> Queue:
    app = Surroundings()
    return Queue(World(app, await app.connected()), monkeypatch)


async def test_whoever_was_served_longest_ago_comes_first(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("shared.maintenance.CONCURRENT_CONNECTIONS", 1)
    await queue.minutes_pass(12)
    turns = [queue.turns[place : place + 20] for place in (0, 20, 40)]
    assert all(len(set(each)) == 20 for each in turns), "nobody comes twice before everybody came once"
    assert "connection_not_served" not in caplog.text


async def test_a_connection_whose_turn_does_not_come_is_reported(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("shared.maintenance.CONCURRENT_CONNECTIONS", 1)
    monkeypatch.setattr("shared.maintenance.NOT_SERVED_AFTER", timedelta(minutes=3))
    await queue.minutes_pass(3)
    assert "connection_not_served" not in caplog.text
    await queue.minutes_pass(4)
    reported = [json.loads(record.getMessage()) for record in caplog.records if "not_served" in record.getMessage()]
    assert reported
    assert all(each["waited_s"] >= 180 for each in reported)
    assert {each["connection_id"] for each in reported} <= set(queue.turns)
