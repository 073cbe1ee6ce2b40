"""What tickets need from the outside: storage and ServiceNow's records.

Verbs keep the contracts of the Azure SDK (see :mod:`shared.connections.ports`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from shared.connections.directory import Place
from shared.connections.model import Connection, KindSettings, Operation, Portal, TicketKind
from shared.errors import ConnectorError
from shared.tickets.kinds import TicketTable
from shared.tickets.model import Delivery, Phase, Record, Ticket
from shared.tickets.reach import Reach
from shared.tickets.summary import Summary


class TicketExists(Exception):
    """A ticket with that id is already stored."""


@dataclass(frozen=True, slots=True)
class IdempotencyReservation:
    """What an idempotency key stands for.

    Attributes:
        key_hash: SHA-256 over caller and key, hexadecimal.
        request_hash: SHA-256 over the meaning of the request, hexadecimal.
        ticket_id: The ticket that this key makes, chosen before anything else happens.
    """

    key_hash: str
    request_hash: str
    ticket_id: str
    reserved_at: datetime


@dataclass(frozen=True, slots=True)
class TicketFilter:
    """Which tickets to list; None means any.

    Attributes:
        open_only: Only tickets in an open phase.
        overdue_at: Only open tickets whose due date lies before this time.
        text: Part of the name, or a whole ticket number, ignoring case.
    """

    kind: TicketKind | None = None
    phase: Phase | None = None
    portal: Portal | None = None
    delivery: Delivery | None = None
    open_only: bool = False
    overdue_at: datetime | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Overview:
    """What there is to know of a connection's tickets without reading any of them.

    Attributes:
        is_folded: Nothing has happened since the summary was folded last.
        may_have_pending: Whether a ticket is pending; also where another release's counts cannot be read.
        has_unlinked: Whether there are tickets that are followed by ``sys_id``.
    """

    summary: Summary
    is_folded: bool
    may_have_pending: bool
    has_unlinked: bool


class TicketStore(Protocol):
    """Tickets in Table Storage. Every write keeps the summary right in the same transaction."""

    async def create_ticket(self, ticket: Ticket) -> Ticket:
        """Store a new ticket, entered in the outbox when it is pending.

        Raises TicketExists when somebody else has stored one of this id; a write that had to be repeated is no other's.
        """
        ...

    async def get_ticket(self, connection_id: str, ticket_id: str) -> Ticket | None:
        """Return the ticket, or None."""
        ...

    async def update_ticket(self, before: Ticket, after: Ticket) -> Ticket:
        """Replace ``before`` by ``after`` if nobody changed it meanwhile. Raises RowChanged otherwise.

        Nothing of a ticket that is not whole gets lost.
        """
        ...

    async def update_tickets(self, changes: Sequence[tuple[Ticket, Ticket]]) -> Sequence[tuple[Ticket, Ticket]]:
        """Replace many tickets of one connection, in transactions of up to 100 rows.

        Returns those that somebody else changed meanwhile; they were left as they are.
        """
        ...

    async def get_tickets(
        self, connection_id: str, ticket_ids: Sequence[str], *, whole: bool = True
    ) -> Mapping[str, Ticket]:
        """Return those of the tickets that exist, by id.

        Args:
            whole: False leaves out what no longer changes in a delivered ticket (:attr:`Ticket.is_whole`), which takes
                half the time.
        """
        ...

    async def list_tickets(
        self, connection_ids: Sequence[str], wanted: TicketFilter, *, limit: int, after: str | None = None
    ) -> Sequence[Ticket]:
        """Return up to ``limit`` tickets, newest first, older than the ticket id ``after``."""
        ...

    def scan_tickets(self, connection_id: str, *, after: str | None = None) -> AsyncIterator[Sequence[Ticket]]:
        """Go through all tickets of a connection in order of their ids, page by page.

        What no longer changes is left out.
        """
        ...

    async def list_pending(self, connection_id: str, *, limit: int, after: str | None = None) -> Sequence[Ticket]:
        """Return up to ``limit`` pending tickets, oldest first, newer than the ticket id ``after``."""
        ...

    async def list_unlinked(self, connection_id: str, *, limit: int, after: str | None = None) -> Sequence[Ticket]:
        """Return up to ``limit`` tickets that are followed by ``sys_id``, newest first, older than ``after``.

        What no longer changes is left out.
        """
        ...

    async def list_of_recommendation(self, ticket: Ticket, *, limit: int) -> Sequence[Ticket]:
        """Return older tickets of the connection that may be about the same recommendation, newest first.

        Reads up to ``limit`` index rows for each of the recommendation's keys, and then those tickets: however many the
        connection has. Tickets that a release without this index wrote are not found.
        """
        ...

    async def get_summary(self, connection_id: str) -> Summary:
        """Return the exact counts of a connection."""
        ...

    async def get_overview(self, connection_id: str) -> Overview:
        """Return what one read shows of all of a connection's tickets."""
        ...

    async def compact_summary(self, connection_id: str, now: datetime) -> None:
        """Fold what has happened since the last time into one row, so that reading it stays fast."""
        ...


