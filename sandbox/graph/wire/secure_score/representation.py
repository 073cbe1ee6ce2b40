"""Profiles and scores as JSON, with the unevenness of the service (Microsoft Graph §1.2, §1.4)."""

from collections.abc import Mapping, Sequence

from sandbox.graph.engine.control import Control
from sandbox.graph.engine.disposition import State, StateUpdate
from sandbox.graph.engine.snapshot import ControlScore, Snapshot
from sandbox.graph.engine.switches import Switches
from sandbox.graph.wire.odata.filter import Item

VENDOR: Mapping[str, object] = {
    "provider": "SecureScore",
    "providerVersion": None,
    "subProvider": None,
    "vendor": "Microsoft",
}
_CATEGORIES = ("apps", "data", "device", "identity", "infrastructure")
_SEAT_SIZES = ((1, 100), (101, 500), (501, 2_000), (2_001, 100_000))

PROFILE_SCALARS = frozenset(
    {
        "id",
        "azureTenantId",
        "actionType",
        "actionUrl",
        "controlCategory",
        "title",
        "deprecated",
        "implementationCost",
        "lastModifiedDateTime",
        "maxScore",
        "rank",
        "remediation",
        "remediationImpact",
        "service",
        "tier",
        "userImpact",
    }
)
PROFILE_PROPERTIES = PROFILE_SCALARS | {"threats", "vendorInformation", "complianceInformation", "controlStateUpdates"}
SCORE_SCALARS = frozenset(
    {"id", "azureTenantId", "activeUserCount", "createdDateTime", "currentScore", "licensedUserCount", "maxScore"}
)
SCORE_PROPERTIES = SCORE_SCALARS | {"averageComparativeScores", "controlScores", "enabledServices", "vendorInformation"}


_UNTOUCHED: Mapping[str, object] = {
    "assignedTo": None,
    "comment": None,
    "state": State.DEFAULT,
    "updatedBy": None,
    "updatedDateTime": None,
}


def profile(
    control: Control, tenant_id: str, updates: Sequence[StateUpdate], switches: Switches, language: str
) -> Item:
    """Return a `secureScoreControlProfile`.

    Args:
        control: The control.
        tenant_id: Its tenant.
        updates: The decisions about it, in the order of the wire.
        switches: What the reference leaves open.
        language: The caller's first language.
    """
    title = control.title
    if switches.flag("texts.follow_accept_language") and language not in ("", "en"):
        title = f"[{language}] {title}"
    item: dict[str, object] = {
        "id": control.id,
        "azureTenantId": tenant_id,
        "actionType": control.action_type,
        "actionUrl": control.action_url,
        "controlCategory": control.category,
        "title": title,
        "deprecated": control.deprecated,
        "implementationCost": control.implementation_cost,
        "lastModifiedDateTime": None,
        "maxScore": _number(control.max_score, control.id),
        "rank": control.rank,
        "remediation": control.remediation,
        "remediationImpact": control.remediation_impact,
        "service": control.service,
        "threats": list(control.threats),
        "tier": control.tier,
        "userImpact": control.user_impact,
        "vendorInformation": VENDOR,
        "complianceInformation": [],
        "controlStateUpdates": [_state_update(update, switches) for update in updates] or [_UNTOUCHED],
    }
    if switches.flag("profiles.extra_properties"):
        item["evaluationRing"] = {"name": "prod", "revision": 7}
    return item


def secure_score(snapshot: Snapshot, switches: Switches, *, is_newest: bool) -> Item:
    """Return a `secureScore`: rich if it is the newest, without texts, counts and dates if not."""
    return {
        "id": snapshot.id,
        "azureTenantId": snapshot.tenant_id,
        "activeUserCount": switches.number("scores.active_users"),
        "createdDateTime": f"{snapshot.day.isoformat()}T00:00:00Z",
        "currentScore": snapshot.current_score,
        "enabledServices": list(snapshot.enabled_services),
        "licensedUserCount": 0,
        "maxScore": snapshot.max_score,
        "vendorInformation": VENDOR,
        "averageComparativeScores": _averages(snapshot, switches.text("scores.averages")),
        "controlScores": [_control_score(score, switches, is_newest=is_newest) for score in snapshot.scores],
    }


def _state_update(update: StateUpdate, switches: Switches) -> Item:
    is_dated = switches.flag("state_updates.are_dated")
    return {
        "assignedTo": update.assigned_to,
        "comment": update.comment,
        "state": update.state,
        "updatedBy": update.updated_by,
        "updatedDateTime": update.updated_at.strftime("%Y-%m-%dT%H:%M:%SZ") if is_dated else None,
    }


def _control_score(score: ControlScore, switches: Switches, *, is_newest: bool) -> Item:
    item: dict[str, object] = {
        "controlCategory": score.category,
        "controlName": score.control_id,
        "description": score.description if is_newest else None,
        "score": _number(score.score, score.control_id),
        "implementationStatus": score.status if is_newest else score.status_template,
        "scoreInPercentage": _number(score.percentage, score.control_id),
    }
    if not is_newest:
        return item
    item["lastSynced"] = score.last_synced_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    # Strings on the wire (Microsoft Graph §1.4).
    if score.count is not None:
        item["count"] = str(score.count)
    if score.total is not None:
        item["total"] = str(score.total)
    if score.is_on is not None:
        item["on"] = str(score.is_on).lower()
    if switches.flag("scores.undocumented_fields"):
        item |= {"source": score.service, "state": "Default", "controlState": "Default", "IsApplicable": "true"}
    if switches.flag("profiles.extra_properties"):
        item["evaluationRing"] = "prod"
    return item


def _averages(snapshot: Snapshot, form: str) -> list[Item]:
    if form == "empty":
        return []
    return [
        {
            "basis": basis,
            "averageScore": -1.0 if form == "minus_one" else snapshot.average(basis),
            **extra,
            **{f"{category}Score": snapshot.average(basis, category) for category in _CATEGORIES},
            **{f"{category}ScoreMax": 40.0 + snapshot.average(basis, f"{category}Max") for category in _CATEGORIES},
        }
        for basis, extra in (("AllTenants", {}), ("TotalSeats", _seat_size(snapshot.user_count)))
    ]


def _seat_size(users: int) -> dict[str, str]:
    lower, upper = next((size for size in _SEAT_SIZES if users <= size[1]), _SEAT_SIZES[-1])
    return {"SeatSizeRangeLowerValue": str(lower), "SeatSizeRangeUpperValue": str(upper)}


def _number(value: float, control_id: str) -> float:
    """Return a number that is whole in both of its forms, `8` and `8.0`; a control always has the same form."""
    return int(value) if value.is_integer() and sum(control_id.encode()) % 2 else value
