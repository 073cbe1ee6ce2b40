"""What tickets need from outside: storage and ServiceNow's records.

Verbs mean what they mean in the Azure SDK (see :mod:`shared.connections.ports`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final, Protocol

from shared.clock import believed
from shared.connections.directory import Place
from shared.connections.model import Connection, KindSettings, Operation, Portal, TicketKind
from shared.errors import ConnectorError
from shared.evidence.model import EvidenceBatch
from shared.tickets.kinds import TicketTable
from shared.tickets.listed import CurrentTickets, ListedTicket
from shared.tickets.model import Delivery, Phase, Priority, Record, Ticket
from shared.tickets.outcomes import Outcome, Verification
from shared.tickets.ranges import Range
from shared.tickets.reach import Reach
from shared.tickets.summary import Summary
from shared.tickets.updates.model import Update
from shared.value_object import value_object

LISTS_CHECKED_EVERY: Final = timedelta(days=1)
"""How often to look for tickets that a release without lists has written."""


class TicketExists(Exception):
    """A ticket with that id is already stored."""


class TicketGivenUp(Exception):
    """No ticket with that id may be stored any more (:meth:`TicketStore.give_up`)."""


@value_object
class IdempotencyReservation:
    """The ticket that an idempotency key stands for.

    Attributes:
        key_hash: SHA-256 over caller and key, hexadecimal.
        request_hash: SHA-256 over the meaning of the request, hexadecimal.
        ticket_id: The ticket made with this key; its id is chosen before anything else happens.
    """

    key_hash: str
    request_hash: str
    ticket_id: str
    reserved_at: datetime


NO_NAME: Final = "none"
"""What a filter by name asks for to get the tickets without one."""


@value_object
class TicketFilter:
    """Which tickets to list; None means any.

    Attributes:
        open_only: Only tickets in an open phase.
        overdue_at: Only open tickets due before this time.
        text: Words of a search (:func:`shared.tickets.lists.matches_text`).
        outcome: Of the whole ticket.
        due_before: Only tickets with a due date before this time, open or not.
        assigned_to, assignment_group: ServiceNow's names for people, ignoring case and width; :data:`NO_NAME`
            for the tickets that nobody, or no group, has.
        opened_on, closed_on: Days (UTC) on which a ticket that is in ServiceNow was created and closed.
        created_at: Times.
        proof_days: Days until the proof of a verified ticket.
    """

    kind: TicketKind | None = None
    phase: Phase | None = None
    portal: Portal | None = None
    delivery: Delivery | None = None
    open_only: bool = False
    overdue_at: datetime | None = None
    text: str | None = None
    outcome: Outcome | None = None
    priority: Priority | None = None
    due_before: datetime | None = None
    assigned_to: str | None = None
    assignment_group: str | None = None
    opened_on: Range[date] = Range()
    closed_on: Range[date] = Range()
    created_at: Range[datetime] = Range()
    proof_days: Range[int] = Range()


@value_object
class Overview:
    """What can be known about a connection's tickets without reading them.

    Attributes:
        is_folded: Whether nothing has happened since the summary was last folded.
        may_have_pending: Whether a ticket is pending; also True if another release's counts cannot be read.
        has_unlinked: Whether any tickets are followed by ``sys_id``.
        has_unread_closings, has_unrecorded, has_updates: Whether the lists of the same names have entries.
        lists_checked_at: When :meth:`TicketStore.check_lists` last came to the end; None if never, or if a release
            without lists has written since.
    """

    summary: Summary
    is_folded: bool
    may_have_pending: bool
    has_unlinked: bool
    has_unread_closings: bool = False
    has_unrecorded: bool = False
    has_updates: bool = False
    lists_checked_at: datetime | None = None

    def is_check_due(self, now: datetime) -> bool:
        """Whether it is time to compare the tickets with the lists."""
        at = believed(self.lists_checked_at, now)
        return bool(self.summary.cells) and (at is None or now - at >= LISTS_CHECKED_EVERY)


class TicketStore(Protocol):
    """Tickets in Table Storage. Every write updates the summary in the same transaction."""

    async def create_ticket(self, ticket: Ticket) -> Ticket:
        """Store a new ticket, and put it in the outbox if it is pending.

        Raises TicketExists if somebody else has stored a ticket with this id; our own repeated write does not count.
        Raises TicketGivenUp if it is for stored recommendations and somebody has given it up.
        """
        ...

    async def create_tickets(self, tickets: Sequence[Ticket]) -> Sequence[Ticket]:
        """Store new tickets of one connection as :meth:`create_ticket` does, in transactions of up to 100 rows.

        Returns the ones that are stored, in the same order; those whose id is taken or given up are left out.
        """
        ...

    async def give_up(self, connection_id: str, ticket_id: str) -> Ticket | None:
        """Ensure that a ticket for stored recommendations is either stored by now or never will be.

        Returns the ticket if it is stored.
        """
        ...

    async def get_ticket(self, connection_id: str, ticket_id: str) -> Ticket | None:
        """Return the ticket, or None."""
        ...

    async def find_by_number(self, connection_id: str, number: str) -> Ticket | None:
        """Return the ticket whose record has this number, ignoring case and surrounding blanks, or None."""
        ...

    async def update_ticket(self, before: Ticket, after: Ticket, updates: Sequence[UpdateChange] = ()) -> Ticket:
        """Replace ``before`` with ``after`` if nobody else has changed it. Raises RowChanged otherwise.

        A ticket that is not whole loses nothing: its other columns stay as they are.

        Args:
            updates: Changes of the ticket's updates, in the same transaction; RowChanged is raised for them, too.
        """
        ...

    async def update_tickets(self, changes: Sequence[tuple[Ticket, Ticket]]) -> Sequence[tuple[Ticket, Ticket]]:
        """Replace many tickets of one connection, in transactions of up to 100 rows.

        Returns the ones that somebody else has changed; they are left as they are.
        """
        ...

    async def get_tickets(
        self, connection_id: str, ticket_ids: Sequence[str], *, whole: bool = True
    ) -> Mapping[str, Ticket]:
        """Return the tickets that exist, by id.

        Args:
            whole: False leaves out the parts that no longer change in a delivered ticket (:attr:`Ticket.is_whole`),
                which takes half the time.
        """
        ...

    async def list_tickets(
        self, connection_ids: Sequence[str], wanted: TicketFilter, *, limit: int, after: str | None = None
    ) -> Sequence[Ticket]:
        """Return up to ``limit`` tickets, newest first, older than the ticket id ``after``.

        A filter reads the lists, and then only these tickets.
        """
        ...

    async def list_current(self, connection_ids: Sequence[str]) -> Sequence[CurrentTickets]:
        """Return, for each of these connections, its current tickets in any order, and the counts of all its tickets.

        It takes one request for a connection of usual size, however many finished tickets it has.
        """
        ...

    async def list_every(self, connection_ids: Sequence[str]) -> Sequence[ListedTicket]:
        """Return all tickets of these connections in any order, current and finished ones."""
        ...

    def scan_tickets(self, connection_id: str, *, after: str | None = None) -> AsyncIterator[Sequence[Ticket]]:
        """Go through all tickets of a connection in order of their ids, page by page.

        The parts that no longer change are left out.
        """
        ...

    async def list_pending(self, connection_id: str, *, limit: int, after: str | None = None) -> Sequence[Ticket]:
        """Return up to ``limit`` pending tickets, oldest first, newer than the ticket id ``after``."""
        ...

    async def list_unlinked(self, connection_id: str, *, limit: int, after: str | None = None) -> Sequence[Ticket]:
        """Return up to ``limit`` tickets that are followed by ``sys_id``, newest first, older than ``after``.

        The parts that no longer change are left out.
        """
        ...

    async def list_watched(self, connection_id: str, tenant_id: str) -> Sequence[WatchedTicket]:
        """Return the tickets for a tenant's recommendations whose outcome can still change, newest first.

        It reads their index rows only, however many tickets the connection has.
        """
        ...

    async def list_unread_closings(self, connection_id: str, *, limit: int) -> Sequence[Ticket]:
        """Return up to ``limit`` tickets whose records have to be asked how they were closed, newest first.

        The parts that no longer change are left out.
        """
        ...

    async def list_updates(self, connection_id: str, *, limit: int, after: Update | None = None) -> Sequence[Update]:
        """Return up to ``limit`` updates of a connection, refused ones included, those of one ticket oldest first.

        Args:
            after: The last one of the page before.
        """
        ...

    async def list_updates_of(self, connection_id: str, ticket_id: str) -> Sequence[Update]:
        """Return the updates of a ticket, refused ones included, oldest first."""
        ...

    async def save_update(self, before: Update, after: Update) -> Update:
        """Replace a stored update if nobody else has changed it; return it with its new etag.

        A repetition of our own write counts as that write. Raises RowChanged otherwise.
        """
        ...

    async def list_unrecorded(self, connection_id: str, *, limit: int) -> Sequence[EvidenceBatch]:
        """Return up to ``limit`` batches of events that the evidence may not have yet, oldest first.

        Every write of a ticket stores its new events like this, in the same transaction.
        """
        ...

    async def delete_unrecorded(self, connection_id: str, batches: Sequence[EvidenceBatch]) -> None:
        """Delete batches that the evidence has; safe to repeat."""
        ...

    async def list_of_recommendation(self, ticket: Ticket, *, limit: int) -> Sequence[Ticket]:
        """Return older tickets of the connection that may be about the same recommendation, newest first.

        Reads up to ``limit`` index rows for each of the recommendation's keys and then those tickets, however many
        tickets the connection has. It does not find tickets written by a release without this index.
        """
        ...

    async def get_summary(self, connection_id: str) -> Summary:
        """Return the exact counts of a connection."""
        ...

    async def get_overview(self, connection_id: str) -> Overview:
        """Return what one read shows about all of a connection's tickets."""
        ...

    async def compact_summary(self, connection_id: str, now: datetime) -> None:
        """Fold the changes since the last time into the counts and the lists, so that reading them stays fast."""
        ...

    async def check_lists(self, connection_id: str, now: datetime) -> bool:
        """Compare a page of tickets with the lists, from where the last call stopped, and correct the lists.

        This is how the lists are made after an upgrade, and repaired after a release without them has written. Returns
        whether the end was reached.
        """
        ...


