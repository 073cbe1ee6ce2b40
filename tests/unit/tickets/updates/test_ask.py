"""A ticket's timeline says whether it may have updates, so that most pages need not look for any."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.storage.ticket_rows import ticket_of, ticket_row
from shared.tickets.model import EventKind
from shared.tickets.timeline import MAX_DETAIL_LENGTH, with_event
from shared.tickets.updates.ask import asked, may_have_updates
from shared.tickets.updates.model import UpdateKind
from tests.memory.clock import START
from tests.unit.tickets.examples import delivered_ticket


def test_a_ticket_that_nobody_asked_to_change_has_no_updates() -> None:
    assert not may_have_updates(delivered_ticket(START))


@pytest.mark.parametrize("kind", [EventKind.OUTCOME, EventKind.STATE_CHANGED, EventKind.UPDATE_REFUSED])
@pytest.mark.parametrize("length", [1, MAX_DETAIL_LENGTH])
def test_an_update_is_looked_for_however_long_the_timeline_becomes(kind: EventKind, length: int) -> None:
    ticket, _ = asked(delivered_ticket(START), UpdateKind.COMMENT, by_id="ada", now=START, text="Please look.")
    for number in range(1, 200):
        details = dict.fromkeys(("outcome", "points", "title", "reason"), "x" * length)
        ticket = ticket_of(ticket_row(with_event(ticket, kind, START + timedelta(days=number), **details)), None)
        assert may_have_updates(ticket)
