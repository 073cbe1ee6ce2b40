"""The address of a ServiceNow instance: what an administrator may enter, and where secrets may be sent."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from shared.errors import FixRequest

SERVICENOW_DOMAIN: Final = ".service-now.com"
GOVERNMENT_DOMAIN: Final = ".servicenowservices.com"
"""The domain of ServiceNow's Government Community Cloud."""
MAX_LENGTH: Final = 300

_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME: Final = re.compile(_LABEL)
_INSTANCE_HOST: Final = re.compile(
    rf"(?!xn--){_LABEL}(?:{re.escape(SERVICENOW_DOMAIN)}|{re.escape(GOVERNMENT_DOMAIN)})"
)
_NEEDLESS: Final = re.compile(r"\.?(?::443)?\Z")
"""Endings that do not change which host is meant: the root dot and the port of https."""
_LOOPBACK: Final = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?")
_ADDRESS: Final = re.compile(r"(?:(?P<scheme>[a-z][a-z0-9+.-]*)://)?(?P<authority>[^/?#]*)(?:[/?#].*)?", re.IGNORECASE)


def normalise_instance(text: str, *, allowed_hosts: Collection[str], allow_loopback_http: bool) -> str:
    """Return the base URL of the instance that the text means, such as ``https://contoso.service-now.com``.

    A name alone means that name under service-now.com. The path of a URL, port 443 and a dot after the host are
    dropped.

    Args:
        text: ``contoso``, ``contoso.service-now.com`` or a URL.
        allowed_hosts: Other hosts that the operator allows, each exactly as it will be used, with its port if any.
        allow_loopback_http: Whether ``http://`` to this machine is allowed.

    Raises:
        FixRequest: 422 ``instance_not_allowed``.
    """
    given = text.strip()
    match = _ADDRESS.fullmatch(given)
    if match is None or len(given) > MAX_LENGTH or not given.isascii() or not given.isprintable() or "\\" in given:
        raise _refused("not_an_address")
    scheme, authority = (match["scheme"] or "https").lower(), match["authority"].lower()
    if scheme == "http" and allow_loopback_http and _LOOPBACK.fullmatch(authority):
        return f"http://{authority}"
    if scheme != "https":
        raise _refused("not_https")
    if match["scheme"] is None and given == match["authority"] and _NAME.fullmatch(authority):
        authority += SERVICENOW_DOMAIN
    allowed = {host.strip().lower() for host in allowed_hosts}
    for host in (authority, _NEEDLESS.sub("", authority, count=1)):
        if host in allowed or _INSTANCE_HOST.fullmatch(host):
            return f"https://{host}"
    if "@" in authority:
        raise _refused("user_name")
    if ":" in authority:
        raise _refused("port")
    raise _refused("other_host")


def _refused(variant: str) -> FixRequest:
    return FixRequest("instance_not_allowed", status=422, variant=variant)
