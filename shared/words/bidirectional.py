"""Text of unknown direction inside ours, which runs from left to right (UAX #9).

A name in Arabic or Hebrew must not reorder the words around it, and no invisible character may make a text look like
another one. Our own words are `Words`; whatever else a page shows is taken for people's text.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from shared.texts import DIRECTION_CONTROLS

FIRST_STRONG_ISOLATE: Final = "\u2068"
POP_DIRECTIONAL_ISOLATE: Final = "\u2069"
_MARKS: Final = {ord(control): f"⟦U+{ord(control):04X}⟧" for control in DIRECTION_CONTROLS}
_RIGHT_TO_LEFT: Final = frozenset({"R", "AL", "AN"})


class Words(str):
    """Words of ours; what they quote of people's text has gone through `isolated`."""

    __slots__ = ()


def isolated(text: str) -> Words:
    """Return people's text as it can be shown where no markup is possible.

    Control characters are shown by their code points. Text that runs from right to left is kept together by an
    isolate.
    """
    if isinstance(text, Words):
        return text
    if text.isascii():
        return Words(text)
    shown = text.translate(_MARKS)
    if _RIGHT_TO_LEFT.isdisjoint(map(unicodedata.bidirectional, shown)):
        return Words(shown)
    return Words(f"{FIRST_STRONG_ISOLATE}{shown}{POP_DIRECTIONAL_ISOLATE}")
