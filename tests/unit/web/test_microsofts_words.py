"""Microsoft's own words in a person's language."""

from __future__ import annotations

import pytest

from shared.web.microsofts_words import category_name, threat_name, tier_name
from shared.words.language import languages

JAPANESE = languages()["ja"]


@pytest.mark.parametrize("spelling", ["Password Cracking", "passwordCracking", "password-cracking"])
def test_a_threat_is_known_in_every_spelling(spelling: str) -> None:
    assert threat_name(spelling, JAPANESE) == "パスワード クラッキング"


def test_categories_and_tiers_have_names() -> None:
    assert category_name("Device", JAPANESE) == "デバイス"
    assert category_name("Identity", languages()["en"]) == "Identity"
    assert tier_name("Defense in Depth", JAPANESE) == "多層防御"


@pytest.mark.parametrize("name", [category_name, tier_name, threat_name])
def test_what_is_not_known_is_shown_as_it_came(name: object) -> None:
    assert callable(name)
    assert name("Quantum Weather", JAPANESE) == "Quantum Weather"
    assert name("", JAPANESE) == ""
