"""Sentences in one paragraph."""

from __future__ import annotations

import re

import pytest

from shared.web.html import FOLDER
from shared.words.bidirectional import Words
from shared.words.sentences import gap, sentences


@pytest.mark.parametrize(
    ("texts", "joined"),
    [
        (("One.", "Two."), "One. Two."),
        (("一つ目です。", "二つ目です。"), "一つ目です。二つ目です。"),
        (("", "Two.", None), "Two."),
        ((), ""),
        (("送信しました：", "3 件"), "送信しました：3 件"),
    ],
)
def test_a_blank_is_between_sentences_of_languages_that_have_one(texts: tuple[str | None, ...], joined: str) -> None:
    assert sentences(*texts) == joined


@pytest.mark.parametrize(
    ("text", "blank"), [("How to fix it:", " "), ("対処方法：", ""), ("送信しました。", ""), ("", "")]
)
def test_a_full_width_mark_brings_its_own_blank(text: str, blank: str) -> None:
    assert gap(text) == blank


def test_what_people_wrote_does_not_reorder_our_words() -> None:
    said = sentences(Words("Sent."), "שלום")
    assert isinstance(said, Words)
    assert said == "Sent. \u2068שלום\u2069"


def test_no_template_puts_a_blank_between_two_texts_of_ours() -> None:
    """A blank that is right in English is wrong in Japanese."""
    whole_text = r"\{\{ (?:t\([^{}]*\)|[\w.]+\.(?:message|next_step|seen|meaning|fix|text)) \}\}"
    between = re.compile(rf"{whole_text}(?:\{{% if [^%]*%\}})? (?:\{{% if [^%]*%\}})?{whole_text}")
    found = {
        file.name: between.findall(file.read_text(encoding="utf-8"))
        for file in sorted((FOLDER / "templates").glob("*.html"))
    }
    assert {name: each for name, each in found.items() if each} == {}
