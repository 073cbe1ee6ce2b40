"""How many requests an instance of ServiceNow allows in an hour, and how they are divided.

A rate-limit rule counts the requests of a user in each hour (ServiceNow §3). ServiceNow says what the limit is and when
the hour ends, but not how many are left, so all hosts of the app count their requests together.

Background work gets a part of the limit, spread over the hour: what people ask for keeps working until the hour ends,
and the synchronisation does not stop for the rest of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from shared.clock import believed
from shared.value_object import value_object

HOUR: Final = timedelta(hours=1)
RESERVE: Final = 0.2
"""The part of a limit that is kept for what people ask for."""
AHEAD: Final = 0.1
"""The part of an hour by which background work may be ahead of an even pace."""


@value_object
class RuleUse:
    """What has been used of a rule's limit in an hour.

    Attributes:
        limit: Requests that it allows in an hour.
        resets_at: When the hour ends, by ServiceNow's clock; it also says which hour this is.
        used: Requests that were counted.
        refused_until: Until when ServiceNow refuses more; None if it has refused none in this hour.
    """

    limit: int
    resets_at: datetime
    used: int = 0
    refused_until: datetime | None = None


@value_object
class RequestBudget:
    """What is known of an instance's rules for an integration user.

    Attributes:
        uses: By the rule's id.
        rules: The id of the rule for each sort of request.
        etag: Version of the stored row, None before it is stored.
    """

    uses: Mapping[str, RuleUse] = field(default_factory=dict)
    rules: Mapping[str, str] = field(default_factory=dict)
    etag: str | None = field(default=None, compare=False)

    def wait_s(self, sort: str, now: datetime) -> float:
        """Return how many seconds background work has to wait before another request of this sort; 0 for none."""
        use = self.uses.get(self.rules.get(sort, ""))
        return 0.0 if use is None else wait_s(use, now)


class RequestBudgetStore(Protocol):
    """Budgets that all hosts share."""

    async def get(self, instance: str, user: str) -> RequestBudget:
        """Return the budget; an empty one if there is none. Raises StorageUnavailable."""
        ...

    async def save(self, instance: str, user: str, budget: RequestBudget) -> RequestBudget:
        """Store the budget if its etag is still the stored one. Raises RowChanged otherwise, or StorageUnavailable."""
        ...


def wait_s(use: RuleUse, now: datetime) -> float:
    """Return how many seconds background work has to wait before it may use another request of a limit.

    A time further ahead than an hour is a wrong clock's, and limits nothing.
    """
    resets_at = believed(use.resets_at, now, ahead=HOUR)
    if resets_at is None or resets_at <= now:
        return 0.0
    until_reset_s = (resets_at - now).total_seconds()
    if use.refused_until is not None and use.refused_until > now:
        return min((use.refused_until - now).total_seconds(), until_reset_s)
    for_background = max(1, use.limit - math.ceil(use.limit * RESERVE))
    if use.used >= for_background:
        return until_reset_s
    # The next request has its place at this part of the hour.
    place = use.used / for_background - AHEAD
    passed_s = HOUR.total_seconds() - until_reset_s
    return max(0.0, place * HOUR.total_seconds() - passed_s)


def joined(stored: RequestBudget, known: RequestBudget, unshared: Mapping[str, int]) -> RequestBudget:
    """Return what all hosts together know.

    Args:
        known: What this host knows.
        unshared: How many requests this host has counted for each rule in the hour that it knows, and not yet shared.
    """
    uses = dict(stored.uses)
    for rule, own in known.uses.items():
        count, present = unshared.get(rule, 0), uses.get(rule)
        if present is None or present.resets_at < own.resets_at:
            uses[rule] = replace(own, used=count)
        elif present.resets_at == own.resets_at:
            refused = max(filter(None, (present.refused_until, own.refused_until)), default=None)
            uses[rule] = replace(present, limit=own.limit, used=present.used + count, refused_until=refused)
    return RequestBudget(uses, {**stored.rules, **known.rules}, stored.etag)
