"""The directory of connections: one row for each, small enough to plan a minute's work for all of them at once.

A row says when the connection is due, who has its turn, and how far its synchronisation has come. Only the holder of
the turn moves ``due_at`` forward; everybody else may only move it back to :data:`AT_ONCE`. Such a hint can be lost, so
nothing depends on it alone: every connection in use is checked at least every :data:`LOOK_EVERY`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime, timedelta
from typing import Final

from shared.clock import believed
from shared.connections.customers import Customer, Figures
from shared.value_object import value_object

AT_ONCE: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""Earlier than any time that a clock can show, so that a wrong clock cannot delay a request."""
LOOK_EVERY: Final = timedelta(minutes=5)
"""A connection is checked after this time, whatever its row says."""
TURN_S: Final = 30.0
"""How long a turn lasts unless it is renewed: short, so that another host soon takes over from one that dies."""


@value_object
class Place:
    """A place in an ordered list of ServiceNow's records.

    Attributes:
        after: Key and ``sys_id`` of the last record whose key can be used in a query; None for the beginning.
        offset: How many records after it were skipped: hidden ones, and ones whose key cannot be used in a query.
    """

    after: tuple[str, str] | None = None
    offset: int = 0


@value_object
class SyncState:
    """How far the synchronisation of a connection has come.

    Attributes:
        watermark: Newest ``sys_updated_on`` seen, in ServiceNow's own text form ``YYYY-MM-DD HH:MM:SS`` (UTC). It is
            ServiceNow's time, never ours.
        watermark_seen_at: Our time at the end of the run that first saw the watermark; only its distance to another
            of our times is used.
        resume_at: Where to resume a run that ran out of time or failed, in the order of ``sys_updated_on, sys_id``.
        resume_after_ticket: The last ticket id that such a run reached, if it asked for records by their ids.
        last_started_at: Start of the last run.
        last_completed_at: Start of the last run that read everything.
        requested_at: When somebody asked for a run at once; None if nobody is waiting.
        reconciled_at: End of the last complete reconciliation.
        reconcile_after: The last ticket id that an unfinished reconciliation reached.
        reconcile_place: Where it continues in ServiceNow, in the order of ``correlation_id, sys_id``.
        read_step: How far we reduced what we ask for at once, because ServiceNow cancelled more
            (:mod:`shared.tickets.reach`).
        read_step_at: Since when, or when we last tried to ask for more.
        reconcile_again_at: No reconciliation begins before this time, because the last one was refused; None if it
            was not.
        instance: Proved address of the instance that this state is about; None if release 0.1 wrote it.
        kept: As :attr:`Connection.kept`.
        etag: Version of the row of release 0.1; None for a state in the directory.
    """

    watermark: str | None = None
    watermark_seen_at: datetime | None = None
    resume_at: Place | None = None
    resume_after_ticket: str | None = None
    last_started_at: datetime | None = None
    last_completed_at: datetime | None = None
    requested_at: datetime | None = None
    reconciled_at: datetime | None = None
    reconcile_after: str | None = None
    reconcile_place: Place | None = None
    read_step: int = 0
    read_step_at: datetime | None = None
    reconcile_again_at: datetime | None = None
    instance: str | None = None
    kept: Mapping[str, object] = field(default_factory=dict, compare=False, repr=False)
    etag: str | None = field(default=None, compare=False)


@value_object
class DirectoryEntry:
    """A connection's row in the directory.

    Attributes:
        due_at: When the next work is due; None if there is no work until somebody asks for it.
        served_at: End of the last turn; None before the first.
        requested_at: When somebody asked for a synchronisation at once; None if nobody is waiting.
        reminder_due_at: When its reminders are due; None if nobody knows.
        reminder_failed_at: Since when a receiver of reminders takes none; None if each takes them.
        reminder_seen: What was true when its reminders were last looked at, as a text.
        holder: Whose turn it is; None if it is nobody's.
        held_until_at: When that turn ends unless it is renewed.
        customer, figures: What pages about all customers show; None if it was not read, and then it stays as it is
            stored.
        sync: How far the synchronisation has come, without ``requested_at``; None if only release 0.1 has stored that.
        etag: Version of the stored row, None before it is stored.
    """

    connection_id: str
    due_at: datetime | None = AT_ONCE
    served_at: datetime | None = None
    requested_at: datetime | None = None
    reminder_due_at: datetime | None = None
    reminder_seen: str = ""
    reminder_failed_at: datetime | None = None
    holder: str | None = None
    held_until_at: datetime | None = None
    customer: Customer | None = field(default=None, compare=False)
    figures: Figures | None = field(default=None, compare=False)
    sync: SyncState | None = None
    etag: str | None = field(default=None, compare=False)

    def is_held(self, now: datetime) -> bool:
        """Whether somebody has the turn. One that lasts too long, because of a wrong clock, counts as over."""
        until_at = believed(self.held_until_at, now, ahead=timedelta(seconds=TURN_S))
        return self.holder is not None and until_at is not None and until_at > now

    def is_due(self, now: datetime) -> bool:
        """Whether work is due. A time further ahead than we ever store counts as past."""
        if self.due_at is None:
            return False
        due_at = believed(self.due_at, now, ahead=LOOK_EVERY)
        return due_at is None or due_at <= now