@value_object
class UpdateChange:
    """What a transaction does to an update of its ticket.

    Attributes:
        before: As stored; None for a new one.
        after: As it is to be stored; None deletes it.
    """

    before: Update | None
    after: Update | None


@value_object
class WatchedTicket:
    """What the index knows of a ticket for recommendations, for one tenant."""

    connection_id: str
    ticket_id: str
    verification: Verification


class Companies(Protocol):
    """ServiceNow companies of customers' tenants; implemented in :mod:`shared.tenants`.

    Every method can raise StorageUnavailable, and FixRequest: 404 ``tenant_not_found``.
    """

    async def connection_of(self, tenant_id: str) -> str | None:
        """Return the connection that a tenant's tickets go to; None if it has none."""
        ...

    async def company_for(self, connection_id: str, tenant_id: str | None) -> str | None:
        """Return the company (``sys_id``) of a ticket for no stored recommendation; None leaves it to fixed fields.

        Args:
            tenant_id: The tenant that somebody has chosen for the ticket.

        Raises FixRequest: 409 ``tenant_other_connection``.
        """
        ...


class RecommendationClaims(Protocol):
    """Ensures that a stored recommendation has one open ticket; implemented in :mod:`shared.recommendations`."""

    async def take(self, ticket: Ticket, *, another: bool = False) -> None:
        """Claim all recommendations that a ticket is for, before it is stored or sent again.

        The ticket's row must then be written in the version that was read before.

        Args:
            another: The caller knows that there may be an open ticket.

        Raises:
            FixRequest: 409 ``recommendation_has_open_ticket`` or ``ticket_being_created``.
            StorageUnavailable: As after a refusal that somebody else was just faster to cause, some of them may be
                claimed. If the ticket is not stored, they are free again within a minute.
        """
        ...


