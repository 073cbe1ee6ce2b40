"""Turns: only one instance of the app at a time does a connection's work.

One conditional write of the connection's row in the directory takes a turn, and another ends it and stores its result.
In between the turn is renewed like any lease. Waking the connection during a turn changes the row, and the write at the
end notices that: the connection is due again, and a new request for a synchronisation is not taken for the old one.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.clock import Clock, steady_clock_s
from shared.connections.changes import change_sync_state
from shared.connections.customers import Customer
from shared.connections.directory import AT_ONCE, TURN_S, DirectoryEntry, SyncState
from shared.connections.held_lease import HeldLease, renewed
from shared.connections.model import Connection
from shared.connections.ports import ConnectionDirectory, ConnectionStore, RowChanged
from shared.connections.renaming import proved_address
from shared.errors import StorageUnavailable, TryLater
from shared.log import log_event
from shared.service import service

TRIES: Final = 5


class OpenSyncState:
    """A synchronisation state that is being changed; its owner stores it, however the work ends."""

    def __init__(self, state: SyncState) -> None:
        self.state = state


class Turn:
    """A turn that is held inside a block.

    Attributes:
        entry: The row as stored.
        lease: Says whether this holder still has the turn.
        sync: The synchronisation state, stored at the end of the turn.
        due_at, customer, figures, reminder_due_at, reminder_seen, reminder_failed_at: What the end of the turn stores.
    """

    def __init__(self, entry: DirectoryEntry, lease: HeldLease) -> None:
        self.entry = entry
        self.lease = lease
        self.sync = OpenSyncState(_state(entry))
        self.due_at = entry.due_at
        self.customer, self.figures = entry.customer, entry.figures
        self.reminder_due_at, self.reminder_seen = entry.reminder_due_at, entry.reminder_seen
        self.reminder_failed_at = entry.reminder_failed_at
        self.taken_requested_at = entry.requested_at
        self.taken_reminder_due_at = entry.reminder_due_at
        self.is_woken = False

    def begin(self, connection: Connection) -> SyncState:
        """Continue with the state for the connection's present instance, and return it."""
        self.sync.state = sync_state_of(connection, self.sync.state)
        return self.sync.state


