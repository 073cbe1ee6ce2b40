"""Rate-limit rules: requests per hour and user, counted late, as the instance counts them (ServiceNow §3)."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sandbox.clock import Clock
from sandbox.servicenow.engine.caller import Caller
from sandbox.servicenow.engine.errors import ServiceNowError, rate_limit_exceeded

_HOUR_S = 3600


@dataclass
class RateLimitRule:
    """A rule for some API calls of a user, of a role, or of everybody.

    Attributes:
        limit_per_hour: Allowed requests in a clock hour, for each user separately.
        path: Prefix of its paths.
        method: HTTP method, or empty for any.
        user_name: Its only user, or empty.
        role: Its only role, or empty.
        written_every_s: Interval of writing the counts, which take effect only then; 0 makes the rule exact.
        sys_id: Its id in `X-RateLimit-Rule`.
    """

    limit_per_hour: int
    path: str = "/api/now/table"
    method: str = ""
    user_name: str = ""
    role: str = ""
    written_every_s: float = 30
    sys_id: str = field(default_factory=lambda: secrets.token_hex(16))

    def precedence(self, caller: Caller) -> tuple[int, int]:
        """Order rules: a user's own comes first, then those of roles by lowest limit, then everybody's."""
        return (0 if self.user_name else 1 if self.role else 2, self.limit_per_hour)

    def is_for(self, caller: Caller, method: str, path: str) -> bool:
        """Say whether it counts this request of that caller."""
        return (
            path.startswith(self.path)
            and self.method.upper() in ("", method)
            and self.user_name in ("", caller.user_name)
            and (not self.role or self.role in caller.roles)
        )


@dataclass
class _Count:
    hour: int
    seen: int = 0
    written: int = 0
    written_at: datetime | None = None


class RateLimits:
    """The rules in force and their counts."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts: dict[tuple[str, str], _Count] = {}
        self.rules: list[RateLimitRule] = []

    def clear(self) -> None:
        """Remove every rule."""
        self.rules.clear()
        self._counts.clear()

    def count(self, caller: Caller, method: str, path: str) -> Mapping[str, str]:
        """Count a request and return headers for its answer, none if no rule applies.

        Raises ServiceNowError (429, with its headers) if the rule that applies denies it.
        """
        rules = [rule for rule in self.rules if rule.is_for(caller, method, path)]
        if not rules:
            return {}
        rule = min(rules, key=lambda rule: rule.precedence(caller))
        now = self._clock.now()
        hour = int(now.timestamp()) // _HOUR_S
        count = self._counts.get((rule.sys_id, caller.user_sys_id))
        if count is None or count.hour != hour:
            count = self._counts[rule.sys_id, caller.user_sys_id] = _Count(hour, written_at=now)
        if count.written_at is None or now - count.written_at >= timedelta(seconds=rule.written_every_s):
            count.written, count.written_at = count.seen, now
        reset_at = (hour + 1) * _HOUR_S
        headers = {
            "X-RateLimit-Limit": str(rule.limit_per_hour),
            "X-RateLimit-Reset": str(reset_at),
            "X-RateLimit-Rule": rule.sys_id,
        }
        if count.written >= rule.limit_per_hour:
            error = rate_limit_exceeded(rule.limit_per_hour)
            retry_after = {"Retry-After": str(max(1, reset_at - int(now.timestamp())))}
            raise ServiceNowError(error.status, error.message, error.detail, headers | retry_after)
        count.seen += 1
        return headers
