"""Why a priority and a due date are suggested, in a person's language."""

from __future__ import annotations

from datetime import datetime

from shared.recommendations.model import ImprovementAction, Level, SourceName
from shared.recommendations.statuses import points_to_gain
from shared.recommendations.ticketing.suggestions import Suggestion
from shared.web.html import points
from shared.web.microsofts_words import tier_name
from shared.words.language import Language


def suggestion_words(action: ImprovementAction, suggestion: Suggestion, now: datetime, t: Language) -> str:
    """Return one line: what is suggested, and what of the recommendation it follows from.

    Args:
        now: When it was suggested.
    """
    gain = points_to_gain(action)
    reasons = [t("suggested.points_unknown") if gain is None else t("suggested.points", points=points(gain))]
    if action.source is SourceName.SECURE_SCORE and (tier := action.tier.strip()):
        reasons.append(t("suggested.tier", tier=tier_name(tier, t)))
    if action.user_impact is not Level.UNKNOWN:
        reasons.append(t("suggested.user_impact", impact=t(f"level.{action.user_impact}")))
    return t(
        "suggested",
        reasons=t("list.separator").join(reasons),
        priority=t(f"priority.{suggestion.priority}"),
        days=(suggestion.due_on - now.date()).days,
    )
