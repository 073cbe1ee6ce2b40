"""A new ticket for a stored recommendation: what its form is filled in with, and what it shows beside the fields."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from shared.connections.model import Connection, TicketKind
from shared.recommendations.model import ImprovementAction
from shared.recommendations.requests import RecommendedTicketRequest, read_recommended_ticket_request
from shared.recommendations.statuses import points_to_gain
from shared.recommendations.ticketing.suggestions import suggestion_for
from shared.tenants.lookup import get_known_tenant
from shared.tenants.model import Tenant
from shared.tickets.model import Ticket
from shared.tickets.requests import TicketRequest
from shared.tickets.views import TicketView, ticket_view
from shared.tickets.warnings import WarningCode
from shared.triggers.front_door import Call
from shared.triggers.ticket_forms import ticket_body
from shared.value_object import value_object
from shared.web.suggestions import suggestion_words

USUAL_KIND: Final = TicketKind.CHANGE
"""What Microsoft recommends is usually a change of the configuration."""


@value_object
class TicketFor:
    """What the form shows about the recommendation that a ticket is for.

    Attributes:
        address: Its page.
        gain: Points that it would add; None if nobody knows.
        suggestion: Why the form suggests this priority and due date, in words.
        open_tickets: Its tickets that somebody is working on.
    """

    tenant: Tenant
    action: ImprovementAction
    title: str
    address: str
    gain: Decimal | None
    suggestion: str
    open_tickets: Sequence[TicketView]

    @property
    def accepted(self) -> Sequence[str]:
        """The keys of the warnings about open tickets: the form asks about these itself, and the claim decides."""
        return [f"{WarningCode.RECOMMENDATION_HAS_OPEN_TICKET}:{each.ticket_id}" for each in self.open_tickets]


@value_object
class ReferenceRow:
    """A recommendation that a ticket is for.

    Attributes:
        title: Its id if the connector no longer has it.
        address: Its page; None if the connector no longer has it.
        gain: Points that it would still add; None if nobody knows.
    """

    title: str
    address: str | None
    gain: Decimal | None


async def actions_of(call: Call, ticket: Ticket) -> Mapping[tuple[str, str], ImprovementAction]:
    """Return the recommendations that a ticket is for, by tenant and key, without those that are no longer there."""
    store, references = call.application.recommendations, ticket.content.references
    actions = await asyncio.gather(*(store.get_action(each.tenant_id, each.key) for each in references))
    return {(action.tenant_id, action.key): action for action in actions if action is not None}


def reference_rows(ticket: Ticket, actions: Mapping[tuple[str, str], ImprovementAction]) -> Sequence[ReferenceRow]:
    """Return the recommendations that a ticket is for."""
    found = [(each, actions.get((each.tenant_id, each.key))) for each in ticket.content.references]
    return [
        ReferenceRow(each.source_id, None, None)
        if action is None
        else ReferenceRow(action.shown_title, recommendation_address(each.tenant_id, each.key), points_to_gain(action))
        for each, action in found
    ]


async def ticket_for(call: Call, tenant_id: str, key: str) -> TicketFor:
    """Return what the form shows about a recommendation.

    Raises:
        FixRequest: 404 ``tenant_not_found`` or ``recommendation_not_found``, 400 ``invalid_tenant_id``.
    """
    app, now = call.application, call.application.clock()
    tenant = await get_known_tenant(app.tenants, tenant_id)
    action = await app.recommendation_ticketing.known_action(tenant.tenant_id, key)
    beside = await app.recommendation_tickets.of_one(tenant.tenant_id, key)
    return TicketFor(
        tenant=tenant,
        action=action,
        title=action.shown_title,
        address=recommendation_address(tenant.tenant_id, key),
        gain=points_to_gain(action),
        suggestion=suggestion_words(action, suggestion_for(action, now), now, call.language),
        open_tickets=[
            ticket_view(each, beside.connections.get(each.connection_id), now, call.language)
            for each in beside.tickets.get(key, ())
            if beside.is_open(each)
        ],
    )


def recommendation_address(tenant_id: str, key: str) -> str:
    """Return the address of a recommendation's page."""
    return f"/recommendations/{key}?tenant_id={tenant_id}"


def recommended_request(values: Mapping[str, str]) -> RecommendedTicketRequest:
    """Return what the form's fields ask for. Raises FixRequest (422 ``invalid_ticket``)."""
    return read_recommended_ticket_request(
        {
            **ticket_body(values),
            "tenant_id": values["tenant_id"],
            "recommendation_ids": [values["recommendation"]],
            "create_another": values["create_another"] == "true",
        }
    )


def asked_of_nothing_else(found: TicketFor, kind: TicketKind) -> RecommendedTicketRequest:
    """Return the request for a ticket of which only the kind is known, so that the recommendation fills in the rest."""
    return RecommendedTicketRequest(
        tenant_id=found.tenant.tenant_id, recommendation_ids=(found.action.key,), kind=kind, create_another=True
    )


def filled_values(request: TicketRequest) -> dict[str, str]:
    """Return the form's fields for a request that a recommendation has filled in; its due date is a day."""
    recommendation = request.recommendation
    return {
        "connection_id": request.connection_id or "",
        "kind": request.kind.value,
        "portal": request.portal.value,
        "name": request.name,
        "description": request.description,
        "priority": request.priority.value,
        "due_date": "" if request.due_date is None else request.due_date.isoformat(),
        "source": recommendation.source.value,
        "category": recommendation.category.value,
        "link": recommendation.link or "",
        "recommendation_id": recommendation.id or "",
    }


def usual_kind(connection: Connection | None) -> TicketKind:
    """Return the kind that a form proposes: a change, or else the first kind that the connection allows."""
    if connection is None or connection.kinds[USUAL_KIND].enabled:
        return USUAL_KIND
    return next((kind for kind in TicketKind if connection.kinds[kind].enabled), USUAL_KIND)
