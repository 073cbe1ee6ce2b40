"""The network connections of the Azure SDK's clients."""

from __future__ import annotations

from typing import Final
from urllib.request import getproxies

from azure.core.pipeline import transport

CONNECT_TIMEOUT_S: Final = 5.0
READ_TIMEOUT_S: Final = 10.0


def open_network() -> transport.AioHttpTransport:
    """Return what carries the requests of one client; nothing is sent yet.

    If it may use the environment, aiohttp has a thread look for the user's ``.netrc`` and another for a proxy at every
    request: a fifth of the processor time of creating a ticket. So it may only if there is a proxy.
    """
    # Under this name, the SDK loads aiohttp only now, which does not slow down the app's start.
    return transport.AioHttpTransport(
        connection_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        use_env_settings=bool(getproxies().keys() - {"no"}),
    )
