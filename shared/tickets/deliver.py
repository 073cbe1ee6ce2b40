"""Delivery: a pending ticket becomes a record in ServiceNow, once.

A write whose outcome is not known is never repeated before a look-up, and not while the first may still be committed
(ServiceNow cancels a transaction after 60 s, ServiceNow §3). One deliverer at a time works on a ticket: the lease
is in the ticket's row and is taken by its etag.

Only a refusal of the ticket's own values fails it at once. Missing rights are tried again for a while, and whatever
says nothing about the ticket postpones it. What concerns one record holds up no other: a run ends early only when the
connection itself fails.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from shared.clock import Clock, believed
from shared.connections.model import Connection, Operation
from shared.connections.ports import RowChanged
from shared.errors import (
    AccessRefused,
    AccessTokenRefused,
    ConnectorError,
    FixConfiguration,
    FixRequest,
    InstanceClosed,
    MandatoryFieldsMissing,
    OutcomeUnknown,
    Reauthorize,
    RowUnreadable,
    ServiceNowUnavailable,
    TryLater,
)
from shared.log import log_context, log_event
from shared.service import service
from shared.telemetry import DELIVERY_AGE, TICKETS_DELIVERED, TICKETS_FAILED, span
from shared.tickets.addresses import real_address
from shared.tickets.kinds import KINDS
from shared.tickets.model import Delivery, DeliveryProgress, EventKind, Record, Ticket
from shared.tickets.own_times import with_own_times
from shared.tickets.ports import InstanceHealth, RequesterDirectory, TicketRecords, TicketStore
from shared.tickets.record_effects import delivered, doubled
from shared.tickets.timeline import details_of, with_event

COMMIT_MAY_TAKE_S: Final = 65.0
"""ServiceNow's 60 s transaction quota and a little for the way there."""
WRITE_MAY_TAKE_S: Final = 30.0
"""So long a write may be on its way before the client gives it up."""
LEASE_S: Final = 150.0
"""How long one deliverer has a ticket. Nothing is sent any more once a write could still be committed after that, so
that whoever comes next, after a crash as well, does not look the record up too early."""
LEASE: Final = timedelta(seconds=LEASE_S)
PENDING_PAGE: Final = 500
FIRST_BACKOFF_S: Final = 30.0
LONGEST_BACKOFF_S: Final = 3600.0
LONGEST_WAIT: Final = timedelta(seconds=LONGEST_BACKOFF_S)
"""Nobody asks for a longer one: what ServiceNow asks for after a 429 is believed up to an hour as well."""
RIGHTS_PATIENCE_S: Final = 900.0
"""For so long a refusal for lack of rights is tried again: rights are granted by people, and reach the nodes of an
instance one after the other."""
LEFT_PATIENCE_S: Final = 3600.0
"""For so long after a connection was authorized for another instance, its tickets wait for it to come back."""


def backoff_s(attempts: int, retry_after_s: float | None, jitter: float) -> float:
    """Return how long to wait after a number of attempts: doubling, at most an hour, never less than was asked for.

    Args:
        jitter: A number between 0 and 1; the wait is shortened by up to half so that tickets spread out.
    """
    wait = min(FIRST_BACKOFF_S * 2.0 ** min(max(attempts - 1, 0), 20), LONGEST_BACKOFF_S) * (1 - jitter / 2)
    return max(wait, retry_after_s or 0.0)


def begin_attempt(ticket: Ticket, now: datetime) -> Ticket:
    """Return the ticket as it must be stored before anything is sent."""
    return replace(
        ticket,
        delivery=replace(
            ticket.delivery,
            status=Delivery.PENDING,
            attempts=ticket.delivery.attempts + 1,
            attempt_started_at=now,
            leased_until_at=now + timedelta(seconds=LEASE_S),
        ),
    )


def is_deliverable(ticket: Ticket, now: datetime) -> bool:
    """Whether an attempt may begin now: pending, due, understood by this release, and not in somebody else's hands."""
    progress = ticket.delivery
    return (
        progress.status is Delivery.PENDING
        and ticket.is_sendable
        and (progress.next_attempt_at is None or progress.next_attempt_at <= now)
        and not _is_leased(ticket, now)
    )


