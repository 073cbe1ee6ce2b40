"""What an improvement action's figures and dispositions mean."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Final

from shared.recommendations.model import (
    ActionStatus,
    ComplianceDetails,
    Disposition,
    ImprovementAction,
    Level,
    Presence,
)

TOLERANCE: Final = Decimal("0.01")
"""Points that differ by no more than this are equal (Microsoft Graph §1.4)."""
OPEN_STATUSES: Final = frozenset({ActionStatus.TO_ADDRESS, ActionStatus.PLANNED})
"""Statuses of actions about which something is left to do."""

_CENT: Final = Decimal("0.01")
_BY_DISPOSITION: Final = {
    Disposition.PLANNED: ActionStatus.PLANNED,
    Disposition.IGNORED: ActionStatus.RISK_ACCEPTED,
    Disposition.THIRD_PARTY: ActionStatus.THIRD_PARTY,
    Disposition.REVIEWED: ActionStatus.ALTERNATE_MITIGATION,
}
_OUT_OF_SCOPE: Final = frozenset({"notinscope", "outofscope"})


class HiddenReason(StrEnum):
    """Why lists leave an improvement action out unless somebody asks for it."""

    GONE = "gone"
    NOT_MEASURED = "not_measured"
    """No licence, or nothing to measure."""
    NO_LICENCE = "no_licence"
    """A file says so."""
    DEPRECATED = "deprecated"
    """Microsoft is about to withdraw it."""
    OUT_OF_SCOPE = "out_of_scope"


def status_of(action: ImprovementAction) -> ActionStatus:
    """Return what is left to do (Microsoft Graph §1.7 and §4.2).

    Full points count only if nobody set a disposition in the portal: points for a third party's product are not
    measured. A maximum of 0 points shows nothing.
    """
    if action.gone_at is not None:
        return ActionStatus.GONE
    if action.compliance is not None:
        return _compliance_status(action, action.compliance)
    if action.presence is Presence.PROFILE_ONLY:
        return ActionStatus.NOT_MEASURED
    if action.disposition in _BY_DISPOSITION:
        return _BY_DISPOSITION[action.disposition]
    return ActionStatus.COMPLETED if has_full_points(action) else ActionStatus.TO_ADDRESS


def has_full_points(action: ImprovementAction) -> bool:
    """Whether it has all the points that it can have, and can have some."""
    return are_full_points(action.points, action.max_points)


def are_full_points(points: Decimal | None, max_points: Decimal | None) -> bool:
    """Whether these are all the points that there are, and there are some."""
    if points is None or max_points is None or max_points <= TOLERANCE:
        return False
    return points >= max_points - TOLERANCE


def points_to_gain(action: ImprovementAction) -> Decimal | None:
    """Return the points that are missing, never less than 0; None if it is not measured, gone, or nobody knows."""
    if action.gone_at is not None or action.points is None or action.max_points is None:
        return None
    return max(action.max_points - action.points, Decimal(0))


def score_impact(action: ImprovementAction, max_score: Decimal | None) -> Decimal | None:
    """Return by how many percent of the maximum its missing points would raise the score; None if unknown.

    Args:
        max_score: The tenant's maximum.
    """
    missing = points_to_gain(action)
    if missing is None or max_score is None or max_score <= 0:
        return None
    return (missing * 100 / max_score).quantize(_CENT, ROUND_HALF_UP)


def is_quick_win(action: ImprovementAction) -> bool:
    """Whether something is left to do that costs little and that users hardly notice."""
    is_easy = action.implementation_cost is Level.LOW and action.user_impact is Level.LOW
    return is_easy and status_of(action) in OPEN_STATUSES


def hidden_reason(action: ImprovementAction) -> HiddenReason | None:
    """Return why lists leave it out unless somebody asks for it; None if they show it."""
    status = status_of(action)
    if status is ActionStatus.GONE:
        return HiddenReason.GONE
    if status is ActionStatus.NOT_MEASURED:
        return HiddenReason.NOT_MEASURED
    if status is ActionStatus.OUT_OF_SCOPE:
        return HiddenReason.OUT_OF_SCOPE
    if action.has_licence is False:
        return HiddenReason.NO_LICENCE
    return HiddenReason.DEPRECATED if action.is_deprecated else None


def _compliance_status(action: ImprovementAction, details: ComplianceDetails) -> ActionStatus:
    """Return the status of an action of Compliance Manager.

    A failed test outweighs what people say; a passed one, or full points, ends the work. What is implemented but not
    yet tested successfully is still to address.
    """
    implementation, test = _plain(details.implementation_status), _plain(details.test_status)
    if implementation in _OUT_OF_SCOPE or (not implementation and test in _OUT_OF_SCOPE):
        return ActionStatus.OUT_OF_SCOPE
    if test.startswith("failed"):
        return ActionStatus.TO_ADDRESS
    if test == "passed" or has_full_points(action):
        is_alternative = implementation == "alternativeimplementation"
        return ActionStatus.ALTERNATE_MITIGATION if is_alternative else ActionStatus.COMPLETED
    return ActionStatus.PLANNED if implementation == "planned" else ActionStatus.TO_ADDRESS


def _plain(word: str) -> str:
    """Return one of the file's words without differences of case and spacing."""
    return "".join(filter(str.isalpha, word)).casefold()
