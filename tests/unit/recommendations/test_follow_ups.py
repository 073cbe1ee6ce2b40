"""The ticket that a policy makes after another one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.connections.model import OutcomePolicy
from shared.connections.ports import RowChanged
from shared.errors import FixRequest, StorageUnavailable
from shared.recommendations.ticketing.follow_ups import FollowUpTickets
from shared.tickets.model import Delivery, Ticket
from shared.tickets.outcomes import Outcome
from shared.tickets.updates.model import Update, UpdateKind
from shared.tickets.updates.ports import FollowUp, NoFollowUp
from tests.memory.record_updates import MemoryRecordUpdates
from tests.memory.steps import Stage
from tests.memory.ticket_store import WriteFault
from tests.unit.recommendations.strategies import TENANT
from tests.unit.recommendations.verifying.story import Story
from tests.unit.recommendations.world import GRACE_S, ONE, PORTAL, TWO
from tests.unit.tickets.examples import a_connection, delivered_ticket

OTHER = "fabrikam"


def follow_ups(story: Story) -> FollowUpTickets:
    world = story.world
    return FollowUpTickets(
        tenants=world.tenants,
        recommendations=world.recommendations,
        connections=world.connections,
        beside=world.beside,
        store=world.store,
        creation=world.creation,
        clock=world.clock,
        portal_url=PORTAL,
    )


async def not_fixed(story: Story) -> tuple[Ticket, Update]:
    """Return a ticket for two recommendations of which one is not fixed, and what the policy asks for."""
    ticket = await story.ticket(ONE, TWO)
    story.change_state(ticket)
    await story.read(10, 0, days=3)
    [update] = [each for each in story.updates if each.kind is UpdateKind.FOLLOW_UP]
    return story.stored(ticket), update


def new_story() -> Story:
    return Story(policy=OutcomePolicy.NEW_TICKET)


async def test_it_is_for_what_is_not_fixed_and_names_the_ticket_before() -> None:
    story = new_story()
    old, update = await not_fixed(story)
    found = await follow_ups(story).make(old, update)
    assert isinstance(found, FollowUp)
    made = found.ticket
    assert old.record is not None
    content = made.content
    assert content.references == (TWO,)
    assert (content.kind, content.priority) == (old.content.kind, old.content.priority)
    assert (content.requester.id, content.requester.name) == (
        "policy:not_fixed",
        "Policy for recommendations that are not fixed",
    )
    assert content.description.startswith(f"This ticket follows {old.record.number}: it was closed, but")
    assert f"sys_id%3D{old.record.sys_id}" in content.description
    assert content.due_at is not None
    assert content.company == "c" * 32
    assert made.delivery.status is Delivery.DELIVERED
    assert story.outcomes(made) == [Outcome.OPEN]
    assert story.world.claimed(TWO)[0] == made.ticket_id


async def test_it_has_what_somebody_chose_for_the_ticket_before() -> None:
    story = new_story()
    old, update = await not_fixed(story)
    group, assignee, item = ("1" * 32, "2" * 32, "3" * 32)
    chosen = replace(old.content, assignment_group=group, assigned_to=assignee, configuration_item=item)
    old = replace(old, content=chosen)
    found = await follow_ups(story).make(old, update)
    assert isinstance(found, FollowUp)
    content = found.ticket.content
    assert (content.assignment_group, content.assigned_to, content.configuration_item) == (group, assignee, item)


async def test_the_same_update_makes_one_ticket() -> None:
    story = new_story()
    old, update = await not_fixed(story)
    service = follow_ups(story)
    first, second = await service.make(old, update), await service.make(old, update)
    assert isinstance(first, FollowUp)
    assert isinstance(second, FollowUp)
    assert first.ticket.ticket_id == second.ticket.ticket_id
    assert first.is_new
    assert second.is_new
    assert len(story.world.tickets) == 2


async def test_an_open_ticket_elsewhere_is_enough() -> None:
    story = new_story()
    old, update = await not_fixed(story)
    other = await story.ticket(TWO)
    found = await follow_ups(story).make(old, update)
    assert isinstance(found, FollowUp)
    assert (found.ticket.ticket_id, found.is_new) == (other.ticket_id, False)
    assert len(story.world.tickets) == 2


async def test_a_ticket_that_was_reopened_meanwhile_is_enough() -> None:
    story = new_story()
    old, update = await not_fixed(story)
    story.change_state(old, "2")
    found = await follow_ups(story).make(old, update)
    assert isinstance(found, FollowUp)
    assert (found.ticket.ticket_id, found.is_new) == (old.ticket_id, False)
    # What the synchronisation has reopened is no longer "not fixed".
    assert await follow_ups(story).make(story.stored(old), update) is NoFollowUp.NOT_NEEDED


def move_tenant(story: Story) -> None:
    """Let the tenant's tickets go to another connection from now on."""
    world = story.world
    world.connections.connections[OTHER] = a_connection(connection_id=OTHER)
    world.tenants.tenants[TENANT] = replace(world.tenants.tenants[TENANT], connection_id=OTHER)


