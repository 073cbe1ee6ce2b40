"""What people decide about a control instead of fixing it (Microsoft Graph §1.7)."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class State(StrEnum):
    """The states of a control, as they are read on the wire."""

    DEFAULT = "Default"
    IGNORED = "Ignored"
    THIRD_PARTY = "ThirdParty"
    REVIEWED = "Reviewed"


@dataclass(frozen=True, kw_only=True)
class StateUpdate:
    """A decision.

    Attributes:
        state: The new state.
        assigned_to: E-mail address of the person in charge, or `None`.
        comment: The reason, or `None`.
        updated_by: Who decided, or `None`.
        updated_at: When.
        effective_at: From when on snapshots count the state.
    """

    state: State
    assigned_to: str | None = None
    comment: str | None = None
    updated_by: str | None = None
    updated_at: datetime
    effective_at: datetime


def ratio_with(state: State, measured: float, *, ignored_gives_points: bool) -> float:
    """Return the share of the points that a control gets in a state, from the share that was measured.

    A third party's product and another mitigation count in full: Microsoft cannot see them.

    >>> ratio_with(State.THIRD_PARTY, 0.2, ignored_gives_points=True)
    1.0
    >>> ratio_with(State.IGNORED, 0.2, ignored_gives_points=True)
    0.2
    """
    match state:
        case State.THIRD_PARTY | State.REVIEWED:
            return 1.0
        case State.IGNORED if not ignored_gives_points:
            return 0.0
        case _:
            return measured
