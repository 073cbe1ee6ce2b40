"""Which name of a person ServiceNow gets if it must not get the person's e-mail address and object id."""

from __future__ import annotations

import unicodedata


def shared_name(name: str, object_id: str) -> str | None:
    """Return the name, or None if it gives away an address or the object id.

    The name of an account can be either: some tokens have nothing better.
    """
    plain = unicodedata.normalize("NFKC", name).casefold()
    return None if "@" in plain or object_id.casefold() in plain else name
