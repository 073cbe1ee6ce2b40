"""Addresses of improvement actions in the Defender portal (Microsoft Graph §7)."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit

from shared.value_object import value_object

PORTAL_HOSTS: Final = frozenset({"security.microsoft.com", "security.microsoft.us", "security.apps.mil"})
"""The Defender portal of each cloud (Microsoft Graph §3.4)."""
MAX_LENGTH: Final = 2000
_PATH: Final = "/securescore"
_TENANT: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@value_object
class PortalLink:
    """What a link to the portal names.

    Attributes:
        tenant_id: Lower case; None if the link names no tenant.
    """

    tenant_id: str | None
    control_id: str


def action_link(portal: str, control_id: str) -> str:
    """Return the address of an improvement action in the portal.

    Args:
        portal: The portal's base address, such as ``https://security.microsoft.com``.
    """
    return f"{portal}{_PATH}?viewid=actions&actionId={quote(control_id, safe='')}"


def read_portal_link(text: str) -> PortalLink | None:
    """Return what a pasted link to an improvement action names; None if the text is no such link.

    People copy links without their scheme, too.
    """
    link = text.strip().strip("<>")
    if len(link) > MAX_LENGTH:
        return None
    try:
        parts = urlsplit(link if "://" in link else f"https://{link}")
        host = parts.hostname
    except ValueError:
        return None
    if parts.scheme not in {"https", "http"} or host not in PORTAL_HOSTS or parts.path.rstrip("/").lower() != _PATH:
        return None
    values = {name.lower(): value for name, value in parse_qsl(parts.query)}
    control_id = values.get("actionid", "")
    tenant_id = values.get("tid", "").lower()
    if not control_id:
        return None
    return PortalLink(tenant_id if _TENANT.fullmatch(tenant_id) else None, control_id)
