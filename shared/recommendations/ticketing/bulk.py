"""Tickets for many recommendations at once: all are stored before the answer, and delivered afterwards.

The batch with the ids of its tickets comes first, then the claims, then the tickets with their rows in the outbox. So a
request that was interrupted can be repeated with the same key: it goes on where the first one stopped. Nothing runs
after the answer: the timer delivers the tickets, and so does whoever looks at the progress.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from shared.clock import Clock
from shared.connections.lookup import get_known_connection
from shared.connections.model import Connection, ConnectionStatus
from shared.connections.ports import ConnectionStore
from shared.connections.turns import Turns
from shared.errors import Failure, FixRequest
from shared.recommendations.model import ImprovementAction
from shared.recommendations.ports import Batch, ClaimStore, RecommendationStore, Refusal
from shared.recommendations.requests import BatchRequest, Mode
from shared.recommendations.ticketing.create import connection_id_for, texts_of
from shared.recommendations.ticketing.filling_in import filled_in, portal_of
from shared.recommendations.ticketing.ticket_claims import TicketClaims, for_each, open_ticket_refusal
from shared.recommendations.ticketing.tickets_beside import RecommendationTickets
from shared.recommendations.verification import new_verification
from shared.recommendations.verifying.baselines import known_of
from shared.service import service
from shared.tenants.lookup import chosen_tenant
from shared.tenants.model import Tenant
from shared.tenants.ports import TenantStore
from shared.tickets.create import TicketCreation, hashed_members, new_ticket, note_creation, waiting_ticket
from shared.tickets.deliver import DeliveryCounts, TicketDelivery
from shared.tickets.identity import connection_digits, connection_digits_of, is_ticket_id, new_ticket_id
from shared.tickets.model import MOST_REFERENCES, Delivery, EventKind, Requester, Ticket
from shared.tickets.ports import TicketStore
from shared.tickets.requests import wanted_due_at
from shared.tickets.timeline import with_event
from shared.value_object import value_object


@value_object
class BatchItem:
    """What became of one recommendation of a batch.

    Attributes:
        ticket: None if there is none.
        failure: Why there is no ticket; None if there is one.
    """

    key: str
    ticket: Ticket | None = None
    failure: Failure | None = None


@value_object
class BatchProgress:
    """How far the tickets of a batch have come.

    Attributes:
        items: In the order in which the recommendations were asked for, the refused ones last.
        replayed: The idempotency key was used before; this is its batch.
    """

    batch: Batch
    connection: Connection
    items: Sequence[BatchItem]
    replayed: bool = False

    @property
    def tickets(self) -> Sequence[Ticket]:
        """The tickets, each once."""
        return list({each.ticket.ticket_id: each.ticket for each in self.items if each.ticket is not None}.values())

    @property
    def is_done(self) -> bool:
        """Whether no ticket waits any more."""
        return all(ticket.delivery.status is not Delivery.PENDING for ticket in self.tickets)


@service
class TicketBatches:
    """Creates many tickets at once and follows them.

    Attributes:
        portal_url: The Defender portal's base address.
    """

    tenants: TenantStore
    recommendations: RecommendationStore
    beside: RecommendationTickets
    batches: ClaimStore
    claims: TicketClaims
    connections: ConnectionStore
    creation: TicketCreation
    store: TicketStore
    delivery: TicketDelivery
    turns: Turns
    clock: Clock
    portal_url: str

    async def create(
        self, asked: BatchRequest, requester: Requester, *, caller: str, idempotency_key: str | None
    ) -> BatchProgress:
        """Store the tickets, and wake their connection.

        A recommendation that is unknown or gone, or has an open ticket, is refused; the others get their tickets.

        Raises:
            FixRequest: 404 ``tenant_not_found`` or ``connection_not_found``, 409 ``tenant_ambiguous``,
                ``tenant_other_connection``, ``connection_ambiguous`` or ``connection_not_authorized``, 422
                ``too_many_recommendations``, ``kind_not_enabled`` or ``idempotency_key_reused``.
            StorageUnavailable: Some may be stored; repeating the request with the same key is safe.
        """
        if asked.mode is Mode.ALL and len(asked.recommendation_ids) > MOST_REFERENCES:
            raise FixRequest("too_many_recommendations", status=422, variant="at_once", limit=MOST_REFERENCES)
        tenant = await chosen_tenant(self.tenants, asked.tenant_id)
        batch_id = new_ticket_id(self.clock(), tenant.tenant_id)
        asked_members = hashed_members(asked.model_dump(mode="json", exclude_unset=True))
        reserved = await self.creation.reserve(asked_members, requester, caller, idempotency_key, batch_id)
        batch = await self.batches.get_batch(tenant.tenant_id, reserved) if reserved != batch_id else None
        replayed = batch is not None
        wanted = connection_id_for(tenant, asked.connection_id) if batch is None else batch.connection_id
        connection = await self.creation.usable_connection(wanted)
        actions = {action.key: action for action in await self.recommendations.list_actions(tenant.tenant_id)}
        if batch is None:
            refuse_unusable(asked, connection)
            planned = await self._planned(asked, reserved, tenant, connection, caller, actions)
            batch = await self.batches.create_batch(planned)
        await self._store(batch, asked, requester, tenant, connection, actions)
        return replace(await self._progress(batch), replayed=replayed)

    async def progress(self, batch_id: str) -> BatchProgress:
        """Return how far the tickets of a batch have come. Raises FixRequest (404 ``batch_not_found``)."""
        return await self._progress(await self._known(batch_id))

    async def deliver_some(self, batch_id: str, *, within_s: float) -> BatchProgress:
        """Deliver tickets of a batch that are due, for so long; return how far they have come.

        The timer may do the same at the same time: each ticket is leased.

        Raises FixRequest (404 ``batch_not_found``).
        """
        deadline = self.clock() + timedelta(seconds=within_s)
        progress = await self.progress(batch_id)
        waiting = [each for each in progress.tickets if each.delivery.status is Delivery.PENDING]
        if not waiting or progress.connection.status is not ConnectionStatus.CONNECTED:
            return progress
        here = [ticket for ticket in waiting if ticket.is_of(progress.connection)]
        await self.delivery.deliver_due(progress.connection, here, DeliveryCounts(), deadline=deadline)
        return await self._progress(progress.batch)

    async def _planned(
        self,
        asked: BatchRequest,
        batch_id: str,
        tenant: Tenant,
        connection: Connection,
        caller: str,
        actions: Mapping[str, ImprovementAction],
    ) -> Batch:
        """Return the batch to store: the tickets' ids, and the recommendations that are refused at once."""
        beside = await self.beside.of_tenant(tenant.tenant_id)
        now = self.clock()
        keys, refused = [], []
        for key in dict.fromkeys(asked.recommendation_ids):
            action = actions.get(key)
            open_ticket = next(filter(beside.is_open, beside.tickets.get(key, ())), None)
            error: FixRequest | None = None
            if action is None:
                error = FixRequest("recommendation_not_found", status=404, recommendation_id=key)
            elif action.gone_at is not None:
                error = FixRequest("recommendation_gone", status=409, recommendation_id=key)
            elif (portal := portal_of([action])) not in connection.portals:
                error = FixRequest("portal_not_enabled", status=422, portal=portal)
            elif open_ticket is not None and not asked.create_another:
                error = open_ticket_refusal(key, open_ticket, connection.connection_id)
            if error is None:
                keys.append(key)
            else:
                refused.append(Refusal(key, error.failure))
        count = len(keys) if asked.mode is Mode.EACH else min(len(keys), 1)
        return Batch(
            tenant_id=tenant.tenant_id,
            batch_id=batch_id,
            connection_id=connection.connection_id,
            requested_by=caller,
            requested_at=now,
            # A millisecond apart, so that they are delivered in the order in which they were asked for.
            ticket_ids=tuple(
                new_ticket_id(now + timedelta(milliseconds=number), connection.connection_id) for number in range(count)
            ),
            keys=tuple(keys),
            refused=tuple(refused),
        )

    async def _store(
        self,
        batch: Batch,
        asked: BatchRequest,
        requester: Requester,
        tenant: Tenant,
        connection: Connection,
        actions: Mapping[str, ImprovementAction],
    ) -> None:
        """Store the tickets of a batch that are not stored yet and whose recommendations are free."""
        present = await self.store.get_tickets(batch.connection_id, batch.ticket_ids, whole=False)
        missing = {
            ticket_id: [actions[key] for key in keys if key in actions]
            for ticket_id, keys in tickets_of_batch(batch).items()
            if ticket_id not in present
        }
        wanted = [action for some in missing.values() for action in some]
        texts = await texts_of(self.recommendations, tenant.tenant_id, wanted)
        tickets: dict[str, Ticket] = {}

        async def claim(ticket_id: str) -> None:
            free = await self._claimed(batch.connection_id, ticket_id, missing[ticket_id], asked.create_another)
            if free:
                request = filled_in(
                    asked,
                    free,
                    texts,
                    requester,
                    portal_url=self.portal_url,
                    now=batch.requested_at,
                    language=connection.language,
                )
                ticket = new_ticket(ticket_id, request, requester, connection, batch.requested_at)
                references = tuple(action.reference for action in free)
                content = replace(ticket.content, references=references, company=tenant.company)
                verification = new_verification(references, [known_of(tenant, free)], batch.requested_at)
                ticket = replace(ticket, content=content, verification=verification)
                ticket = with_event(ticket, EventKind.CREATED, batch.requested_at)
                connected = connection.status is ConnectionStatus.CONNECTED
                tickets[ticket_id] = ticket if connected else waiting_ticket(ticket, connection)

        await for_each(missing, claim)
        stored = await self.store.create_tickets([tickets[each] for each in missing if each in tickets])
        for ticket in stored:
            note_creation(ticket)
        if stored:
            await self.turns.wake(batch.connection_id)

    async def _claimed(
        self, connection_id: str, ticket_id: str, actions: Sequence[ImprovementAction], another: bool
    ) -> Sequence[ImprovementAction]:
        """Claim recommendations for a ticket; return those that somebody else has not claimed meanwhile."""
        free = []
        for action in actions:
            with suppress(FixRequest):
                await self.claims.take_one(action.reference, connection_id, ticket_id, another=another)
                free.append(action)
        return free

    async def _known(self, batch_id: str) -> Batch:
        """Return a batch; its id says which tenants it can belong to."""
        if is_ticket_id(batch_id):
            for tenant in await self.tenants.list_tenants():
                if connection_digits(tenant.tenant_id) == connection_digits_of(batch_id):
                    batch = await self.batches.get_batch(tenant.tenant_id, batch_id)
                    if batch is not None:
                        return batch
        raise FixRequest("batch_not_found", status=404)

    async def _progress(self, batch: Batch) -> BatchProgress:
        connection, stored = await asyncio.gather(
            get_known_connection(self.connections, batch.connection_id),
            self.store.get_tickets(batch.connection_id, batch.ticket_ids),
        )
        items = [
            _item(batch, key, stored.get(ticket_id))
            for ticket_id, keys in tickets_of_batch(batch).items()
            for key in keys
        ]
        refused = [BatchItem(refusal.key, failure=refusal.failure) for refusal in batch.refused]
        return BatchProgress(batch, connection, [*items, *refused])


def tickets_of_batch(batch: Batch) -> Mapping[str, Sequence[str]]:
    """Return the keys of the recommendations that each ticket is for, by ticket id."""
    if len(batch.ticket_ids) == len(batch.keys):
        return {ticket_id: [key] for ticket_id, key in zip(batch.ticket_ids, batch.keys, strict=True)}
    return dict.fromkeys(batch.ticket_ids, batch.keys)


def refuse_unusable(asked: BatchRequest, connection: Connection) -> None:
    """Raise FixRequest (422) if no ticket can be made of a request, whatever it is for."""
    if not connection.kinds[asked.kind].enabled:
        raise FixRequest("kind_not_enabled", status=422, kind=asked.kind)
    wanted_due_at("invalid_batch", asked.due_date, connection)


def _item(batch: Batch, key: str, ticket: Ticket | None) -> BatchItem:
    """Return what became of a recommendation; of several for one ticket, some may have been claimed by others."""
    is_for_it = ticket is not None and (
        len(batch.keys) == 1 or len(batch.ticket_ids) > 1 or any(each.key == key for each in ticket.content.references)
    )
    return BatchItem(key, ticket) if is_for_it else BatchItem(key, failure=Failure("ticket_not_created"))
