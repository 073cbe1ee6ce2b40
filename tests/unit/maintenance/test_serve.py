"""The timer: idle minutes, requests, refusals, and many connections."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from shared.attention.model import TicketNeeds
from shared.attention.needs import needs_of_turn
from shared.connections.customers import Figures, customer_of
from shared.connections.directory import AT_ONCE, LOOK_EVERY, DirectoryEntry
from shared.connections.grant.secret_names import client_secret_name
from shared.connections.grant.secret_renewal import SecretRenewal
from shared.connections.model import Connection, ConnectionStatus, LastError, Operation
from shared.errors import ServiceNowUnavailable, StorageUnavailable
from shared.evidence.model import EvidenceBatch
from shared.maintenance.run import RUN_S
from shared.tickets.model import Delivery, EventKind, Phase, Ticket
from shared.tickets.reconcile import MANY, PATIENCE
from shared.tickets.updates.ask import asked
from shared.tickets.updates.model import UpdateKind, UpdateStatus
from tests.memory import servicenow
from tests.memory.evidence_store import MemoryEvidenceStore
from tests.memory.maintenance import memory_maintenance
from tests.memory.servicenow import MemoryServiceNow, ReadFault
from tests.memory.ticket_store import MemoryTicketStore, WriteFault
from tests.unit.connections.surroundings import Surroundings
from tests.unit.tickets.examples import delivered_ticket, new_ticket


class World:
    """A connected instance with tickets, and its timer."""

    def __init__(self, app: Surroundings, connection: Connection, *, page_size: int = 100, **settings: Any) -> None:
        self.app = app
        self.connection = connection
        self.servicenow, self.store = MemoryServiceNow(app.clock), MemoryTicketStore()
        self.maintenance = memory_maintenance(
            connections=app.store,
            directory=app.directory,
            authorizations=app.authorizations,
            tokens=app.tokens,
            renewal=app.renewal,
            health=app.health,
            store=self.store,
            servicenow=self.servicenow,
            clock=app.clock,
            page_size=page_size,
            **settings,
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
        """Run the timer; return the last error that it stores."""
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
    # The synchronisation still succeeds, and does not clear it.
    assert await world.run_after(timedelta(minutes=10)) == error
    state = app.directory.state(world.connection.connection_id)
    assert state.last_completed_at is not None
    assert state.last_completed_at > error.at
    world.servicenow.hidden = set()
    assert await world.run_after(PATIENCE) is None
    assert world.phases() == {Phase.NEW}


async def test_evidence_is_deleted_at_night_when_its_retention_is_over() -> None:
    app, evidence = Surroundings(), MemoryEvidenceStore()
    world = World(app, await app.connected(), evidence=evidence, EVIDENCE_RETENTION_DAYS=30)
    night = datetime.combine(app.clock.now.date(), time(2, 0), UTC) + timedelta(days=40)
    batches = [EvidenceBatch(str(days), night - timedelta(days=days), ()) for days in (29, 31, 39)]
    await evidence.record(batches)
    await world.run_after(night - timedelta(minutes=1) - app.clock.now)
    assert set(evidence.batches) == {"29", "31", "39"}
    await world.run_after(timedelta(minutes=1))
    assert set(evidence.batches) == {"29"}


async def test_secrets_are_renewed_although_nothing_else_goes_well() -> None:
    """The consent is refused for months: the client secret must still be there for the next one."""
    app = Surroundings()
    world = World(app, await app.connected())
    app.servicenow.refresh_tokens.clear()
    await world.run_after(timedelta(days=60))
    assert app.stored().status is ConnectionStatus.REAUTHORIZATION_REQUIRED
    assert len(app.secrets.versions[client_secret_name("contoso")]) == 2


async def test_a_refused_synchronisation_does_not_hold_up_the_comparison() -> None:
    """A few tickets with deleted records, behind pages of other domains, look like missing rights."""
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
    """Connections with slow turns: a run has time for five of them."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.turns: list[str] = []
        self.world = world
        clock, ids = world.app.clock, [f"tenant-{number:02}" for number in range(20)]
        world.app.store.connections = {each: replace(world.connection, connection_id=each) for each in ids}
        world.app.directory.entries = {each: DirectoryEntry(each, served_at=clock(), etag="1") for each in ids}

        async def hangs(_: SecretRenewal, connection: Connection) -> Connection:
            self.turns.append(connection.connection_id)
            clock.advance(RUN_S / 5)
            raise StorageUnavailable()

        monkeypatch.setattr("shared.maintenance.serve.is_renewal_due", lambda *_: True)
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
    monkeypatch.setattr("shared.maintenance.run.CONCURRENT_CONNECTIONS", 1)
    await queue.minutes_pass(12)
    turns = [queue.turns[place : place + 20] for place in (0, 20, 40)]
    assert all(len(set(each)) == 20 for each in turns), "no connection has a second turn before each had one"
    assert "connection_not_served" not in caplog.text


