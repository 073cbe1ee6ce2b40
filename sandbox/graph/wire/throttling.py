"""Limits on a tenant's requests (Microsoft Graph §3.1): at once, in a minute, in ten minutes."""

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from sandbox.clock import Clock
from sandbox.graph.engine.switches import Switches
from sandbox.graph.wire.errors import too_many_requests

_MINUTE, _TEN_MINUTES = timedelta(minutes=1), timedelta(minutes=10)


class Throttling:
    """Counts each tenant's requests; the sandbox has one application, so the tenant is the scope."""

    def __init__(self, clock: Clock, switches: Switches) -> None:
        self._clock = clock
        self._switches = switches
        self._in_flight: Counter[str] = Counter()
        self._seen: dict[tuple[str, str], deque[datetime]] = {}

    def clear(self) -> None:
        """Forget the requests of the past; those in flight stay counted."""
        self._seen.clear()

    @contextmanager
    def admitted(self, tenant_id: str, *, is_for_scores: bool) -> Iterator[None]:
        """Admit a request during the block. Raises GraphError (429) beyond a limit; the request counts anyway."""
        within = not is_for_scores or self._counts(
            tenant_id, "scores", _MINUTE, self._switches.number("throttling.scores_per_minute")
        )
        within &= self._counts(tenant_id, "all", _TEN_MINUTES, self._switches.number("throttling.per_ten_minutes"))
        at_once = self._switches.number("throttling.concurrent")
        if not within or (at_once and self._in_flight[tenant_id] >= at_once):
            raise too_many_requests(self._switches)
        self._in_flight[tenant_id] += 1
        try:
            yield
        finally:
            self._in_flight[tenant_id] -= 1

    def _counts(self, tenant_id: str, resource: str, window: timedelta, limit: int) -> bool:
        """Count a request, and say whether it is within a limit; 0 is no limit."""
        now = self._clock.now()
        seen = self._seen.setdefault((tenant_id, resource), deque())
        while seen and now - seen[0] >= window:
            seen.popleft()
        seen.append(now)
        return not limit or len(seen) <= limit
