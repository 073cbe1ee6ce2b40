"""What the evidence says about one ticket, in the shape in which callers see it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from pydantic import Field

from shared.value_object import value_object


@value_object
class PointsMeasured:
    """The points of a recommendation at one time."""

    points: float | None
    max_points: float | None
    measured_at: Annotated[datetime | None, Field(description="When Microsoft measured it; null if it did not say.")]


@value_object
class StateEvidence:
    """A state of the ticket in ServiceNow."""

    at: Annotated[datetime, Field(description="When the connector saw it first.")]
    phase: Annotated[str, Field(description="What the state means, as in a ticket's phase.")]
    state: Annotated[str | None, Field(description="ServiceNow's own name of it; null if it is not known.")]


@value_object
class EventEvidence:
    """One event, as it was kept."""

    at: datetime
    kind: Annotated[str, Field(description="As in a ticket's timeline, or what a reading found out.")]
    details: Mapping[str, str]


@value_object
class RecommendationEvidence:
    """A recommendation that a ticket is for, and what became of it by the end of the period."""

    tenant_id: str
    recommendation_id: Annotated[str, Field(description="As in `/api/recommendations/{id}`.")]
    source: str | None
    source_id: Annotated[str | None, Field(description="The source's own id.")]
    linked_at: datetime | None
    unlinked_at: Annotated[datetime | None, Field(description="When somebody said that the ticket is not for it.")]
    before: Annotated[PointsMeasured | None, Field(description="The last measurement before the ticket.")]
    after: Annotated[PointsMeasured | None, Field(description="The last one after it that the evidence knows.")]
    outcome: Annotated[str, Field(description="As in a ticket; `unknown` if it ended and no event says more.")]
    reason: Annotated[str | None, Field(description="Why, where the outcome alone does not say it.")]
    outcome_since: datetime | None
    events: Annotated[tuple[EventEvidence, ...], Field(description="Changes that readings found, oldest first.")]


@value_object
class EvidenceItem:
    """A ticket for recommendations, as it was at the end of the period."""

    ticket_id: str
    connection_id: str
    number: Annotated[str | None, Field(description="Null if it was not in ServiceNow yet.")]
    kind: str | None
    name: str | None
    requester_id: Annotated[str | None, Field(description="Object id in Entra ID, or `policy:` and a policy's name.")]
    requester_name: str | None
    requested_at: Annotated[datetime | None, Field(description="Null if it is older than the evidence.")]
    text_sha256: Annotated[
        str | None,
        Field(description="SHA-256 of the name and description that were asked for, with a line feed between them."),
    ]
    phase: Annotated[str | None, Field(description="Null if it was not in ServiceNow yet.")]
    closed_at: Annotated[datetime | None, Field(description="When it was last resolved, closed, canceled or deleted.")]
    states: Annotated[tuple[StateEvidence, ...], Field(description="Oldest first.")]
    recommendations: tuple[RecommendationEvidence, ...]
    events: Annotated[
        tuple[EventEvidence, ...],
        Field(description="Everything that happened to it, also notes, other updates and policies; oldest first."),
    ]
