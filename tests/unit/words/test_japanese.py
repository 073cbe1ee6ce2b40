"""Japanese is written in one way: full-width punctuation, the polite form, and one term for one thing."""

from __future__ import annotations

import re

import pytest

from shared.words.language import languages

JAPANESE = {
    key: text for key, text in languages()["ja"].texts.items() if re.search("[\u3040-\u30ff\u3400-\u9fff]", text)
}
LETTER = "[\u3040-\u30ff\u3400-\u9fff」)}]"
TERMS = {
    "連携ユーザー": "統合ユーザー",
    "得られるポイント": "獲得できるポイント",
    "認証コード": "認可コード",
    "後退": "再発",
    "すでに": "既に",
    "サードパーティ": "サード パーティ",
    "“": "「",
    "［": "[",
    "（": "(",
}
"""What is not said, and what is said instead."""
PLAIN = re.compile(r"(?:だ|である|る|ない|った|いた|(?<![まで])した)。")


def found(pattern: str) -> dict[str, str]:
    return {key: text for key, text in JAPANESE.items() if re.search(pattern, text)}


def test_punctuation_after_japanese_is_full_width() -> None:
    assert found(rf"{LETTER}(?:[,;!?]|:(?: |$))") == {}


def test_no_blank_follows_full_width_punctuation() -> None:
    assert found("[。、：？！] ") == {}


@pytest.mark.parametrize("term", TERMS)
def test_one_term_for_one_thing(term: str) -> None:
    assert found(re.escape(term)) == {}, f"say {TERMS[term]}"


def test_sentences_are_polite() -> None:
    assert {key: text for key, text in JAPANESE.items() if PLAIN.search(text)} == {}
