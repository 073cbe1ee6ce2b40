"""Addresses of receivers and signing secrets, as an administrator enters them. Pure.

Only the way out knows where a host's name leads (:mod:`shared.outbound.public_addresses`); this module refuses what no
receiver's address looks like.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Collection
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from shared.error_codes import OwnFaultCode
from shared.secret import Secret

ADDRESS_MAX_LENGTH: Final = 2000
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - how every secret of this form begins
SECRET_BYTES: Final = range(24, 65)
"""How many random bytes a signing secret may have (Webhooks §W4)."""

_NEW_SECRET_BYTES: Final = 32
_PRIVATE_NAMES: Final = ("localhost", ".localhost", ".local", ".internal", ".lan", ".home.arpa")


def address_fault(address: str, allowed_hosts: Collection[str]) -> OwnFaultCode | None:
    """Return what is wrong with an address; None if nothing is.

    Args:
        allowed_hosts: Hosts that an operator allows although they are in a private network.
    """
    if not address.isascii() or not address.isprintable() or " " in address or "\\" in address:
        return "not_an_address"
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "not_an_address"
    if parts.scheme != "https" or not host or parts.fragment:
        return "not_an_address"
    if "@" in parts.netloc:
        return "address_with_credentials"
    if host in allowed_hosts:
        return None
    return "address_not_public" if _is_private(host) else None


def host_of(address: Secret) -> str:
    """Return the host of a checked address, in lower case."""
    parts: SplitResult = urlsplit(address.reveal())
    return parts.hostname or ""


def _is_private(host: str) -> bool:
    """Whether a host is an IP address, in whatever notation, or a name that means a private network."""
    name = host.rstrip(".")
    labels = name.split(".")
    try:
        ip_address(name)
    except ValueError:
        # Resolvers read 127.1, 0x7f000001 and 2130706433 as addresses, too. No top-level domain looks like that.
        is_number = labels[-1].isdecimal() or labels[-1].startswith("0x")
    else:
        is_number = True
    return is_number or len(labels) < 2 or f".{name}".endswith(_PRIVATE_NAMES)


def new_signing_secret() -> Secret:
    """Return a new signing secret (Webhooks §W4)."""
    return Secret(SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_NEW_SECRET_BYTES)).decode())


def is_signing_secret(text: str) -> bool:
    """Whether a text is a signing secret in the form of the specification."""
    if not text.startswith(SECRET_PREFIX):
        return False
    try:
        return len(signing_key(Secret(text))) in SECRET_BYTES
    except (binascii.Error, ValueError):
        return False


def signing_key(secret: Secret) -> bytes:
    """Return the key that a signing secret stands for. Raises ValueError for anything else."""
    return base64.b64decode(secret.reveal().removeprefix(SECRET_PREFIX), validate=True)
