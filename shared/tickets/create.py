"""Creation: a request becomes a stored ticket and, if ServiceNow answers, a delivered one.

The ticket is stored before anything is sent, so nothing is lost. The idempotency key is reserved for the ticket's id
before the ticket is stored, so nothing is doubled: a request with the same key finds the same row, on any instance of
the app. So are the claims on stored recommendations that it is for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from shared.access.current import current_access, sees_everything
from shared.access.model import EVERYTHING
from shared.clock import Clock
from shared.connections.lookup import list_present_connections
from shared.connections.model import Connection, ConnectionStatus
from shared.connections.ports import ConnectionStore
from shared.connections.turns import Turns
from shared.errors import (
    ConfirmationNeeded,
    ConnectionNotAuthorized,
    Failure,
    FixRequest,
    IdempotencyKeyReused,
    StorageUnavailable,
)
from shared.log import log_context, log_event
from shared.service import service
from shared.telemetry import TICKETS_CREATED, span
from shared.tickets.deliver import TicketDelivery, begin_attempt
from shared.tickets.identity import key_hash, new_ticket_id, request_hash
from shared.tickets.model import Delivery, DeliveryProgress, EventKind, RecommendationReference, Requester, Ticket
from shared.tickets.outcomes import Verification
from shared.tickets.ports import (
    Companies,
    IdempotencyReservation,
    IdempotencyStore,
    RecommendationClaims,
    TicketExists,
    TicketGivenUp,
    TicketStore,
)
from shared.tickets.requests import TicketRequest, ticket_content
from shared.tickets.search import TicketSearch
from shared.tickets.timeline import with_event
from shared.tickets.warnings import TicketWarning, keys_of, warnings_about
from shared.value_object import value_object

WAIT_FOR_TWIN_S: Final = 10.0
"""How long a repeated request waits for the first one to end."""
POLL_S: Final = 0.25
_LATER_MEMBERS: Final = frozenset({"assignment_group", "assigned_to", "configuration_item"})
LOOKED_AT: Final = 3
"""How many of the newest tickets with the same recommendation id, link or name are checked for an open one."""


@value_object
class Creation:
    """The result of a request.

    Attributes:
        replayed: The idempotency key was used before; this is its ticket.
        warnings: Possible mistakes; the ticket was created anyway.
    """

    ticket: Ticket
    connection: Connection | None
    replayed: bool
    warnings: Sequence[TicketWarning] = ()


@value_object
class Recommended:
    """The stored recommendations that a new ticket is for.

    Attributes:
        company: ``sys_id`` of the ServiceNow company of their tenant, or None.
        another: The caller knows that there may be an open ticket for one of them.
        asked: The request as the caller sent it, before missing values were filled in from them.
        verification: What was measured for them before the ticket.
    """

    references: tuple[RecommendationReference, ...]
    company: str | None
    another: bool
    asked: Mapping[str, object]
    verification: Verification


@service
class TicketCreation:
    """Creates tickets; see the module's description for what it promises."""

    connections: ConnectionStore
    store: TicketStore
    reservations: IdempotencyStore
    search: TicketSearch
    claims: RecommendationClaims
    turns: Turns
    delivery: TicketDelivery
    companies: Companies
    clock: Clock
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def create(
        self,
        request: TicketRequest,
        requester: Requester,
        *,
        caller: str,
        idempotency_key: str | None,
        accepted: Collection[str] | None = None,
        recommended: Recommended | None = None,
    ) -> Creation:
        """Store the ticket and try to deliver it at once.

        Args:
            caller: The caller's object id; idempotency keys of different callers never collide.
            idempotency_key: The caller's key for this request, or None.
            accepted: Keys of the warnings that a person has accepted; None if nobody has to.
            recommended: The stored recommendations that it is for; None if there are none.

        Raises:
            FixRequest: 404 ``connection_not_found``, 409 ``connection_not_authorized``, ``connection_ambiguous`` or
                ``confirmation_needed`` (a warning was not accepted; the same key can be used to confirm),
                404 ``tenant_not_found``, 409 ``tenant_other_connection``,
                409 ``recommendation_has_open_ticket``, ``ticket_being_created`` or ``ticket_given_up``,
                422 ``idempotency_key_reused`` or what :func:`shared.tickets.requests.ticket_content` raises.
            StorageUnavailable: Nothing was stored, or we do not know; repeating with the same key is safe.
        """
        now = self.clock()
        asked = asked_members(request) if recommended is None else recommended.asked
        connection: Connection | BaseException
        if request.connection_id is None:
            # The ticket's id names its connection, so the connection must be known first.
            [connection] = await asyncio.gather(self._connection_for(request), return_exceptions=True)
            known = connection.connection_id if isinstance(connection, Connection) else ""
            ticket_id = new_ticket_id(now, known)
            reserved: str | BaseException = await self.reserve(asked, requester, caller, idempotency_key, ticket_id)
        else:
            ticket_id = new_ticket_id(now, request.connection_id)
            reserved, connection = await asyncio.gather(
                self.reserve(asked, requester, caller, idempotency_key, ticket_id),
                self._connection_for(request),
                return_exceptions=True,
            )
        if isinstance(reserved, BaseException):
            raise reserved
        if reserved != ticket_id and (replayed := await self._replayed(reserved)) is not None:
            return replayed
        if isinstance(connection, BaseException):
            raise connection
        ticket = new_ticket(reserved, request, requester, connection, now)
        if recommended is None:
            ticket = await self._with_company(ticket, request)
        else:
            content = replace(ticket.content, references=recommended.references, company=recommended.company)
            ticket = replace(ticket, content=content, verification=recommended.verification)
        ticket = with_event(ticket, EventKind.CREATED, now)
        if accepted is not None and not keys_of(await self.warnings(ticket)) <= frozenset(accepted):
            raise ConfirmationNeeded()
        with (
            log_context(connection_id=ticket.connection_id, ticket_id=ticket.ticket_id),
            span("ticket_creation"),
        ):
            # Warnings are only advice: look at other tickets while ServiceNow works, so that nobody waits longer.
            if recommended is not None:
                await self.claims.take(ticket, another=recommended.another)
            created, warnings = await asyncio.gather(self._created(connection, ticket, now), self._advice(ticket))
            return replace(created, warnings=warnings)

    async def made_before(
        self, asked: Mapping[str, object], requester: Requester, caller: str, idempotency_key: str | None
    ) -> Creation | None:
        """Return the ticket that was made with this key, or None.

        Raises FixRequest (422 ``idempotency_key_reused``) or StorageUnavailable.
        """
        new_id = new_ticket_id(self.clock(), "")
        reserved = await self.reserve(asked, requester, caller, idempotency_key, new_id)
        return None if reserved == new_id else await self._replayed(reserved)

    async def _replayed(self, ticket_id: str) -> Creation | None:
        found = await self._stored(ticket_id)
        if found is None:
            return None
        # The caller looks second: a ticket that is stored only now must not seem to be hidden.
        if current_access() != EVERYTHING and await self.search.find(ticket_id) is None:
            raise IdempotencyKeyReused()
        twin, connection = found
        warnings = await self.warnings(twin)
        return Creation(await self._settled(twin), connection, replayed=True, warnings=warnings)

    @sees_everything
    async def _stored(self, ticket_id: str) -> tuple[Ticket, Connection] | None:
        """Return the ticket with this id and its connection, although the caller may no longer see it."""
        return await self.search.find(ticket_id)

    async def draft(self, request: TicketRequest, requester: Requester) -> tuple[Ticket, Connection]:
        """Return the ticket that a request would become, and its connection; store nothing.

        Raises what :meth:`create` raises for a request that cannot become a ticket.
        """
        now = self.clock()
        connection = await self._connection_for(request)
        ticket_id = new_ticket_id(now, connection.connection_id)
        ticket = new_ticket(ticket_id, request, requester, connection, now)
        return await self._with_company(ticket, request), connection

    async def _connection_for(self, request: TicketRequest) -> Connection:
        """Return the connection that the request names, else that of the tenant that it names, else the only one."""
        connection_id = request.connection_id
        if connection_id is None and request.tenant_id is not None:
            connection_id = await self.companies.connection_of(request.tenant_id)
        return await self.usable_connection(connection_id)

    async def _with_company(self, ticket: Ticket, request: TicketRequest) -> Ticket:
        company = await self.companies.company_for(ticket.connection_id, request.tenant_id)
        return replace(ticket, content=replace(ticket.content, company=company))

    async def warnings(self, ticket: Ticket) -> Sequence[TicketWarning]:
        """Return the warnings about a ticket; later tickets do not count. Raises StorageUnavailable."""
        return warnings_about(ticket, await self.store.list_of_recommendation(ticket, limit=LOOKED_AT))

    async def _advice(self, ticket: Ticket) -> Sequence[TicketWarning]:
        """Return the warnings about a ticket, without those about other tickets if storage does not answer."""
        try:
            return await self.warnings(ticket)
        except StorageUnavailable as error:
            log_event("other_tickets_not_looked_at", level=logging.WARNING, code=error.code)
            return warnings_about(ticket, [])

    async def _created(self, connection: Connection, ticket: Ticket, now: datetime) -> Creation:
        at_once = connection.status is ConnectionStatus.CONNECTED
        begun = begin_attempt(ticket, now) if at_once else waiting_ticket(ticket, connection)
        try:
            ticket = await self.store.create_ticket(begun)
        except TicketExists:
            stored = await self.store.get_ticket(ticket.connection_id, ticket.ticket_id)
            assert stored is not None, "a ticket that exists is never deleted"
            return Creation(await self._settled(stored), connection, replayed=True)
        except TicketGivenUp:
            raise FixRequest("ticket_given_up", status=409) from None
        note_creation(ticket)
        if ticket.delivery != begun.delivery:
            # The answer to the insert was lost for so long that another host has begun to deliver the ticket.
            ticket = await self._settled(ticket)
        elif at_once:
            ticket = await self.delivery.deliver_first(connection, ticket)
        if ticket.delivery.status is Delivery.PENDING:
            await self.turns.wake(ticket.connection_id)
        return Creation(ticket, connection, replayed=False)

    async def reserve(
        self,
        asked: Mapping[str, object],
        requester: Requester,
        caller: str,
        idempotency_key: str | None,
        ticket_id: str,
    ) -> str:
        """Return the ticket id that the key stands for: the given id unless the key was used before."""
        if idempotency_key is None:
            return ticket_id
        wanted = IdempotencyReservation(
            key_hash=key_hash(caller, idempotency_key),
            request_hash=request_hash({"request": asked, "requester": requester.id}),
            ticket_id=ticket_id,
            reserved_at=self.clock(),
        )
        stored = await self.reservations.reserve(wanted)
        if stored.request_hash != wanted.request_hash:
            raise IdempotencyKeyReused()
        return stored.ticket_id

    async def usable_connection(self, connection_id: str | None) -> Connection:
        """Return the connection for a new ticket; without an id, the only connection.

        Raises FixRequest: 404 ``connection_not_found``, 409 ``connection_not_authorized`` or ``connection_ambiguous``.
        """
        if connection_id is not None:
            connection = await self.connections.get_connection(connection_id)
        else:
            present = await list_present_connections(self.connections)
            if len(present) > 1:
                raise FixRequest(
                    "connection_ambiguous",
                    status=409,
                    connection_ids=[candidate.connection_id for candidate in present],
                )
            connection = present[0] if present else None
        if connection is None:
            raise FixRequest("connection_not_found", status=404)
        if not connection.ever_consented or connection.is_removed:
            raise ConnectionNotAuthorized()
        return connection

    async def _settled(self, twin: Ticket) -> Ticket:
        """Return the ticket made earlier with the same key; if its first delivery is under way, wait a little."""
        waited = 0.0
        while _under_way(twin, self.clock()) and waited < WAIT_FOR_TWIN_S:
            await self.sleep(POLL_S)
            waited += POLL_S
            twin = await self.store.get_ticket(twin.connection_id, twin.ticket_id) or twin
        return twin


