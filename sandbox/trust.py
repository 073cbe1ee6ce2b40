"""The certificates that clients of the sandbox trust, unless they speak to a server with the sandbox's own."""

from __future__ import annotations

import ssl
from functools import cache

import httpx


@cache
def usual_trust() -> ssl.SSLContext:
    """Return what httpx trusts, read once: reading it for each client takes longer than most requests."""
    return httpx.create_ssl_context(trust_env=False)
