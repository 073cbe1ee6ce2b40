"""What a note in ServiceNow says."""

from __future__ import annotations

import pytest

from shared.recommendations.verifying.notes import note_about
from shared.texts import utf16_length
from shared.tickets.model import MOST_REFERENCES
from shared.tickets.outcome_events import OutcomeChange
from shared.tickets.outcomes import Outcome, OutcomeReason, RecommendationOutcome
from shared.tickets.updates.model import TEXT_MAX_LENGTH
from tests.unit.recommendations.strategies import TENANT


def changes(count: int) -> list[OutcomeChange]:
    outcome, reason = Outcome.UNKNOWN, OutcomeReason.NO_MEASUREMENT_BEFORE
    return [
        OutcomeChange(None, RecommendationOutcome(TENANT, f"{number}", outcome=outcome, reason=reason))
        for number in range(count)
    ]


@pytest.mark.parametrize("letter", ["x", "漢", "🔑"])
def test_a_note_about_many_recommendations_fits_into_its_column_and_says_what_is_left_out(letter: str) -> None:
    names = {f"{number}": letter * 500 for number in range(MOST_REFERENCES)}
    text = note_about(changes(MOST_REFERENCES), names, "en", is_only_one=False)
    assert utf16_length(text) <= TEXT_MAX_LENGTH
    *lines, last = text.splitlines()
    assert last == f"And {MOST_REFERENCES - len(lines)} more, which the connector shows."
    assert all(": Full points, but cannot be verified" in line for line in lines)


def test_a_short_note_is_whole() -> None:
    text = note_about(changes(2), {"0": "MFA", "1": "Safe Links"}, "en", is_only_one=False)
    sentence = "Full points, but cannot be verified: it was not measured before this ticket."
    assert text == f"MFA: {sentence}\nSafe Links: {sentence}"
    assert note_about([], {}, "en", is_only_one=True) == ""
