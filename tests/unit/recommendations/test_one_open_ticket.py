"""One open ticket for each recommendation, while everything goes wrong.

Hosts create tickets, link them and send failed ones again, all at the same time. Between any two of their steps, the
test may let another one go on, let time pass, or kill one; storage loses writes and answers.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from shared.errors import FixConfiguration, FixRequest, Reauthorize, StorageUnavailable, TryLater
from shared.tickets.model import Delivery
from shared.tickets.resend import Resent
from tests.memory import servicenow
from tests.memory.steps import Actor, Stage
from tests.memory.ticket_store import WriteFault
from tests.unit.recommendations.world import GRACE_S, ONE, TWO, World
from tests.unit.tickets.examples import CONNECTION_ID, delivered_ticket

EXPECTED = (FixRequest, FixConfiguration, TryLater, Reauthorize, asyncio.CancelledError)

# One after the other


async def test_a_ticket_knows_its_recommendation_and_its_company() -> None:
    world = World()
    ticket = (await world.create()).ticket
    assert ticket.content.references == (ONE,)
    assert ticket.content.company == "c" * 32
    assert world.claimed() == [ticket.ticket_id]


async def test_a_second_ticket_is_refused_and_the_first_is_named() -> None:
    world = World()
    first = (await world.create()).ticket
    assert first.record is not None
    error = await world.refused()
    assert (error.code, error.status) == ("recommendation_has_open_ticket", 409)
    assert error.values == {
        "recommendation_id": ONE.key,
        "ticket_id": first.ticket_id,
        "number": first.record.number,
    }
    assert (await world.create(TWO)).ticket.delivery.status is Delivery.DELIVERED


async def test_a_ticket_that_waits_has_no_number_yet() -> None:
    world = World()
    world.servicenow.write_faults.append(servicenow.WriteFault.THROTTLED)
    await world.create()
    error = await world.refused()
    assert (error.code, error.values.get("variant")) == ("recommendation_has_open_ticket", "waiting")


async def test_another_one_is_created_on_purpose() -> None:
    world = World()
    first = (await world.create()).ticket
    second = (await world.create(another=True)).ticket
    assert world.claimed() == [second.ticket_id, first.ticket_id]
    world.close(second)
    assert (await world.refused()).values["ticket_id"] == first.ticket_id, "the older one is still open"


async def test_the_same_key_finds_its_own_ticket_again() -> None:
    world = World()
    first = await world.create(key="key")
    again = await world.create(key="key")
    assert (again.replayed, again.ticket) == (True, first.ticket)
    assert (await world.refused(key="key", another=True)).code == "idempotency_key_reused"


async def test_a_finished_or_a_failed_ticket_makes_room() -> None:
    world = World()
    world.close((await world.create()).ticket)
    world.servicenow.write_faults.append(servicenow.WriteFault.VALUES_REFUSED)
    refused = (await world.create()).ticket
    assert refused.delivery.status is Delivery.FAILED
    assert (await world.create()).ticket.delivery.status is Delivery.DELIVERED
    assert len(world.claimed()) == 3


async def test_of_several_recommendations_none_is_claimed_if_one_is_refused() -> None:
    world = World()
    await world.create(TWO)
    assert (await world.refused(ONE, TWO)).values["recommendation_id"] == TWO.key
    assert world.claimed(ONE) == []
    both = (await world.create(ONE, TWO, another=True)).ticket
    assert (await world.refused(ONE)).values["ticket_id"] == both.ticket_id


# Sending a failed ticket again


async def test_a_failed_ticket_is_not_sent_again_beside_an_open_one() -> None:
    world = World()
    world.servicenow.write_faults.append(servicenow.WriteFault.VALUES_REFUSED)
    refused = (await world.create()).ticket
    newer = (await world.create()).ticket
    refused = world.store.tickets[CONNECTION_ID][refused.ticket_id]
    with pytest.raises(FixRequest) as caught:
        await world.resending.retry(world.connection, refused)
    assert caught.value.values["ticket_id"] == newer.ticket_id
    (resent,) = await world.resending.resend({CONNECTION_ID: world.connection}, [refused])
    assert resent.outcome is Resent.NOT_SENT
    world.close(newer)
    assert (await world.resending.retry(world.connection, refused)).delivery.status is Delivery.DELIVERED
    assert world.claimed() == [refused.ticket_id, newer.ticket_id]


# Linking


async def test_a_ticket_is_linked_by_its_number_and_unlinked_again() -> None:
    world = World()
    ticket = world.put(delivered_ticket(world.clock(), record={"number": "CHG0012345"}))
    for _ in range(2):
        linked = await world.links.link(ONE, world.connection, " chg0012345 ")
        assert linked.content.references == (ONE,)
    assert (await world.refused()).values["number"] == "CHG0012345"
    for _ in range(2):
        assert (await world.links.unlink(ONE, ticket.ticket_id)).content.references == ()
    assert world.claimed() == []
    kinds = [event.kind.value for event in world.tickets[0].timeline]
    assert kinds[-2:] == ["recommendation_linked", "recommendation_unlinked"]
    assert (await world.create()).ticket.delivery.status is Delivery.DELIVERED


async def test_an_open_ticket_is_linked_beside_another_only_on_purpose_and_a_finished_one_always() -> None:
    world = World()
    first = (await world.create()).ticket
    done = world.put(delivered_ticket(world.clock(), record={"number": "INC0000001"}))
    world.close(done)
    world.put(delivered_ticket(world.clock(), record={"number": "INC0000002"}))
    await world.links.link(ONE, world.connection, "INC0000001")
    with pytest.raises(FixRequest) as caught:
        await world.links.link(ONE, world.connection, "INC0000002")
    assert caught.value.values["ticket_id"] == first.ticket_id
    await world.links.link(ONE, world.connection, "INC0000002", another=True)
    assert len(world.open_tickets()) == 2


async def test_what_cannot_be_linked() -> None:
    world = World()
    many = tuple(replace(ONE, source_id=str(number)) for number in range(25))
    world.put(delivered_ticket(world.clock(), record={"number": "INC0000001"}, references=many))
    for number, code in (("INC0000001", "too_many_recommendations"), ("INC0000002", "ticket_number_not_found")):
        with pytest.raises(FixRequest) as caught:
            await world.links.link(ONE, world.connection, number)
        assert caught.value.code == code
    assert world.claimed() == []


# Hosts that die


@contextmanager
def staged() -> Iterator[tuple[World, Stage]]:
    stage = Stage()
    try:
        yield World(stage.step), stage
    finally:
        stage.close()


type Act = Callable[[World], Awaitable[object]]


def created(world: World) -> Awaitable[object]:
    return world.create(key="first")


def linked(world: World) -> Awaitable[object]:
    return world.links.link(ONE, world.connection, "INC0000007")


def resent(world: World) -> Awaitable[object]:
    return world.resending.retry(world.connection, world.tickets[0])


def prepare(world: World, stage: Stage, act: Act) -> None:
    if act is linked:
        world.put(delivered_ticket(world.clock(), record={"number": "INC0000007"}))
    if act is resent:
        world.servicenow.write_faults.append(servicenow.WriteFault.VALUES_REFUSED)
        stage.run(world.create())


def steps_of(act: Act) -> int:
    """Return how many steps an undisturbed host takes."""
    with staged() as (world, stage):
        prepare(world, stage, act)
        actor = stage.start("first", act(world))  # type: ignore[arg-type]
        count = 0
        while not actor.task.done():
            stage.go_on(actor.number, 1)
            count += 1
        actor.task.result()
        return count


@pytest.mark.parametrize("act", [created, linked, resent])
def test_whatever_step_a_host_dies_at_there_is_one_open_ticket_and_the_way_is_free_again(act: Act) -> None:
    for step in range(steps_of(act)):
        with staged() as (world, stage):
            prepare(world, stage, act)
            first = stage.start("first", act(world))  # type: ignore[arg-type]
            stage.go_on(first.number, step)
            stage.kill(first)
            world.clock.advance(GRACE_S + 1)
            second = stage.start("second", world.create(key="second"))
            stage.go_on(second.number, 100)
            expect_one_and_a_free_way(world, stage)


@pytest.mark.parametrize("act", [created, linked, resent])
def test_whatever_step_a_host_sleeps_at_there_is_one_open_ticket_and_the_way_is_free_again(act: Act) -> None:
    """It wakes up when another one that has passed over it is at any step, or at its end."""
    others = steps_of(created)
    for step, other in itertools.product(range(steps_of(act)), range(0, others + 1, 2)):
        with staged() as (world, stage):
            prepare(world, stage, act)
            first = stage.start("first", act(world))  # type: ignore[arg-type]
            stage.go_on(first.number, step)
            world.clock.advance(GRACE_S + 1)
            second = stage.start("second", world.create(key="second"))
            stage.go_on(second.number, other)
            stage.go_on(first.number, 100)
            stage.go_on(second.number, 100)
            expect_one_and_a_free_way(world, stage)


def expect_one_and_a_free_way(world: World, stage: Stage) -> None:
    assert not stage.living
    stage.raise_unless(EXPECTED)
    assert len(world.open_tickets()) <= 1
    world.finish(stage)
    stage.run(world.create(key="last"))
    assert len(world.open_tickets()) == 1


@pytest.mark.parametrize("fault", [WriteFault.NOT_CARRIED_OUT, WriteFault.ANSWER_LOST])
async def test_after_a_lost_claim_the_same_key_goes_on_and_others_wait_a_minute(fault: WriteFault) -> None:
    world = World()
    world.claim_store.writes.faults.append(fault)
    with pytest.raises(StorageUnavailable):
        await world.create(key="key")
    if fault is WriteFault.ANSWER_LOST:
        assert (await world.refused()).code == "ticket_being_created"
    assert (await world.create(key="key")).ticket.delivery.status is Delivery.DELIVERED


async def test_whoever_was_passed_over_gets_no_ticket_any_more() -> None:
    world = World()
    world.store.faults.append(WriteFault.NOT_CARRIED_OUT)
    with pytest.raises(StorageUnavailable):
        await world.create(key="slow")
    world.clock.advance(GRACE_S)
    second = (await world.create(key="fast")).ticket
    assert (await world.refused(key="slow")).values["ticket_id"] == second.ticket_id
    world.close(second)
    assert (await world.refused(key="slow")).code == "ticket_given_up"
    world.clock.advance(GRACE_S)
    assert (await world.create(key="new")).ticket.delivery.status is Delivery.DELIVERED


def test_a_ticket_that_is_unlinked_while_it_is_delivered_stays_unlinked() -> None:
    with staged() as (world, stage):
        first = stage.start("first", world.create())
        while not world.tickets:
            stage.go_on(first.number, 1)
        [ticket] = world.tickets
        stage.run(world.links.unlink(ONE, ticket.ticket_id))
        stage.go_on(first.number, 100)
        [stored] = world.tickets
        assert stored.delivery.status is Delivery.DELIVERED
        assert (stored.content.references, stored.verification) == ((), None)
        assert [event.kind.value for event in stored.timeline] == ["created", "recommendation_unlinked", "delivered"]


# Whatever happens


class AnyOrder(RuleBasedStateMachine):
    """Several hosts, two recommendations and a ticket that somebody may link."""

    @initialize()
    def begin(self) -> None:
        self.stage = Stage()
        self.world = World(self.stage.step)
        self.world.put(delivered_ticket(self.world.clock(), record={"number": "INC0000007"}))
        self.on_purpose: set[str] = set()
        self.creating: list[tuple[bool, Actor]] = []

    @rule(
        who=st.sampled_from(["create", "create", "another", "both", "key", "link", "unlink", "resend", "timer"]),
        data=st.data(),
        steps=st.sampled_from([100, 100, 1, 2, 3, 5, 8]),
    )
    def somebody_starts(self, who: str, data: st.DataObject, steps: int) -> None:
        world = self.world
        world.clock.advance(0.01)
        match who:
            case "link":
                actor = self.stage.start(who, world.links.link(ONE, world.connection, "INC0000007"))
            case "unlink":
                ticket = data.draw(st.sampled_from(world.tickets))
                actor = self.stage.start(who, world.links.unlink(ONE, ticket.ticket_id))
            case "resend":
                ticket = data.draw(st.sampled_from(world.tickets))
                actor = self.stage.start(who, world.resending.retry(world.connection, ticket))
            case "timer":
                deadline = world.clock() + timedelta(seconds=50)
                actor = self.stage.start(who, world.delivery.deliver_pending(world.connection, deadline=deadline))
            case _:
                another = who == "another"
                references = (TWO, ONE) if who == "both" else (ONE,)
                key = "key" if who == "key" else None
                actor = self.stage.start(who, world.create(*references, key=key, another=another))
                self.creating.append((another, actor))
        self.stage.go_on(actor.number, steps)

    @precondition(lambda self: self.stage.living)
    @rule(
        fate=st.sampled_from(["goes on", "goes on", "goes on", "is killed", "is cut off"]),
        data=st.data(),
        steps=st.sampled_from([100, 1, 2, 3, 5, 8]),
    )
    def somebody(self, fate: str, data: st.DataObject, steps: int) -> None:
        actor = data.draw(st.sampled_from(self.stage.living))
        match fate:
            case "is killed":
                self.stage.kill(actor)
            case "is cut off":
                self.stage.cancel(actor)
            case _:
                self.stage.go_on(actor.number, steps)

    @rule(seconds=st.sampled_from([GRACE_S + 1, GRACE_S + 1, 200, 5]))
    def time_passes(self, seconds: float) -> None:
        self.world.clock.advance(seconds)

    @rule(fault=st.sampled_from(WriteFault), where=st.sampled_from(["tickets", "claims", "servicenow"]))
    def goes_wrong(self, fault: WriteFault, where: str) -> None:
        match where:
            case "tickets":
                self.world.store.faults.append(fault)
            case "claims":
                self.world.claim_store.writes.faults.append(fault)
            case _:
                self.world.servicenow.write_faults.append(servicenow.WriteFault.VALUES_REFUSED)

    @rule()
    def everything_is_closed(self) -> None:
        for ticket in self.world.open_tickets(ONE) + self.world.open_tickets(TWO):
            if ticket.record is not None:
                self.world.close(self.world.store.tickets[CONNECTION_ID][ticket.ticket_id])

    @invariant()
    def only_what_was_asked_for_on_purpose_stands_beside_an_open_ticket(self) -> None:
        for another, actor in self.creating:
            if another and actor.task.done() and not actor.task.cancelled() and actor.task.exception() is None:
                self.on_purpose.add(actor.task.result().ticket.ticket_id)
        if any(another and not actor.task.done() for another, actor in self.creating):
            return  # Nobody has said yet which ticket it is.
        if any(another and _has_failed(actor) for another, actor in self.creating):
            return
        for reference in (ONE, TWO):
            unasked = [each for each in self.world.open_tickets(reference) if each.ticket_id not in self.on_purpose]
            assert len(unasked) <= 1

    @invariant()
    def nobody_hears_of_a_bug(self) -> None:
        self.stage.raise_unless(EXPECTED)

    def teardown(self) -> None:
        """In the end everything works again, and the next ticket can be created."""
        if not hasattr(self, "stage"):
            return
        try:
            for actor in self.stage.living:
                self.stage.kill(actor)
            self.world.store.faults.clear()
            self.world.claim_store.writes.faults.clear()
            self.world.servicenow.write_faults.clear()
            self.world.finish(self.stage)
            self.stage.run(self.world.create(ONE, TWO))
            assert len(self.world.open_tickets(ONE)) == len(self.world.open_tickets(TWO)) == 1
        finally:
            self.stage.close()


def _has_failed(actor: Actor) -> bool:
    return actor.task.cancelled() or (actor.task.done() and actor.task.exception() is not None)


@pytest.mark.timeout(420)
def test_there_is_one_open_ticket_and_no_recommendation_is_blocked_for_ever() -> None:
    run_state_machine_as_test(
        AnyOrder,
        settings=settings(
            max_examples=60,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        ),
    )
