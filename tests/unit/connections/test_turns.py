"""Turns: one holder at a time, a loss is noticed, and no request during a turn is forgotten."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.connections.customers import Figures
from shared.connections.directory import AT_ONCE, LOOK_EVERY, TURN_S, DirectoryEntry, SyncState
from shared.connections.held_lease import LEASE_S
from shared.connections.ports import RowChanged
from shared.connections.turns import Turn, Turns, sync_state_of
from tests.memory.clock import START
from tests.memory.connection_store import MemoryConnectionStore
from tests.memory.directory import MemoryDirectory
from tests.memory.renewals import Renewals
from tests.unit.tickets.examples import CONNECTION_ID, INSTANCE, a_connection

WATERMARK = "2026-03-02 09:00:00"
LATER = START + timedelta(minutes=3)


class Repeating(MemoryDirectory):
    """Loses answers to writes, so that these are sent again."""

    is_repeating = False

    async def save_entry(self, entry: DirectoryEntry) -> DirectoryEntry:
        saved = await super().save_entry(entry)
        if self.is_repeating:
            raise RowChanged(entry.connection_id)
        return saved


class Hosts(Renewals):
    """Hosts that take turns; turns are renewed when the test lets time pass."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Repeating(self.step)
        self.connections = MemoryConnectionStore(a_connection())

    def turns(self) -> Turns:
        return Turns(self.directory, self.connections, self.clock, self.pause, seconds=self.seconds)

    @property
    def entry(self) -> DirectoryEntry:
        return self.directory.entries.get(CONNECTION_ID, DirectoryEntry(CONNECTION_ID))

    async def is_free(self) -> bool:
        return not self.entry.is_held(self.clock())

    async def served(self) -> bool:
        async with self.turns().taken(self.entry) as turn:
            if turn is not None:
                turn.due_at = LATER
        return turn is not None


@pytest.fixture
def hosts() -> Hosts:
    return Hosts()


def test_a_turn_is_renewed_as_any_lease_is() -> None:
    assert TURN_S == LEASE_S


async def test_a_turn_is_two_writes(hosts: Hosts) -> None:
    await hosts.served()
    writes: list[str] = []

    async def step(name: str) -> None:
        writes.append(name)

    hosts.directory._step = step
    await hosts.served()
    assert writes == ["save_entry", "save_entry answers"] * 2
    assert (hosts.entry.due_at, hosts.entry.served_at, hosts.entry.holder) == (LATER, START, None)


async def test_a_turn_lasts_as_long_as_the_work_in_it(hosts: Hosts) -> None:
    async with hosts.turns().taken(hosts.entry) as turn:
        assert turn is not None
        await hosts.pass_time(600)
        assert not turn.lease.is_lost
        assert not await hosts.is_free()
        assert not await hosts.served()
    assert await hosts.served()


async def test_a_holder_that_died_is_succeeded_soon(hosts: Hosts) -> None:
    taken = hosts.turns().taken(hosts.entry)
    await taken.__aenter__()
    hosts.clock.advance(TURN_S - 1)
    assert not await hosts.served()
    hosts.clock.advance(1)
    assert await hosts.served()
    await taken.__aexit__(None, None, None)


async def test_whoever_was_held_up_notices_and_overwrites_nothing(
    hosts: Hosts, caplog: pytest.LogCaptureFixture
) -> None:
    async with hosts.turns().taken(hosts.entry) as first:
        assert first is not None
        first.sync.state = SyncState(watermark="an old one")
        hosts.clock.advance(TURN_S)  # a paused process renews nothing
        assert first.lease.is_lost
        async with hosts.turns().taken(hosts.entry) as second:
            assert second is not None
            second.sync.state = SyncState(watermark=WATERMARK)
        after = hosts.entry
    assert hosts.entry == after
    assert hosts.directory.state(CONNECTION_ID).watermark == WATERMARK
    assert [json.loads(each.getMessage())["purpose"] for each in caplog.records] == ["turn"]


async def test_what_pages_about_all_customers_show_has_the_synchronisation_and_the_reminders(hosts: Hosts) -> None:
    async with hosts.turns().taken(hosts.entry) as turn:
        assert turn is not None
        turn.sync.state = SyncState(last_completed_at=START)
        turn.figures, turn.reminder_failed_at = Figures(open=1), LATER
    assert hosts.entry.figures == Figures(open=1, last_sync_at=START, reminders_failed_at=LATER)


async def test_of_many_who_come_at_once_one_has_the_turn(hosts: Hosts) -> None:
    entry, begun = hosts.entry, asyncio.Event()

    async def one() -> bool:
        async with hosts.turns().taken(entry) as turn:
            if turn is not None:
                await begun.wait()
        return turn is not None

    tasks = [asyncio.create_task(one()) for _ in range(8)]
    for _ in range(20):
        await asyncio.sleep(0)
    begun.set()
    assert sorted(await asyncio.gather(*tasks)) == [False] * 7 + [True]


