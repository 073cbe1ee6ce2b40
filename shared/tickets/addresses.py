"""E-mail addresses of people of a Microsoft 365 tenant."""

from __future__ import annotations

import re
from typing import Final

_GUEST: Final = re.compile(r"(?P<name>.+)_(?P<domain>[^_@]+)#EXT#@[^@]+", re.IGNORECASE)


def real_address(address: str) -> str:
    """Return the address at which a person gets mail.

    A guest's user name in the tenant is made from it: ``ada_lovelace@contoso.com`` becomes
    ``ada_lovelace_contoso.com#EXT#@fabrikam.onmicrosoft.com``. No domain holds an underscore, so the last one stood for
    the ``@``. Any other address is returned as it is.
    """
    guest = _GUEST.fullmatch(address.strip())
    return f"{guest['name']}@{guest['domain']}" if guest else address
