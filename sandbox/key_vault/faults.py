"""Faults on demand: the next matching requests are refused as the service refuses them on a bad day."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sandbox.key_vault.vault import KeyVaultError

KINDS: dict[str, KeyVaultError] = {
    "throttled": KeyVaultError(
        429,
        "Throttled",
        "Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached",
    ),
    "unavailable": KeyVaultError(503, "ServiceUnavailable", "The service is temporarily unavailable."),
    "internal_error": KeyVaultError(500, "InternalServerError", "The service encountered an internal error."),
    "forbidden_by_rbac": KeyVaultError(
        403,
        "Forbidden",
        "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role "
        "definitions were changed recently, please observe propagation time.",
        "ForbiddenByRbac",
    ),
    "forbidden_by_firewall": KeyVaultError(
        403, "Forbidden", "Client address is not authorized and caller is not a trusted service.", "ForbiddenByFirewall"
    ),
}


@dataclass
class Fault:
    """A fault that waits for matching requests.

    Attributes:
        kind: A key of :data:`KINDS`.
        method: HTTP method, or ``None`` for all.
        path: Regular expression found in the path.
        remaining: How many more requests to refuse, or ``None`` for all until the fault is removed.
        retry_after_s: ``Retry-After`` of the answer, or ``None`` for none.
    """

    kind: str
    method: str | None = None
    path: str = ""
    remaining: int | None = 1
    retry_after_s: int | None = None

    def takes(self, method: str, path: str) -> bool:
        """Say whether this request matches, and count it."""
        if self.remaining == 0 or self.method not in (None, method) or not re.search(self.path, path):
            return False
        if self.remaining is not None:
            self.remaining -= 1
        return True