async def test_whoever_planned_from_an_old_row_does_not_serve_again(hosts: Hosts) -> None:
    planned = hosts.entry
    await hosts.served()
    async with hosts.turns().taken(planned) as turn:
        assert turn is None


async def test_a_renewal_that_storage_did_not_answer_is_tried_again(hosts: Hosts) -> None:
    async with hosts.turns().taken(hosts.entry) as turn:
        assert turn is not None
        hosts.storage_answers = False
        await hosts.pass_time(20)
        assert not turn.lease.is_lost
        await hosts.pass_time(10)
        assert turn.lease.is_lost
        hosts.storage_answers = True
        await hosts.pass_time(10)
        assert not turn.lease.is_lost


@pytest.mark.parametrize("end", [ValueError, asyncio.CancelledError])
async def test_what_came_of_it_is_stored_however_the_work_ends(hosts: Hosts, end: type[BaseException]) -> None:
    before = asyncio.all_tasks()

    async def work() -> None:
        async with hosts.turns().taken(hosts.entry) as turn:
            assert turn is not None
            turn.sync.state = SyncState(watermark=WATERMARK)
            await asyncio.sleep(0)
            raise end

    with pytest.raises(end):
        await work()
    assert await hosts.is_free()
    assert hosts.directory.state(CONNECTION_ID).watermark == WATERMARK
    assert asyncio.all_tasks() == before, "nothing continues to renew it"


async def test_an_end_that_storage_did_not_answer_leaves_it_due(hosts: Hosts, caplog: pytest.LogCaptureFixture) -> None:
    async with hosts.turns().taken(hosts.entry) as turn:
        assert turn is not None
        turn.due_at = LATER
        hosts.storage_answers = False
    assert "turn_not_ended" in caplog.text
    hosts.clock.advance(TURN_S)
    assert hosts.entry.is_due(hosts.clock())
    assert await hosts.is_free()


async def test_a_write_whose_answer_was_lost_is_known_again(hosts: Hosts) -> None:
    hosts.directory.is_repeating = True
    async with hosts.turns().taken(hosts.entry) as turn:
        assert turn is not None
        turn.due_at = LATER
        await hosts.pass_time(30)
        assert not turn.lease.is_lost
    assert (hosts.entry.due_at, hosts.entry.holder) == (LATER, None)


# Requests during a turn


@pytest.mark.parametrize("passed_s", [0, 10])
async def test_whoever_wakes_a_connection_during_its_turn_gets_another(hosts: Hosts, passed_s: float) -> None:
    await hosts.served()
    async with hosts.turns().taken(hosts.entry) as turn:
        assert turn is not None
        await hosts.turns().wake(CONNECTION_ID)
        await hosts.pass_time(passed_s)
        turn.due_at = LATER
        assert not turn.lease.is_lost
    assert hosts.entry.due_at == AT_ONCE
    assert await hosts.served()
    assert hosts.entry.due_at == LATER


@pytest.mark.parametrize("passed_s", [0, 10])
async def test_a_request_made_during_a_synchronisation_is_not_taken_for_done(hosts: Hosts, passed_s: float) -> None:
    await hosts.directory.wake(CONNECTION_ID, requested_at=START)
    async with hosts.turns().taken(hosts.entry) as turn:
        assert turn is not None
        assert turn.sync.state.requested_at == START
        await hosts.directory.wake(CONNECTION_ID, requested_at=LATER)
        await hosts.pass_time(passed_s)
        turn.sync.state = replace(turn.sync.state, requested_at=None, watermark=WATERMARK)
    assert hosts.directory.state(CONNECTION_ID) == SyncState(watermark=WATERMARK, requested_at=LATER)


async def test_that_a_connection_could_not_be_woken_is_logged_and_no_more(
    hosts: Hosts, caplog: pytest.LogCaptureFixture
) -> None:
    hosts.storage_answers = False
    await hosts.turns().wake(CONNECTION_ID)
    assert "connection_not_woken" in caplog.text


def test_a_time_that_no_host_can_have_meant_is_over() -> None:
    assert not DirectoryEntry(CONNECTION_ID, due_at=START + LOOK_EVERY).is_due(START)
    assert DirectoryEntry(CONNECTION_ID, due_at=START + timedelta(days=1)).is_due(START)
    assert not DirectoryEntry(CONNECTION_ID, due_at=None).is_due(START)
    ends_at = START + timedelta(days=1)
    assert not DirectoryEntry(CONNECTION_ID, holder="x", held_until_at=ends_at).is_held(START)


