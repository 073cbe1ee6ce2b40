"""Delivery: a pending ticket becomes a record in ServiceNow, once.

After a write with an unknown outcome, a look-up comes before the next write; when both may be sent is decided in
:mod:`shared.tickets.attempts`.

Only a refusal of the ticket's own values fails it at once. A refusal for lack of rights is tried again for a while. An
error that says nothing about the ticket postpones it. A problem with one record does not hold up the others: a run ends
early only when the connection itself fails.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
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
    RecordHidden,
    RecordsHidden,
    RowUnreadable,
    ServiceNowUnavailable,
    TryLater,
)
from shared.log import log_context, log_event
from shared.service import service
from shared.telemetry import DELIVERY_AGE, TICKETS_DELIVERED, TICKETS_FAILED, span
from shared.tickets.addresses import real_address
from shared.tickets.attempts import (
    COMMIT_MAY_TAKE_S,
    LEASE,
    LEFT_PATIENCE_S,
    backoff_s,
    is_leased,
    next_attempt_at,
    send_by,
    wait_for_rights_s,
)
from shared.tickets.failing import ConnectionNotes
from shared.tickets.kinds import KINDS
from shared.tickets.model import Delivery, DeliveryProgress, EventKind, Record, Ticket
from shared.tickets.ports import InstanceHealth, RequesterDirectory, TicketRecords, TicketStore
from shared.tickets.record_effects import delivered, doubled
from shared.tickets.timeline import details_of, with_event
from shared.tickets.wrong_times import correct_wrong_times

PENDING_PAGE: Final = 500


def begin_attempt(ticket: Ticket, now: datetime) -> Ticket:
    """Return the ticket as it must be stored before it is sent."""
    return replace(
        ticket,
        delivery=replace(
            ticket.delivery,
            status=Delivery.PENDING,
            attempts=ticket.delivery.attempts + 1,
            attempt_started_at=now,
            leased_until_at=now + LEASE,
        ),
    )


def as_shared(ticket: Ticket, connection: Connection) -> Ticket:
    """Return the ticket as it may be sent now: what its connection no longer shares is left out from now on."""
    if connection.shares_requester or not ticket.content.shares_requester:
        return ticket
    return replace(ticket, content=replace(ticket.content, shares_requester=False))


def is_deliverable(ticket: Ticket, now: datetime) -> bool:
    """Whether an attempt may begin now: the ticket is pending, due, known to this release and not leased."""
    progress = ticket.delivery
    return (
        progress.status is Delivery.PENDING
        and ticket.is_sendable
        and (progress.next_attempt_at is None or progress.next_attempt_at <= now)
        and not is_leased(progress, now)
    )


def attempt_due_at(ticket: Ticket, now: datetime) -> datetime | None:
    """Return when the next attempt may begin, or None if this release makes none."""
    if ticket.delivery.status is not Delivery.PENDING or not ticket.is_sendable:
        return None
    return next_attempt_at(ticket.delivery, now)


def postponed(ticket: Ticket, error: ConnectorError, now: datetime, *, jitter: float, unknown: bool) -> Ticket:
    """Return the ticket after an attempt that will be repeated later.

    Args:
        unknown: The write may have succeeded; the next attempt looks it up first.
    """
    asked = error.retry_after_s if isinstance(error, TryLater) else None
    # A missing consent needs a person, so the ticket is sent in the first run after re-authorization.
    wait_s = 0.0 if isinstance(error, Reauthorize) else backoff_s(ticket.delivery.attempts, asked, jitter)
    return _waiting(ticket, error, now, wait_s=wait_s, unknown=unknown)


def refused(ticket: Ticket, error: AccessRefused, now: datetime, *, unknown: bool) -> Ticket:
    """Return the ticket after ServiceNow refused the integration user: postponed at first, later failed.

    Args:
        unknown: An earlier write may have succeeded; the next attempt looks it up first.
    """
    began_at = believed(ticket.delivery.refused_since_at, now) or now
    wait_s = wait_for_rights_s(began_at, now)
    if wait_s is None:
        return failed(ticket, error, now, unknown=unknown)
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
    """Return the ticket as failed: it is not sent again until somebody retries it.

    Args:
        unknown: An earlier write may have succeeded; a retry looks it up first.
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
    """Return a pending ticket of an instance that its connection has left, as failed with words that say what to do."""
    unknown = ticket.delivery.attempt_started_at is not None
    if unknown:
        error = FixConfiguration("instance_left_outcome_unknown", correlation_id=ticket.correlation_id)
    else:
        error = FixConfiguration("instance_left")
    return failed(ticket, error, now, unknown=unknown)