def attempt_due_at(ticket: Ticket, now: datetime) -> datetime | None:
    """Return when the next attempt may begin; None when this release makes none.

    A time that lies further ahead than any that is stored counts as over: the next run corrects it.
    """
    progress = ticket.delivery
    if progress.status is not Delivery.PENDING or not ticket.is_sendable:
        return None
    next_attempt_at = believed(progress.next_attempt_at, now, ahead=LONGEST_WAIT)
    leased_until_at = believed(progress.leased_until_at, now, ahead=LEASE)
    return max(now, next_attempt_at or now, leased_until_at or now)


def postponed(ticket: Ticket, error: ConnectorError, now: datetime, *, jitter: float, unknown: bool) -> Ticket:
    """Return the ticket after an attempt that is to be repeated later.

    Args:
        unknown: The write may have been carried out; the next attempt looks it up first.
    """
    asked = error.retry_after_s if isinstance(error, TryLater) else None
    # What a missing consent is waited for is a person, not the clock: the ticket goes with the first run afterwards.
    wait_s = 0.0 if isinstance(error, Reauthorize) else backoff_s(ticket.delivery.attempts, asked, jitter)
    return _waiting(ticket, error, now, wait_s=wait_s, unknown=unknown)


def refused(ticket: Ticket, error: AccessRefused, now: datetime, *, unknown: bool) -> Ticket:
    """Return the ticket after the integration user was refused: postponed at first, failed when it lasts.

    The waits double: 30 s, 30 s, 1 min, 2 min, and so on to the end of the patience.

    Args:
        unknown: An earlier write may have been carried out; the next attempt looks it up first.
    """
    began_at = believed(ticket.delivery.refused_since_at, now) or now
    refused_for_s = (now - began_at).total_seconds()
    if refused_for_s >= RIGHTS_PATIENCE_S:
        return failed(ticket, error, now, unknown=unknown)
    wait_s = min(max(refused_for_s, FIRST_BACKOFF_S), RIGHTS_PATIENCE_S - refused_for_s)
    after = _waiting(ticket, error, now, wait_s=wait_s, unknown=unknown)
    return replace(after, delivery=replace(after.delivery, refused_since_at=began_at))


def _waiting(ticket: Ticket, error: ConnectorError, now: datetime, *, wait_s: float, unknown: bool) -> Ticket:
    if unknown:
        wait_s = max(wait_s, COMMIT_MAY_TAKE_S)
    after = replace(
        ticket,
        delivery=DeliveryProgress(
            attempts=ticket.delivery.attempts,
            attempt_started_at=ticket.delivery.attempt_started_at if unknown else None,
            next_attempt_at=now + timedelta(seconds=wait_s),
            failure=error.failure,
        ),
    )
    if ticket.delivery.error_code == error.code:
        return after
    return with_event(after, EventKind.DELIVERY_POSTPONED, now, **details_of(error.failure))


def failed(ticket: Ticket, error: ConnectorError, now: datetime, *, unknown: bool) -> Ticket:
    """Return the ticket after it was given up until somebody retries it.

    Args:
        unknown: An earlier write may have been carried out; a retry looks it up first.
    """
    after = replace(
        ticket,
        delivery=DeliveryProgress(
            status=Delivery.FAILED,
            attempts=ticket.delivery.attempts,
            attempt_started_at=ticket.delivery.attempt_started_at if unknown else None,
            failure=error.failure,
            error_status=error.status,
        ),
    )
    return with_event(after, EventKind.DELIVERY_FAILED, now, **details_of(error.failure))


def left_behind(ticket: Ticket, now: datetime) -> Ticket:
    """Return a pending ticket of an instance that its connection has left, given up with words that say what to do."""
    unknown = ticket.delivery.attempt_started_at is not None
    if unknown:
        error = FixConfiguration("instance_left_outcome_unknown", correlation_id=ticket.correlation_id)
    else:
        error = FixConfiguration("instance_left")
    return failed(ticket, error, now, unknown=unknown)


