"""What a recommendation's tickets mean for the next one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.connections.model import Connection, ConnectionStatus
from shared.errors import ValuesRefused
from shared.recommendations.ports import Claim, ClaimedTicket
from shared.recommendations.ticketing.claims import (
    HELD_WITHOUT_TICKET,
    MOST_TICKETS,
    Standing,
    standing_of,
    ticket_beside,
    tickets_of,
    with_ticket,
)
from shared.tickets.deliver import begin_attempt, failed
from shared.tickets.model import OPEN_PHASES, Phase, RecommendationReference, Ticket
from tests.memory.clock import START
from tests.unit.recommendations.strategies import TENANT
from tests.unit.tickets.examples import CONNECTION_ID, a_connection, delivered_ticket, new_ticket

REFERENCE = RecommendationReference(TENANT, "secure_score", "mdo_safeattachments")
OTHER = RecommendationReference(TENANT, "secure_score", "AdminMFAV2")
LONG_AGO = START - timedelta(days=1)


def standing(
    ticket: Ticket | None, *, claimed_at: timedelta = timedelta(days=-1), connection: Connection | None = None
) -> Standing:
    claimed = ClaimedTicket(CONNECTION_ID, "0" * 32, START + claimed_at)
    return standing_of(claimed, ticket, REFERENCE, connection or a_connection(), START)


def in_phase(phase: Phase | None) -> Ticket:
    return replace(delivered_ticket(START, references=(REFERENCE,)), phase=phase)


@pytest.mark.parametrize("phase", [*Phase, None])
def test_a_delivered_ticket_is_open_in_an_open_phase_or_an_unknown_one(phase: Phase | None) -> None:
    is_open = phase is None or phase in OPEN_PHASES
    is_done = Standing.RESOLVED if phase is Phase.RESOLVED else Standing.DONE
    assert standing(in_phase(phase)) is (Standing.OPEN if is_open else is_done)


def test_a_ticket_that_waits_is_open_and_a_failed_one_is_not() -> None:
    ticket = new_ticket(START, references=(REFERENCE,))
    assert standing(ticket) is Standing.OPEN
    refused = failed(begin_attempt(ticket, START), ValuesRefused(), START, unknown=False)
    assert standing(refused) is Standing.FAILED
    assert standing(refused, claimed_at=timedelta()) is Standing.FAILED


@pytest.mark.parametrize(
    ("ticket", "stale"),
    [(None, Standing.NEVER_MADE), (delivered_ticket(START, references=(OTHER,)), Standing.NOT_LINKED)],
    ids=["not stored", "not linked"],
)
def test_a_claim_without_its_ticket_holds_for_a_short_time(ticket: Ticket | None, stale: Standing) -> None:
    assert standing(ticket, claimed_at=timedelta()) is Standing.BEING_MADE
    assert standing(ticket, claimed_at=-HELD_WITHOUT_TICKET + timedelta(seconds=1)) is Standing.BEING_MADE
    assert standing(ticket, claimed_at=-HELD_WITHOUT_TICKET) is stale


@pytest.mark.parametrize("ahead_s", [90, 86_400])
def test_a_clock_that_was_wrong_blocks_nobody(ahead_s: float) -> None:
    assert standing(None, claimed_at=timedelta(seconds=ahead_s)) is Standing.NEVER_MADE


def test_nothing_happens_any_more_to_tickets_of_a_removed_connection_or_of_another_instance() -> None:
    removed = a_connection(status=ConnectionStatus.DISCONNECTED)
    elsewhere = a_connection(instance="https://fabrikam.service-now.com")
    waiting = new_ticket(START, references=(REFERENCE,))
    for connection in (removed, elsewhere):
        assert standing(in_phase(Phase.NEW), connection=connection) is Standing.DONE
    assert standing(waiting, connection=removed) is Standing.DONE
    assert standing(waiting, connection=elsewhere) is Standing.OPEN, "somebody may send it to the new instance"


def claimed(*ticket_ids: str) -> tuple[ClaimedTicket, ...]:
    return tuple(ClaimedTicket(CONNECTION_ID, ticket_id, START) for ticket_id in ticket_ids)


def test_a_new_claim_comes_first_and_those_that_never_came_to_be_are_dropped() -> None:
    claim = Claim(TENANT, REFERENCE.key, claimed("c", "b", "a"))
    (new,) = claimed("b")
    assert with_ticket(claim, new, ["c"]) == claimed("b", "a")
    many = Claim(TENANT, REFERENCE.key, claimed(*map(str, range(MOST_TICKETS))))
    assert with_ticket(many, new) == claimed("b", *map(str, range(MOST_TICKETS - 1)))


def test_an_open_ticket_is_shown_before_a_newer_one() -> None:
    done, working, failed_one = in_phase(Phase.CLOSED), in_phase(Phase.NEW), in_phase(Phase.CANCELED)
    unlinked = delivered_ticket(START)
    claim = Claim(TENANT, REFERENCE.key, claimed(*(each.ticket_id for each in (unlinked, done, working, failed_one))))
    stored = {each.ticket_id: each for each in (unlinked, done, working, failed_one)}
    found = tickets_of(claim, stored)
    assert found == (done, working, failed_one)
    connections = {CONNECTION_ID: a_connection()}
    assert ticket_beside(found, connections) is working
    assert ticket_beside((done, failed_one), connections) is done
    assert ticket_beside((), connections) is None
