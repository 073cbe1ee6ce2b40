"""The directory of connections: one row for each, small enough to plan a minute's work from all of them at once.

A row says when the connection is due, who has its turn, and how far its synchronisation has come. Only whoever has the
turn moves ``due_at`` forward; everybody else may only move it back to :data:`AT_ONCE`. Such a hint can be lost, so
nothing rests on it alone: no connection in use is left for longer than :data:`LOOK_EVERY`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from shared.clock import believed
from shared.connections.model import Connection, SyncState
from shared.connections.renaming import proved_address

AT_ONCE: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""Due before any time that a clock can show: whoever asks for something need not have the right time."""
LOOK_EVERY: Final = timedelta(minutes=5)
"""Whatever its row says, a connection is looked at after this."""
TURN_S: Final = 30.0
"""A turn lasts for this unless it is renewed, so that a host that dies is succeeded soon."""


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """A connection's row in the directory.

    Attributes:
        due_at: When there is something to do; None when there is nothing until somebody asks for it.
        served_at: End of the last turn; None before the first.
        requested_at: When somebody asked for a synchronisation at once; None when nobody waits.
        status: The connection's status at the end of the last turn.
        pending, failed: How many tickets were pending, and how many had failed, at the end of the last turn.
        holder: Whose turn it is; None when it is nobody's.
        held_until_at: When that turn ends unless it is renewed.
        sync: How far the synchronisation has come, ``requested_at`` apart; None where release 0.1 alone has kept that.
        etag: Version of the stored row, None before it is stored.
    """

    connection_id: str
    due_at: datetime | None = AT_ONCE
    served_at: datetime | None = None
    requested_at: datetime | None = None
    status: str | None = None
    pending: int = 0
    failed: int = 0
    holder: str | None = None
    held_until_at: datetime | None = None
    sync: SyncState | None = None
    etag: str | None = field(default=None, compare=False)

    def is_held(self, now: datetime) -> bool:
        """Whether somebody has the turn. A turn that a wrong clock lets last for longer than any counts as over."""
        until_at = believed(self.held_until_at, now, ahead=timedelta(seconds=TURN_S))
        return self.holder is not None and until_at is not None and until_at > now

    def is_due(self, now: datetime) -> bool:
        """Whether there is something to do. A time that lies further ahead than any that is stored counts as over."""
        if self.due_at is None:
            return False
        due_at = believed(self.due_at, now, ahead=LOOK_EVERY)
        return due_at is None or due_at <= now


def sync_state_of(connection: Connection, stored: SyncState) -> SyncState:
    """Return the state of the synchronisation with the connection's present instance.

    The times of another instance say nothing about this one; under a new address the same one has its own.
    """
    present = proved_address(connection)
    kept = stored.instance is None or stored.instance == present or connection.is_at(stored.instance)
    return replace(stored, instance=present) if kept else SyncState(instance=present)
