"""Tickets for many recommendations at once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from shared.connections.directory import AT_ONCE
from shared.connections.model import ConnectionStatus, Portal
from shared.errors import FixRequest, StorageUnavailable
from shared.recommendations.model import ImprovementAction, SourceName
from shared.recommendations.requests import read_batch_request
from shared.recommendations.ticketing.bulk import BatchProgress
from shared.tickets.model import Delivery
from tests.memory import servicenow
from tests.memory.clock import START
from tests.memory.steps import Stage
from tests.memory.ticket_store import WriteFault
from tests.unit.recommendations.strategies import TENANT
from tests.unit.recommendations.world import GRACE_S, World
from tests.unit.tickets.examples import CONNECTION_ID, REQUESTER, a_connection

ACTIONS = [
    ImprovementAction(
        TENANT, SourceName.SECURE_SCORE, f"mdo_{number}", f"Do {number}", points=Decimal(0), max_points=Decimal(5)
    )
    for number in range(30)
]


def world_with(*actions: ImprovementAction) -> World:
    world = World()
    world.add(*actions)
    return world


async def create(world: World, *actions: ImprovementAction, key: str | None = None, **members: Any) -> BatchProgress:
    ids = [each.key for each in actions]
    asked = read_batch_request({"kind": "change", "mode": "each", "recommendation_ids": ids, **members})
    return await world.batches.create(asked, REQUESTER, caller="caller", idempotency_key=key)


async def test_each_gets_a_ticket_that_waits_for_the_timer() -> None:
    world = world_with(*ACTIONS)
    progress = await create(world, *ACTIONS, priority="low")
    assert [item.key for item in progress.items] == [each.key for each in ACTIONS]
    assert len(world.tickets) == len(ACTIONS)
    assert {each.delivery.status for each in world.tickets} == {Delivery.PENDING}
    assert {each.content.priority.value for each in world.tickets} == {"low"}
    assert world.servicenow.requests["create_record"] == 0, "nothing is sent before the answer"
    assert world.directory.entries[CONNECTION_ID].due_at == AT_ONCE
    for item, action in zip(progress.items, ACTIONS, strict=True):
        assert item.ticket is not None
        assert item.ticket.content.references == (action.reference,)
        assert item.ticket.content.name == action.title
        assert world.claim_store.claims[TENANT, action.key].tickets[0].ticket_id == item.ticket.ticket_id
    order = [each.ticket_id for each in await world.store.list_pending(CONNECTION_ID, limit=100)]
    assert order == [item.ticket.ticket_id for item in progress.items if item.ticket]


async def test_one_ticket_for_all_knows_every_one() -> None:
    world = world_with(*ACTIONS[:25])
    progress = await create(world, *ACTIONS[:25], mode="all")
    (ticket,) = progress.tickets
    assert ticket.content.references == tuple(each.reference for each in ACTIONS[:25])
    assert all(item.ticket == ticket for item in progress.items)
    with pytest.raises(FixRequest) as caught:
        await create(world_with(*ACTIONS), *ACTIONS[:26], mode="all")
    assert (caught.value.code, caught.value.values["variant"]) == ("too_many_recommendations", "at_once")


@pytest.mark.parametrize("mode", ["each", "all"])
async def test_what_is_refused_says_why_and_the_others_go_on(mode: str) -> None:
    gone, unknown, busy, compliance, good = ACTIONS[:5]
    gone = replace(gone, gone_at=START)
    compliance = replace(compliance, source=SourceName.COMPLIANCE_MANAGER)
    world = world_with(gone, busy, compliance, good)
    world.connections.connections[CONNECTION_ID] = a_connection(portals=frozenset({Portal.SECURITY}))
    first = (await create(world, busy)).tickets[0]
    progress = await create(world, gone, unknown, busy, compliance, good, good, mode=mode)
    reasons = {item.key: item.failure.code for item in progress.items if item.failure is not None}
    assert reasons == {
        gone.key: "recommendation_gone",
        unknown.key: "recommendation_not_found",
        busy.key: "recommendation_has_open_ticket",
        compliance.key: "portal_not_enabled",
    }
    refusal = next(each.failure for each in progress.batch.refused if each.key == busy.key)
    assert refusal.values["ticket_id"] == first.ticket_id
    (ticket,) = progress.tickets
    assert ticket.content.references == (good.reference,)
    again = await create(world, busy, create_another=True)
    assert len(again.tickets) == 1


async def test_a_refusal_names_no_ticket_of_another_connection() -> None:
    """Whoever looks at the batch later may not see that connection."""
    world = world_with(ACTIONS[0])
    (first,) = (await create(world, ACTIONS[0])).tickets
    world.connections.connections["fabrikam"] = a_connection(connection_id="fabrikam")
    world.tenants.tenants[TENANT] = replace(world.tenants.tenants[TENANT], connection_id="fabrikam")
    (refusal,) = (await create(world, ACTIONS[0])).batch.refused
    assert refusal.failure.code == "recommendation_has_open_ticket"
    assert first.ticket_id not in refusal.failure.values.values()


async def test_nothing_is_left_if_all_are_refused() -> None:
    world = world_with()
    progress = await create(world, *ACTIONS[:2])
    assert (progress.tickets, progress.is_done, len(progress.items)) == ([], True, 2)
    assert world.tickets == []


@pytest.mark.parametrize(
    ("members", "code"),
    [({"due_date": "0001-01-01"}, "invalid_batch"), ({"connection_id": "other"}, "tenant_other_connection")],
)
async def test_a_request_that_cannot_work_claims_nothing(members: dict[str, str], code: str) -> None:
    world = world_with(*ACTIONS[:1])
    with pytest.raises(FixRequest) as caught:
        await create(world, *ACTIONS[:1], **members)
    assert caught.value.code == code
    assert world.claim_store.claims == {}


async def test_a_connection_that_does_not_work_keeps_the_tickets() -> None:
    world = world_with(*ACTIONS[:2])
    world.connections.connections[CONNECTION_ID] = a_connection(status=ConnectionStatus.REAUTHORIZATION_REQUIRED)
    progress = await create(world, *ACTIONS[:2])
    assert {each.delivery.error_code for each in progress.tickets} == {"reauthorization_required"}
    assert not (await world.batches.deliver_some(progress.batch.batch_id, within_s=5)).is_done


async def test_the_same_key_has_the_same_batch() -> None:
    world = world_with(*ACTIONS[:3])
    first = await create(world, *ACTIONS[:3], key="key")
    again = await create(world, *ACTIONS[:3], key="key")
    assert (first.replayed, again.replayed) == (False, True)
    assert again.batch == first.batch
    assert len(world.tickets) == 3
    with pytest.raises(FixRequest) as caught:
        await create(world, *ACTIONS[:2], key="key")
    assert caught.value.code == "idempotency_key_reused"


async def test_who_looks_at_the_progress_delivers() -> None:
    world = world_with(*ACTIONS[:4])
    batch_id = (await create(world, *ACTIONS[:4])).batch.batch_id
    world.servicenow.write_faults.append(servicenow.WriteFault.VALUES_REFUSED)
    first, second = await asyncio.gather(
        world.batches.deliver_some(batch_id, within_s=5), world.batches.deliver_some(batch_id, within_s=5)
    )
    progress = await world.batches.progress(batch_id)
    assert progress.is_done
    statuses = [each.delivery.status for each in progress.tickets]
    assert statuses.count(Delivery.FAILED) == 1
    assert len(world.servicenow.records) == 3, "nothing is sent twice"
    assert first.batch == second.batch
    failed = next(each for each in progress.tickets if each.delivery.status is Delivery.FAILED)
    await world.resending.retry(world.connection, failed)
    assert len(world.servicenow.records) == 4


async def test_delivering_ends_in_time() -> None:
    world = world_with(*ACTIONS[:4])
    batch_id = (await create(world, *ACTIONS[:4])).batch.batch_id
    progress = await world.batches.deliver_some(batch_id, within_s=0)
    assert {each.delivery.status for each in progress.tickets} == {Delivery.PENDING}


@pytest.mark.parametrize("batch_id", ["0" * 32, "x", ""])
async def test_an_unknown_batch(batch_id: str) -> None:
    with pytest.raises(FixRequest) as caught:
        await world_with().batches.progress(batch_id)
    assert (caught.value.code, caught.value.status) == ("batch_not_found", 404)


@pytest.mark.parametrize("fault", [WriteFault.NOT_CARRIED_OUT, WriteFault.ANSWER_LOST])
@pytest.mark.parametrize("where", ["batch", "claim", "tickets"])
async def test_after_a_lost_write_the_same_key_completes_the_batch(fault: WriteFault, where: str) -> None:
    world = world_with(*ACTIONS[:5])
    match where:
        case "batch":
            world.claim_store.writes.faults.append(fault)
        case "claim":
            world.claim_store.writes.faults.extend([WriteFault.REPEATED, fault])
        case _:
            world.store.faults.append(fault)
    with pytest.raises(StorageUnavailable):
        await create(world, *ACTIONS[:5], key="key")
    progress = await create(world, *ACTIONS[:5], key="key")
    assert len(progress.tickets) == len(world.tickets) == 5


@pytest.mark.parametrize("mode", ["each", "all"])
def test_a_host_that_dies_at_any_step_blocks_nobody_and_doubles_nothing(mode: str) -> None:
    stops = 0
    while True:
        stage = Stage()
        try:
            world = World(stage.step)
            world.add(*ACTIONS[:3])
            first = stage.start("first", create(world, *ACTIONS[:3], key="key", mode=mode))
            stage.go_on(first.number, stops)
            if first.task.done():
                return
            stage.kill(first)
            if stops % 2:
                again = stage.run(create(world, *ACTIONS[:3], key="key", mode=mode))
                assert all(item.ticket is not None for item in again.items)
            else:
                world.clock.advance(GRACE_S + 1)
                stage.run(create(world, *ACTIONS[:3], mode=mode))
            for action in ACTIONS[:3]:
                assert len(world.open_tickets(action.reference)) == 1
        finally:
            stage.close()
        stops += 1
