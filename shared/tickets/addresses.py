"""E-mail addresses of the people in a Microsoft 365 tenant."""

from __future__ import annotations

import re
from typing import Final

_GUEST: Final = re.compile(r"(?P<name>.+)_(?P<domain>[^_@]+)#EXT#@[^@]+", re.IGNORECASE)


def real_address(address: str) -> str:
    """Return the address at which a person receives mail.

    The tenant makes a guest's user name from that address: ``ada_lovelace@contoso.com`` becomes
    ``ada_lovelace_contoso.com#EXT#@fabrikam.onmicrosoft.com``. Domains have no underscores, so the last underscore was
    the ``@``. Any other address is returned unchanged.
    """
    guest = _GUEST.fullmatch(address.strip())
    return f"{guest['name']}@{guest['domain']}" if guest else address
