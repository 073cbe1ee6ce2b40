"""Cookies, as browsers send them and as they are set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import azure.functions as func

LONGEST: Final = 32_768
"""Characters of all cookies together: the host accepts no longer headers (Functions host §Q25)."""
MOST: Final = 200


def cookie_value(headers: Mapping[str, str], name: str) -> str | None:
    """Return the value of the first cookie with this name; None if there is none, or if there are too many cookies.

    Only a semicolon ends a cookie. A comma and quotes are part of a value, which a neighbouring site may have chosen:
    reading them as further cookies would let it forge those that only this host may set (``__Host-``). The host joins a
    second ``Cookie`` header by a comma (Functions host §Q3), but browsers send one (RFC 6265, 5.4).
    """
    header = headers.get("Cookie") or ""
    if len(header) > LONGEST:
        return None
    for part in header.split(";", MOST)[:MOST]:
        key, equals, value = part.partition("=")
        if equals and key.strip(" \t") == name:
            return value.strip(" \t")
    return None


def set_cookie(response: func.HttpResponse, name: str, value: str, *, max_age_s: int, secure: bool) -> None:
    """Set a cookie for this host that scripts cannot read; 0 seconds remove it.

    ``Lax``: the browser sends it when another site leads here, as ServiceNow does after the consent.

    Args:
        value: Letters, digits, ``-._~``: the host changes others, or drops the cookie (Functions host §P23, §P24).
    """
    attributes = f"Max-Age={max_age_s}; Path=/; HttpOnly; SameSite=Lax{'; Secure' if secure else ''}"
    response.headers.add("Set-Cookie", f"{name}={value}; {attributes}")
