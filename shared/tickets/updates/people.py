"""What people ask of a ticket's record: it is stored first, and then sent at once if ServiceNow can be reached."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.clock import Clock
from shared.connections.model import Connection, ConnectionStatus
from shared.connections.ports import RowChanged
from shared.connections.turns import Turns
from shared.errors import FixRequest, IdempotencyKeyReused, StorageUnavailable
from shared.log import log_context, log_event
from shared.service import service
from shared.tickets.identity import key_hash, request_hash
from shared.tickets.model import EventKind, Requester, Ticket, TimelineEvent
from shared.tickets.ports import IdempotencyReservation, IdempotencyStore, TicketStore
from shared.tickets.timeline import reaches_back_to
from shared.tickets.updates.ask import asked, asked_again, discarded, may_have_updates, raise_unless_possible
from shared.tickets.updates.model import Update, UpdateStatus, new_update_id
from shared.tickets.updates.requests import UpdateRequest, wanted_by
from shared.tickets.updates.send import UpdateDelivery
from shared.value_object import value_object

TRIES: Final = 5
"""How often to store a request while others change the ticket."""


@value_object
class AskedUpdate:
    """A request's result.

    Attributes:
        ticket: As stored now; its timeline shows what became of the update.
        update: The update if it is still waiting or was refused; None if it is over.
        replayed: The idempotency key was used before; this is its update.
    """

    ticket: Ticket
    update_id: str
    update: Update | None
    replayed: bool = False


@service
class TicketUpdates:
    """Takes people's requests; see the module's description."""

    store: TicketStore
    delivery: UpdateDelivery
    reservations: IdempotencyStore
    turns: Turns
    clock: Clock

    async def ask(
        self,
        connection: Connection,
        ticket: Ticket,
        request: UpdateRequest,
        requester: Requester,
        *,
        caller: str,
        idempotency_key: str | None = None,
    ) -> AskedUpdate:
        """Store what a person asks for, and try to send it.

        Args:
            connection: The ticket's connection.
            ticket: The ticket.
            request: What is wanted.
            requester: Who wants it.
            caller: The caller's object id; idempotency keys of different callers never collide.
            idempotency_key: The caller's key for this request, or None.

        Raises:
            FixRequest: 409 as :func:`raise_unless_possible` and :func:`asked`, or ``update_under_way`` (others change
                the ticket all the time), or ``request_forgotten`` (the key was used so long ago that nobody can tell
                what became of its update); 422 ``idempotency_key_reused`` or what :func:`wanted_by` raises.
            StorageUnavailable: Nothing was stored, or we do not know; repeating with the same key is safe.
        """
        wanted = wanted_by(request, connection)
        new_id = new_update_id(self.clock())
        reservation = await self._reserved(new_id, ticket, request, caller, idempotency_key)
        update_id = new_id if reservation is None else reservation.ticket_id
        present = await self.store.list_updates_of(ticket.connection_id, ticket.ticket_id)
        if reservation is not None and update_id != new_id:
            if (replayed := _replayed(ticket, update_id, present)) is not None:
                return replayed
            if not reaches_back_to(ticket, reservation.reserved_at):
                raise FixRequest("request_forgotten", status=409)
        for _ in range(TRIES):
            raise_unless_possible(ticket, connection, wanted.kind)
            after, change = asked(
                ticket,
                wanted.kind,
                by_id=requester.id,
                by_name=requester.name,
                now=self.clock(),
                text=wanted.text,
                due_at=wanted.due_at,
                present=present,
                update_id=update_id,
            )
            try:
                stored = await self.store.update_ticket(ticket, after, [change])
            except RowChanged:
                # Somebody else has changed the ticket, or the answer to our own write was lost.
                ticket = await self._current(ticket)
                present = await self.store.list_updates_of(ticket.connection_id, ticket.ticket_id)
                if (own := _replayed(ticket, update_id, present)) is None:
                    continue
                return own if own.update is None else await self._sent(connection, ticket, own.update)
            assert change.after is not None, "a new update was asked for"
            log_event("ticket_update_asked", kind=wanted.kind.value, ticket_id=ticket.ticket_id)
            return await self._sent(connection, stored, change.after)
        raise FixRequest("update_under_way", status=409)

    async def retry(self, connection: Connection, ticket: Ticket, update_id: str) -> AskedUpdate:
        """Send a refused or waiting update again.

        Raises:
            FixRequest: 404 ``update_not_found``; 409 ``update_under_way``, ``ticket_dormant`` or ``record_gone``.
        """
        update = await self._found(ticket, update_id)
        raise_unless_possible(ticket, connection, update.kind)
        try:
            again = await self.store.save_update(update, asked_again(update, self.clock()))
        except RowChanged:
            raise FixRequest("update_under_way", status=409) from None
        return await self._sent(connection, ticket, again)

    async def discard(self, ticket: Ticket, update_id: str, requester: Requester) -> Ticket:
        """Delete an update that nobody wants any more, and return the ticket.

        Raises FixRequest: 404 ``update_not_found``, 409 ``update_under_way``.
        """
        for _ in range(TRIES):
            update = await self._found(ticket, update_id)
            after, change = discarded(ticket, update, self.clock(), by_id=requester.id, by_name=requester.name)
            try:
                return await self.store.update_ticket(ticket, after, [change])
            except RowChanged:
                ticket = await self._current(ticket)
                if any(_is_discarded(event, update_id) for event in ticket.timeline):
                    return ticket
        raise FixRequest("update_under_way", status=409)

    async def present(self, ticket: Ticket) -> Sequence[Update]:
        """Return the ticket's updates that are waiting or refused, oldest first. Raises StorageUnavailable.

        Most tickets never have any: then nothing is read.
        """
        if not may_have_updates(ticket):
            return ()
        return await self.store.list_updates_of(ticket.connection_id, ticket.ticket_id)

    async def _current(self, ticket: Ticket) -> Ticket:
        return await self.store.get_ticket(ticket.connection_id, ticket.ticket_id) or ticket

    async def _found(self, ticket: Ticket, update_id: str) -> Update:
        for update in await self.present(ticket):
            if update.update_id == update_id:
                return update
        raise FixRequest("update_not_found", status=404)

    async def _reserved(
        self, new_id: str, ticket: Ticket, request: UpdateRequest, caller: str, idempotency_key: str | None
    ) -> IdempotencyReservation | None:
        """Return what the key stands for, None without a key: the given update id unless the key was used before."""
        if idempotency_key is None:
            return None
        asked_for = request.model_dump(mode="json", exclude_unset=True)
        wanted = IdempotencyReservation(
            key_hash=key_hash(caller, idempotency_key),
            request_hash=request_hash({"update": asked_for, "ticket": ticket.ticket_id}),
            ticket_id=new_id,
            reserved_at=self.clock(),
        )
        stored = await self.reservations.reserve(wanted)
        if stored.request_hash != wanted.request_hash:
            raise IdempotencyKeyReused()
        return stored

    async def _sent(self, connection: Connection, ticket: Ticket, update: Update) -> AskedUpdate:
        """Send a stored update if the connection works; whatever happens, it is stored, and the timer goes on."""
        left: Update | None = update
        with log_context(connection_id=ticket.connection_id, ticket_id=ticket.ticket_id):
            if connection.status is ConnectionStatus.CONNECTED:
                try:
                    ticket, left = await self.delivery.send_now(connection, ticket, update)
                except StorageUnavailable as error:
                    log_event("ticket_update_postponed", kind=str(update.kind), code=error.code)
            if left is not None and left.status is UpdateStatus.WAITING:
                await self.turns.wake(ticket.connection_id)
        return AskedUpdate(ticket, update.update_id, left)


def _replayed(ticket: Ticket, update_id: str, present: Sequence[Update]) -> AskedUpdate | None:
    """Return the update that was stored with this id, or None if it never was."""
    found = next((each for each in present if each.update_id == update_id), None)
    if found is None and not any(event.details.get("update_id") == update_id for event in ticket.timeline):
        return None
    return AskedUpdate(ticket, update_id, found, replayed=True)


def _is_discarded(event: TimelineEvent, update_id: str) -> bool:
    return event.kind is EventKind.UPDATE_DISCARDED and event.details.get("update_id") == update_id
