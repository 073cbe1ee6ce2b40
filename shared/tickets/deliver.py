"""Delivery: a pending ticket becomes a record in ServiceNow, once.

A write whose outcome is not known is never repeated before a look-up, and not while the first may still be committed
(ServiceNow cancels a transaction after 60 s, wire document 3). One deliverer at a time works on a ticket: the lease
stands in the ticket's row and is taken by its etag.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from shared.clock import Clock
from shared.connections.model import Connection
from shared.connections.ports import InstanceAccess, RowChanged
from shared.errors import (
    ConnectorError,
    FixConfiguration,
    FixRequest,
    OutcomeUnknown,
    Reauthorize,
    RowUnreadable,
    ServiceNowUnavailable,
    TryLater,
    ValuesRefused,
)
from shared.log import log_context, log_event
from shared.telemetry import DELIVERY_AGE, TICKETS_DELIVERED, TICKETS_FAILED, span
from shared.tickets.access import with_access
from shared.tickets.addresses import real_address
from shared.tickets.apply import delivered, doubled
from shared.tickets.model import TABLES, Delivery, DeliveryProgress, EventKind, Record, Ticket
from shared.tickets.ports import InstanceDoor, InstanceHealth, RequesterDirectory, TicketRecords, TicketStore
from shared.tickets.timeline import with_event

COMMIT_MAY_TAKE_S: Final = 65.0
"""ServiceNow's 60 s transaction quota and a little for the way there."""
WRITE_MAY_TAKE_S: Final = 30.0
"""So long a write may be on its way before the client gives it up."""
LEASE_S: Final = 150.0
"""How long one deliverer has a ticket. Nothing is sent any more once a write could still be committed after that, so
that whoever comes next, after a crash as well, does not look the record up too early."""
PENDING_PAGE: Final = 500
FIRST_BACKOFF_S: Final = 30.0
LONGEST_BACKOFF_S: Final = 3600.0
POSTPONING_CODES: Final = frozenset({"ip_address_blocked", "access_scope_missing"})
"""Refusals that concern the connection as a whole: its tickets wait instead of failing one by one."""


