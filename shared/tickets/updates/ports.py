"""What updates need from outside: ServiceNow's records, and whoever makes a follow-up ticket."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Protocol

from shared.connections.model import Connection
from shared.tickets.model import Record, Ticket
from shared.tickets.updates.model import Update
from shared.tickets.updates.record_details import RecordDetails
from shared.value_object import value_object


@value_object
class Seen:
    """A ticket's record, as far as it concerns an update.

    Attributes:
        is_marked: Whether it carries the update's marker, which the same request writes as the update itself; False
            also if the integration user may not see that.
        is_done: Whether it is as the update wants it. None for a note in a journal that the integration user may not
            see.
    """

    record: Record
    is_marked: bool
    is_done: bool | None


class RecordUpdates(Protocol):
    """Changes of ServiceNow's incident and change_request records (ServiceNow §2.5, §5.3, §5.4 and §14).

    Every method raises what every read raises. A method that writes also raises what
    :meth:`shared.tickets.ports.TicketRecords.create_record` raises for a write.
    """

    async def change(self, connection: Connection, ticket: Ticket, update: Update, *, send_by: datetime) -> Seen:
        """Carry out the update and write its marker in the same request; return the record afterwards.

        A note is sent with one request. A change of state reads the record first and writes nothing if it already is
        in the wanted state, or if it can no longer get there.

        Args:
            connection: The connection of the ticket.
            ticket: The ticket; it has a record.
            update: Anything but a follow-up.
            send_by: No request that writes begins after this time.

        Raises:
            FixConfiguration: ``state_not_offered`` or ``record_already_closed``: ServiceNow offers no way to the state.
        """
        ...

    async def look_up(self, connection: Connection, ticket: Ticket, update: Update) -> Seen:
        """Return the record as it is now."""
        ...

    async def can_be_marked(self, connection: Connection, ticket: Ticket, update: Update, *, send_by: datetime) -> bool:
        """Write another marker, which is no sign of the update, and return whether the record then shows it.

        It is safe to repeat.
        """
        ...

    async def details(self, connection: Connection, ticket: Ticket) -> RecordDetails:
        """Return how the record was closed and its newest journal entries, with one request."""
        ...


@value_object
class FollowUp:
    """The ticket that takes care of what is not fixed; it is of the same connection as the ticket before.

    Attributes:
        is_new: Whether it was made for this; otherwise it is open anyway.
    """

    ticket: Ticket
    is_new: bool = True


class NoFollowUp(StrEnum):
    """Why no ticket follows another one."""

    NOT_NEEDED = "not_needed"
    """Nothing is left to fix."""
    OPEN_ELSEWHERE = "open_elsewhere"
    """An open ticket of another connection takes care of it. It is not named: the two can be different customers."""
    TENANT_MOVED = "tenant_moved"
    """The tickets of its tenant go to another connection now."""


class FollowUps(Protocol):
    """Makes the ticket that follows another one; implemented in :mod:`shared.recommendations`."""

    async def make(self, ticket: Ticket, update: Update) -> FollowUp | NoFollowUp:
        """Make a ticket for the same recommendations that names this one; safe to repeat for the same update.

        If another open ticket of the connection already takes care of all of them, that one is returned.

        Raises:
            TryLater: Perhaps it was made, perhaps not.
            FixRequest, FixConfiguration: It cannot be made.
        """
        ...
