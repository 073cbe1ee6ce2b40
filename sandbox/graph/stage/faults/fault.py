"""The faults that are set, and which one answers a request: each waits for matching requests."""

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Fault:
    """A fault and the requests it waits for.

    Attributes:
        kind: A key of :data:`sandbox.graph.stage.faults.kinds.KINDS`.
        method: HTTP method, or empty for any.
        path: Regular expression found in the path.
        query: Regular expression found in the encoded query string.
        tenant_id: The only tenant, by the token, or empty for all.
        remaining: How many more requests it takes, or `None` for all until it is removed.
        every: It takes the first of each group of this many requests and lets the others pass.
        retry_after: Form of `Retry-After` in `throttled`, `unavailable` and `locked`: seconds, date, zero or none.
        retry_after_s: Seconds that it names.
        delay_s: Real seconds that `slow`, `slow_body` and `gateway_timeout` wait.
        service: The service that is missing from a `partial` answer.
        status: Status of `unknown_error`.
        location: Origin to which `foreign_next_link` leads.
        id: Names the fault in the control API.
        seen: Requests it has matched.
        taken: Requests it has answered.
    """

    kind: str
    method: str = ""
    path: str = ""
    query: str = ""
    tenant_id: str = ""
    remaining: int | None = 1
    every: int = 1
    retry_after: str = "seconds"
    retry_after_s: int = 10
    delay_s: float = 10
    service: str = "MDO"
    status: int = 404
    location: str = "https://graph.example.com"
    id: str = field(default_factory=lambda: secrets.token_hex(4))
    seen: int = 0
    taken: int = 0

    def matches(self, method: str, path: str, query: str, tenant_id: str) -> bool:
        """Say whether it waits for this request."""
        return (
            self.remaining != 0
            and self.method.upper() in ("", method)
            and self.tenant_id in ("", tenant_id)
            and re.search(self.path, path) is not None
            and re.search(self.query, query) is not None
        )


class Faults:
    """The set faults, oldest first; the first that matches answers a request.

    Attributes:
        broken_connections: Addresses of the callers' connections on which nothing works any more.
    """

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self.broken_connections: set[tuple[str, int]] = set()

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._faults)

    def set(self, fault: Fault) -> None:
        """Set a fault."""
        self._faults.append(fault)

    def remove(self, fault_id: str) -> bool:
        """Remove a fault; say whether it was set."""
        before = len(self._faults)
        self._faults = [fault for fault in self._faults if fault.id != fault_id]
        return len(self._faults) < before

    def clear(self) -> None:
        """Remove all faults."""
        self._faults.clear()
        self.broken_connections.clear()

    def take(self, method: str, path: str, query: str, tenant_id: str) -> Fault | None:
        """Return the fault that answers this request, and count it."""
        for fault in self._faults:
            if not fault.matches(method, path, query, tenant_id):
                continue
            fault.seen += 1
            if (fault.seen - 1) % fault.every:
                continue
            fault.taken += 1
            if fault.remaining is not None:
                fault.remaining -= 1
            return fault
        return None
