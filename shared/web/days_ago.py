"""How long ago something was, in whole days."""

from __future__ import annotations

from datetime import datetime

from shared.words.language import Language


def days_ago(at: datetime, now: datetime, t: Language) -> str:
    """Return the words for a time's day (UTC), as seen from today; what a clock that is ahead dated is from today."""
    match max(0, (now.date() - at.date()).days):
        case 0:
            return t("days_ago.today")
        case 1:
            return t("days_ago.yesterday")
        case days:
            return t("days_ago.more", days=days)
