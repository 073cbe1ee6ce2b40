"""Sentences that follow each other in one paragraph."""

from __future__ import annotations

from typing import Final

from shared.words.bidirectional import Words, isolated

_FULL_WIDTH_ENDS: Final = ("。", "！", "？", "：", "）", "」")
"""A full-width mark brings the space after it, so that no blank follows."""


def sentences(*texts: str | None) -> Words:
    """Return texts as one, with a blank between them where their language has one; empty ones and None are left out."""
    joined = ""
    for text in filter(None, texts):
        joined = f"{joined}{gap(joined)}{isolated(text)}"
    return Words(joined)


def gap(text: str) -> str:
    """Return the blank that follows a text before the next one: none after nothing or a full-width mark."""
    return "" if not text or text.endswith(_FULL_WIDTH_ENDS) else " "
