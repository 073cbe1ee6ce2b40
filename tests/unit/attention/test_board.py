"""The list is read exactly where it is shown; elsewhere it is remembered, and costs a few requests a minute."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.access.current import seen_by
from shared.access.model import Access
from shared.access.sight import Sight
from shared.attention.board import REMEMBERED_FOR, AttentionBoard
from shared.attention.model import Cause
from shared.connections import present
from shared.connections.customers import Figures, customer_of
from shared.connections.directory import DirectoryEntry, SyncState
from shared.connections.model import ConnectionStatus
from shared.connections.present import CustomerReading
from shared.errors import StorageUnavailable
from shared.tickets.model import Delivery, Ticket
from shared.tickets.updates.ask import asked
from shared.tickets.updates.model import UpdateKind, UpdateStatus
from tests.memory.customer_limits import MemoryCustomerLimits, limited_to
from tests.unit.recommendations.world import World
from tests.unit.tickets.examples import CONNECTION_ID, a_connection, delivered_ticket, new_ticket

NOTHING = Figures()


class Board:
    """The list over an app in memory; it counts the requests to storage, which can fail."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.fails = False
        self.unreadable = 0
        self.world = World(self._step)
        self.limits = MemoryCustomerLimits()
        self.last_turn()
        sight = Sight(self.limits, self.world.clock)
        self.board = AttentionBoard(
            customers=CustomerReading(self.world.connections, self.world.directory, sight, self.world.clock),
            tenants=self.world.tenants,
            tickets=self.world.store,
            sight=sight,
            unreadable_rows=lambda: self.unreadable,
            sync_interval=timedelta(minutes=1),
            clock=self.world.clock,
        )

    async def _step(self, name: str) -> None:
        self.requests[name] += 1
        if self.fails:
            raise StorageUnavailable()

    def last_turn(self, figures: Figures = NOTHING) -> None:
        customer, sync = customer_of(self.world.connection), SyncState(last_completed_at=self.world.clock())
        figures = replace(figures, last_sync_at=self.world.clock())
        entry = DirectoryEntry(CONNECTION_ID, customer=customer, figures=figures, sync=sync)
        self.world.directory.entries[CONNECTION_ID] = entry

    async def refused(self) -> Ticket:
        ticket = new_ticket(self.world.clock())
        delivery = replace(ticket.delivery, status=Delivery.FAILED)
        return await self.world.store.create_ticket(replace(ticket, delivery=delivery))

    async def exact(self) -> list[Cause]:
        around = await self.board.surroundings()
        current = await self.world.store.list_current([each.connection_id for each in around.asked_connections])
        return [each.cause for each in await self.board.items(around, current)]

    async def remembered(self) -> list[Cause] | None:
        items = await self.board.remembered_items()
        return None if items is None else [each.cause for each in items]


async def test_a_page_counts_from_memory_and_reads_no_tickets() -> None:
    board = Board()
    board.last_turn(Figures(failed=2, overdue=1))
    for _ in range(3):
        assert await board.remembered() == [Cause.TICKETS_REFUSED, Cause.TICKETS_OVERDUE]
    assert board.requests == {"list_customers": 1, "list_connections": 1, "list_entries": 1, "list_tenants": 1}
    board.last_turn()
    board.world.clock.advance(REMEMBERED_FOR.total_seconds())
    assert await board.remembered() == []


async def test_what_a_page_has_just_shown_is_what_the_next_one_counts() -> None:
    board = Board()
    assert await board.remembered() == []
    await board.refused()
    assert await board.exact() == [Cause.TICKETS_REFUSED]
    assert await board.remembered() == [Cause.TICKETS_REFUSED]


async def test_while_storage_does_not_answer_nobody_waits_for_it_again_and_again() -> None:
    board = Board()
    board.fails = True
    for _ in range(3):
        assert await board.remembered() is None
    assert board.requests["list_customers"] == 1
    board.fails = False
    board.world.clock.advance(REMEMBERED_FOR.total_seconds())
    assert await board.remembered() == []


async def test_a_refused_change_that_somebody_has_discarded_since_the_last_turn_needs_nobody() -> None:
    board = Board()
    store = board.world.store
    ticket = await store.create_ticket(delivered_ticket(board.world.clock()))
    board.last_turn(Figures(refused_changes=1))
    assert await board.exact() == []
    after, change = asked(ticket, UpdateKind.COMMENT, by_id="me", now=board.world.clock(), text="Please.")
    assert change.after is not None
    refused = replace(change.after, status=UpdateStatus.REFUSED)
    await store.update_ticket(ticket, after, [replace(change, after=refused)])
    assert await board.exact() == [Cause.CHANGES_REFUSED]
    assert board.requests["list_updates"] == 2


async def test_what_is_remembered_for_one_is_not_shown_to_another() -> None:
    board = Board()
    board.last_turn(Figures(failed=2))
    board.limits.limits[CONNECTION_ID] = limited_to("friend")
    board.unreadable = 3
    for name, seen in (("stranger", []), ("friend", [Cause.ROWS_UNREADABLE, Cause.TICKETS_REFUSED]), ("stranger", [])):
        with seen_by(Access(frozenset({name}))):
            assert await board.remembered() == seen, name
    assert board.requests["list_connections"] == 1


async def test_what_somebody_sees_of_it_is_not_remembered_for_all() -> None:
    board = Board()
    board.last_turn(Figures(failed=2))
    board.limits.limits["another"] = limited_to("friend")
    with seen_by(Access(frozenset({"stranger"}))):
        await board.exact()
    assert board.board._remembered == []
    await board.exact()
    assert board.board._remembered != []


async def test_of_many_the_last_turns_count_and_a_hidden_one_counts_for_nobody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(present, "EXACT_UP_TO", 0)
    board = Board()
    board.last_turn(Figures(failed=2))
    directory = board.world.directory
    other = a_connection(connection_id="other", status=ConnectionStatus.UNAVAILABLE)
    directory.entries["other"] = DirectoryEntry("other", customer=customer_of(other), figures=Figures(overdue=1))
    await board.world.connections.create_connection(other)
    await board.exact()
    expected = [Cause.TICKETS_REFUSED, Cause.TICKETS_OVERDUE, Cause.UNAVAILABLE]
    board.requests.clear()
    assert sorted(await board.exact()) == sorted(expected)
    assert board.requests == {"list_customers": 1, "list_tenants": 1, "list_current": 1}
    assert sorted(await board.remembered() or []) == sorted(expected)
    board.limits.limits["other"] = limited_to("friend")
    board.world.clock.advance(REMEMBERED_FOR.total_seconds())
    for name, seen in (("stranger", 1), ("friend", 3)):
        with seen_by(Access(frozenset({name}))):
            assert len(await board.exact()) == len(await board.remembered() or []) == seen, name
