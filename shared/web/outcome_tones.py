"""The tones of outcomes' badges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shared.tickets.outcomes import Outcome

_TONES: Final[Mapping[str, str]] = {
    Outcome.VERIFIED: "good",
    Outcome.WAITING: "warn",
    Outcome.PARTLY: "warn",
    Outcome.NOT_FIXED: "bad",
    Outcome.REGRESSED: "bad",
}


def outcome_tone(outcome: str) -> str:
    """Return the tone of an outcome's badge; empty for a neutral one, or one that only another release knows."""
    return _TONES.get(outcome, "")