def has_hidden_record(ticket: Ticket) -> bool:
    """Whether ServiceNow has the ticket's record for certain, without showing it to the integration user."""
    return ticket.delivery.error_code == RecordHidden.default_code


def _as_known(before: Ticket, after: Ticket) -> Ticket:
    """Return a ticket after an attempt that did not succeed: that its record is hidden outlasts any other error."""
    if not has_hidden_record(before):
        return after
    return replace(after, delivery=replace(after.delivery, failure=before.delivery.failure))


def put_back(ticket: Ticket, connection: Connection, now: datetime) -> Ticket:
    """Return a failed or waiting ticket as it goes back into the outbox at a person's request.

    A ticket of an instance that the connection has left goes to the present one; an unknown outcome at the former
    instance no longer matters then. A record that the instance hides stays known: it must not be made again.
    """
    progress = ticket.delivery
    stays = ticket.is_of(connection)
    again = replace(
        ticket,
        instance=ticket.instance if stays else connection.instance,
        delivery=DeliveryProgress(
            attempts=progress.attempts,
            attempt_started_at=progress.attempt_started_at if stays else None,
            failure=progress.failure if stays and has_hidden_record(ticket) else None,
        ),
    )
    return with_event(again, EventKind.RETRIED, now)


@dataclass(slots=True)
class DeliveryCounts:
    """What one run through a connection's outbox did."""

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

    @property
    def notes(self) -> ConnectionNotes:
        """Notes on the connections how their deliveries went."""
        return ConnectionNotes(self.records, self.health)

    async def deliver_first(self, connection: Connection, ticket: Ticket) -> Ticket:
        """Attempt to deliver a ticket that has just been stored with :func:`begin_attempt`."""
        return (await self._attempt(connection, _Attempt(ticket))).ticket

    async def deliver_pending(self, connection: Connection, *, deadline: datetime) -> DeliveryCounts:
        """Deliver what is due, until the deadline or until the connection fails.

        The tickets go in the order in which they became due, so that tickets that keep failing wait behind new ones.
        """
        counts = DeliveryCounts()
        nothing_waits = True
        async for page in self._pending(connection):
            counts.failed += await self._give_up_left_behind(connection, page)
            here = [ticket for ticket in page if ticket.is_of(connection)]
            nothing_waits = nothing_waits and not here
            others = await correct_wrong_times(self.store, here, self.clock())
            if not await self.deliver_due(connection, sorted(others, key=_due_at), counts, deadline=deadline):
                return counts
        if nothing_waits:
            # No more tickets wait, so it no longer matters why deliveries failed.
            await self.notes.settled(connection, Operation.DELIVERY)
        return counts

    async def deliver_due(
        self, connection: Connection, tickets: Sequence[Ticket], counts: DeliveryCounts, *, deadline: datetime
    ) -> bool:
        """Deliver the tickets that are due, in this order, and count them.

        Returns:
            False if the deadline came first or the connection fails.
        """
        for ticket in tickets:
            now = self.clock()
            if now >= deadline:
                return False
            if not is_deliverable(ticket, now):
                continue
            attempt = await self._attempt_again(connection, ticket)
            counts.count(attempt.ticket)
            if self.clock() >= deadline or await self.notes.is_failing(
                connection, attempt.error, attempt.ticket.ticket_id
            ):
                return False
        return True

    async def _attempt_again(self, connection: Connection, ticket: Ticket) -> _Attempt:
        """Take the lease and attempt the delivery; if somebody else has the lease, leave the ticket as it is."""
        may_exist = ticket.delivery.attempt_started_at is not None
        try:
            leased = await self.store.update_ticket(ticket, begin_attempt(as_shared(ticket, connection), self.clock()))
        except RowChanged:
            current = await self.store.get_ticket(ticket.connection_id, ticket.ticket_id)
            return _Attempt(current or ticket)
        return await self._attempt(connection, _Attempt(leased, may_exist))

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
        """Fail the tickets of an instance that the connection left a while ago, and return how many."""
        now = self.clock()
        since_at = connection.consented_at
        if since_at is None or now < since_at + timedelta(seconds=LEFT_PATIENCE_S):
            return 0
        changes = [
            (ticket, left_behind(ticket, now))
            for ticket in tickets
            if not ticket.is_of(connection) and not is_leased(ticket.delivery, now)
        ]
        conflicts = {before.ticket_id for before, _ in await self.store.update_tickets(changes)}
        given_up = [after for before, after in changes if before.ticket_id not in conflicts]
        for ticket in given_up:
            with log_context(ticket_id=ticket.ticket_id):
                _log_outcome(ticket)
        return len(given_up)

    async def retry(self, connection: Connection, ticket: Ticket, *, although_outcome_unknown: bool = False) -> Ticket:
        """Attempt to deliver a failed or waiting ticket now, at a person's request.

        A ticket of an instance that the connection has left goes to the present one.

        Args:
            although_outcome_unknown: Send it to the present instance although the former one may have its record.

        Raises:
            RowUnreadable, FixRequest: As :meth:`raise_unless_retriable`; also 409 ``delivery_under_way`` if somebody
                else was faster.
        """
        now = self.clock()
        self.raise_unless_retriable(connection, ticket, although_outcome_unknown=although_outcome_unknown)
        again = put_back(ticket, connection, now)
        try:
            leased = await self.store.update_ticket(ticket, begin_attempt(as_shared(again, connection), now))
        except RowChanged:
            raise FixRequest("delivery_under_way", status=409) from None
        may_exist = again.delivery.attempt_started_at is not None
        return (await self._attempt(connection, _Attempt(leased, may_exist))).ticket

    def raise_unless_retriable(
        self, connection: Connection, ticket: Ticket, *, although_outcome_unknown: bool = False
    ) -> None:
        """Check whether a person may have the ticket sent again.

        Raises:
            RowUnreadable: Another release made the ticket, and this one does not know its kind.
            FixRequest: 409 ``already_delivered``, ``ticket_dormant`` (the connection was removed),
                ``delivery_under_way`` (an attempt is running, or the outcome of the last one cannot be known yet), or
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
            and progress.attempt_started_at + LEASE > now
        )
        if is_leased(progress, now) or uncertain:
            raise FixRequest("delivery_under_way", status=409)
        unknown_elsewhere = not ticket.is_of(connection) and progress.attempt_started_at is not None
        if unknown_elsewhere and not although_outcome_unknown:
            raise FixRequest("instance_left_outcome_unknown", status=409, correlation_id=ticket.correlation_id)

    async def _attempt(self, connection: Connection, attempt: _Attempt) -> _Attempt:
        """Attempt to deliver a leased ticket; return the attempt with the ticket as stored afterwards."""
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
            _log_outcome(attempt.ticket)
            return attempt

    async def _attempted(self, connection: Connection, attempt: _Attempt) -> Ticket:
        """Return the ticket as the attempt leaves it; store in the attempt why it did not succeed."""
        try:
            return await self._deliver(connection, attempt)
        except (TryLater, Reauthorize, FixConfiguration) as error:
            attempt.error = error
            now = self.clock()
            unknown = attempt.may_exist or error.may_be_written
            match error:
                case TryLater() | Reauthorize() | InstanceClosed():
                    after = postponed(attempt.ticket, error, now, jitter=self.random(), unknown=unknown)
                case AccessRefused():
                    after = refused(attempt.ticket, error, now, unknown=unknown)
                case _:
                    after = failed(attempt.ticket, error, now, unknown=unknown)
            return _as_known(attempt.ticket, after)

    async def _note(self, connection: Connection, after: Ticket, error: ConnectorError | None) -> None:
        """Record on the connection how the call went."""
        match error:
            case None if after.record is not None:
                await self.notes.succeeded(connection, Operation.DELIVERY)
            case TryLater() | Reauthorize() | AccessRefused():
                # Only these two are kept until a delivery succeeds; any success disproves the others.
                lasts = isinstance(error, AccessRefused | OutcomeUnknown)
                await self.notes.failed(connection, error, Operation.DELIVERY if lasts else None)
            case _:
                pass  # A problem with the values of one ticket says nothing about the connection.

    async def _store(self, ticket: Ticket, after: Ticket) -> Ticket:
        """Store the outcome.

        If the row has changed (the lease ran out, or the answer to our own write was lost), it stays as it is, except
        that a record that is in ServiceNow is never forgotten.
        """
        try:
            return await self.store.update_ticket(ticket, after)
        except RowChanged:
            current = await self.store.get_ticket(ticket.connection_id, ticket.ticket_id)
        assert current is not None, "a ticket that exists is never deleted"
        if current.record is not None or after.record is None:
            return current
        return await self.store.update_ticket(current, _delivered_meanwhile(ticket, after, current))

    async def _deliver(self, connection: Connection, attempt: _Attempt) -> Ticket:
        """Send the ticket; if ServiceNow refuses the access token of the write, look it up and send it once more."""
        try:
            return await self._looked_up_and_sent(connection, attempt)
        except AccessTokenRefused as error:
            if not error.may_be_written:
                raise
        # ServiceNow may have written the record anyway.
        attempt.may_exist = True
        return await self._looked_up_and_sent(connection, attempt)

    async def _looked_up_and_sent(self, connection: Connection, attempt: _Attempt) -> Ticket:
        ticket = attempt.ticket
        if has_hidden_record(ticket):
            return self._adopted(ticket, await self._look_up_hidden(connection, ticket))
        if attempt.may_exist and (records := await self._look_up(connection, ticket)):
            return self._adopted(ticket, records)
        try:
            record = await self._created(connection, ticket)
        except InstanceClosed:
            raise
        except FixConfiguration:
            # The record may exist: the write was committed after the look-up, or a proxy sent it twice. It is not
            # documented how ServiceNow refuses a sys_id in use, and a customer's duplicate rule has its own message.
            if records := await self._look_up_after_refusal(connection, ticket):
                return self._adopted(ticket, records)
            raise
        return delivered(ticket, record, self.clock())

    async def _created(self, connection: Connection, ticket: Ticket) -> Record:
        """Insert the record in the requester's name, unless ServiceNow must not learn who that is.

        If nobody in ServiceNow has the requester's address, that is remembered for a while. It is checked again when a
        person asks for the attempt, or when ServiceNow refuses the record for a mandatory field: somebody may have
        added the user since.
        """
        # Asking who has an address would give ServiceNow the address.
        email = real_address(ticket.content.requester.email or "") if ticket.content.shares_requester else ""
        settings = connection.kinds[ticket.content.kind]
        asked_for = bool(ticket.timeline) and ticket.timeline[-1].kind is EventKind.RETRIED
        requester = None
        if email:
            requester = await self.requesters.sys_id_of(connection, email, afresh=asked_for)
        try:
            return await self.records.create_record(
                connection, ticket, settings, requester, send_by=send_by(ticket.delivery.leased_until_at)
            )
        except MandatoryFieldsMissing:
            if not email or requester is not None:
                raise
            requester = await self.requesters.sys_id_of(connection, email, afresh=True)
            if requester is None:
                raise
        return await self.records.create_record(
            connection, ticket, settings, requester, send_by=send_by(ticket.delivery.leased_until_at)
        )

    async def _look_up(self, connection: Connection, ticket: Ticket) -> Sequence[Record]:
        """Return the records of the ticket. If the look-up fails, the outcome of the write stays unknown."""
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

    async def _look_up_hidden(self, connection: Connection, ticket: Ticket) -> Sequence[Record]:
        """Return the records of a ticket that certainly has one. Raises RecordHidden if none is shown."""
        try:
            records = await self._look_up(connection, ticket)
        except RecordsHidden:
            records = ()
        if not records:
            raise RecordHidden(correlation_id=ticket.correlation_id)
        return records

    async def _look_up_after_refusal(self, connection: Connection, ticket: Ticket) -> Sequence[Record]:
        try:
            return await self._look_up(connection, ticket)
        except InstanceClosed:
            raise
        except AccessRefused:
            return ()  # We may not look, so the refusal of the write counts.

    def _adopted(self, ticket: Ticket, records: Sequence[Record]) -> Ticket:
        now = self.clock()
        adopted = delivered(ticket, records[0], now, found=True)
        for other in records[1:]:
            adopted = doubled(adopted, other, now)
        return adopted


def _delivered_meanwhile(ticket: Ticket, after: Ticket, current: Ticket) -> Ticket:
    """Return the delivered ticket with what somebody else has changed in it since it was leased.

    Its recommendations are people's to change, also while it is being delivered.
    """
    new = (event for event in after.timeline if event not in ticket.timeline)
    return replace(
        after,
        content=replace(after.content, references=current.content.references),
        verification=current.verification,
        timeline=(*current.timeline, *new),
        kept=current.kept,
        etag=current.etag,
    )


@dataclass(slots=True)
class _Attempt:
    """One attempt to deliver a ticket.

    Attributes:
        ticket: As leased, and in the end as stored.
        may_exist: An earlier write has an unknown outcome, so the attempt begins with a look-up.
        error: Why the attempt did not succeed.
    """

    ticket: Ticket
    may_exist: bool = False
    error: TryLater | Reauthorize | FixConfiguration | None = None


def _due_at(ticket: Ticket) -> datetime:
    progress = ticket.delivery
    return progress.next_attempt_at or progress.leased_until_at or ticket.created_at


def _log_outcome(ticket: Ticket) -> None:
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
