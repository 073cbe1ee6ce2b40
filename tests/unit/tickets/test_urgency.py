"""The most urgent tickets, and only those about which somebody has to do something."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

from shared.tickets.listed import ListedTicket, listed
from shared.tickets.model import Delivery, Phase, Priority
from shared.tickets.outcomes import Outcome
from shared.tickets.urgency import most_urgent
from tests.memory.clock import START
from tests.unit.tickets.examples import delivered_ticket, new_ticket

DAY = timedelta(days=1)


def open_one(name: str, **changes: Any) -> ListedTicket:
    return replace(listed(delivered_ticket(START)), name=name, **changes)


def closed(name: str, outcome: Outcome, **changes: Any) -> ListedTicket:
    return open_one(name, phase=Phase.CLOSED, outcome=outcome, **changes)


URGENT = [
    replace(listed(new_ticket(START)), name="refused", delivery=Delivery.FAILED),
    open_one("overdue for long", due_at=START - 9 * DAY, priority=Priority.LOW),
    open_one("overdue and lost again", due_at=START - 8 * DAY, outcome=Outcome.REGRESSED),
    open_one("overdue", due_at=START - DAY, priority=Priority.CRITICAL),
    closed("lost again", Outcome.REGRESSED),
    closed("not fixed", Outcome.NOT_FIXED, priority=Priority.CRITICAL),
    closed("partly fixed", Outcome.PARTLY, priority=Priority.PLANNING),
    open_one("due soon", due_at=START + DAY, priority=Priority.PLANNING),
    open_one("due later", due_at=START + 30 * DAY, priority=Priority.CRITICAL),
    open_one("critical", due_at=None, priority=Priority.CRITICAL),
    replace(listed(new_ticket(START)), name="waits for its delivery", priority=Priority.MODERATE),
    open_one("low, newer", due_at=None, priority=Priority.LOW, ticket_id="0"),
    open_one("low, older", due_at=None, priority=Priority.LOW, ticket_id="1"),
]
DONE = [
    closed("waits for its proof", Outcome.WAITING),
    closed("verified", Outcome.VERIFIED),
    closed("taken care of by a newer one", Outcome.NOT_FIXED, is_superseded=True),
    open_one("resolved", phase=Phase.RESOLVED, due_at=START - DAY),
]


def test_the_most_urgent_come_first_and_the_done_not_at_all() -> None:
    shuffled = random.Random(1).sample([*URGENT, *DONE], len(URGENT) + len(DONE))
    names = [each.name for each in most_urgent(shuffled, START, 99)]
    assert names == [each.name for each in URGENT]
    assert [each.name for each in most_urgent(shuffled, START, 3)] == names[:3]
