"""Secure Score's two lists, as Microsoft Graph sends them (Microsoft Graph §1.2 and §1.4), with checked types.

A member that is missing or makes no sense is None or empty; nothing is joined or judged here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from datetime import date, datetime
from decimal import Decimal

from shared.recommendations.model import Average
from shared.value_object import value_object


@value_object
class StateUpdate:
    """A disposition that somebody set, as received."""

    state: str
    at: datetime | None = None


@value_object
class ControlProfile:
    """An entry of the catalogue, ``secureScoreControlProfile``; texts are raw HTML."""

    control_id: str
    title: str = ""
    category: str = ""
    service: str = ""
    link: str = ""
    max_points: Decimal | None = None
    rank: int | None = None
    tier: str = ""
    implementation_cost: str = ""
    user_impact: str = ""
    threats: Sequence[str] = ()
    remediation: str = field(default="", repr=False)
    impact: str = field(default="", repr=False)
    is_deprecated: bool = False
    state_updates: Sequence[StateUpdate] = ()


@value_object
class ControlScore:
    """A measured control, ``controlScore``; texts are raw HTML.

    Attributes:
        percent: ``scoreInPercentage``, 0 to 100.
    """

    control_id: str
    category: str = ""
    points: Decimal | None = None
    percent: Decimal | None = None
    count: int | None = None
    total: int | None = None
    is_on: bool | None = None
    measured_at: datetime | None = None
    description: str = field(default="", repr=False)
    implementation_status: str = field(default="", repr=False)


@value_object
class SecureScore:
    """A daily ``secureScore``."""

    snapshot_id: str
    day: date
    score: Decimal
    max_score: Decimal
    controls: Sequence[ControlScore] = ()
    averages: tuple[Average, ...] = ()
