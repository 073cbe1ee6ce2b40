"""A control (a recommendation of Secure Score) as Microsoft's catalogue describes it, and what is counted for it."""

from dataclasses import dataclass
from enum import StrEnum


class Measure(StrEnum):
    """What a control counts; all but `SETTING` and `GLOBAL_ADMINS` give points by the share of compliant objects."""

    SETTING = "setting"
    USERS = "users"
    ADMINS = "admins"
    GLOBAL_ADMINS = "global_admins"
    DOMAINS = "domains"
    DEVICES = "devices"

    @property
    def gives_partial_points(self) -> bool:
        """Say whether points follow the ratio; otherwise they are 0 or full (Microsoft Graph §1.4)."""
        return self not in (Measure.SETTING, Measure.GLOBAL_ADMINS)


@dataclass(frozen=True, kw_only=True)
class Control:
    """A control; the names are those of `secureScoreControlProfile` (Microsoft Graph §1.2).

    Attributes:
        measure: What it counts.
        platform: The device platform that it needs, or empty.
        description: HTML of its score entry, or `None`.
        is_listed: Whether it has a profile; without one it appears among the scores only.
    """

    id: str
    title: str
    category: str
    service: str
    max_score: float
    tier: str
    implementation_cost: str
    user_impact: str | None
    rank: int
    threats: tuple[str, ...]
    action_type: str
    action_url: str
    remediation: str
    remediation_impact: str | None
    description: str | None
    measure: Measure
    platform: str = ""
    deprecated: bool = False
    is_listed: bool = True
