"""Which addresses from outside become links."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

MAX_LENGTH: Final = 1000


def https_link(text: str) -> str | None:
    """Return an address that people may be sent to; None for any other text.

    It is https, names a host and no user, and has only visible characters.
    """
    link = text.strip()
    if len(link) > MAX_LENGTH or not link.isprintable() or " " in link:
        return None
    try:
        parts = urlsplit(link)
        host = parts.hostname
    except ValueError:
        return None
    is_safe = parts.scheme == "https" and host and "@" not in parts.netloc and "\\" not in link
    return link if is_safe else None
