"""The keys that open functions and the host's own endpoints (Functions host §A1 to §A5)."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sandbox.functions_host.functions import AuthorizationLevel

HEADER = "x-functions-key"
QUERY_PARAMETER = "code"


def new_key() -> str:
    """Make a key that looks like a real one: URL-safe base64 with its padding."""
    return secrets.token_urlsafe(40) + "=="


@dataclass(frozen=True, slots=True)
class Keys:
    """One host's keys; ``of_function`` gives the key of a function by name."""

    master: str
    host: str
    of_function: Callable[[str], str]

    def open(self, level: AuthorizationLevel, function_name: str, presented: str | None) -> bool:
        """Say whether a key opens a function."""
        if level == "ANONYMOUS":
            return True
        if level == "ADMIN":
            return self.is_master(presented)
        return self.is_known(presented, function_name)

    def is_master(self, presented: str | None) -> bool:
        """Say whether it is the master key."""
        return _equal(presented, self.master)

    def is_known(self, presented: str | None, function_name: str | None = None) -> bool:
        """Say whether it is the master key, the host key, or the key of the named function."""
        known = [self.master, self.host, *([self.of_function(function_name)] if function_name else [])]
        return any(_equal(presented, key) for key in known)


def presented_key(headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
    """Find the key in a request; the header wins over the query (Functions host §A4)."""
    if HEADER in headers:
        return headers[HEADER]
    return next((value for name, value in query.items() if name.lower() == QUERY_PARAMETER), None)


def _equal(presented: str | None, key: str) -> bool:
    return presented is not None and hmac.compare_digest(presented.encode(), key.encode())
