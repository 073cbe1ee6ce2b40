"""Secure Score's two lists, joined into improvement actions (Microsoft Graph §1.6).

A control is in both lists, only in the score, or only in the catalogue. Ids are compared exactly. Of two entries with
the same id in one list, the first counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from shared.recommendations.model import (
    ActionTexts,
    ControlPoints,
    Disposition,
    ImprovementAction,
    Level,
    Presence,
    Snapshot,
    SourceName,
    text_hash,
)
from shared.recommendations.reading.secure_score import ControlProfile, ControlScore, SecureScore, StateUpdate

_LEVELS: Final = {
    "low": Level.LOW,
    "medium": Level.MODERATE,
    "moderate": Level.MODERATE,
    "high": Level.HIGH,
}
_DISPOSITIONS: Final = {
    "default": Disposition.DEFAULT,
    "planned": Disposition.PLANNED,
    "ignore": Disposition.IGNORED,
    "ignored": Disposition.IGNORED,
    "thirdparty": Disposition.THIRD_PARTY,
    "reviewed": Disposition.REVIEWED,
}
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
_ROUNDING: Final = Decimal("0.005")
"""How far Microsoft's figures can be from the exact ones: they have two decimals."""
_PERCENT_ROUNDED: Final = Decimal(1)
"""How far a percentage can be from the exact one if it is a whole number; another maximum changes it by more."""
_CENT: Final = Decimal("0.01")


def joined(
    tenant_id: str, profiles: Sequence[ControlProfile], score: SecureScore | None
) -> tuple[Sequence[ImprovementAction], Mapping[str, str]]:
    """Join the catalogue with the newest score.

    Args:
        score: None if the tenant has no score yet; then all actions are only in the catalogue.

    Returns the improvement actions (in the catalogue's order, then those that only the score has), and their raw texts
    by hash.
    """
    by_id = {profile.control_id: profile for profile in reversed(profiles)}
    scores = _by_id(score)
    texts: dict[str, str] = {}
    actions = [
        _action(tenant_id, control_id, by_id.get(control_id), scores.get(control_id), texts)
        for control_id in dict.fromkeys([*(profile.control_id for profile in profiles), *scores])
    ]
    return actions, texts


def snapshot_of(score: SecureScore) -> Snapshot:
    """Return the points of a daily score; controls without points are left out."""
    return Snapshot(
        score.snapshot_id,
        score.day,
        score.score,
        score.max_score,
        {
            control_id: ControlPoints(control.points, _computed_maximum(control))
            for control_id, control in _by_id(score).items()
            if control.points is not None
        },
        score.averages,
    )


def level_of(text: str) -> Level:
    """Return the level that Microsoft's word means; case does not count, and "medium" is "moderate"."""
    return _LEVELS.get(text.strip().casefold(), Level.UNKNOWN)


def disposition_of(updates: Iterable[StateUpdate]) -> Disposition:
    """Return the newest disposition; a state that we do not know decides nothing (Microsoft Graph §1.7).

    An update without a time is the oldest, and the first one counts if there is no other difference.
    """
    newest = next(iter(_newest_first(updates)), None)
    return Disposition.DEFAULT if newest is None else _disposition(newest)


def decided_at(updates: Iterable[StateUpdate]) -> datetime | None:
    """Return since when the newest disposition holds; None if nothing says it.

    An update that repeats the one before it decided nothing, but only where Microsoft still shows that one.
    """
    since = None
    for update in (newest_first := _newest_first(updates)):
        if _disposition(update) is not _disposition(newest_first[0]):
            break
        since = update.at
    return since


def _newest_first(updates: Iterable[StateUpdate]) -> Sequence[StateUpdate]:
    return sorted(updates, key=lambda update: update.at or _LONG_AGO, reverse=True)


def _disposition(update: StateUpdate) -> Disposition:
    return _DISPOSITIONS.get("".join(filter(str.isalpha, update.state)).casefold(), Disposition.DEFAULT)


def _by_id(score: SecureScore | None) -> Mapping[str, ControlScore]:
    controls: dict[str, ControlScore] = {}
    for control in () if score is None else score.controls:
        controls.setdefault(control.control_id, control)
    return controls


def _action(
    tenant_id: str,
    control_id: str,
    profile: ControlProfile | None,
    score: ControlScore | None,
    texts: dict[str, str],
) -> ImprovementAction:
    """Join one control, and add its raw texts to ``texts``; a side that is missing has no values."""
    catalogue = profile or ControlProfile(control_id)
    measured = score or ControlScore(control_id)
    return ImprovementAction(
        tenant_id=tenant_id,
        source=SourceName.SECURE_SCORE,
        source_id=control_id,
        title=catalogue.title,
        category=catalogue.category or measured.category,
        service=catalogue.service,
        link=catalogue.link,
        tier=catalogue.tier,
        rank=catalogue.rank,
        implementation_cost=level_of(catalogue.implementation_cost),
        user_impact=level_of(catalogue.user_impact),
        threats=tuple(catalogue.threats),
        texts=ActionTexts(
            remediation=_stored(catalogue.remediation, texts),
            impact=_stored(catalogue.impact, texts),
            description=_stored(measured.description, texts),
            implementation_status=_stored(measured.implementation_status, texts),
        ),
        presence=_presence(profile, score),
        is_deprecated=catalogue.is_deprecated,
        points=measured.points,
        max_points=_maximum(catalogue.max_points, measured),
        count=measured.count,
        total=measured.total,
        is_on=measured.is_on,
        measured_at=measured.measured_at,
        disposition=disposition_of(catalogue.state_updates),
        decided_at=decided_at(catalogue.state_updates),
    )


def _presence(profile: ControlProfile | None, score: ControlScore | None) -> Presence:
    if score is None:
        return Presence.PROFILE_ONLY
    return Presence.SCORE_ONLY if profile is None else Presence.BOTH


def _stored(html: str, texts: dict[str, str]) -> str | None:
    """Add a raw text to ``texts`` and return its hash; None for an empty one."""
    if not html.strip():
        return None
    key = text_hash(html)
    texts[key] = html
    return key


def _maximum(listed: Decimal | None, control: ControlScore) -> Decimal | None:
    """Return the points that a control could have when its points were measured; None if unknown.

    A maximum that changes is in the catalogue at once, but the newest score still counts with the old one: 5 of 10
    points would be full points as soon as the catalogue says 5. The percentage belongs to the points.
    """
    if listed is None:
        return _computed_maximum(control)
    if not listed or not control.points or control.percent is None:
        return listed
    if abs(control.points * 100 / listed - control.percent) <= _PERCENT_ROUNDED:
        return listed
    computed = _computed_maximum(control)
    return listed if computed is None else computed


def _computed_maximum(control: ControlScore) -> Decimal | None:
    """Return the points that a control can have, from points and percentage (Microsoft Graph §1.4); None if unknown.

    Both figures are rounded. Almost every maximum is a whole number, so the nearest one is returned if it fits them:
    otherwise the maximum would change with each measurement.
    """
    points, percent = control.points, control.percent
    if points is None or percent is None:
        return None
    if percent == 100:
        return points
    if not points or not _ROUNDING < percent < 100:
        return None
    exact = points * 100 / percent
    whole = exact.to_integral_value(ROUND_HALF_UP)
    lowest, highest = (points - _ROUNDING) / (percent + _ROUNDING), (points + _ROUNDING) / (percent - _ROUNDING)
    return whole if lowest <= whole / 100 <= highest else exact.quantize(_CENT, ROUND_HALF_UP)
