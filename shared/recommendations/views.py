"""What callers see of recommendations, and of tickets that were asked for together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from pydantic import Field

from shared.recommendations.listing import totals_of
from shared.recommendations.model import ActionStatus, ImprovementAction, Level, Presence, Snapshot, SourceName
from shared.recommendations.products import product_name
from shared.recommendations.statuses import HiddenReason, hidden_reason, points_to_gain, score_impact, status_of
from shared.recommendations.ticketing.tickets_beside import TicketsBeside
from shared.tickets.model import Delivery, Phase, Ticket
from shared.tickets.outcomes import Outcome
from shared.tickets.views import TicketView, error_members, state_name, ticket_view
from shared.views import View
from shared.words.language import Language

if TYPE_CHECKING:
    from shared.recommendations.ticketing.bulk import BatchProgress


class TicketBesideView(View):
    """The ticket beside a recommendation: the newest open one, or else the newest."""

    ticket_id: str
    connection_id: str
    number: str | None = Field(description="Null until the ticket is in ServiceNow.")
    state_name: str | None
    phase: Phase | None
    delivery: Delivery
    due_at: datetime | None
    overdue: bool
    outcome: Outcome | None = Field(description="What became of the ticket; null if nothing is known of it.")
    open: bool = Field(description="Whether somebody is working on it or will; then no other is created by accident.")


class RecommendationView(View):
    """Something that a tenant should do, and how far it has come."""

    id: str = Field(description="32 hexadecimal digits that name it within the tenant.")
    tenant_id: str
    source: SourceName
    source_id: str = Field(description="The source's own id.")
    title: str
    category: str
    product: str
    link: str | None
    tier: str
    rank: int | None
    implementation_cost: Level
    user_impact: Level
    threats: tuple[str, ...]
    status: ActionStatus
    hidden_reason: HiddenReason | None = Field(description="Why lists leave it out unless somebody asks for it.")
    presence: Presence
    points: float | None
    max_points: float | None
    points_to_gain: float | None
    score_impact: float | None = Field(description="Percent of the tenant's maximum that it would add to the score.")
    count: int | None = Field(description="Objects that comply; null if it does not count objects.")
    total: int | None
    measured_at: datetime | None = Field(description="When Microsoft measured it.")
    first_seen_at: datetime | None
    seen_at: datetime | None
    gone_at: datetime | None
    file_at: datetime | None = Field(description="When the file that it comes from was exported.")
    ticket: TicketBesideView | None


class PointsView(View):
    """The points of a recommendation on a day."""

    day: date
    points: float
    max_points: float | None


class RecommendationDetailView(RecommendationView):
    """A recommendation with its texts, its tickets and its points over time."""

    remediation: str = Field(description="What to do, as plain text.")
    impact: str = Field(description="What users will notice, as plain text.")
    tickets: tuple[TicketView, ...] = Field(description="The last created or linked first.")
    history: tuple[PointsView, ...] = Field(description="Oldest first; empty for a source without points over time.")


class RecommendationListView(View):
    """One page of recommendations, and the totals of all pages."""

    tenant_id: str
    total: int
    points_to_gain: float = Field(description="Of all that the filters let pass.")
    recommendations: tuple[RecommendationView, ...]
    next_cursor: str | None = Field(description="Pass as cursor to get the next page; null on the last one.")


class BatchItemView(View):
    """What became of one recommendation."""

    recommendation_id: str
    ticket_id: str | None
    code: str | None = Field(description="Why it got no ticket.")
    message: str | None
    next_step: str | None


class BatchView(View):
    """Tickets that somebody asked for together."""

    batch_id: str
    tenant_id: str
    connection_id: str
    requested_at: datetime
    done: bool = Field(description="Whether no ticket waits any more.")
    delivered: int
    waiting: int
    failed: int
    refused: int = Field(description="Recommendations that got no ticket.")
    recommendations: tuple[BatchItemView, ...]
    tickets: tuple[TicketView, ...]


def recommendation_view(
    action: ImprovementAction, beside: TicketsBeside, max_score: Decimal | None, now: datetime, link: str | None
) -> RecommendationView:
    """Return what callers see of a recommendation in a list.

    Args:
        max_score: The tenant's maximum.
        link: Where a person can see it.
    """
    return RecommendationView(**_members(action, beside, max_score, now, link))


def recommendation_detail_view(
    action: ImprovementAction,
    beside: TicketsBeside,
    snapshots: Sequence[Snapshot],
    texts: Mapping[str, str],
    now: datetime,
    link: str | None,
    t: Language,
) -> RecommendationDetailView:
    """Return what callers see of one recommendation.

    Args:
        snapshots: The tenant's, oldest first.
        texts: Raw HTML by hash.
    """
    from shared.recommendations.texts.plain_texts import plain_text  # It loads what reads HTML; few requests need it.

    is_measured = action.source is SourceName.SECURE_SCORE
    history = [
        PointsView(day=each.day, points=float(points.points), max_points=_figure(points.max_points))
        for each in snapshots
        if is_measured and (points := each.controls.get(action.source_id)) is not None
    ]
    return RecommendationDetailView(
        **_members(action, beside, snapshots[-1].max_score if snapshots else None, now, link),
        remediation=plain_text(texts.get(action.texts.remediation or "", "")),
        impact=plain_text(texts.get(action.texts.impact or "", "")),
        tickets=tuple(
            ticket_view(ticket, beside.connections.get(ticket.connection_id), now, t)
            for ticket in beside.tickets.get(action.key, ())
        ),
        history=tuple(history),
    )


def recommendation_list_view(
    tenant_id: str,
    actions: Sequence[ImprovementAction],
    views: Sequence[RecommendationView],
    next_cursor: str | None,
) -> RecommendationListView:
    """Return one page.

    Args:
        actions: Those of all pages.
        views: Those of this page.
    """
    totals = totals_of(actions)
    return RecommendationListView(
        tenant_id=tenant_id,
        total=totals.count,
        points_to_gain=float(totals.points_to_gain),
        recommendations=tuple(views),
        next_cursor=next_cursor,
    )


def batch_view(progress: BatchProgress, now: datetime, t: Language) -> BatchView:
    """Return what callers see of a batch, in the given language."""
    batch, tickets = progress.batch, progress.tickets
    by_status = [ticket.delivery.status for ticket in tickets]
    return BatchView(
        batch_id=batch.batch_id,
        tenant_id=batch.tenant_id,
        connection_id=batch.connection_id,
        requested_at=batch.requested_at,
        done=progress.is_done,
        delivered=by_status.count(Delivery.DELIVERED),
        waiting=by_status.count(Delivery.PENDING),
        failed=by_status.count(Delivery.FAILED),
        refused=sum(item.ticket is None for item in progress.items),
        recommendations=tuple(
            BatchItemView(
                recommendation_id=item.key,
                ticket_id=None if item.ticket is None else item.ticket.ticket_id,
                code=code,
                message=message,
                next_step=next_step,
            )
            for item in progress.items
            for code, message, next_step in [error_members(item.failure, t)]
        ),
        tickets=tuple(ticket_view(ticket, progress.connection, now, t) for ticket in tickets),
    )


def _members(
    action: ImprovementAction, beside: TicketsBeside, max_score: Decimal | None, now: datetime, link: str | None
) -> dict[str, object]:
    ticket = beside.ticket(action.key)
    return {
        "id": action.key,
        "tenant_id": action.tenant_id,
        "source": action.source,
        "source_id": action.source_id,
        "title": action.title,
        "category": action.category,
        "product": product_name(action.service),
        "link": link,
        "tier": action.tier,
        "rank": action.rank,
        "implementation_cost": action.implementation_cost,
        "user_impact": action.user_impact,
        "threats": action.threats,
        "status": status_of(action),
        "hidden_reason": hidden_reason(action),
        "presence": action.presence,
        "points": _figure(action.points),
        "max_points": _figure(action.max_points),
        "points_to_gain": _figure(points_to_gain(action)),
        "score_impact": _figure(score_impact(action, max_score)),
        "count": action.count,
        "total": action.total,
        "measured_at": action.measured_at,
        "first_seen_at": action.first_seen_at,
        "seen_at": action.seen_at,
        "gone_at": action.gone_at,
        "file_at": action.file_at,
        "ticket": None if ticket is None else _beside(ticket, beside, now),
    }


def _beside(ticket: Ticket, beside: TicketsBeside, now: datetime) -> TicketBesideView:
    return TicketBesideView(
        ticket_id=ticket.ticket_id,
        connection_id=ticket.connection_id,
        number=None if ticket.record is None else ticket.record.number,
        state_name=state_name(ticket, beside.connections.get(ticket.connection_id)),
        phase=ticket.phase,
        delivery=ticket.delivery.status,
        due_at=ticket.due_at,
        overdue=ticket.is_overdue(now),
        outcome=None if ticket.verification is None else ticket.verification.outcome,
        open=beside.is_open(ticket),
    )


def _figure(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