class IdempotencyStore(Protocol):
    """Which ticket an idempotency key stands for."""

    async def reserve(self, reservation: IdempotencyReservation) -> IdempotencyReservation:
        """Store the reservation, or return the one that the key already has."""
        ...

    async def delete_expired_reservations(self, before: datetime) -> int:
        """Delete the reservations made before that time; return how many."""
        ...


SYS_IDS_PER_REQUEST: Final = 100
"""About 4 kB of address: half of what common front ends accept."""
BEFORE_ANY_SYS_ID: Final = "0"
"""Every sys_id sorts behind it, in whatever collation."""


@dataclass(frozen=True, slots=True)
class RecordPage:
    """One page of records.

    Attributes:
        records: In order; none where a whole page is hidden from us. Foreign ones can be among them.
        next: Where the next page begins; None at the end.
    """

    records: Sequence[Record]
    next: Place | None


class TicketRecords(Protocol):
    """ServiceNow's incident and change_request records (ServiceNow §2 and §5)."""

    async def create_record(
        self,
        connection: Connection,
        ticket: Ticket,
        kind_settings: KindSettings,
        requester_sys_id: str | None,
        *,
        send_by: datetime,
    ) -> Record:
        """Insert the ticket's record into the table of its kind; one request.

        Args:
            connection: The connection of the ticket.
            ticket: The ticket.
            kind_settings: The connection's settings for its kind.
            requester_sys_id: The ServiceNow user in whose name it is inserted, None for nobody.
            send_by: The request is not begun after this time, however long the access token took.

        Raises:
            OutcomeUnknown: It may or may not have been written (time-out, reset, 202, 5xx, cut-off answer).
            ServiceNowUnavailable, ServiceNowThrottled: It was certainly not written.
            AccessTokenRefused: The access token is not accepted; the record may have been written all the same. Looking
                it up gets another token.
            InstanceClosed: No request gets to the API; ``may_be_written`` says whether this one may have.
            AccessRefused: The integration user may not write it; a sys_id in use may be refused like this, too.
            ValuesRefused, FixConfiguration: ServiceNow does not accept the record.
        """
        ...

    async def find_records(
        self, connection: Connection, table: TicketTable, *, sys_id: str, correlation_id: str
    ) -> Sequence[Record]:
        """Look the records of a ticket up by sys_id and by correlation id, whatever their class; oldest first.

        Args:
            table: Table of the ticket's kind: where to look, too, when ``task`` may not be read, and the class of a
                record that does not show its own.

        Raises:
            AccessRefused: Neither table may be asked.
            RecordsHidden: There is a record that is not shown.
            TryLater: As for every read.
        """
        ...

    async def list_changes(
        self,
        connection: Connection,
        *,
        since: str | None,
        inclusive: bool,
        until: str | None,
        place: Place,
        reach: Reach,
    ) -> RecordPage:
        """Return one page of our records of every class by ``sys_updated_on, sys_id``.

        Args:
            since: Lower bound of ``sys_updated_on`` (ServiceNow's text form), None for everything.
            inclusive: Whether records of exactly that second belong to it.
            until: Upper bound that does not belong to it, None for none.
            place: ``next`` of the page before; its ``after`` takes the place of ``since``.
            reach: How many records to ask for, and whether to have them counted.

        Raises QueryRefused where query rules forbid range or sort on ``sys_updated_on``.
        """
        ...

    async def list_by_sys_id(self, connection: Connection, sys_ids: Sequence[str]) -> Sequence[Record]:
        """Return those of the records that can be seen, in chunks that fit a URL."""
        ...

    async def list_by_correlation(
        self, connection: Connection, *, until: str | None, place: Place, reach: Reach
    ) -> RecordPage:
        """Return one page of all our records in order of ``correlation_id, sys_id``.

        Args:
            until: Upper bound of ``correlation_id`` that does not belong to it, None for none.
            place: ``next`` of the page before.
            reach: As for :meth:`list_changes`.
        """
        ...


class InstanceHealth(Protocol):
    """Keeps how calls to an instance went; implemented by :class:`shared.connections.status.ConnectionHealth`."""

    async def succeeded(self, connection: Connection, operation: Operation | None = None) -> Connection:
        """Note that ServiceNow gave a real answer. Raises TryLater."""
        ...

    async def failed(
        self, connection: Connection, error: ConnectorError, operation: Operation | None = None
    ) -> Connection:
        """Note why a call failed; with an operation, until that one succeeds or is settled. Raises TryLater."""
        ...

    async def settled(self, connection: Connection, operation: Operation) -> Connection:
        """Note that nothing waits for the operation any more. Raises TryLater."""
        ...


class RequesterDirectory(Protocol):
    """Which ServiceNow user has an e-mail address; remembers the answer for a day."""

    async def sys_id_of(self, connection: Connection, email: str, *, afresh: bool = False) -> str | None:
        """Return the sys_id of the only active user with that address, or None.

        Args:
            afresh: Ask ServiceNow whatever is remembered.
        """
        ...


class StateModel(Protocol):
    """What ServiceNow's states are called and mean (ServiceNow §5.3)."""

    def usual(self, kind: TicketKind) -> Mapping[str, str]:
        """Return the labels that a new instance has for the kind's states, by raw value, in the order of its life."""
        ...

    def phase(self, kind: TicketKind, state: str) -> Phase:
        """Return what a raw state of an active record of the kind means."""
        ...
