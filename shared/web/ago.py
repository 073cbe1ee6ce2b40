"""How long ago something was, as people say it: minutes, hours or days."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from shared.words.language import Language

_UNITS: Final = (("days", timedelta(days=1)), ("hours", timedelta(hours=1)), ("minutes", timedelta(minutes=1)))


def ago(at: datetime, now: datetime, t: Language) -> str:
    """Return the words for the time since then, in the largest unit that fits; a time ahead of our clock is "now"."""
    passed = now - at
    for unit, length in _UNITS:
        if passed >= length:
            count = passed // length
            return t.counted(f"ago.{unit}", count)
    return t("ago.now")
