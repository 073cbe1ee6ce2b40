"""How long ago something was, in whole days."""

from __future__ import annotations

from shared.words.language import Language


def days_ago(days: int, t: Language) -> str:
    """Return the words for a number of days, as seen from today."""
    match days:
        case 0:
            return t("days_ago.today")
        case 1:
            return t("days_ago.yesterday")
        case _:
            return t("days_ago.more", days=days)