def hashed_members(asked: Mapping[str, object]) -> Mapping[str, object]:
    """Return what is hashed for an idempotency key, from the members of a request.

    Members that earlier code does not know count only when they are given: a request that was answered before they
    existed is still the same.
    """
    return {name: value for name, value in asked.items() if name not in _LATER_MEMBERS or value is not None}


def asked_members(request: TicketRequest) -> Mapping[str, object]:
    """Return what is hashed for an idempotency key, for a ticket without stored recommendations."""
    # Releases that knew no tenant here left it out.
    later = {"tenant_id"} if request.tenant_id is None else set[str]()
    return hashed_members(request.model_dump(mode="json", exclude=later))


def note_creation(ticket: Ticket) -> None:
    """Count a stored ticket, and log it."""
    kind, portal = ticket.content.kind.value, ticket.content.portal.value
    TICKETS_CREATED.record(kind=kind, portal=portal)
    log_event("ticket_created", kind=kind, portal=portal)


def new_ticket(
    ticket_id: str, request: TicketRequest, requester: Requester, connection: Connection, now: datetime
) -> Ticket:
    """Return the ticket for a request. Raises what :func:`shared.tickets.requests.ticket_content` raises."""
    return Ticket(
        ticket_id=ticket_id,
        connection_id=connection.connection_id,
        instance=connection.instance,
        content=ticket_content(request, requester, connection),
        created_at=now,
        delivery=DeliveryProgress(),
    )


def _under_way(ticket: Ticket, now: datetime) -> bool:
    progress = ticket.delivery
    leased = progress.leased_until_at is not None and progress.leased_until_at > now
    return progress.status is Delivery.PENDING and leased


def waiting_ticket(ticket: Ticket, connection: Connection) -> Ticket:
    """Return the ticket, waiting for its connection to work again."""
    if connection.last_error is not None:
        failure = connection.last_error.failure
    elif connection.status is ConnectionStatus.UNAVAILABLE:
        failure = Failure("servicenow_unavailable")
    else:
        failure = Failure("reauthorization_required")
    return replace(ticket, delivery=replace(ticket.delivery, failure=failure))