class IdempotencyStore(Protocol):
    """Remembers which ticket an idempotency key stands for."""

    async def reserve(self, reservation: IdempotencyReservation) -> IdempotencyReservation:
        """Store the reservation, or return the one that the key already has."""
        ...

    async def delete_expired_reservations(self, before: datetime) -> int:
        """Delete the reservations made before this time, and return how many."""
        ...


SYS_IDS_PER_REQUEST: Final = 100
"""Makes a URL of about 4 kB: half of what common front ends accept."""
BEFORE_ANY_SYS_ID: Final = "0"
"""Every sys_id sorts after this, whatever the collation."""


@value_object
class RecordPage:
    """One page of records.

    Attributes:
        records: In order; none if a whole page is hidden from us. Foreign records can be among them.
        next: Where the next page begins; None at the end.
    """

    records: Sequence[Record]
    next: Place | None


@value_object
class RecordClosing:
    """How ServiceNow says that a record was closed.

    Attributes:
        resolved_at: Only incidents have it.
        close_code: The raw value.
    """

    sys_id: str
    closed_at: datetime | None = None
    resolved_at: datetime | None = None
    close_code: str | None = None


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
        """Insert the ticket's record into the table of its kind, with one request.

        Args:
            connection: The connection of the ticket.
            ticket: The ticket.
            kind_settings: The connection's settings for its kind.
            requester_sys_id: The ServiceNow user in whose name it is inserted, or None.
            send_by: The request does not begin after this time, however long the access token took.

        Raises:
            OutcomeUnknown: It may or may not have been written (time-out, reset, 202, 5xx, cut-off answer).
            ServiceNowUnavailable, ServiceNowThrottled: It was certainly not written.
            AccessTokenRefused: ServiceNow does not accept the access token, but may have written the record anyway.
                The look-up gets another token.
            InstanceClosed: No request reaches the API; ``may_be_written`` says whether this one may have.
            AccessRefused: The integration user may not write it. A sys_id in use may be refused like this, too.
            RecordHidden: ServiceNow has written it, but does not show it to the integration user.
            ValuesRefused, FixConfiguration: ServiceNow does not accept the record.
        """
        ...

    async def find_records(
        self, connection: Connection, table: TicketTable, *, sys_id: str, correlation_id: str
    ) -> Sequence[Record]:
        """Look up the records of a ticket by sys_id and by correlation id, whatever their class; oldest first.

        Args:
            table: Table of the ticket's kind: read if we may not read ``task``, and the class of a record that does
                not show its own.

        Raises:
            AccessRefused: We may read neither table.
            RecordsHidden: ServiceNow has a record but does not show it.
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
        """Return one page of our records of every class, in order of ``sys_updated_on, sys_id``.

        Args:
            since: Lower bound of ``sys_updated_on`` (in ServiceNow's text form), None for everything.
            inclusive: Whether to include records of exactly that second.
            until: Exclusive upper bound, None for none.
            place: ``next`` of the page before; its ``after`` takes the place of ``since``.
            reach: How many records to ask for, and whether ServiceNow counts them.

        Raises QueryRefused if query rules forbid a range or sort on ``sys_updated_on``.
        """
        ...

    async def list_by_sys_id(self, connection: Connection, sys_ids: Sequence[str]) -> Sequence[Record]:
        """Return the records that we may see, asking for as many at once as fit in a URL."""
        ...

    async def list_closings(
        self, connection: Connection, table: TicketTable, sys_ids: Sequence[str]
    ) -> Sequence[RecordClosing]:
        """Return how the records that we may see were closed; what we may not see of them is None.

        Args:
            table: The records' own table: ``task`` does not have these columns.
        """
        ...

    async def list_by_correlation(
        self, connection: Connection, *, until: str | None, place: Place, reach: Reach
    ) -> RecordPage:
        """Return one page of all our records in order of ``correlation_id, sys_id``.

        Args:
            until: Exclusive upper bound of ``correlation_id``, None for none.
            place: ``next`` of the page before.
            reach: As for :meth:`list_changes`.
        """
        ...


class InstanceHealth(Protocol):
    """Records how calls to an instance went; implemented by :class:`shared.connections.status.ConnectionHealth`."""

    async def succeeded(self, connection: Connection, operation: Operation | None = None) -> Connection:
        """Note that ServiceNow gave a real answer. Raises TryLater."""
        ...

    async def failed(
        self, connection: Connection, error: ConnectorError, operation: Operation | None = None
    ) -> Connection:
        """Note why a call failed; with an operation, until this operation succeeds or is settled. Raises TryLater."""
        ...

    async def settled(self, connection: Connection, operation: Operation) -> Connection:
        """Note that nothing waits for the operation any more. Raises TryLater."""
        ...


class RequesterDirectory(Protocol):
    """Finds the ServiceNow user with an e-mail address, and remembers the answer for a day."""

    async def sys_id_of(self, connection: Connection, email: str, *, afresh: bool = False) -> str | None:
        """Return the sys_id of the only active user with that address, or None.

        Args:
            afresh: Ask ServiceNow even if the answer is remembered.
        """
        ...


class StateModel(Protocol):
    """The names and meanings of ServiceNow's states (ServiceNow §5.3)."""

    def usual(self, kind: TicketKind) -> Mapping[str, str]:
        """Return a new instance's labels for the kind's states, by raw value, in the order of a record's life."""
        ...

    def phase(self, kind: TicketKind, state: str) -> Phase:
        """Return what a raw state means for an active record of the kind."""
        ...
