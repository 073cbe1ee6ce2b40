"""Improvement actions as pages show them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from markupsafe import Markup

from shared.recommendations.model import ActionStatus, ImprovementAction, SourceName
from shared.recommendations.products import product_name
from shared.recommendations.statuses import HiddenReason, hidden_reason, score_impact, status_of
from shared.recommendations.texts.html_texts import sanitised
from shared.tenants.model import Tenant, TenantStatus
from shared.tickets.views import TicketView
from shared.value_object import value_object
from shared.web.days_ago import days_ago
from shared.web.html import day, points
from shared.words.language import Language

TONES: Final[Mapping[ActionStatus, str]] = {
    ActionStatus.TO_ADDRESS: "warn",
    ActionStatus.COMPLETED: "good",
}
"""The tones of badges; others are neutral."""


class EmptyReason(StrEnum):
    """Why a tenant has no improvement actions to show."""

    NO_PERMISSION = "no_permission"
    UNREADABLE = "unreadable"
    NOT_READ = "not_read"
    """The first reading begins by itself."""
    NO_FILE = "no_file"
    """They come from files, and nobody has imported one."""
    NOTHING = "nothing"
    """Microsoft recommends nothing to this tenant."""


@value_object
class ActionRow:
    """An improvement action as a list shows it.

    Attributes:
        action: For what is shown as it is stored.
        title: Its title, or its id if it has none.
        points: Points of the possible points; empty if unknown.
        filled: How much of its bar is filled, in hundredths.
        impact: By how many percent its missing points would raise the score; None if unknown.
        tone: Of the status.
        hidden: Why lists leave it out unless somebody asks for it.
        age: When it was measured, as seen from today; empty if unknown.
        ticket: The ticket beside it.
    """

    action: ImprovementAction
    title: str
    product: str
    points: str
    filled: float
    impact: Decimal | None
    status: ActionStatus
    tone: str
    hidden: HiddenReason | None
    age: str
    ticket: TicketView | None


def action_row(
    action: ImprovementAction, now: datetime, max_score: Decimal | None, ticket: TicketView | None, t: Language
) -> ActionRow:
    """Return a row.

    Args:
        max_score: The tenant's maximum in Secure Score.
    """
    status = status_of(action)
    return ActionRow(
        action=action,
        title=action.shown_title,
        product=product_name(action.service),
        points=points_of(action),
        filled=filled(action),
        impact=score_impact(action, max_score) if action.source is SourceName.SECURE_SCORE else None,
        status=status,
        tone=TONES.get(status, ""),
        hidden=hidden_reason(action),
        age=age(action, now, t),
        ticket=ticket,
    )


def points_of(action: ImprovementAction) -> str:
    """Return an action's points of the points that it can have; empty if unknown."""
    if action.points is None or action.max_points is None:
        return ""
    return f"{points(action.points)}/{points(action.max_points)}"


def age(action: ImprovementAction, now: datetime, t: Language) -> str:
    """Return when an action was measured, as seen from today, or which file says so; empty if unknown."""
    if action.file_at is not None:
        return t("recommendations.from_file", date=day(action.file_at))
    return "" if action.measured_at is None else days_ago(action.measured_at, now, t)


def shown_html(raw: str) -> Markup:
    """Return Microsoft's raw HTML as markup that a template shows as it is: it has been sanitised."""
    return Markup(sanitised(raw))  # noqa: S704 - sanitised


def empty_reason(tenant: Tenant) -> EmptyReason:
    """Return why a tenant without improvement actions has none."""
    if tenant.status is TenantStatus.NO_PERMISSION:
        return EmptyReason.NO_PERMISSION
    if tenant.due_at is None:
        return EmptyReason.NO_FILE
    if tenant.error is not None:
        return EmptyReason.UNREADABLE
    return EmptyReason.NOT_READ if tenant.read_at is None else EmptyReason.NOTHING


def filled(action: ImprovementAction) -> float:
    """Return how much of a bar an action's points fill, in hundredths; 0 of 0 points fill nothing."""
    if action.points is None or action.max_points is None or action.max_points <= 0:
        return 0.0
    return round(float(min(max(action.points / action.max_points, Decimal(0)), Decimal(1))) * 100, 1)
