"""How many requests an instance of ServiceNow allows in an hour, and how they are divided.

A rate-limit rule counts the requests of a user in each hour (ServiceNow §3). ServiceNow says what the limit is and when
the hour ends, but not how many are left, so all hosts of the app count their requests together.

Background work gets a part of the limit, spread over the hour: what people ask for keeps working until the hour ends,
and the synchronisation does not stop for the rest of it.

ServiceNow also refuses requests without naming a rule (ServiceNow §3). Then background work of that user pauses: as
long as ServiceNow asks, or else for a time that doubles with each further refusal.
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
FIRST_PAUSE: Final = timedelta(seconds=30)
"""A full queue for requests empties within seconds; the next turn of a connection begins after a minute."""
LONGEST_PAUSE: Final = timedelta(minutes=30)
CALM_AFTER: Final = timedelta(minutes=15)
"""After a time without a refusal, the next pause is a short one again: this long, or as long as the last pause."""


@value_object
class Pause:
    """Background work sends nothing, because ServiceNow refused a request without naming a rule.

    Attributes:
        until: When it ends.
        length: How long it was.
    """

    until: datetime
    length: timedelta


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
        pause: The last pause of all requests; None if there was none.
        etag: Version of the stored row, None before it is stored.
    """

    uses: Mapping[str, RuleUse] = field(default_factory=dict)
    rules: Mapping[str, str] = field(default_factory=dict)
    pause: Pause | None = None
    etag: str | None = field(default=None, compare=False)

    def wait_s(self, sort: str, now: datetime) -> float:
        """Return how many seconds background work has to wait before another request of this sort; 0 for none."""
        use = self.uses.get(self.rules.get(sort, ""))
        pause = believed_pause(self.pause, now)
        paused_s = 0.0 if pause is None else (pause.until - now).total_seconds()
        return max(0.0, paused_s, 0.0 if use is None else wait_s(use, now))


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


def believed_pause(pause: Pause | None, now: datetime) -> Pause | None:
    """Return a pause, or None if it ends so late that only a host with a wrong clock can have begun it."""
    return None if pause is None or believed(pause.until, now, ahead=HOUR) is None else pause


def next_pause(last: Pause | None, asked_s: float | None, now: datetime) -> Pause:
    """Return the pause after a refusal that names no rule.

    Requests that were under way together are refused together: those refused during a pause do not make it longer.

    Args:
        last: The pause before; None if there was none.
        asked_s: How long ServiceNow asks to wait; None if it does not say.
    """
    last = believed_pause(last, now)
    if asked_s is not None:
        length = timedelta(seconds=asked_s)
    elif last is None or now - last.until >= max(CALM_AFTER, last.length):
        length = FIRST_PAUSE
    elif last.until > now:
        return last
    else:
        length = min(max(2 * last.length, FIRST_PAUSE), LONGEST_PAUSE)
    return last if last is not None and last.until > now + length else Pause(now + length, length)


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
    rules = {**stored.rules, **known.rules}
    pauses = filter(None, (stored.pause, known.pause))
    return RequestBudget(uses, rules, max(pauses, key=lambda pause: pause.until, default=None), stored.etag)