async def test_a_connection_whose_turn_does_not_come_is_reported(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("shared.maintenance.run.CONCURRENT_CONNECTIONS", 1)
    monkeypatch.setattr("shared.maintenance.run.NOT_SERVED_AFTER", timedelta(minutes=3))
    await queue.minutes_pass(3)
    assert "connection_not_served" not in caplog.text
    await queue.minutes_pass(4)
    reported = [json.loads(record.getMessage()) for record in caplog.records if "not_served" in record.getMessage()]
    assert reported
    assert all(each["waited_s"] >= 180 for each in reported)
    assert {each["connection_id"] for each in reported} <= set(queue.turns)


# Cost


PLANNING = {"list_entries", "list_connections", "list_sync_requests"}
IDLE_TURN = ["get_connection", "get_overview", "save_entry", "save_entry"]


class Asked:
    """Counts the timer's requests to the stores."""

    def __init__(self, world: World) -> None:
        self.names: list[str] = []
        self.world = world
        for store in (world.app.store, world.app.directory, world.store):
            store._step = self._step

    async def _step(self, name: str) -> None:
        if not name.endswith("answers"):
            self.names.append(name)

    async def in_a_minute(self) -> tuple[list[str], list[str]]:
        """Run the timer a minute later; return its requests for the plan and for the connection."""
        self.names.clear()
        self.world.app.clock.advance(60)
        await self.world.maintenance.run()
        planned = [name for name in self.names if name in PLANNING]
        return planned, sorted(name for name in self.names if name not in PLANNING)


async def settled(app: Surroundings, **changes: Any) -> World:
    """Return a world with nothing left to do."""
    world = World(app, await app.connected(), **changes)
    for _ in range(7):
        await world.run_after(timedelta(minutes=1))
    return world


async def test_an_idle_connection_costs_nothing_until_it_is_due() -> None:
    asked = Asked(await settled(Surroundings(), SYNC_INTERVAL_S=300))
    minutes = [await asked.in_a_minute() for _ in range(10)]
    turns = [turn for _, turn in minutes]
    assert turns.count([]) == 8
    assert turns.count(IDLE_TURN) == 2
    assert sum(len(planned) for planned, _ in minutes) == 10 + 2 * 2, "the connections are listed every five minutes"


async def test_tickets_are_compared_with_the_lists_once_a_day() -> None:
    world = World(app := Surroundings(), await app.connected())
    await world.tickets(1)
    asked = Asked(world)
    checks = [(await asked.in_a_minute())[1].count("check_lists") for _ in range(5)]
    assert checks == [1, 0, 0, 0, 0]
    app.clock.advance(timedelta(days=1).total_seconds())
    assert "check_lists" in (await asked.in_a_minute())[1]


async def test_a_comparison_with_the_lists_that_does_not_end_goes_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Surroundings()
    world = World(app, await app.connected())
    await world.tickets(1)

    async def page_by_page(_connection_id: str, _now: datetime) -> bool:
        app.clock.advance(RUN_S / 3)
        return False

    monkeypatch.setattr(world.store, "check_lists", page_by_page)
    await world.run_after(timedelta(minutes=1))
    assert app.directory.entries[world.connection.connection_id].due_at == AT_ONCE


async def test_an_idle_synchronisation_is_four_requests() -> None:
    asked = Asked(await settled(Surroundings(), SYNC_INTERVAL_S=60))
    pages = asked.world.servicenow.requests["list_changes"]
    minutes = [await asked.in_a_minute() for _ in range(10)]
    assert asked.world.servicenow.requests["list_changes"] == pages + 10
    assert [turn for _, turn in minutes] == [IDLE_TURN] * 10


async def test_a_turn_records_what_happened_to_tickets_even_if_servicenow_fails() -> None:
    evidence = MemoryEvidenceStore()
    world = await settled(Surroundings(), SYNC_INTERVAL_S=60, evidence=evidence)
    [ticket] = await world.tickets(1)
    world.servicenow.read_faults.append(ReadFault.NO_ANSWER)
    await world.run_after(timedelta(minutes=1))
    assert {event.ticket_id for event in evidence.events} == {ticket.ticket_id}
    assert not world.store.unrecorded[ticket.connection_id]


# What makes a connection due


async def test_a_ticket_that_waits_is_delivered_in_the_next_minute() -> None:
    world = await settled(Surroundings(), SYNC_INTERVAL_S=3600)
    ticket = _of(new_ticket(world.app.clock()), world.connection)
    await world.store.create_ticket(ticket)
    await world.app.turns.wake(ticket.connection_id)
    await world.run_after(timedelta(minutes=1))
    assert world.store.tickets[ticket.connection_id][ticket.ticket_id].delivery.status is Delivery.DELIVERED


async def test_a_change_of_a_record_is_sent_in_the_next_minute_and_again_when_it_is_due() -> None:
    world = await settled(Surroundings(), SYNC_INTERVAL_S=3600)
    [ticket] = await world.tickets(1)
    note, change = asked(ticket, UpdateKind.WORK_NOTE, by_id="policy:outcome", now=world.app.clock(), text="Verified.")
    await world.store.update_ticket(ticket, note, [change])
    await world.app.turns.wake(ticket.connection_id)
    world.servicenow.write_faults.append(servicenow.WriteFault.ANSWER_LOST)
    await world.run_after(timedelta(minutes=1))
    assert len(world.store.updates[ticket.connection_id]) == 1
    for _ in range(2):
        await world.run_after(timedelta(minutes=1))
    assert not world.store.updates[ticket.connection_id]
    sent = world.store.tickets[ticket.connection_id][ticket.ticket_id]
    assert [each.kind for each in sent.timeline][-2:] == [EventKind.UPDATE_ASKED, EventKind.UPDATE_SENT]


async def test_a_refused_change_costs_an_idle_turn_two_requests_at_most() -> None:
    world = await settled(Surroundings(), SYNC_INTERVAL_S=60)
    [ticket] = await world.tickets(1)
    note, change = asked(ticket, UpdateKind.WORK_NOTE, by_id="policy:outcome", now=world.app.clock(), text="Verified.")
    await world.store.update_ticket(ticket, note, [change])
    world.servicenow.write_faults.append(servicenow.WriteFault.VALUES_REFUSED)
    for _ in range(4):
        await world.run_after(timedelta(minutes=1))
    [update] = world.store.updates[ticket.connection_id].values()
    assert update.status is UpdateStatus.REFUSED
    _, turn = await Asked(world).in_a_minute()
    assert turn == sorted([*IDLE_TURN, "list_updates", "list_updates"])


async def test_whoever_configures_or_authorizes_a_connection_makes_it_due() -> None:
    app = Surroundings()
    await settled(app, SYNC_INTERVAL_S=3600)
    for work in (app.configured(display_name="changed"), app.authorized()):
        entry = app.directory.entries["contoso"]
        app.directory.entries["contoso"] = replace(entry, due_at=app.clock() + LOOK_EVERY)
        await work
        assert app.directory.entries["contoso"].due_at == AT_ONCE


async def test_a_hint_that_was_lost_is_not_lost_for_ever() -> None:
    world = await settled(Surroundings(), SYNC_INTERVAL_S=3600)
    ticket = _of(new_ticket(world.app.clock()), world.connection)
    await world.store.create_ticket(ticket)
    for _ in range(int(LOOK_EVERY / timedelta(minutes=1)) + 1):
        await world.run_after(timedelta(minutes=1))
    assert world.store.tickets[ticket.connection_id][ticket.ticket_id].delivery.status is Delivery.DELIVERED


async def test_a_connection_that_nobody_told_of_is_served() -> None:
    """A host of release 0.1, which does not know the directory, has created or authorized it."""
    world = await settled(Surroundings())
    other = replace(world.connection, connection_id="of-0-1")
    await world.app.store.create_connection(replace(other, etag=None))
    for _ in range(int(LOOK_EVERY / timedelta(minutes=1)) + 1):
        await world.run_after(timedelta(minutes=1))
    assert world.app.directory.entries["of-0-1"].served_at is not None


async def test_a_request_that_a_host_of_release_0_1_did_not_serve_is_served() -> None:
    world = await settled(Surroundings(), SYNC_INTERVAL_S=3600)
    connection_id, asked_at = world.connection.connection_id, world.app.clock()
    stored = await world.app.store.get_sync_state(connection_id)
    await world.app.store.save_sync_state(connection_id, replace(stored, requested_at=asked_at))
    pages = world.servicenow.requests["list_changes"]
    for _ in range(int(LOOK_EVERY / timedelta(minutes=1)) + 1):
        await world.run_after(timedelta(minutes=1))
    assert world.servicenow.requests["list_changes"] == pages + 1
    assert await world.app.store.list_sync_requests() == {}
    assert world.app.directory.state(connection_id).requested_at is None


async def test_a_removed_connection_is_left_alone_until_it_comes_back() -> None:
    world = await settled(Surroundings())
    await world.app.removal.remove(world.connection.connection_id)
    await world.run_after(timedelta(minutes=10))
    assert world.app.directory.entries[world.connection.connection_id].due_at is None
    asked = Asked(world)
    assert (await asked.in_a_minute())[1] == []
    await world.app.connected()
    assert "save_entry" in (await asked.in_a_minute())[1]


async def test_the_directory_knows_a_changed_customer_before_its_next_turn() -> None:
    world = await settled(Surroundings())
    connection_id = world.connection.connection_id
    await world.app.removal.remove(connection_id)
    [removed] = await world.app.directory.list_customers()
    assert removed.customer.status is ConnectionStatus.DISCONNECTED
    await world.app.connected()
    [connected] = await world.app.directory.list_customers()
    assert connected.customer.status is ConnectionStatus.CONNECTED


async def test_a_turn_does_not_undo_what_somebody_changed_during_it() -> None:
    world = await settled(Surroundings())
    directory, connection_id = world.app.directory, world.connection.connection_id
    changed = replace(world.connection, display_name="Fabrikam", customer_group="North", is_excluded=True)
    async with world.app.turns.taken(directory.entries[connection_id]) as turn:
        assert turn is not None
        turn.customer = customer_of(world.connection)
        await directory.wake(connection_id, customer=customer_of(changed))
    [listed] = await directory.list_customers()
    assert (listed.customer.name, listed.customer.group, listed.customer.is_excluded) == ("Fabrikam", "North", True)


async def test_what_happened_before_a_removal_is_in_the_evidence_after_it() -> None:
    evidence = MemoryEvidenceStore()
    world = await settled(Surroundings(), evidence=evidence)
    (ticket,) = await world.tickets(1)
    await world.app.removal.remove(world.connection.connection_id)
    evidence.writes.faults.append(WriteFault.NOT_CARRIED_OUT)
    for _ in range(3):
        await world.run_after(timedelta(minutes=10))
    assert ticket.ticket_id in {event.ticket_id for event in evidence.events}
    assert not world.store.unrecorded[world.connection.connection_id]
    assert world.app.directory.entries[world.connection.connection_id].due_at is None


async def test_a_synchronisation_asked_for_is_done_at_once_or_follows() -> None:
    world = await settled(Surroundings(), SYNC_INTERVAL_S=3600)
    counts = await world.maintenance.work.sync_now(world.connection)
    assert counts is not None
    assert counts.complete
    directory, connection_id = world.app.directory, world.connection.connection_id
    async with world.app.turns.taken(directory.entries[connection_id]) as turn:
        assert turn is not None
        assert await world.maintenance.work.sync_now(world.connection) is None
    pages = world.servicenow.requests["list_changes"]
    await world.run_after(timedelta(minutes=1))
    assert world.servicenow.requests["list_changes"] == pages + 1
    assert directory.state(connection_id).requested_at is None


async def test_a_synchronisation_asked_for_that_fails_is_tried_again_by_the_timer() -> None:
    world = await settled(Surroundings(), SYNC_INTERVAL_S=3600)
    world.servicenow.read_faults.append(ReadFault.NO_ANSWER)
    with pytest.raises(ServiceNowUnavailable):
        await world.maintenance.work.sync_now(world.connection)
    assert world.app.directory.state(world.connection.connection_id).requested_at == world.app.clock()
    await world.run_after(timedelta(minutes=1))
    assert world.app.directory.state(world.connection.connection_id).requested_at is None


@pytest.mark.usefixtures("waits_end_at_once")
async def test_a_turn_that_is_cut_off_keeps_what_it_found() -> None:
    world = await settled(Surroundings(), SYNC_INTERVAL_S=60)

    async def hangs(name: str) -> None:
        if name == "list_changes":
            await asyncio.Event().wait()

    world.servicenow._step = hangs
    await world.run_after(timedelta(minutes=1))
    entry = world.app.directory.entries[world.connection.connection_id]
    assert entry.holder is None
    assert entry.sync is not None
    assert entry.sync.last_started_at == world.app.clock()


async def test_a_mistake_of_ours_beside_the_connections_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Surroundings()
    world = World(app, await app.connected())
    (ticket,) = [await world.store.create_ticket(_of(new_ticket(app.clock()), world.connection))]

    async def fail() -> None:
        raise ValueError("a mistake of ours")

    monkeypatch.setattr(world.maintenance.tenants.tenants, "list_tenants", fail)
    with pytest.raises(ValueError, match="a mistake of ours"):
        await world.maintenance.run()
    stored = world.store.tickets[world.connection.connection_id][ticket.ticket_id]
    assert stored.delivery.status is Delivery.DELIVERED, "the connections were served all the same"


async def test_the_end_of_a_turn_says_what_the_tickets_need_without_another_request() -> None:
    app = Surroundings()
    world = World(app, await app.connected())
    connection_id = world.connection.connection_id
    refused = new_ticket(app.clock())
    refused = replace(refused, delivery=replace(refused.delivery, status=Delivery.FAILED))
    late, in_time = (delivered_ticket(app.clock(), due_at=app.clock() + timedelta(days=days)) for days in (1, 30))
    for ticket in (refused, late, in_time):
        await world.store.create_ticket(_of(replace(ticket, connection_id=connection_id), world.connection))
        if ticket.record is not None:
            world.servicenow.insert(ticket.record)
    await world.run_after(timedelta(minutes=1))
    synchronised_at = app.clock()
    [listed] = await app.directory.list_customers()
    assert listed.customer == customer_of(world.connection)
    assert listed.figures == Figures(open=2, failed=1, last_sync_at=synchronised_at)
    assert needs_of_turn(listed.figures) == TicketNeeds(failed=1)
    requests: list[str] = []

    async def noted(name: str) -> None:
        requests.append(name)

    world.store._step = noted
    await world.run_after(timedelta(days=1, minutes=5))
    [listed] = await app.directory.list_customers()
    assert listed.figures == Figures(open=2, overdue=1, failed=1, last_sync_at=app.clock())
    assert "list_current" not in requests
    assert "list_tickets" not in requests