# Beside hosts of release 0.1

OF_0_1 = SyncState(watermark=WATERMARK, last_started_at=START, requested_at=START, reconciled_at=START)


async def test_a_state_of_release_0_1_is_taken_over_once(hosts: Hosts) -> None:
    await hosts.connections.save_sync_state(CONNECTION_ID, OF_0_1)
    assert (await hosts.turns().sync_state(a_connection())).watermark == WATERMARK
    async with hosts.turns().taken(hosts.entry) as turn:
        assert turn is not None
        assert turn.sync.state == OF_0_1
    stored = await hosts.connections.get_sync_state(CONNECTION_ID)
    await hosts.connections.save_sync_state(CONNECTION_ID, replace(stored, watermark="another"))
    async with hosts.turns().taken(hosts.entry) as turn:
        assert turn is not None
        assert turn.sync.state == OF_0_1


async def test_two_hosts_that_take_it_over_at_once_leave_one_state(hosts: Hosts) -> None:
    await hosts.connections.save_sync_state(CONNECTION_ID, OF_0_1)
    await hosts.directory.wake(CONNECTION_ID)
    entry = hosts.entry
    async with hosts.turns().taken(entry) as first, hosts.turns().taken(entry) as second:
        assert first is not None
        assert second is None
    assert hosts.directory.state(CONNECTION_ID) == OF_0_1


async def in_turn(hosts: Hosts, **changes: Any) -> Turn:
    """Change the state during a turn."""
    async with hosts.turns().taken(hosts.entry) as turn:
        assert turn is not None
        before = turn.begin(a_connection())
        turn.sync.state = replace(before, **changes)
        await hosts.turns().copy_for_release_0_1(turn, before)
    return turn


async def test_what_a_rollback_needs_is_copied_and_an_idle_run_copies_nothing(hosts: Hosts) -> None:
    await hosts.connections.save_sync_state(CONNECTION_ID, replace(OF_0_1, requested_at=None, kept={"of_0_1": 1}))
    before = await hosts.connections.get_sync_state(CONNECTION_ID)
    await in_turn(hosts, last_started_at=LATER, last_completed_at=LATER, watermark_seen_at=LATER)
    assert (await hosts.connections.get_sync_state(CONNECTION_ID)).etag == before.etag
    await in_turn(hosts, watermark="2026-03-02 10:00:00")
    after = await hosts.connections.get_sync_state(CONNECTION_ID)
    assert (after.watermark, after.last_started_at, after.kept) == ("2026-03-02 10:00:00", LATER, {"of_0_1": 1})


async def test_a_request_made_at_release_0_1_is_kept_until_it_was_served(hosts: Hosts) -> None:
    await in_turn(hosts, watermark=WATERMARK)
    stored = await hosts.connections.get_sync_state(CONNECTION_ID)
    await hosts.connections.save_sync_state(CONNECTION_ID, replace(stored, requested_at=START))
    await in_turn(hosts, watermark="2026-03-02 10:00:00")
    assert await hosts.connections.list_sync_requests() == {CONNECTION_ID: START}
    hosts.directory.entries[CONNECTION_ID] = replace(hosts.entry, requested_at=START)
    await in_turn(hosts, requested_at=None)
    assert await hosts.connections.list_sync_requests() == {}


async def test_whoever_lost_the_turn_copies_nothing(hosts: Hosts) -> None:
    async with hosts.turns().taken(hosts.entry) as turn:
        assert turn is not None
        before = turn.begin(a_connection())
        hosts.clock.advance(TURN_S)
        turn.sync.state = replace(before, watermark="an old one")
        await hosts.turns().copy_for_release_0_1(turn, before)
    assert CONNECTION_ID not in hosts.connections.sync_states


def test_the_state_of_another_instance_says_nothing() -> None:
    """A host of release 0.1 points a connection elsewhere, and does not know the directory."""
    connection = a_connection()
    state = SyncState(watermark=WATERMARK, instance=INSTANCE)
    assert sync_state_of(connection, state) == state
    assert sync_state_of(connection, replace(state, instance=None)) == state
    elsewhere = replace(connection, instance=f"{INSTANCE}.test")
    assert sync_state_of(elsewhere, state) == SyncState(instance=elsewhere.instance)
    renamed = replace(elsewhere, former_instances={INSTANCE: elsewhere.instance})
    assert sync_state_of(renamed, state) == replace(state, instance=elsewhere.instance)
    assert sync_state_of(replace(elsewhere, renamed_from=INSTANCE), state) == state, "the claim is not proved yet"
    assert sync_state_of(connection, sync_state_of(renamed, state)).watermark is None, "it comes back from a clone"
