"""Follow-ups: the ticket that a policy makes after another one, for what is still not fixed.

It is made like a person's ticket: the update that asked for it gives its idempotency key, and it takes the claims. So
there is one, wherever a host stops. It goes to the connection of the ticket before, which it names. If the tenant's
tickets go to another connection by then, none is made: one customer's ServiceNow must say nothing of another's.

It has the kind and the priority of the ticket before, and the group, the assignee and the configuration item that
somebody chose for it; it is due as suggested for a new ticket.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from shared.access.current import sees_everything
from shared.clock import Clock
from shared.connections.lookup import get_known_connection
from shared.connections.model import Connection
from shared.connections.ports import ConnectionStore
from shared.errors import FixRequest, StorageUnavailable
from shared.recommendations.model import ImprovementAction
from shared.recommendations.ports import RecommendationStore
from shared.recommendations.requests import RecommendedTicketRequest
from shared.recommendations.ticketing.tickets_beside import RecommendationTickets
from shared.recommendations.verification import new_verification
from shared.recommendations.verifying.baselines import known_of
from shared.service import service
from shared.tenants.model import Tenant
from shared.tenants.ports import TenantStore
from shared.tickets.create import Recommended, TicketCreation
from shared.tickets.identity import new_ticket_id
from shared.tickets.model import RecommendationReference, Requester, Ticket
from shared.tickets.outcomes import Outcome
from shared.tickets.ports import TicketStore
from shared.tickets.requests import TicketRequest
from shared.tickets.updates.model import Update
from shared.tickets.updates.ports import FollowUp, NoFollowUp
from shared.tickets.updates.texts import POLICY_PREFIX
from shared.tickets.views import record_link
from shared.words.language import language_of

NOT_FIXED: Final = frozenset({Outcome.NOT_FIXED, Outcome.PARTLY, Outcome.REGRESSED})
"""Outcomes after which somebody has to work again."""
_POLICIES: Final = frozenset({"not_fixed", "regressed"})
"""Those that have a name and a reason of their own."""
_TAKEN: Final = frozenset({"recommendation_has_open_ticket", "ticket_being_created", "ticket_given_up"})


@service
class FollowUpTickets:
    """Implements :class:`shared.tickets.updates.ports.FollowUps`.

    Attributes:
        portal_url: The Defender portal's base address.
    """

    tenants: TenantStore
    recommendations: RecommendationStore
    connections: ConnectionStore
    beside: RecommendationTickets
    store: TicketStore
    creation: TicketCreation
    clock: Clock
    portal_url: str

    @sees_everything
    async def make(self, ticket: Ticket, update: Update) -> FollowUp | NoFollowUp:
        """See the port."""
        asked = {"follow_up_of": ticket.ticket_id}
        connection = await get_known_connection(self.connections, ticket.connection_id)
        reserved = await self._reserved(ticket, requester_of(update, connection), update, asked)
        if isinstance(reserved, Ticket):
            return FollowUp(reserved)
        wanted = references_not_fixed(ticket)
        taken = await asyncio.gather(*map(self._open_ticket, wanted))
        free = [reference for reference, other in zip(wanted, taken, strict=True) if other is None]
        if not free:
            return _taken_care_of(ticket, [other for other in taken if other is not None])
        tenants = await self._tenants(free)
        tenants = [each for each in tenants if each.sends_to(ticket.connection_id)]
        if not tenants:
            return NoFollowUp.TENANT_MOVED
        actions = await self._actions(free, tenants)
        tenants = [each for each in tenants if any(action.tenant_id == each.tenant_id for action in actions)]
        request = await self._request(ticket, update, connection, tenants, actions)
        references = tuple(action.reference for action in actions)
        known = [
            known_of(each, [action for action in actions if action.tenant_id == each.tenant_id]) for each in tenants
        ]
        recommended = Recommended(
            references,
            tenants[0].company,
            another=False,
            asked=asked,
            verification=new_verification(references, known, self.clock()),
        )
        try:
            creation = await self.creation.create(
                request,
                requester_of(update, connection),
                caller=update.asked_by_id,
                idempotency_key=reserved,
                recommended=recommended,
            )
        except FixRequest as error:
            if error.code in _TAKEN:
                # Somebody was faster; the next attempt looks again.
                raise StorageUnavailable(variant="contended") from None
            raise
        return FollowUp(creation.ticket)

    async def _reserved(
        self, ticket: Ticket, requester: Requester, update: Update, asked: Mapping[str, object]
    ) -> Ticket | str:
        """Return the ticket that an earlier attempt has made, or a new idempotency key to make it with.

        The id that an earlier attempt left unused may be given up by now, because somebody has passed over it. So it is
        given up in any case, and the next key of the update stands for another id. At most one of them is stored.
        """
        interrupted = 0
        while True:
            key = f"{update.update_id}:{interrupted}" if interrupted else update.update_id
            new_id = new_ticket_id(self.clock(), ticket.connection_id)
            reserved = await self.creation.reserve(asked, requester, update.asked_by_id, key, new_id)
            if reserved == new_id:
                return key
            if (made := await self.store.give_up(ticket.connection_id, reserved)) is not None:
                return made
            interrupted += 1

    async def _open_ticket(self, reference: RecommendationReference) -> Ticket | None:
        """Return an open ticket for a recommendation, perhaps the one before; None if there is none."""
        beside = await self.beside.of_one(reference.tenant_id, reference.key)
        return next(filter(beside.is_open, beside.tickets.get(reference.key, ())), None)

    async def _tenants(self, references: Sequence[RecommendationReference]) -> Sequence[Tenant]:
        """Return the tenants of recommendations. Raises FixRequest (404 ``tenant_not_found``) if there is none."""
        ids = dict.fromkeys(reference.tenant_id for reference in references)
        found = await asyncio.gather(*map(self.tenants.get_tenant, ids))
        if not any(found):
            raise FixRequest("tenant_not_found", status=404)
        return [tenant for tenant in found if tenant is not None]

    async def _actions(
        self, references: Sequence[RecommendationReference], tenants: Sequence[Tenant]
    ) -> Sequence[ImprovementAction]:
        """Return the recommendations of these tenants that are still there.

        Raises FixRequest (409 ``recommendation_gone``) if there is none.
        """
        ids = {tenant.tenant_id for tenant in tenants}
        stored = await asyncio.gather(
            *(self.recommendations.get_action(each.tenant_id, each.key) for each in references if each.tenant_id in ids)
        )
        actions = [action for action in stored if action is not None and action.gone_at is None]
        if not actions:
            raise FixRequest("recommendation_gone", status=409, recommendation_id=references[0].key)
        return actions

    async def _request(
        self,
        ticket: Ticket,
        update: Update,
        connection: Connection,
        tenants: Sequence[Tenant],
        actions: Sequence[ImprovementAction],
    ) -> TicketRequest:
        # Imported here, what reads HTML does not slow down the app's start.
        from shared.recommendations.ticketing.create import texts_of
        from shared.recommendations.ticketing.filling_in import filled_in

        asked = RecommendedTicketRequest(
            connection_id=ticket.connection_id,
            kind=ticket.content.kind,
            priority=ticket.content.priority,
            assignment_group=ticket.content.assignment_group,
            assigned_to=ticket.content.assigned_to,
            configuration_item=ticket.content.configuration_item,
            recommendation_ids=tuple(action.key for action in actions),
        )
        parts = [
            await texts_of(self.recommendations, each.tenant_id, [a for a in actions if a.tenant_id == each.tenant_id])
            for each in tenants
        ]
        return filled_in(
            asked,
            actions,
            {key: text for part in parts for key, text in part.items()},
            requester_of(update, connection),
            portal_url=self.portal_url,
            now=self.clock(),
            language=connection.language,
            intro=intro_of(ticket, update, connection),
        )


def _taken_care_of(ticket: Ticket, others: Sequence[Ticket]) -> FollowUp | NoFollowUp:
    """Return what takes care of everything, without a new ticket."""
    if not others:
        return NoFollowUp.NOT_NEEDED
    own = next((other for other in others if other.connection_id == ticket.connection_id), None)
    return NoFollowUp.OPEN_ELSEWHERE if own is None else FollowUp(own, is_new=False)


def requester_of(update: Update, connection: Connection) -> Requester:
    """Return who asked for a follow-up: a policy, by its name in the connection's language."""
    t = language_of(connection.language)
    policy = update.asked_by_id.removeprefix(POLICY_PREFIX)
    name = t.plain(f"record.policy.{policy}") if policy in _POLICIES else t.plain("record.policy")
    return Requester(update.asked_by_id, name)


def references_not_fixed(ticket: Ticket) -> Sequence[RecommendationReference]:
    """Return the recommendations of a ticket about which somebody has to work again."""
    items = () if ticket.verification is None else ticket.verification.items
    wanted = {(item.tenant_id, item.key) for item in items if item.outcome in NOT_FIXED}
    return [each for each in ticket.content.references if (each.tenant_id, each.key) in wanted]


def intro_of(ticket: Ticket, update: Update, connection: Connection) -> str:
    """Return what the description says about the ticket before, with its number and a link."""
    number = ticket.ticket_id if ticket.record is None else ticket.record.number
    t = language_of(connection.language)
    policy = update.asked_by_id.removeprefix(POLICY_PREFIX)
    follows = t.plain(f"record.follows.{policy}" if policy in _POLICIES else "record.follows", number=number)
    link = record_link(ticket, connection)
    return follows + (f"\n{link}" if link else "")
