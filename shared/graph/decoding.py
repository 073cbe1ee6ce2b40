"""Entries of Secure Score's two lists, with checked types (Microsoft Graph §1.2, §1.4): pure.

The types are open: unknown members are ignored, declared ones can be missing or null, and numbers come as numbers and
as texts. A value that makes no sense is unknown; an entry without a usable id is skipped. Texts have a bounded length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final

from shared.errors import GraphUnavailable
from shared.recommendations.model import Average
from shared.recommendations.reading.secure_score import ControlProfile, ControlScore, SecureScore, StateUpdate
from shared.value_object import value_object

HTML_MAX_LENGTH: Final = 16_000
"""In characters; it fits into one property of Table Storage. The longest that was seen has some thousand."""
LINE_MAX_LENGTH: Final = 1000
ID_MAX_LENGTH: Final = 500
POINTS_MAX: Final = Decimal(1_000_000)
OBJECTS_MAX: Final = 10**12

_ENTRIES_MAX: Final = 100
"""Of the small lists within an entry."""
_NUMBER: Final = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,2})?")
_DAY: Final = re.compile(r".*_([0-9]{4}-[0-9]{2}-[0-9]{2})", re.DOTALL)
_FIRST_YEAR: Final = 2000
"""An earlier time stands for none."""


@value_object
class SecureScoreDecoder:
    """Decodes the entries of one tenant; see the module's description.

    Each method returns the entry, or None if it is not usable, and how many controls were skipped. It raises
    GraphUnavailable if the entry is about another tenant.
    """

    tenant_id: str

    def profile(self, item: object) -> tuple[ControlProfile | None, int]:
        """Decode a ``secureScoreControlProfile``."""
        entry = self._own(item)
        control_id = _id(entry.get("id"))
        if control_id is None:
            return None, 1
        updates = [StateUpdate(_line(each, "state"), _time(each.get("updatedDateTime"))) for each in _states(entry)]
        profile = ControlProfile(
            control_id,
            title=_line(entry, "title"),
            category=_line(entry, "controlCategory"),
            service=_line(entry, "service"),
            link=_line(entry, "actionUrl"),
            max_points=_decimal(entry.get("maxScore"), POINTS_MAX),
            rank=_whole(entry.get("rank")),
            tier=_line(entry, "tier"),
            implementation_cost=_line(entry, "implementationCost"),
            user_impact=_line(entry, "userImpact"),
            threats=[_text(each, LINE_MAX_LENGTH) for each in _list(entry, "threats") if isinstance(each, str)],
            remediation=_html(entry, "remediation"),
            impact=_html(entry, "remediationImpact"),
            is_deprecated=_truth(entry.get("deprecated")) is True,
            state_updates=updates,
        )
        return profile, 0

    def score(self, item: object) -> tuple[SecureScore | None, int]:
        """Decode a ``secureScore``."""
        entry = self._own(item)
        snapshot_id = _id(entry.get("id"))
        day = _day(entry.get("createdDateTime"), snapshot_id)
        if snapshot_id is None or day is None:
            return None, 1
        items = entry.get("controlScores")
        received = items if isinstance(items, list) else []
        controls = [control for each in received if (control := _control(each)) is not None]
        score = _decimal(entry.get("currentScore"), POINTS_MAX)
        decoded = SecureScore(
            snapshot_id,
            day,
            # The sum of the controls is right even where the total is not (Microsoft Graph §1.4).
            score=sum((each.points or Decimal(0) for each in controls), Decimal(0)) if score is None else score,
            max_score=_decimal(entry.get("maxScore"), POINTS_MAX) or Decimal(0),
            controls=controls,
            averages=tuple(_averages(entry)),
        )
        return decoded, len(received) - len(controls)

    def _own(self, item: object) -> Mapping[str, object]:
        """Return an entry of this tenant; an empty one if it is no JSON object."""
        entry: Mapping[str, object] = item if isinstance(item, dict) else {}
        owner = entry.get("azureTenantId")
        if isinstance(owner, str) and owner.lower() != self.tenant_id.lower():
            raise GraphUnavailable("graph_answer_unusable", variant="other_tenant")
        return entry


def _control(item: object) -> ControlScore | None:
    """Decode a ``controlScore``; None without a usable id."""
    entry: Mapping[str, object] = item if isinstance(item, dict) else {}
    control_id = _id(entry.get("controlName"))
    if control_id is None:
        return None
    return ControlScore(
        control_id,
        category=_line(entry, "controlCategory"),
        points=_decimal(entry.get("score"), POINTS_MAX),
        percent=_decimal(entry.get("scoreInPercentage"), Decimal(100)),
        count=_whole(entry.get("count")),
        total=_whole(entry.get("total")),
        is_on=_truth(entry.get("on")),
        measured_at=_time(entry.get("lastSynced")),
        description=_html(entry, "description"),
        implementation_status=_html(entry, "implementationStatus"),
    )


def _states(entry: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    yield from (each for each in _list(entry, "controlStateUpdates") if isinstance(each, dict))


def _averages(entry: Mapping[str, object]) -> Iterator[Average]:
    for each in _list(entry, "averageComparativeScores"):
        if isinstance(each, dict):
            percent = _decimal(each.get("averageScore"), Decimal(100))
            if percent is not None:
                yield Average(_line(each, "basis"), percent)


def _list(entry: Mapping[str, object], name: str) -> list[object]:
    value = entry.get(name)
    return value[:_ENTRIES_MAX] if isinstance(value, list) else []


def _id(value: object) -> str | None:
    """Return an id exactly as received; None if it is missing, empty or too long: a cut one would be another id."""
    usable = isinstance(value, str) and value.strip() and len(value) <= ID_MAX_LENGTH
    return value if isinstance(value, str) and usable and value == _text(value, ID_MAX_LENGTH) else None


def _line(entry: Mapping[str, object], name: str) -> str:
    return _text(entry.get(name), LINE_MAX_LENGTH)


def _html(entry: Mapping[str, object], name: str) -> str:
    return _text(entry.get(name), HTML_MAX_LENGTH)


def _text(value: object, max_length: int) -> str:
    """Return a text, cut; what is no Unicode character (half a surrogate pair) becomes a question mark."""
    return value[:max_length].encode(errors="replace").decode() if isinstance(value, str) else ""


def _decimal(value: object, greatest: Decimal) -> Decimal | None:
    """Return a number from 0 to ``greatest``; None for anything else, such as NaN."""
    if not isinstance(value, int | str):
        return None
    text = str(value).strip()
    number = Decimal(text) if _NUMBER.fullmatch(text) else None
    return number if number is not None and 0 <= number <= greatest else None


def _whole(value: object) -> int | None:
    """Return a whole number of objects; None for anything else."""
    number = _decimal(value, Decimal(OBJECTS_MAX))
    return int(number) if number is not None and number == number.to_integral_value() else None


def _truth(value: object) -> bool | None:
    word = value.strip().lower() if isinstance(value, str) else value
    if word is True or word == "true":
        return True
    return False if word is False or word == "false" else None


def _time(value: object) -> datetime | None:
    """Return an aware time in UTC; one without an offset is UTC already."""
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
        aware = None if time is None else time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return aware if aware is not None and aware.year >= _FIRST_YEAR else None


def _day(created_at: object, snapshot_id: str | None) -> date | None:
    """Return the day of a snapshot: that of its creation, or else the one in its id."""
    if (created := _time(created_at)) is not None:
        return created.date()
    found = _DAY.fullmatch(snapshot_id or "")
    time = _time(found[1]) if found else None
    return None if time is None else time.date()
