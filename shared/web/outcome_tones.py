"""The tones of outcomes' badges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shared.tickets.outcomes import Outcome

_TONES: Final[Mapping[Outcome, str]] = {
    Outcome.VERIFIED: "good",
    Outcome.WAITING: "warn",
    Outcome.PARTLY: "warn",
    Outcome.NOT_FIXED: "bad",
    Outcome.REGRESSED: "bad",
}


def outcome_tone(outcome: Outcome) -> str:
    """Return the tone of an outcome's badge; empty for a neutral one."""
    return _TONES.get(outcome, "")
