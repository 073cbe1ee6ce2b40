"""What a page calls the state of a ticket's record."""

from __future__ import annotations

import pytest

from shared.web.states import state_words
from shared.words.language import languages


@pytest.mark.parametrize(
    ("phase", "state_name", "english", "japanese"),
    [
        ("in_progress", "In Progress", "In progress", "進行中"),
        ("new", "New", "New", "新規"),
        ("new", None, "New", "新規"),
        ("in_progress", "With the network team", "With the network team", "With the network team"),
        ("deleted", "Closed", "No longer visible in ServiceNow", "ServiceNow で表示されません"),
        ("of_another_release", "Parked", "Parked", "Parked"),
        ("of_another_release", "", "of_another_release", "of_another_release"),
    ],
)
def test_a_name_that_says_no_more_than_the_phase_is_in_the_readers_language(
    phase: str, state_name: str | None, english: str, japanese: str
) -> None:
    assert state_words(phase, state_name, languages()["en"]) == english
    assert state_words(phase, state_name, languages()["ja"]) == japanese
