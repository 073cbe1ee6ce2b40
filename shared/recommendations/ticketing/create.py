"""Tickets made from recommendations that the connector has read: what a request leaves out comes from them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

from shared.clock import Clock
from shared.connections.lookup import get_present_connection, list_present_connections
from shared.connections.model import Connection
from shared.connections.ports import ConnectionStore
from shared.errors import FixRequest
from shared.recommendations.model import ImprovementAction
from shared.recommendations.ports import RecommendationStore
from shared.recommendations.requests import LinkRequest, RecommendedTicketRequest
from shared.recommendations.ticketing.descriptions import link_of
from shared.recommendations.ticketing.filling_in import filled_in
from shared.recommendations.verification import new_verification
from shared.recommendations.verifying.baselines import known_of
from shared.service import service
from shared.tenants.lookup import chosen_tenant
from shared.tenants.model import Tenant
from shared.tenants.ports import TenantStore
from shared.tickets.create import Creation, Recommended, TicketCreation, hashed_members
from shared.tickets.model import USUAL_LANGUAGE, RecommendationReference, Requester
from shared.tickets.requests import TicketRequest
from shared.value_object import value_object


@value_object
class Prepared:
    """A complete request for one ticket, and the recommendations that it is for."""

    request: TicketRequest
    recommended: Recommended


@service
class RecommendationTicketing:
    """Makes one ticket for one or several recommendations of a tenant.

    Attributes:
        portal_url: The Defender portal's base address.
    """

    tenants: TenantStore
    recommendations: RecommendationStore
    connections: ConnectionStore
    creation: TicketCreation
    clock: Clock
    portal_url: str

    async def create(
        self,
        asked: RecommendedTicketRequest,
        requester: Requester,
        *,
        caller: str,
        idempotency_key: str | None,
        accepted: Collection[str] | None = None,
    ) -> Creation:
        """Store the ticket and try to deliver it at once, as :meth:`TicketCreation.create` does.

        Raises:
            FixRequest: As :meth:`TicketCreation.create` and :meth:`prepared`.
            StorageUnavailable: Repeating the request with the same key is safe.
        """
        try:
            ready = await self.prepared(asked, requester)
        except FixRequest:
            # The same key finds its ticket, even if its recommendation is gone now.
            asked_members = hashed_members(asked.model_dump(mode="json", exclude_unset=True))
            made = await self.creation.made_before(asked_members, requester, caller, idempotency_key)
            if made is None:
                raise
            return made
        return await self.creation.create(
            ready.request,
            requester,
            caller=caller,
            idempotency_key=idempotency_key,
            accepted=accepted,
            recommended=ready.recommended,
        )

    async def prepared(self, asked: RecommendedTicketRequest, requester: Requester) -> Prepared:
        """Return the complete request; store nothing. Forms show it before it is sent.

        Raises:
            FixRequest: 404 ``tenant_not_found`` or ``recommendation_not_found``, 409 ``tenant_ambiguous``,
                ``tenant_other_connection`` or ``recommendation_gone``.
        """
        tenant = await chosen_tenant(self.tenants, asked.tenant_id)
        keys = list(dict.fromkeys(asked.recommendation_ids))
        actions = await asyncio.gather(*(self.known_action(tenant.tenant_id, key) for key in keys))
        for action in actions:
            if action.gone_at is not None:
                raise FixRequest("recommendation_gone", status=409, recommendation_id=action.key)
        now = self.clock()
        connection_id = connection_id_for(tenant, asked.connection_id)
        texts, language = await asyncio.gather(
            texts_of(self.recommendations, tenant.tenant_id, actions), self._language_of(connection_id)
        )
        request = filled_in(
            asked.model_copy(update={"connection_id": connection_id}),
            actions,
            texts,
            requester,
            portal_url=self.portal_url,
            now=now,
            language=language,
        )
        references = tuple(action.reference for action in actions)
        asked_members = hashed_members(asked.model_dump(mode="json", exclude_unset=True))
        verification = new_verification(references, [known_of(tenant, actions)], now)
        recommended = Recommended(references, tenant.company, asked.create_another, asked_members, verification)
        return Prepared(request, recommended)

    async def _language_of(self, connection_id: str | None) -> str:
        """Return the code of a connection's language; without an id, of the only connection."""
        if connection_id is not None:
            found = [await self.connections.get_connection(connection_id)]
        else:
            found = [*await list_present_connections(self.connections)]
        return found[0].language if len(found) == 1 and found[0] is not None else USUAL_LANGUAGE

    def link_of(self, action: ImprovementAction) -> str | None:
        """Return where a person can see an improvement action; None if nobody knows."""
        return link_of(action, self.portal_url)

    async def known_action(self, tenant_id: str, key: str) -> ImprovementAction:
        """Return an improvement action. Raises FixRequest (404 ``recommendation_not_found``)."""
        action = await self.recommendations.get_action(tenant_id, key)
        if action is None:
            raise FixRequest("recommendation_not_found", status=404, recommendation_id=key)
        return action

    async def linked(self, key: str, asked: LinkRequest) -> tuple[RecommendationReference, Connection]:
        """Return the recommendation and the connection of a ticket to link. Raises FixRequest as :meth:`prepared`."""
        tenant = await chosen_tenant(self.tenants, asked.tenant_id)
        action = await self.known_action(tenant.tenant_id, key)
        connection_id = connection_id_for(tenant, asked.connection_id)
        if connection_id is None:
            raise FixRequest("tenant_without_connection", status=409)
        return action.reference, await get_present_connection(self.connections, connection_id)


def connection_id_for(tenant: Tenant, asked: str | None) -> str | None:
    """Return the connection that a tenant's ticket goes to; None leaves it to the only connection.

    Raises FixRequest: 409 ``tenant_other_connection`` if another than the tenant's was asked for.
    """
    if tenant.connection_id is not None and asked not in {None, tenant.connection_id}:
        raise FixRequest("tenant_other_connection", status=409, connection_id=tenant.connection_id)
    return tenant.connection_id or asked


async def texts_of(
    recommendations: RecommendationStore, tenant_id: str, actions: Sequence[ImprovementAction]
) -> Mapping[str, str]:
    """Return the raw HTML that descriptions are made from, by hash."""
    wanted = {text for action in actions for text in (action.texts.remediation, action.texts.impact)}
    return await recommendations.get_texts(tenant_id, {text for text in wanted if text is not None})
