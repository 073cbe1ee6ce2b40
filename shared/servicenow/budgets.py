"""Keeps requests within what the rate-limit rules of an instance allow, before ServiceNow refuses them (ServiceNow §3).

An instance without a rule sends no headers about one, and costs nothing here until it refuses a request. All hosts
count together: each adds what it has counted to a row that they share.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from shared.clock import Clock
from shared.connections.ports import RowChanged
from shared.connections.request_budget import (
    RequestBudget,
    RequestBudgetStore,
    RuleUse,
    believed_pause,
    joined,
    next_pause,
)
from shared.errors import RequestBudgetSpent, StorageUnavailable
from shared.log import log_event
from shared.outbound.answers import Answer, whole_number
from shared.servicenow.answers import retry_after_s
from shared.waiting_person import somebody_waits

SHARE_EVERY: Final = timedelta(seconds=15)
"""How often a host adds what it has counted; ServiceNow itself counts in steps of 30 s."""
SHARE_S: Final = 3.0
"""How long that may take, because whoever made the request waits for it."""
TRIES: Final = 3
MOST_RULES: Final = 50
"""Rules of one user that are remembered: more than an instance has for one integration user."""
MOST_USERS: Final = 10_000
"""Integration users that are remembered in memory."""


class User(NamedTuple):
    """Whose requests are counted together."""

    instance: str
    name: str


class Refusal(NamedTuple):
    """A refusal without a rule that no other host knows of yet.

    Attributes:
        asked_s: How long ServiceNow asked to wait; None if it did not say.
    """

    at: datetime
    asked_s: float | None


class _Known:
    """What this host knows about a user's requests."""

    def __init__(self) -> None:
        self.budget = RequestBudget()
        self.unshared: Counter[str] = Counter()
        self.refusal: Refusal | None = None
        self.shared_at: datetime | None = None


class RequestBudgets:
    """The budgets that this host knows, one for each user of an instance."""

    def __init__(self, store: RequestBudgetStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[User, _Known] = {}

    def admit(self, user: User, sort: str) -> None:
        """Let a request pass, or refuse it for now if nobody waits for it.

        Args:
            sort: Requests of one sort are counted by the same rule.

        Raises:
            RequestBudgetSpent: Nothing may be sent now.
        """
        known = self._known.get(user)
        if known is None or somebody_waits():
            return
        if (wait_s := known.budget.wait_s(sort, self._clock())) > 0:
            raise RequestBudgetSpent(retry_after_s=wait_s)

    def learn(self, user: User, sort: str, answer: Answer) -> None:
        """Count a request that a rule has counted, and remember a refusal."""
        now = self._clock()
        wait_s = retry_after_s(answer, now) if answer.status == 429 else None
        rule = answer.headers.get("x-ratelimit-rule", "")[:64]
        limit, reset = (whole_number(answer.headers.get(f"x-ratelimit-{name}", "")) for name in ("limit", "reset"))
        if not rule or not limit or reset is None or reset > 10**11:
            if answer.status == 429:
                self._refused(self._known_of(user), Refusal(now, wait_s))
            return
        known = self._known_of(user)
        present = known.budget.uses.get(rule)
        use = RuleUse(limit, datetime.fromtimestamp(reset, UTC))
        if present is not None and present.resets_at == use.resets_at:
            use = replace(present, limit=limit)
        else:
            known.unshared[rule] = 0
        if wait_s is not None:
            use = replace(use, refused_until=now + timedelta(seconds=wait_s))
        known.unshared[rule] += 1
        uses = {**known.budget.uses, rule: replace(use, used=use.used + 1)}
        rules = {**known.budget.rules, sort: rule}
        if len(uses) > MOST_RULES:
            uses, rules = {rule: uses[rule]}, {sort: rule}
        known.budget = replace(known.budget, uses=uses, rules=rules)

    @staticmethod
    def _refused(known: _Known, refusal: Refusal) -> None:
        pause = next_pause(known.budget.pause, refusal.asked_s, refusal.at)
        if pause != known.budget.pause:
            known.budget, known.refusal = replace(known.budget, pause=pause), refusal

    def _known_of(self, user: User) -> _Known:
        if len(self._known) >= MOST_USERS:
            self._known.clear()
        return self._known.setdefault(user, _Known())

    async def share(self, user: User) -> None:
        """Add what was learned here to what all hosts know, if that is due. A failure is only logged.

        Counts are due after some time. A refusal always is: until its pause ends, background work makes no request.
        """
        known, now = self._known.get(user), self._clock()
        if known is None or (known.refusal is None and not known.unshared.total()):
            return
        is_early = known.shared_at is not None and timedelta() <= now - known.shared_at < SHARE_EVERY
        if is_early and known.refusal is None:
            return
        known.shared_at = now
        try:
            async with asyncio.timeout(SHARE_S):
                await self._share(user, known)
        except (StorageUnavailable, TimeoutError) as error:
            code = error.code if isinstance(error, StorageUnavailable) else "time_limit_reached"
            log_event("request_budget_not_shared", level=logging.WARNING, code=code)

    async def _share(self, user: User, known: _Known) -> None:
        for _ in range(TRIES):
            stored = await self._store.get(*user)
            # Beside the pause of a wrong clock, no shorter one would be stored.
            stored = replace(stored, pause=believed_pause(stored.pause, self._clock()))
            counted, refusal, budget = Counter(known.unshared), known.refusal, known.budget
            if refusal is not None:
                # Others can have been refused before: the pause gets longer for all.
                budget = replace(budget, pause=next_pause(stored.pause, refusal.asked_s, refusal.at))
            try:
                saved = await self._store.save(*user, joined(stored, budget, counted))
            except RowChanged:
                continue
            # What was learned meanwhile counts here, and is shared next time.
            known.unshared -= counted
            known.budget = joined(saved, known.budget, known.unshared)
            if known.refusal is refusal:
                known.refusal = None
            return
