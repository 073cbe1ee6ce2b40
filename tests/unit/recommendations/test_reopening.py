"""Reopening makes a ticket an open one, so it takes the claims of its recommendations first."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from shared.connections.model import OutcomePolicy
from shared.recommendations.ticketing.follow_ups import FollowUpTickets
from shared.tickets.attempts import LEASE_S
from shared.tickets.model import EventKind, Ticket
from shared.tickets.updates.model import UpdateKind
from shared.tickets.updates.send import UpdateDelivery, next_update_at
from tests.memory.record_updates import MemoryRecordUpdates
from tests.memory.servicenow import WriteFault
from tests.memory.steps import Actor, Stage
from tests.unit.recommendations.test_one_open_ticket import EXPECTED
from tests.unit.recommendations.verifying.story import Story
from tests.unit.recommendations.world import ONE, PORTAL, TWO, World
from tests.unit.tickets.examples import CONNECTION_ID


class Reopening:
    """A resolved ticket that is not fixed, and the policy's wish to reopen it."""

    def __init__(self, stage: Stage, *, another: bool = False) -> None:
        self.stage = stage
        self.story = Story(stage.step, policy=OutcomePolicy.REOPEN)
        self.world: World = self.story.world
        self.old: Ticket = stage.run(self.story.ticket(ONE, TWO) if another else self.story.ticket(ONE))
        self.story.change_state(self.old, "6")
        stage.run(self.story.read(0, 0, days=3))
        for update in self.story.updates:
            if update.kind is not UpdateKind.REOPEN:
                del self.world.store.updates[CONNECTION_ID][update.ticket_id, update.update_id]
        [self.update] = self.story.updates
        self.records = MemoryRecordUpdates(self.world.servicenow, stage.step)

    def start(self) -> Actor:
        """Start a run of another host's timer."""
        deadline = self.world.clock() + timedelta(seconds=50)
        return self.stage.start("timer", self._sender().send_due(self.world.connection, deadline=deadline))

    def finish(self) -> None:
        """Run the timer whenever something is due, until nothing waits."""
        for _ in range(20):
            at = next_update_at(self.story.updates, self.world.clock())
            if at is None:
                return
            self.world.clock.advance((at - self.world.clock()).total_seconds())
            actor = self.start()
            self.stage.go_on(actor.number, 1000)
            actor.task.result()
        raise AssertionError("something waits for ever")

    def _sender(self) -> UpdateDelivery:
        world = self.world
        follow_ups = FollowUpTickets(
            tenants=world.tenants,
            recommendations=world.recommendations,
            connections=world.connections,
            beside=world.beside,
            store=world.store,
            creation=world.creation,
            clock=world.clock,
            portal_url=PORTAL,
        )
        return world.sender(self.records, follow_ups)

    def events(self) -> list[EventKind]:
        """Return how the update went on once it was asked for."""
        id_, timeline = self.update.update_id, self.story.stored(self.old).timeline
        kinds = [each.kind for each in timeline if each.details.get("update_id") == id_]
        assert kinds[0] is EventKind.UPDATE_ASKED
        return kinds[1:]


@contextmanager
def reopening(*, another: bool = False) -> Iterator[Reopening]:
    stage = Stage()
    try:
        yield Reopening(stage, another=another)
    finally:
        stage.close()


def test_a_resolved_ticket_is_reopened_and_has_the_claim() -> None:
    with reopening() as case:
        case.finish()
        assert case.events() == [EventKind.UPDATE_SENT]
        assert [each.ticket_id for each in case.world.open_tickets()] == [case.old.ticket_id]
        assert case.world.claimed() == [case.old.ticket_id]


def test_beside_an_open_ticket_nothing_is_reopened_and_the_event_names_that_ticket() -> None:
    with reopening() as case:
        own = case.stage.run(case.world.create())
        case.finish()
        assert case.events() == [EventKind.FOLLOWED_UP]
        details = case.story.stored(case.old).timeline[-1].details
        assert (details["open_id"], details["open_number"]) == (own.ticket.ticket_id, own.ticket.record.number)
        assert case.world.open_tickets() == [own.ticket]


def test_what_has_no_other_open_ticket_gets_one() -> None:
    with reopening(another=True) as case:
        own = case.stage.run(case.world.create(TWO)).ticket
        case.finish()
        assert case.events() == [EventKind.FOLLOWED_UP]
        [made] = case.world.open_tickets(ONE)
        assert made.content.references == (ONE,)
        assert case.story.stored(case.old).timeline[-1].details["follow_up_id"] == made.ticket_id
        assert case.world.open_tickets(TWO) == [own]


@pytest.mark.parametrize("fault", [WriteFault.ANSWER_LOST, WriteFault.LOST_ON_THE_WAY, WriteFault.COMMITTED_LATE])
def test_while_nobody_knows_whether_it_is_reopened_there_is_no_new_ticket(fault: WriteFault) -> None:
    with reopening() as case:
        case.world.servicenow.write_faults.append(fault)
        case.stage.go_on(case.start().number, 1000)
        error = case.stage.run(case.world.refused())
        assert error.code == "recommendation_has_open_ticket"
        assert error.values["ticket_id"] == case.old.ticket_id
        case.finish()
        assert case.events() == [EventKind.UPDATE_SENT]


def test_a_new_ticket_is_possible_again_if_it_was_certainly_not_reopened() -> None:
    with reopening() as case:
        case.world.servicenow.write_faults.append(WriteFault.THROTTLED)
        case.stage.go_on(case.start().number, 1000)
        own = case.stage.run(case.world.create()).ticket
        case.finish()
        assert case.events() == [EventKind.FOLLOWED_UP]
        assert case.world.open_tickets() == [own]


def steps_of(*, creating: bool) -> int:
    """Return how many steps an undisturbed host takes."""
    with reopening() as case:
        actor = case.stage.start("person", case.world.create()) if creating else case.start()
        for steps in itertools.count():
            if actor.task.done():
                return steps
            case.stage.go_on(actor.number, 1)
    raise AssertionError


@pytest.mark.parametrize("killed", [False, True])
def test_whatever_step_a_host_stops_at_there_is_one_open_ticket(killed: bool) -> None:
    """It sleeps while a person makes a ticket, who is at any step when it wakes up; or it dies."""
    others = [1000] if killed else range(0, steps_of(creating=True) + 1, 3)
    for step, other in itertools.product(range(steps_of(creating=False)), others):
        with reopening() as case:
            host = case.start()
            case.stage.go_on(host.number, step)
            if killed:
                case.stage.kill(host)
            person = case.stage.start("person", case.world.create(key="own"))
            case.stage.go_on(person.number, other)
            case.stage.go_on(host.number, 1000)
            case.stage.go_on(person.number, 1000)
            case.stage.raise_unless(EXPECTED)
            case.world.clock.advance(LEASE_S)
            case.finish()
            assert len(case.world.open_tickets()) == 1, f"stopped at step {step}, the other one at {other}"
            assert len(case.events()) == 1