def put_back(ticket: Ticket, connection: Connection, now: datetime) -> Ticket:
    """Return a failed or waiting ticket as it goes into the outbox again, because a person asked for it.

    A ticket of an instance that the connection has left goes to the present one, about which an outcome that is not
    known says nothing.
    """
    progress = ticket.delivery
    stays = ticket.is_of(connection)
    again = replace(
        ticket,
        instance=ticket.instance if stays else connection.instance,
        delivery=DeliveryProgress(
            attempts=progress.attempts, attempt_started_at=progress.attempt_started_at if stays else None
        ),
    )
    return with_event(again, EventKind.RETRIED, now)


@dataclass(slots=True)
class DeliveryCounts:
    """What one run over a connection's outbox did."""

    delivered: int = 0
    failed: int = 0
    postponed: int = 0

    def count(self, ticket: Ticket) -> None:
        """Count the outcome of one attempt."""
        match ticket.delivery.status:
            case Delivery.DELIVERED:
                self.delivered += 1
            case Delivery.FAILED:
                self.failed += 1
            case Delivery.PENDING:
                self.postponed += 1


@service
class TicketDelivery:
    """Delivers tickets; see the module's description for what it promises."""

    store: TicketStore
    records: TicketRecords
    requesters: RequesterDirectory
    health: InstanceHealth
    clock: Clock
    random: Callable[[], float] = field(default=random.random)

    async def deliver_first(self, connection: Connection, ticket: Ticket) -> Ticket:
        """Attempt the delivery of a ticket that has just been stored with :func:`begin_attempt`."""
        return (await self._attempt(connection, _Attempt(ticket))).ticket

    async def deliver_pending(self, connection: Connection, *, deadline: datetime) -> DeliveryCounts:
        """Deliver what is due, until the deadline or until the connection fails.

        The tickets go in the order in which they became due, so that those that fail again and again wait behind
        those that come for the first time.
        """
        counts = DeliveryCounts()
        nothing_waits = True
        async for page in self._pending(connection):
            counts.failed += await self._give_up_left_behind(connection, page)
            here = [ticket for ticket in page if ticket.is_of(connection)]
            nothing_waits = nothing_waits and not here
            own = await with_own_times(self.store, here, self.clock(), lease=LEASE, longest_wait=LONGEST_WAIT)
            if not await self.deliver_due(connection, sorted(own, key=_due_at), counts, deadline=deadline):
                return counts
        if nothing_waits:
            await self._settle(connection)
        return counts

    async def deliver_due(
        self, connection: Connection, tickets: Sequence[Ticket], counts: DeliveryCounts, *, deadline: datetime
    ) -> bool:
        """Deliver those of the tickets that are due, in this order, and count them.

        Returns:
            False when the deadline came first or the connection fails.
        """
        for ticket in tickets:
            now = self.clock()
            if now >= deadline:
                return False
            if not is_deliverable(ticket, now):
                continue
            attempt = await self._attempt_again(connection, ticket)
            counts.count(attempt.ticket)
            if self.clock() >= deadline or await self._is_failing(connection, attempt):
                return False
        return True

    async def _attempt_again(self, connection: Connection, ticket: Ticket) -> _Attempt:
        """Take the lease and attempt the delivery; the ticket stays as it is when somebody else has it."""
        may_stand_there = ticket.delivery.attempt_started_at is not None
        try:
            leased = await self.store.update_ticket(ticket, begin_attempt(ticket, self.clock()))
        except RowChanged:
            current = await self.store.get_ticket(ticket.connection_id, ticket.ticket_id)
            return _Attempt(current or ticket)
        return await self._attempt(connection, _Attempt(leased, may_stand_there))

    async def _is_failing(self, connection: Connection, attempt: _Attempt) -> bool:
        """Whether the connection fails, and not only this one ticket. A cheap read shows it if the error does not."""
        error = attempt.error
        if not isinstance(error, OutcomeUnknown) and not (isinstance(error, InstanceClosed) and error.may_be_written):
            return isinstance(error, TryLater | Reauthorize | InstanceClosed)
        try:
            await self.records.list_by_sys_id(connection, [attempt.ticket.ticket_id])
        except (TryLater, Reauthorize, InstanceClosed) as failure:
            await self._note_failure(connection, failure)
            return True
        except AccessRefused:
            return False  # ServiceNow answers; which of the tickets this concerns, their own attempts show.
        await self._note_success(connection, None)
        return False

    async def _pending(self, connection: Connection) -> AsyncIterator[Sequence[Ticket]]:
        """Go through the outbox, oldest first, page by page."""
        after: str | None = None
        while True:
            tickets = await self.store.list_pending(connection.connection_id, limit=PENDING_PAGE, after=after)
            if tickets:
                yield tickets
            if len(tickets) < PENDING_PAGE:
                return
            after = tickets[-1].ticket_id

    async def _give_up_left_behind(self, connection: Connection, tickets: Sequence[Ticket]) -> int:
        """Fail the tickets of an instance that the connection left a while ago; return how many."""
        now = self.clock()
        since_at = connection.consented_at
        if since_at is None or now < since_at + timedelta(seconds=LEFT_PATIENCE_S):
            return 0
        changes = [
            (ticket, left_behind(ticket, now))
            for ticket in tickets
            if not ticket.is_of(connection) and not _is_leased(ticket, now)
        ]
        conflicts = {before.ticket_id for before, _ in await self.store.update_tickets(changes)}
        given_up = [after for before, after in changes if before.ticket_id not in conflicts]
        for ticket in given_up:
            with log_context(ticket_id=ticket.ticket_id):
                _tell_outcome(ticket)
        return len(given_up)

    async def retry(self, connection: Connection, ticket: Ticket, *, although_outcome_unknown: bool = False) -> Ticket:
        """Attempt a failed or waiting ticket now, because a person asked for it.

        A ticket of an instance that the connection has left goes to the present one.

        Args:
            although_outcome_unknown: Send it to the present instance although the one before may have a record of it.

        Raises:
            RowUnreadable, FixRequest: As :meth:`raise_unless_retriable`; 409 ``delivery_under_way``, too, when somebody
                else was faster.
        """
        now = self.clock()
        self.raise_unless_retriable(connection, ticket, although_outcome_unknown=although_outcome_unknown)
        again = put_back(ticket, connection, now)
        try:
            leased = await self.store.update_ticket(ticket, begin_attempt(again, now))
        except RowChanged:
            raise FixRequest("delivery_under_way", status=409) from None
        may_stand_there = again.delivery.attempt_started_at is not None
        return (await self._attempt(connection, _Attempt(leased, may_stand_there))).ticket

    def raise_unless_retriable(
        self, connection: Connection, ticket: Ticket, *, although_outcome_unknown: bool = False
    ) -> None:
        """Check whether a person may have the ticket sent again.

        Raises:
            RowUnreadable: Another release made the ticket, of a kind that this one does not know.
            FixRequest: 409 ``already_delivered``, ``ticket_dormant`` (the connection was removed),
                ``delivery_under_way`` (an attempt runs, or the outcome of the last one cannot be known yet), or
                ``instance_left_outcome_unknown``.
        """
        now = self.clock()
        progress = ticket.delivery
        if not ticket.is_sendable:
            raise RowUnreadable(table="tickets")
        if progress.status is Delivery.DELIVERED:
            raise FixRequest("already_delivered", status=409)
        if connection.is_removed:
            raise FixRequest("ticket_dormant", status=409)
        uncertain = (
            progress.status is Delivery.PENDING
            and progress.attempt_started_at is not None
            and progress.attempt_started_at + timedelta(seconds=LEASE_S) > now
        )
        if _is_leased(ticket, now) or uncertain:
            raise FixRequest("delivery_under_way", status=409)
        unknown_elsewhere = not ticket.is_of(connection) and progress.attempt_started_at is not None
        if unknown_elsewhere and not although_outcome_unknown:
            raise FixRequest("instance_left_outcome_unknown", status=409, correlation_id=ticket.correlation_id)

    async def _attempt(self, connection: Connection, attempt: _Attempt) -> _Attempt:
        """Attempt the delivery of a leased ticket; return the attempt with the ticket as it is stored then."""
        ticket = attempt.ticket
        with (
            log_context(
                connection_id=ticket.connection_id, ticket_id=ticket.ticket_id, attempt=ticket.delivery.attempts
            ),
            span("ticket_delivery") as measured,
        ):
            after = await self._attempted(connection, attempt)
            attempt.ticket, _ = await asyncio.gather(
                self._store(ticket, after), self._note(connection, after, attempt.error)
            )
            stored = attempt.ticket.delivery
            measured.note(delivery=stored.status.value)
            if stored.error_code is not None:
                measured.failed(stored.error_code)
            _tell_outcome(attempt.ticket)
            return attempt

    async def _attempted(self, connection: Connection, attempt: _Attempt) -> Ticket:
        """Return the ticket as the attempt leaves it, and keep in the attempt why it did not succeed."""
        try:
            return await self._deliver(connection, attempt)
        except (TryLater, Reauthorize, FixConfiguration) as error:
            attempt.error = error
            now = self.clock()
            unknown = attempt.may_stand_there or error.may_be_written
            match error:
                case TryLater() | Reauthorize() | InstanceClosed():
                    return postponed(attempt.ticket, error, now, jitter=self.random(), unknown=unknown)
                case AccessRefused():
                    return refused(attempt.ticket, error, now, unknown=unknown)
                case _:
                    return failed(attempt.ticket, error, now, unknown=unknown)

    async def _note(self, connection: Connection, after: Ticket, error: ConnectorError | None) -> None:
        """Keep on the connection how the call went."""
        match error:
            case None if after.record is not None:
                await self._note_success(connection, Operation.DELIVERY)
            case TryLater() | Reauthorize() | AccessRefused():
                await self._note_failure(connection, error)
            case _:
                pass  # The values of one ticket are nobody else's business.

    async def _note_failure(self, connection: Connection, error: ConnectorError) -> None:
        # What a success at something else disproves is not kept until the next delivery.
        lasts = isinstance(error, AccessRefused | OutcomeUnknown)
        await _noted(connection, self.health.failed(connection, error, Operation.DELIVERY if lasts else None))

    async def _note_success(self, connection: Connection, operation: Operation | None) -> None:
        await _noted(connection, self.health.succeeded(connection, operation))

    async def _settle(self, connection: Connection) -> None:
        """Forget why deliveries did not succeed once no ticket waits any more."""
        await _noted(connection, self.health.settled(connection, Operation.DELIVERY))

    async def _store(self, ticket: Ticket, after: Ticket) -> Ticket:
        """Store the outcome.

        A row that changed meanwhile (the lease ran out, or the answer to our own write was lost) keeps what it has, but
        a record that is in ServiceNow is never forgotten.
        """
        try:
            return await self.store.update_ticket(ticket, after)
        except RowChanged:
            current = await self.store.get_ticket(ticket.connection_id, ticket.ticket_id)
        assert current is not None, "a ticket that exists is never deleted"
        if current.record is not None or after.record is None:
            return current
        return await self.store.update_ticket(current, replace(after, kept=current.kept, etag=current.etag))

    async def _deliver(self, connection: Connection, attempt: _Attempt) -> Ticket:
        """Send the ticket; once more, after a look-up, when ServiceNow refuses the access token of the write."""
        try:
            return await self._looked_up_and_sent(connection, attempt)
        except AccessTokenRefused as error:
            if not error.may_be_written:
                raise
        # ServiceNow may have carried the write out all the same.
        attempt.may_stand_there = True
        return await self._looked_up_and_sent(connection, attempt)

    async def _looked_up_and_sent(self, connection: Connection, attempt: _Attempt) -> Ticket:
        ticket = attempt.ticket
        if attempt.may_stand_there and (records := await self._look_up(connection, ticket)):
            return self._adopted(ticket, records)
        try:
            record = await self._created(connection, ticket)
        except InstanceClosed:
            raise
        except FixConfiguration:
            # The record may be there: committed after the look-up, or sent twice by a proxy. How ServiceNow refuses a
            # sys_id in use is written nowhere, and a customer's rule against duplicates has its own words.
            if records := await self._look_up_after_refusal(connection, ticket):
                return self._adopted(ticket, records)
            raise
        return delivered(ticket, record, self.clock())

    async def _created(self, connection: Connection, ticket: Ticket) -> Record:
        """Insert the record in the requester's name.

        That nobody in ServiceNow has the requester's address is remembered for a while, but not believed when a person
        asks for the attempt, or when ServiceNow then refuses the record for a mandatory field: somebody may have added
        the user since.
        """
        email = real_address(ticket.content.requester.email or "")
        settings = connection.kinds[ticket.content.kind]
        asked_for = bool(ticket.timeline) and ticket.timeline[-1].kind is EventKind.RETRIED
        requester = None
        if email:
            requester = await self.requesters.sys_id_of(connection, email, afresh=asked_for)
        try:
            return await self.records.create_record(connection, ticket, settings, requester, send_by=_send_by(ticket))
        except MandatoryFieldsMissing:
            if not email or requester is not None:
                raise
            requester = await self.requesters.sys_id_of(connection, email, afresh=True)
            if requester is None:
                raise
        return await self.records.create_record(connection, ticket, settings, requester, send_by=_send_by(ticket))

    async def _look_up(self, connection: Connection, ticket: Ticket) -> Sequence[Record]:
        """Return the records of the ticket. A look-up that fails leaves open what became of the write."""
        try:
            return await self.records.find_records(
                connection,
                KINDS[ticket.content.kind].table,
                sys_id=ticket.ticket_id,
                correlation_id=ticket.correlation_id,
            )
        except AccessTokenRefused:
            raise
        except ServiceNowUnavailable as error:
            raise OutcomeUnknown(**error.as_reason) from None

    async def _look_up_after_refusal(self, connection: Connection, ticket: Ticket) -> Sequence[Record]:
        try:
            return await self._look_up(connection, ticket)
        except InstanceClosed:
            raise
        except AccessRefused:
            return ()  # Who may not look has the refusal of the write to go by.

    def _adopted(self, ticket: Ticket, records: Sequence[Record]) -> Ticket:
        now = self.clock()
        adopted = delivered(ticket, records[0], now, found=True)
        for other in records[1:]:
            adopted = doubled(adopted, other, now)
        return adopted


