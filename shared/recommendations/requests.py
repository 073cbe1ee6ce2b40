"""What a caller may ask for about stored recommendations, checked before anything else happens."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from shared.connections.model import Portal, TicketKind
from shared.request_faults import read_body
from shared.request_texts import Line, SysId, TenantId, Text
from shared.tickets.model import MOST_REFERENCES, Priority, Recommendation, Requester
from shared.tickets.requests import (
    ASSIGNED_TO,
    ASSIGNMENT_GROUP,
    CONFIGURATION_ITEM,
    ConnectionId,
    DueDate,
    TicketName,
)

MOST_AT_ONCE: Final = 100
"""How many recommendations one request may make tickets for."""

type RecommendationId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]

_TENANT: Final = "The tenant's id; may be left out when there is exactly one."
_ANOTHER: Final = "true: create a ticket although there may be an open one."
_SUGGESTED: Final = "Suggested by the recommendation if left out"


class _OfRecommendations(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    tenant_id: TenantId | None = Field(default=None, description=_TENANT)
    connection_id: ConnectionId | None = Field(
        default=None, description="Only for a tenant that names no connection; may be left out when there is one."
    )
    kind: TicketKind
    priority: Priority | None = Field(default=None, description=f"{_SUGGESTED}.")
    due_date: DueDate = Field(
        default=None, description=f"{_SUGGESTED}; null for none. Otherwise as for a ticket without recommendations."
    )
    assignment_group: SysId | None = Field(default=None, description=ASSIGNMENT_GROUP)
    assigned_to: SysId | None = Field(default=None, description=ASSIGNED_TO)
    configuration_item: SysId | None = Field(default=None, description=CONFIGURATION_ITEM)
    create_another: bool = Field(default=False, description=_ANOTHER)
    requested_by: Requester | None = Field(
        default=None, description="Only for applications: the user for whom the ticket is made."
    )


class RecommendedTicketRequest(_OfRecommendations):
    """A ticket to create for recommendations that the connector has read; they fill in what is left out."""

    recommendation_ids: Annotated[tuple[RecommendationId, ...], Field(min_length=1, max_length=MOST_REFERENCES)]
    portal: Portal | None = None
    name: TicketName | None = None
    description: Text | None = None
    recommendation: Recommendation | None = None


class Mode(StrEnum):
    """How many tickets several recommendations become."""

    EACH = "each"
    """One ticket for each."""
    ALL = "all"
    """One ticket for all of them."""


class BatchRequest(_OfRecommendations):
    """Tickets to create for several recommendations at once."""

    recommendation_ids: Annotated[tuple[RecommendationId, ...], Field(min_length=1, max_length=MOST_AT_ONCE)]
    mode: Mode = Field(description=f"each: a ticket for each. all: one for all of them, at most {MOST_REFERENCES}.")


class LinkRequest(BaseModel):
    """A ticket to link to a recommendation."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    tenant_id: TenantId | None = Field(default=None, description=_TENANT)
    connection_id: ConnectionId | None = Field(default=None, description="The tenant's connection if left out.")
    number: Annotated[Line, Field(min_length=1, max_length=40, description="The ticket's number in ServiceNow.")]
    link_another: bool = Field(default=False, description="true: link it although there may be an open ticket.")


def read_recommended_ticket_request(body: object) -> RecommendedTicketRequest:
    """Read a request from its JSON value. Raises FixRequest (422 ``invalid_ticket``) with one entry per fault."""
    return read_body("invalid_ticket", RecommendedTicketRequest, body)


def read_batch_request(body: object) -> BatchRequest:
    """Read a request from its JSON value. Raises FixRequest (422 ``invalid_batch``) with one entry per fault."""
    return read_body("invalid_batch", BatchRequest, body)


def read_link_request(body: object) -> LinkRequest:
    """Read a request from its JSON value. Raises FixRequest (422 ``invalid_link``) with one entry per fault."""
    return read_body("invalid_link", LinkRequest, body)