def backoff_s(attempts: int, retry_after_s: float | None, jitter: float) -> float:
    """Return how long to wait after so many attempts: doubling, at most an hour, never less than was asked for.

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
        and (progress.leased_until_at is None or progress.leased_until_at <= now)
    )


def postponed(ticket: Ticket, error: ConnectorError, now: datetime, *, jitter: float, unknown: bool) -> Ticket:
    """Return the ticket after an attempt that is to be repeated later.

    Args:
        unknown: The write may have been carried out; the next attempt looks it up first.
    """
    asked = error.retry_after_s if isinstance(error, TryLater) else None
    # What a missing consent is waited for is a person, not the clock: the ticket goes with the first run afterwards.
    wait = 0.0 if isinstance(error, Reauthorize) else backoff_s(ticket.delivery.attempts, asked, jitter)
    if unknown:
        wait = max(wait, COMMIT_MAY_TAKE_S)
    after = replace(
        ticket,
        delivery=DeliveryProgress(
            attempts=ticket.delivery.attempts,
            attempt_started_at=ticket.delivery.attempt_started_at if unknown else None,
            next_attempt_at=now + timedelta(seconds=wait),
            error_code=error.code,
            error_message=error.message,
            next_step=error.next_step or None,
        ),
    )
    if ticket.delivery.error_code == error.code:
        return after
    return with_event(after, EventKind.DELIVERY_POSTPONED, now, code=error.code, message=error.message)


def failed(ticket: Ticket, error: ConnectorError, now: datetime, *, unknown: bool) -> Ticket:
    """Return the ticket after ServiceNow refused it for good.

    Args:
        unknown: An earlier write may have been carried out; a retry looks it up first.
    """
    after = replace(
        ticket,
        delivery=DeliveryProgress(
            status=Delivery.FAILED,
            attempts=ticket.delivery.attempts,
            attempt_started_at=ticket.delivery.attempt_started_at if unknown else None,
            error_code=error.code,
            error_message=error.message,
            next_step=error.next_step or None,
            error_status=error.status,
        ),
    )
    return with_event(after, EventKind.DELIVERY_FAILED, now, code=error.code, message=error.message)


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


@dataclass(frozen=True, slots=True)
class TicketDelivery:
    """Delivers tickets; see the module's description for what it promises."""

    store: TicketStore
    records: TicketRecords
    door: InstanceDoor
    requesters: RequesterDirectory
    health: InstanceHealth
    clock: Clock
    random: Callable[[], float] = field(default=random.random)

    async def deliver_first(self, connection: Connection, ticket: Ticket) -> Ticket:
        """Attempt the delivery of a ticket that has just been stored with :func:`begin_attempt`."""
        return await self._attempt(connection, ticket, may_stand_there=False)

    async def deliver_again(self, connection: Connection, ticket: Ticket) -> Ticket:
        """Take the lease and attempt the delivery; returns the ticket as it is when somebody else has it."""
        now = self.clock()
        if not is_deliverable(ticket, now):
            return ticket
        may_stand_there = ticket.delivery.attempt_started_at is not None
        try:
            leased = await self.store.update_ticket(ticket, begin_attempt(ticket, now))
        except RowChanged:
            return await self.store.get_ticket(ticket.connection_id, ticket.ticket_id) or ticket
        return await self._attempt(connection, leased, may_stand_there=may_stand_there)

    async def deliver_pending(self, connection: Connection, *, deadline: datetime) -> DeliveryCounts:
        """Deliver what is due, oldest first, until the deadline or until ServiceNow does not answer."""
        counts = DeliveryCounts()
        async for ticket in self._pending(connection):
            now = self.clock()
            if now >= deadline:
                break
            if not is_deliverable(ticket, now):
                continue
            outcome = await self.deliver_again(connection, ticket)
            counts.count(outcome)
            if outcome.delivery.status is Delivery.PENDING:
                break
        return counts

    async def _pending(self, connection: Connection) -> AsyncIterator[Ticket]:
        """Go through the outbox, oldest first, without the tickets of an instance that the connection has left."""
        after: str | None = None
        while True:
            tickets = await self.store.list_pending(connection.connection_id, limit=PENDING_PAGE, after=after)
            for ticket in tickets:
                if ticket.is_of(connection):
                    yield ticket
            if len(tickets) < PENDING_PAGE:
                return
            after = tickets[-1].ticket_id

    async def retry(self, connection: Connection, ticket: Ticket) -> Ticket:
        """Attempt a failed or waiting ticket now, because a person asked for it.

        Raises:
            RowUnreadable: Another release made the ticket, of a kind that this one does not know.
            FixRequest: 409 ``already_delivered``, or 409 ``delivery_under_way`` while an attempt runs or the outcome of
                the last one cannot be known yet.
        """
        now = self.clock()
        if not ticket.is_sendable:
            raise RowUnreadable("tickets")
        if ticket.delivery.status is Delivery.DELIVERED:
            raise FixRequest(
                "The ticket already stands in ServiceNow; nothing was sent.", code="already_delivered", status=409
            )
        progress = ticket.delivery
        leased = progress.leased_until_at is not None and progress.leased_until_at > now
        uncertain = (
            progress.status is Delivery.PENDING
            and progress.attempt_started_at is not None
            and progress.attempt_started_at + timedelta(seconds=LEASE_S) > now
        )
        if leased or uncertain:
            raise FixRequest(
                "The last attempt may still succeed; nothing was sent a second time.",
                code="delivery_under_way",
                status=409,
                next_step="Look again in two minutes; the connector goes on by itself.",
            )
        again = with_event(
            replace(ticket, delivery=replace(progress, status=Delivery.PENDING, next_attempt_at=None)),
            EventKind.RETRIED,
            now,
        )
        try:
            leased_ticket = await self.store.update_ticket(ticket, begin_attempt(again, now))
        except RowChanged:
            raise FixRequest(
                "Somebody else is working on this ticket; nothing was sent.",
                code="delivery_under_way",
                status=409,
                next_step="Look again in a minute.",
            ) from None
        return await self._attempt(connection, leased_ticket, may_stand_there=progress.attempt_started_at is not None)

    async def _attempt(self, connection: Connection, ticket: Ticket, *, may_stand_there: bool) -> Ticket:
        with (
            log_context(
                connection_id=ticket.connection_id, ticket_id=ticket.ticket_id, attempt=ticket.delivery.attempts
            ),
            span("ticket_delivery") as attempt,
        ):
            stored = await self._attempted(connection, ticket, may_stand_there=may_stand_there)
            attempt.note(delivery=stored.delivery.status.value)
            if stored.delivery.error_code is not None:
                attempt.failed(stored.delivery.error_code)
            _tell_outcome(stored)
            return stored

    async def _attempted(self, connection: Connection, ticket: Ticket, *, may_stand_there: bool) -> Ticket:
        failure: ConnectorError | None = None
        try:
            after = await self._deliver(connection, ticket, may_stand_there=may_stand_there)
        except OutcomeUnknown as error:
            # It may be this one record that takes ServiceNow too long; it says nothing of the connection.
            after = postponed(ticket, error, self.clock(), jitter=self.random(), unknown=True)
        except (TryLater, Reauthorize, FixConfiguration) as error:
            unknown = may_stand_there or error.may_be_written
            if isinstance(error, FixConfiguration) and error.code not in POSTPONING_CODES:
                after = failed(ticket, error, self.clock(), unknown=unknown)
            else:
                failure = error
                after = postponed(ticket, error, self.clock(), jitter=self.random(), unknown=unknown)
        stored, _ = await asyncio.gather(self._store(ticket, after), self._note(connection, after, failure))
        return stored

    async def _note(self, connection: Connection, after: Ticket, failure: ConnectorError | None) -> None:
        """Keep how the call went; the ticket's own outcome does not depend on whether that could be kept."""
        try:
            if failure is not None:
                await self.health.failed(connection, failure)
            elif after.record is not None:
                await self.health.succeeded(connection)
        except TryLater as error:
            log_event("connection_not_noted", connection_id=connection.connection_id, code=error.code)

    async def _store(self, ticket: Ticket, after: Ticket) -> Ticket:
        """Store the outcome.

        A row that changed meanwhile (the lease ran out, or the answer to our own write was lost) keeps what it has, but
        a record that stands in ServiceNow is never forgotten.
        """
        try:
            return await self.store.update_ticket(ticket, after)
        except RowChanged:
            current = await self.store.get_ticket(ticket.connection_id, ticket.ticket_id)
        assert current is not None, "a ticket that exists is never deleted"
        if current.record is not None or after.record is None:
            return current
        return await self.store.update_ticket(current, replace(after, kept=current.kept, etag=current.etag))

    async def _deliver(self, connection: Connection, ticket: Ticket, *, may_stand_there: bool) -> Ticket:
        return await with_access(
            self.door,
            connection,
            lambda access: self._deliver_with(connection, access, ticket, may_stand_there=may_stand_there),
            after_write=lambda access: self._deliver_with(connection, access, ticket, may_stand_there=True),
        )

    async def _deliver_with(
        self, connection: Connection, access: InstanceAccess, ticket: Ticket, *, may_stand_there: bool
    ) -> Ticket:
        if may_stand_there and (records := await self._look_up(access, ticket)):
            return self._adopted(ticket, records)
        try:
            record = await self._created(connection, access, ticket)
        except FixConfiguration:
            # An earlier attempt may have been committed after the look-up; its sys_id is then refused as a duplicate.
            if ticket.delivery.attempts > 1 and (records := await self._look_up(access, ticket)):
                return self._adopted(ticket, records)
            raise
        return delivered(ticket, record, self.clock())

    async def _created(self, connection: Connection, access: InstanceAccess, ticket: Ticket) -> Record:
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
            requester = await self.requesters.sys_id_of(connection, access, email, afresh=asked_for)
        self._refuse_when_late(ticket)
        try:
            return await self.records.create_record(access, ticket, settings, requester)
        except ValuesRefused as error:
            if error.code != "mandatory_fields_missing" or not email or requester is not None:
                raise
            requester = await self.requesters.sys_id_of(connection, access, email, afresh=True)
            if requester is None:
                raise
        self._refuse_when_late(ticket)
        return await self.records.create_record(access, ticket, settings, requester)

    def _refuse_when_late(self, ticket: Ticket) -> None:
        """Raise ServiceNowUnavailable when a write that is sent now could be committed after the lease."""
        assert ticket.delivery.leased_until_at is not None, "an attempt has the lease"
        if self.clock() > ticket.delivery.leased_until_at - timedelta(seconds=WRITE_MAY_TAKE_S + COMMIT_MAY_TAKE_S):
            raise ServiceNowUnavailable("The way to ServiceNow took too long; the ticket was not sent this time.")

    async def _look_up(self, access: InstanceAccess, ticket: Ticket) -> list[Record]:
        return list(
            await self.records.find_records(
                access,
                TABLES[ticket.content.kind],
                sys_id=ticket.ticket_id,
                correlation_id=ticket.correlation_id,
            )
        )

    def _adopted(self, ticket: Ticket, records: list[Record]) -> Ticket:
        now = self.clock()
        adopted = delivered(ticket, records[0], now, found=True)
        for other in records[1:]:
            adopted = doubled(adopted, other, now)
        return adopted


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
