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
        gap = "" if not joined or joined.endswith(_FULL_WIDTH_ENDS) else " "
        joined = f"{joined}{gap}{isolated(text)}"
    return Words(joined)
