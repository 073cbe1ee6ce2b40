"""The faults that are set, and which one answers a request: each waits for matching requests."""

import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sandbox.clock import Clock
from sandbox.servicenow.wire.rest.table import DEFAULT_LIMIT

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass
class Fault:
    """A fault and the requests it waits for.

    Attributes:
        kind: A key of :data:`sandbox.servicenow.stage.faults.kinds.KINDS`.
        method: HTTP method, or empty for any.
        path: Regular expression found in the path.
        query: Regular expression found in the decoded query string.
        body: Regular expression found in the request body.
        remaining: How many more requests it takes, or `None` for all until it is removed.
        every: It takes the first of each group of this many requests and lets the others pass: an intermittent fault.
        above_limit: It takes only lists with a greater `sysparm_limit` (by default 10,000), or `None` for any.
        after_s: Seconds, by the instance's clock, until it takes effect (a rate rule is 30 s late).
        retry_after_s: `Retry-After` of `rate_limited`.
        limit: Requests per hour that `rate_limited` names.
        delay_s: Real seconds that `slow` and the faults that cut a connection wait before they answer.
        size_bytes: Length of the body of `huge_body`.
        encoding: `Content-Encoding` of `encoded` and `huge_body`, in the order of its codings. gzip and deflate are
            applied; any other coding is only in the header.
        rows: Number of whole rows in `cut_off_json`.
        runs: Whether the request is still carried out (`accepted`, `bad_gateway`, `unauthenticated` and its variants).
        commit_after_s: Seconds, by the instance's clock, after which a request whose answer is lost is carried out (the
            faults with `runs`, `reset_after_commit`, `cancelled_after_commit`).
        location: Target of `redirected`.
        digits: Length of the count in `endless_count`.
        values: Column to value; `hostile_values` puts them into each row.
        id: Names the fault in the control API.
        seen: Requests it has matched.
        taken: Requests it has answered.
        set_at: When it was set, by the instance's clock (aware UTC).
    """

    kind: str
    method: str = ""
    path: str = ""
    query: str = ""
    body: str = ""
    remaining: int | None = 1
    every: int = 1
    above_limit: int | None = None
    after_s: float = 0
    retry_after_s: int = 60
    limit: int = 10
    delay_s: float = 0
    size_bytes: int = 32 * 1024 * 1024
    encoding: str = ""
    rows: int = 2
    runs: bool = False
    commit_after_s: float = 0
    location: str = "https://login.example.com/"
    digits: int = 5_000
    values: Mapping[str, str] = field(default_factory=lambda: {"sys_updated_on": "0000-00-00 00:00:00"})
    id: str = field(default_factory=lambda: secrets.token_hex(4))
    seen: int = 0
    taken: int = 0
    set_at: datetime = _NEVER

    def matches(self, method: str, path: str, query: str, body: str, now: datetime) -> bool:
        """Say whether it takes this request at `now`."""
        return (
            self.remaining != 0
            and now >= self.set_at + timedelta(seconds=self.after_s)
            and self.method.upper() in ("", method)
            and re.search(self.path, path) is not None
            and re.search(self.query, query) is not None
            and re.search(self.body, body) is not None
            and (self.above_limit is None or _limit_of(query) > self.above_limit)
        )


class Faults:
    """The set faults, oldest first; the first that matches answers a request."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._faults: list[Fault] = []

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._faults)

    @property
    def read_bodies(self) -> bool:
        """Say whether any fault needs request bodies for matching."""
        return any(fault.body and fault.remaining != 0 for fault in self._faults)

    def set(self, fault: Fault) -> None:
        """Set `fault` now."""
        fault.set_at = self._clock.now()
        self._faults.append(fault)

    def remove(self, fault_id: str) -> bool:
        """Remove a fault; say whether it was set."""
        before = len(self._faults)
        self._faults = [fault for fault in self._faults if fault.id != fault_id]
        return len(self._faults) < before

    def clear(self) -> None:
        """Remove all faults."""
        self._faults.clear()

    def take(self, method: str, path: str, query: str, body: str) -> Fault | None:
        """Return the fault that answers this request, and count it."""
        now = self._clock.now()
        for fault in self._faults:
            if not fault.matches(method, path, query, body, now):
                continue
            fault.seen += 1
            if (fault.seen - 1) % fault.every:
                continue
            fault.taken += 1
            if fault.remaining is not None:
                fault.remaining -= 1
            return fault
        return None


def _limit_of(query: str) -> int:
    given = re.search(r"(?:^|&)sysparm_limit=(\d{1,18})(?:&|$)", query)
    return int(given[1]) if given else DEFAULT_LIMIT