async def ticket_of_another_connection(story: Story) -> Ticket:
    world = story.world
    ticket = delivered_ticket(world.clock(), connection_id=OTHER, references=(TWO,), record={"number": "INC0099999"})
    world.store.tickets[OTHER] = {}
    world.put(ticket)
    await world.claims.take_one(TWO, OTHER, ticket.ticket_id, another=True)
    return ticket


async def test_none_is_made_once_the_tenant_has_moved() -> None:
    story = new_story()
    old, update = await not_fixed(story)
    move_tenant(story)
    assert await follow_ups(story).make(old, update) is NoFollowUp.TENANT_MOVED
    assert [each.ticket_id for each in story.world.tickets] == [old.ticket_id]


async def test_an_open_ticket_of_another_connection_is_not_named() -> None:
    story = new_story()
    old, update = await not_fixed(story)
    move_tenant(story)
    other = await ticket_of_another_connection(story)
    sender = story.world.sender(MemoryRecordUpdates(story.world.servicenow), follow_ups(story))
    await sender.send_now(story.world.connection, old, update)
    said = str(story.stored(old))
    assert "open_elsewhere" in said
    assert other.ticket_id not in said
    assert "INC0099999" not in said


async def test_what_is_gone_needs_no_ticket() -> None:
    story = new_story()
    old, update = await not_fixed(story)
    story.set(0, gone_at=story.world.clock())
    with pytest.raises(FixRequest) as refused:
        await follow_ups(story).make(old, update)
    assert refused.value.code == "recommendation_gone"
    del story.world.tenants.tenants[TENANT]
    with pytest.raises(FixRequest) as refused:
        await follow_ups(story).make(old, update)
    assert refused.value.code == "tenant_not_found"


async def test_a_long_description_keeps_its_beginning() -> None:
    story = new_story()
    old, update = await not_fixed(story)
    action = story.world.recommendations.actions[TENANT][TWO.key]
    story.world.recommendations.texts[TENANT]["steps"] = f"<p>{'Do this. ' * 1000}</p>"
    story.world.add(replace(action, texts=replace(action.texts, remediation="steps")))
    found = await follow_ups(story).make(old, update)
    assert isinstance(found, FollowUp)
    made = found.ticket
    assert made.content.description.startswith("This ticket follows ")
    assert made.content.description.endswith("has the whole text.)")


async def test_a_follow_up_whose_id_was_given_up_gets_another_one() -> None:
    """Its maker was killed; somebody made a ticket instead, and closed it before the next attempt."""
    story = new_story()
    old, update = await not_fixed(story)
    story.world.store.faults.append(WriteFault.NOT_CARRIED_OUT)
    with pytest.raises(StorageUnavailable):
        await follow_ups(story).make(old, update)
    story.world.clock.advance(GRACE_S)
    own = await story.ticket(TWO)
    story.change_state(own)
    found = await follow_ups(story).make(old, update)
    assert isinstance(found, FollowUp)
    assert found.is_new
    assert story.world.open_tickets(TWO) == [found.ticket]
    again = await follow_ups(story).make(old, update)
    assert isinstance(again, FollowUp)
    assert again.ticket.ticket_id == found.ticket.ticket_id
    assert len(story.world.tickets) == 3


@contextmanager
def staged() -> Iterator[tuple[Story, Stage, Ticket, Update]]:
    stage = Stage()
    try:
        story = Story(stage.step, policy=OutcomePolicy.NEW_TICKET)
        old, update = stage.run(not_fixed(story))
        yield story, stage, old, update
    finally:
        stage.close()


def test_whatever_step_a_host_dies_or_sleeps_at_there_is_one_follow_up() -> None:
    with staged() as (story, stage, old, update):
        actor = stage.start("host", follow_ups(story).make(old, update))
        steps = 0
        while not actor.task.done():
            stage.go_on(actor.number, 1)
            steps += 1
    for sleeps in (False, True):
        for step in range(0, steps, 1 + sleeps):
            with staged() as (story, stage, old, update):
                first = stage.start("first", follow_ups(story).make(old, update))
                stage.go_on(first.number, step)
                if not sleeps:
                    stage.kill(first)
                story.world.clock.advance(GRACE_S + 1)
                second = stage.start("second", follow_ups(story).make(old, update))
                stage.go_on(second.number, 200)
                stage.go_on(first.number, 200)
                stage.go_on(second.number, 200)
                stage.raise_unless((RowChanged, StorageUnavailable))
                assert not stage.living
                third = stage.start("third", follow_ups(story).make(old, update))
                stage.go_on(third.number, 200)
                assert len(story.world.tickets) == 2, f"first stopped at step {step}"
                world = story.world
                world.clock.advance(3600)
                deadline = world.clock() + timedelta(seconds=50)
                stage.run(world.delivery.deliver_pending(world.connection, deadline=deadline))
                assert len(world.servicenow.records) == 2
