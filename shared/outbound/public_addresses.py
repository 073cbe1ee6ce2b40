"""Which addresses are of the public Internet: whoever names a host must not reach our own network through us."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

type Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the IP addresses of a host for connections to a port; none if the host is unknown."""

AZURE_PLATFORM: Final = IPv4Address("168.63.129.16")
"""A public address that leads to Azure's platform from within every virtual network (Webhooks §N2)."""
_NAT64: Final = IPv6Network("64:ff9b::/96")


async def addresses_of(host: str, port: int) -> Sequence[str]:
    """Return the IP addresses of a host; none if it is unknown."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(text: str) -> bool:
    """Whether an IP address, and each address inside it (Webhooks §N3), is of the public Internet."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return all(map(_is_of_the_internet, _every(address)))


def _is_of_the_internet(address: IPv4Address | IPv6Address) -> bool:
    # Site-local addresses (fec0::/10) were the private ones of IPv6, and Python calls them global.
    is_site_local = isinstance(address, IPv6Address) and address.is_site_local
    is_special = address.is_multicast or address.is_reserved or is_site_local
    return address.is_global and not is_special and address != AZURE_PLATFORM


def _every(address: IPv4Address | IPv6Address) -> Iterator[IPv4Address | IPv6Address]:
    """Yield an address and those inside it; a mapped one means the address inside."""
    if isinstance(address, IPv4Address):
        yield address
    elif address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    elif address in _NAT64:
        yield IPv4Address(int(address) & 0xFFFFFFFF)
    else:
        yield address
        yield from filter(None, (address.sixtofour, *(address.teredo or ())))
