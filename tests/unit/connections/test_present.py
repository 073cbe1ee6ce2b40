"""A few customers are read exactly; many are what the directory says of them, and nobody is asked one by one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from shared.access.current import seen_by
from shared.access.model import Access
from shared.access.sight import Sight
from shared.connections import present
from shared.connections.customers import Figures, customer_of
from shared.connections.directory import DirectoryEntry, SyncState
from shared.connections.model import Connection, ConnectionStatus
from shared.connections.present import COMPARED_EVERY, EXACT_UP_TO, CustomerReading, PresentCustomers
from shared.connections.seen import SeenConnectionDirectory, SeenConnectionStore
from shared.errors import RowUnreadable
from tests.memory.clock import START, ManualClock
from tests.memory.connection_store import MemoryConnectionStore
from tests.memory.customer_limits import MemoryCustomerLimits, limited_to
from tests.memory.directory import MemoryDirectory
from tests.unit.tickets.examples import a_connection

FIGURES = Figures(failed=2, last_sync_at=START)


class Provider:
    """Some customers that have had their turns; it counts the requests to storage."""

    def __init__(self, count: int) -> None:
        self.requests: Counter[str] = Counter()
        self.fails_with_unreadable = ""
        names = [f"c-{number:03}" for number in range(count)]
        connections = [a_connection(connection_id=each, display_name=f"Customer {each}") for each in names]
        self.connections = MemoryConnectionStore(*connections, step=self._step)
        self.directory = MemoryDirectory(self._step)
        for each in connections:
            self.had_turn(each)
        self.limits = MemoryCustomerLimits()
        self.clock = ManualClock()
        sight = Sight(self.limits, self.clock)
        self.reading = CustomerReading(
            SeenConnectionStore(self.connections, sight),
            SeenConnectionDirectory(self.directory, sight),
            sight,
            self.clock,
        )

    async def _step(self, name: str) -> None:
        self.requests[name] += 1
        if name == self.fails_with_unreadable:
            raise RowUnreadable()

    def had_turn(self, connection: Connection) -> None:
        key = connection.connection_id
        sync = SyncState(last_completed_at=START)
        self.directory.entries[key] = DirectoryEntry(
            key, customer=customer_of(connection), figures=FIGURES, sync=sync, reminder_failed_at=START
        )

    def change(self, number: int, **changes: object) -> Connection:
        key = f"c-{number:03}"
        self.connections.connections[key] = after = replace(self.connections.connections[key], **changes)  # type: ignore[arg-type]
        return after

    async def read(self) -> PresentCustomers:
        self.requests.clear()
        return await self.reading.present()


async def test_few_are_exact_although_the_directory_does_not_know_yet() -> None:
    provider = Provider(EXACT_UP_TO)
    after = provider.change(0, status=ConnectionStatus.UNAVAILABLE)
    entry = replace(provider.directory.entries["c-001"], requested_at=START, sync=SyncState(last_completed_at=None))
    provider.directory.entries["c-001"] = entry
    del provider.directory.entries["c-002"]
    found = await provider.read()
    assert found.connections is not None
    assert found.connections["c-000"] == after
    first, second, third, *_ = found.listed
    assert first.customer == customer_of(after)
    assert first.figures == replace(FIGURES, reminders_failed_at=START)
    assert (second.figures.last_sync_at, second.requested_at) == (None, START)
    assert (third.connection_id, third.figures) == ("c-002", Figures())
    assert provider.requests == {"list_customers": 1, "list_connections": 1, "list_entries": 1}


async def test_many_are_one_request() -> None:
    provider = Provider(EXACT_UP_TO + 2)
    provider.had_turn(provider.change(0, status=ConnectionStatus.DISCONNECTED))
    found = await provider.read()
    assert (found.connections, len(found.listed)) == (None, EXACT_UP_TO + 1)
    assert found.listed[0].customer == customer_of(provider.connections.connections["c-001"])
    assert found.listed[0].figures == FIGURES
    await provider.read()
    assert provider.requests == {"list_customers": 1}
    provider.clock.advance(COMPARED_EVERY.total_seconds())
    await provider.read()
    assert provider.requests == {"list_customers": 2, "list_connections": 1}


@pytest.mark.parametrize("row", ["none", "without customer"])
async def test_after_an_upgrade_or_a_failure_of_storage_no_customer_is_left_out(row: str) -> None:
    provider = Provider(EXACT_UP_TO + 5)
    if row == "none":
        del provider.directory.entries["c-001"]
    else:
        provider.directory.entries["c-001"] = DirectoryEntry("c-001")
    found = await provider.read()
    assert (found.connections, len(found.listed)) == (None, EXACT_UP_TO + 5)
    for number in range(2, EXACT_UP_TO + 5):
        provider.limits.limits[f"c-{number:03}"] = limited_to("friend")
    provider.clock.advance(3600)
    with seen_by(Access(frozenset({"stranger"}))):
        found = await provider.read()
    assert [each.connection_id for each in found.listed] == ["c-000", "c-001"]
    provider.had_turn(provider.connections.connections["c-001"])
    await provider.read()
    await provider.read()
    assert provider.requests == {"list_customers": 1}


async def test_rows_of_a_release_that_stored_less_are_completed_by_their_turns() -> None:
    provider = Provider(EXACT_UP_TO + 1)
    changed = provider.change(0, secrets_renew_at=START)
    entry = provider.directory.entries["c-000"]
    assert entry.customer is not None
    provider.directory.entries["c-000"] = replace(entry, customer=replace(entry.customer, is_complete=False))
    found = await provider.read()
    assert (found.connections, len(found.listed)) == (None, EXACT_UP_TO + 1)
    assert found.listed[0].customer == customer_of(changed)
    assert provider.requests["list_connections"] == 1
    provider.had_turn(changed)
    assert (await provider.read()).listed[0].customer == customer_of(changed)
    await provider.read()
    assert provider.requests == {"list_customers": 1}


async def test_a_removed_customer_of_such_a_release_holds_up_nobody() -> None:
    provider = Provider(EXACT_UP_TO + 2)
    entry = provider.directory.entries["c-000"]
    assert entry.customer is not None
    customer = replace(entry.customer, status=ConnectionStatus.DISCONNECTED, is_complete=False)
    provider.directory.entries["c-000"] = replace(entry, customer=customer)
    provider.change(0, status=ConnectionStatus.DISCONNECTED)
    await provider.read()
    await provider.read()
    assert provider.requests == {"list_customers": 1}


async def test_whoever_sees_a_few_of_many_reads_only_these() -> None:
    provider = Provider(EXACT_UP_TO + 5)
    for number in range(2, EXACT_UP_TO + 5):
        provider.limits.limits[f"c-{number:03}"] = limited_to("friend")
    removed = provider.change(1, status=ConnectionStatus.DISCONNECTED)
    with seen_by(Access(frozenset({"stranger"}))):
        found = await provider.read()
    assert found.connections is not None
    assert list(found.connections) == [each.connection_id for each in found.listed] == ["c-000"]
    assert removed.connection_id not in found.connections
    with seen_by(Access(frozenset({"stranger"}))):
        await provider.read()
        assert provider.requests == {"list_customers": 1, "get_connection": 2, "list_entries": 1}
        provider.fails_with_unreadable = "get_connection"
        assert (await provider.read()).listed == []
    with seen_by(Access(frozenset({"friend"}))):
        assert (await provider.read()).connections is None


async def test_whoever_sees_a_few_of_few_sees_new_ones_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(present, "EXACT_UP_TO", 4)
    provider = Provider(4)
    provider.limits.limits["c-000"] = limited_to("friend")
    del provider.directory.entries["c-001"]
    with seen_by(Access(frozenset({"stranger"}))):
        found = await provider.read()
    assert [each.connection_id for each in found.listed] == ["c-001", "c-002", "c-003"]