@service
class Turns:
    """The turns of connections.

    Attributes:
        connections: Where release 0.1 keeps the synchronisation states.
        pause: Sleeps between two renewals.
        seconds: A monotonic clock, in seconds.
    """

    directory: ConnectionDirectory
    connections: ConnectionStore
    clock: Clock
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    seconds: Callable[[], float] = steady_clock_s

    @asynccontextmanager
    async def taken(self, entry: DirectoryEntry) -> AsyncIterator[Turn | None]:
        """Hold the connection's turn inside the block; yields None at once if somebody else has it or has just had it.

        Args:
            entry: The row as read.
        """
        turn = await self._take(entry)
        if turn is None:
            yield None
            return

        async def renew() -> bool:
            until_at = self.clock() + timedelta(seconds=TURN_S)
            return await self._store(turn, lambda stored: replace(stored, held_until_at=until_at))

        async def end() -> None:
            await self._end(turn)

        async with renewed(turn.lease, renew, end, pause=self.pause):
            yield turn

    async def sync_state(self, connection: Connection) -> SyncState:
        """Return how far the synchronisation of a connection has come. Raises StorageUnavailable."""
        entry = await self._completed(await self.directory.get_entry(connection.connection_id))
        return sync_state_of(connection, _state(entry))

    async def wake(
        self,
        connection_id: str,
        *,
        requested_at: datetime | None = None,
        reminders: bool = False,
        customer: Customer | None = None,
    ) -> None:
        """Make the connection due at once. A failure is only logged: the connection gets a turn soon in any case."""
        try:
            await self.directory.wake(connection_id, requested_at=requested_at, reminders=reminders, customer=customer)
        except StorageUnavailable as error:
            log_event("connection_not_woken", level=logging.WARNING, connection_id=connection_id, code=error.code)

    async def copy_for_release_0_1(self, turn: Turn, before: SyncState) -> None:
        """Copy the state for hosts of release 0.1, if the turn changed more of it than every run does.

        Hosts of release 0.1 keep their own state and work from it beside this release. Both are complete, and etags
        guard the tickets. With the copy, a rollback continues from here instead of reading everything again. A request
        made there is kept until it has been served.
        """
        after = turn.sync.state
        if turn.lease.is_lost or _lasting(before) == _lasting(after):
            return

        def change(former: SyncState) -> SyncState:
            is_served = former.requested_at == before.requested_at
            requested_at = after.requested_at if is_served else former.requested_at
            return replace(after, requested_at=requested_at, kept=former.kept, etag=former.etag)

        try:
            await change_sync_state(self.connections, turn.entry.connection_id, change)
        except TryLater as error:
            log_event(
                "sync_state_not_copied",
                level=logging.WARNING,
                connection_id=turn.entry.connection_id,
                code=error.code,
            )

    async def _completed(self, entry: DirectoryEntry) -> DirectoryEntry:
        """Return the row, with the state from release 0.1 if it has no state yet."""
        if entry.sync is not None:
            return entry
        former = await self.connections.get_sync_state(entry.connection_id)
        return replace(entry, sync=former, requested_at=entry.requested_at or former.requested_at)

    async def _take(self, entry: DirectoryEntry) -> Turn | None:
        holder = secrets.token_hex(16)
        for _ in range(TRIES):
            now, asked_at_s = self.clock(), self.seconds()
            if entry.is_held(now):
                return None
            until_at = now + timedelta(seconds=TURN_S)
            entry = await self._completed(entry)
            try:
                taken = await self.directory.save_entry(replace(entry, holder=holder, held_until_at=until_at))
            except RowChanged:
                taken = await self.directory.get_entry(entry.connection_id)
            if taken.holder == holder:  # also if the answer to our own write was lost and the write was repeated
                lease = HeldLease(holder, waited=False, seconds=self.seconds)
                lease.extend(asked_at_s)
                return Turn(taken, lease)
            if taken.served_at != entry.served_at:
                return None
            entry = taken
        return None

    async def _end(self, turn: Turn) -> None:
        ended_at = self.clock()

        def end(stored: DirectoryEntry) -> DirectoryEntry:
            state = turn.sync.state
            is_asked_again = stored.requested_at != turn.taken_requested_at
            are_changed = stored.reminder_due_at != turn.taken_reminder_due_at
            return replace(
                stored,
                due_at=AT_ONCE if turn.is_woken else turn.due_at,
                served_at=ended_at,
                requested_at=stored.requested_at if is_asked_again else state.requested_at,
                reminder_due_at=stored.reminder_due_at if are_changed else turn.reminder_due_at,
                reminder_seen=turn.reminder_seen,
                # Whoever changed the connection during the turn knows it better.
                customer=turn.customer if stored.customer is None or not turn.is_woken else stored.customer,
                figures=turn.figures
                and replace(
                    turn.figures,
                    last_sync_at=state.last_completed_at,
                    reminders_failed_at=turn.reminder_failed_at,
                ),
                reminder_failed_at=turn.reminder_failed_at,
                holder=None,
                held_until_at=None,
                sync=replace(state, requested_at=None),
            )

        try:
            await self._store(turn, end)
        except StorageUnavailable as error:
            # The turn expires, and the next one does its work again: nothing is lost or doubled.
            log_event("turn_not_ended", level=logging.WARNING, connection_id=turn.entry.connection_id, code=error.code)

    async def _store(self, turn: Turn, change: Callable[[DirectoryEntry], DirectoryEntry]) -> bool:
        """Store a change of the row if this holder still has the turn; return whether it has."""
        connection_id = turn.entry.connection_id
        for _ in range(TRIES):
            wanted = change(turn.entry)
            try:
                turn.entry = await self.directory.save_entry(wanted)
            except RowChanged:
                current = await self.directory.get_entry(connection_id)
            else:
                return True
            if current == wanted:
                turn.entry = current
                return True  # The answer to our own write was lost, and the write was repeated.
            if current.holder != turn.lease.lease_id:
                break
            turn.is_woken = True
            turn.entry = current
        log_event("lease_lost", level=logging.WARNING, connection_id=connection_id, purpose="turn")
        return False


def _state(entry: DirectoryEntry) -> SyncState:
    return replace(entry.sync or SyncState(), requested_at=entry.requested_at)


def _lasting(state: SyncState) -> SyncState:
    """Return the state without the times that every run changes."""
    return replace(state, last_started_at=None, last_completed_at=None, watermark_seen_at=None)


def sync_state_of(connection: Connection, stored: SyncState) -> SyncState:
    """Return the state of the synchronisation with the connection's present instance.

    The times of another instance say nothing about this one; the same instance at a new address keeps its state.
    """
    present = proved_address(connection)
    kept = stored.instance is None or stored.instance == present or connection.is_at(stored.instance)
    return replace(stored, instance=present) if kept else SyncState(instance=present)
