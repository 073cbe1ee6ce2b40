"""Texts from outside, made fit to stand in one line that people read."""

from __future__ import annotations

import re
from typing import Final

_NOT_SHOWN: Final = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Bidirectional controls (Unicode Standard Annex 9): they let a text rearrange what stands beside it."""
_BREAKS: Final = re.compile("[\\s\x00-\x1f\x7f-\x9f]+")


def one_line(text: str, max_length: int | None = None) -> str:
    """Return a text as one line: no control or bidirectional character, single spaces, no half of an emoji.

    Args:
        max_length: Characters; what is longer is cut, and ends in an ellipsis.
    """
    whole = text.encode(errors="replace").decode()
    line = _BREAKS.sub(" ", _NOT_SHOWN.sub("", whole)).strip()
    if max_length is None or len(line) <= max_length:
        return line
    return f"{line[: max_length - 1]}…"


def utf16_length(text: str) -> int:
    """Return the length that Java, JavaScript and Table Storage see: a character beyond U+FFFF counts twice."""
    return len(text) + sum(character > "\uffff" for character in text)