@dataclass(slots=True)
class _Attempt:
    """One attempt to deliver a ticket.

    Attributes:
        ticket: As it was leased, and in the end as it is stored.
        may_stand_there: A write whose outcome is not known was sent before: it is looked up first.
        error: Why the attempt did not succeed.
    """

    ticket: Ticket
    may_stand_there: bool = False
    error: TryLater | Reauthorize | FixConfiguration | None = None


async def _noted(connection: Connection, note: Awaitable[Connection]) -> None:
    """Keep a note on the connection; no ticket's outcome depends on whether that could be done."""
    try:
        await note
    except TryLater as error:
        log_event("connection_not_noted", connection_id=connection.connection_id, code=error.code)


def _send_by(ticket: Ticket) -> datetime:
    """Return until when a write may be sent: one sent later could be committed after the lease."""
    assert ticket.delivery.leased_until_at is not None, "an attempt has the lease"
    return ticket.delivery.leased_until_at - timedelta(seconds=WRITE_MAY_TAKE_S + COMMIT_MAY_TAKE_S)


def _is_leased(ticket: Ticket, now: datetime) -> bool:
    until_at = ticket.delivery.leased_until_at
    return until_at is not None and until_at > now


def _due_at(ticket: Ticket) -> datetime:
    progress = ticket.delivery
    return progress.next_attempt_at or progress.leased_until_at or ticket.created_at


def _tell_outcome(ticket: Ticket) -> None:
    progress = ticket.delivery
    age_s = (progress.delivered_at - ticket.created_at).total_seconds() if progress.delivered_at else None
    match progress.status:
        case Delivery.DELIVERED:
            event = "ticket_delivered"
            TICKETS_DELIVERED.record()
            DELIVERY_AGE.record(age_s or 0.0)
        case Delivery.FAILED:
            event = "ticket_delivery_failed"
            TICKETS_FAILED.record(code=progress.error_code or "unknown")
        case Delivery.PENDING:
            event = "ticket_delivery_postponed"
    log_event(event, code=progress.error_code, age_s=age_s)
