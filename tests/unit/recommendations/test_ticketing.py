"""Tickets made from recommendations: what a request leaves out comes from them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from shared.connections.model import Portal
from shared.errors import FixRequest
from shared.recommendations.model import (
    ActionTexts,
    ComplianceDetails,
    ImprovementAction,
    Level,
    SourceName,
    text_hash,
)
from shared.recommendations.requests import read_link_request, read_recommended_ticket_request
from shared.tenants.model import Tenant
from shared.tickets.create import Creation
from shared.tickets.model import Priority, RecommendationCategory
from tests.memory.clock import START
from tests.unit.recommendations.strategies import TENANT
from tests.unit.recommendations.world import World
from tests.unit.tickets.examples import CONNECTION_ID, REQUESTER, a_connection, delivered_ticket

STEPS = "<ol><li>Turn it on.</li></ol>"
ACTION = ImprovementAction(
    TENANT,
    SourceName.SECURE_SCORE,
    "mdo_safeattachments",
    "Turn on Safe Attachments in block mode",
    category="Data",
    service="MDO",
    tier="Core",
    user_impact=Level.LOW,
    texts=ActionTexts(remediation=text_hash(STEPS)),
    points=Decimal(0),
    max_points=Decimal(8),
)
OTHER = replace(ACTION, source_id="AdminMFAV2", title="Require MFA for administrators", max_points=Decimal(2))
COMPLIANCE = ImprovementAction(
    TENANT, SourceName.COMPLIANCE_MANAGER, "a#1", "Restrict access", compliance=ComplianceDetails(), points=Decimal(0)
)
FABRIKAM = "11111111-aaaa-4bbb-8ccc-000000000002"


def world_with(*actions: ImprovementAction) -> World:
    world = World()
    world.add(*(actions or (ACTION, OTHER)))
    world.recommendations.texts[TENANT][text_hash(STEPS)] = STEPS
    return world


async def create(world: World, *actions: ImprovementAction, key: str | None = None, **members: Any) -> Creation:
    body = {"kind": "incident", "recommendation_ids": [each.key for each in actions or (ACTION,)], **members}
    asked = read_recommended_ticket_request(body)
    return await world.ticketing.create(asked, REQUESTER, caller="caller", idempotency_key=key)


async def refused(world: World, *actions: ImprovementAction, **members: Any) -> FixRequest:
    with pytest.raises(FixRequest) as caught:
        await create(world, *actions, **members)
    assert world.tickets == []
    return caught.value


async def test_what_is_left_out_comes_from_the_recommendation() -> None:
    content = (await create(world_with())).ticket.content
    assert content.name == ACTION.title
    assert "Turn it on." in content.description
    assert content.portal is Portal.SECURITY
    assert content.priority is Priority.HIGH
    assert content.due_at == START.replace(hour=23, minute=59, second=59, microsecond=0) + timedelta(days=14)
    assert content.recommendation.category is RecommendationCategory.DATA
    assert content.recommendation.id == "mdo_safeattachments"
    assert (content.recommendation.link or "").startswith("https://security.microsoft.com/securescore?")
    assert content.company == "c" * 32
    assert content.references == (ACTION.reference,)


async def test_what_the_caller_says_counts() -> None:
    said = {"name": "Own", "description": "Words", "priority": "low", "due_date": "2026-12-31", "portal": "compliance"}
    own = {"source": "user", "category": "apps"}
    content = (await create(world_with(), **said, recommendation=own)).ticket.content
    assert (content.name, content.description, content.priority) == ("Own", "Words", Priority.LOW)
    assert content.portal is Portal.COMPLIANCE
    assert content.due_at is not None
    assert content.due_at.year == 2026
    assert content.recommendation.id is None
    assert (await create(world_with(), due_date=None)).ticket.content.due_at is None


async def test_one_ticket_for_several_lists_them_and_is_as_urgent_as_the_most_urgent() -> None:
    ticket = (await create(world_with(), OTHER, ACTION, OTHER)).ticket
    assert ticket.content.references == (OTHER.reference, ACTION.reference)
    assert ticket.content.priority is Priority.HIGH
    assert ticket.content.recommendation.id is None
    assert ACTION.title in ticket.content.description
    assert OTHER.title in ticket.content.description


async def test_a_form_of_the_release_before_may_be_sent_again() -> None:
    """It has no field for the group, the assignee and the configuration item; later forms send them empty."""
    world = world_with()
    first = await create(world, key="form:1", priority="low")
    again = await create(
        world, key="form:1", priority="low", assignment_group=None, assigned_to=None, configuration_item=None
    )
    assert (again.replayed, again.ticket.ticket_id) == (True, first.ticket.ticket_id)


async def test_actions_of_compliance_manager_are_in_the_compliance_portal() -> None:
    assert (await create(world_with(COMPLIANCE), COMPLIANCE)).ticket.content.portal is Portal.COMPLIANCE


@pytest.mark.parametrize("title", ["", "\u202e", "x" * 400, "a\nb\x00c\ud800", "𝔘" * 200])
async def test_whatever_microsoft_calls_it_there_is_a_ticket(title: str) -> None:
    odd = replace(ACTION, title=title, source_id=f"{title.replace('\ud800', '')}/#?", link="javascript:alert(1)")
    content = (await create(world_with(odd), odd)).ticket.content
    assert content.name
    assert content.references == (odd.reference,)


async def test_what_cannot_become_a_ticket() -> None:
    gone = replace(ACTION, gone_at=START)
    assert (await refused(world_with(gone), gone)).code == "recommendation_gone"
    assert (await refused(world_with(OTHER), ACTION)).code == "recommendation_not_found"
    assert (await refused(world_with(), tenant_id=FABRIKAM)).code == "tenant_not_found"
    assert (await refused(world_with(), connection_id="other")).code == "tenant_other_connection"
    several = world_with()
    several.tenants.tenants[FABRIKAM] = Tenant(FABRIKAM, "Fabrikam")
    error = await refused(several)
    assert (error.code, error.values["tenant_ids"]) == ("tenant_ambiguous", [TENANT, FABRIKAM])
    assert (await refused(several, tenant_id=FABRIKAM)).code == "recommendation_not_found", "of the other tenant"
    assert (await create(several, tenant_id=TENANT.upper())).ticket.content.references == (ACTION.reference,)


async def test_a_tenant_without_a_connection_uses_the_one_that_is_named_or_the_only_one() -> None:
    world = world_with()
    world.tenants.tenants[TENANT] = Tenant(TENANT, "Contoso")
    assert (await create(world)).ticket.connection_id == CONNECTION_ID
    other = a_connection(connection_id="other")
    world.connections.connections["other"] = other
    assert (await create(world, OTHER, connection_id="other")).ticket.connection_id == "other"


async def test_the_same_key_finds_its_ticket_when_the_recommendation_is_gone() -> None:
    world = world_with()
    first = await create(world, key="key")
    world.add(replace(ACTION, gone_at=START, title="Other title"))
    again = await create(world, key="key")
    assert (again.replayed, again.ticket) == (True, first.ticket)
    with pytest.raises(FixRequest) as caught:
        await create(world, key="other")
    assert caught.value.code == "recommendation_gone"


async def test_a_ticket_to_link_is_looked_for_in_the_tenants_connection() -> None:
    world = world_with()
    world.put(delivered_ticket(START, record={"number": "INC0000001"}))
    reference, connection = await world.ticketing.linked(ACTION.key, read_link_request({"number": "INC0000001"}))
    assert (reference, connection.connection_id) == (ACTION.reference, CONNECTION_ID)
    elsewhere = {"connection_id": "other"}, {"tenant_id": FABRIKAM}
    for members, code in zip(elsewhere, ("tenant_other_connection", "tenant_not_found"), strict=True):
        with pytest.raises(FixRequest) as caught:
            await world.ticketing.linked(ACTION.key, read_link_request({"number": "INC0000001", **members}))
        assert caught.value.code == code
    world.tenants.tenants[TENANT] = Tenant(TENANT, "Contoso")
    with pytest.raises(FixRequest) as caught:
        await world.ticketing.linked(ACTION.key, read_link_request({"number": "INC0000001"}))
    assert caught.value.code == "tenant_without_connection"


async def test_lists_show_the_ticket_beside_each_recommendation_of_their_tenant_only() -> None:
    world = world_with()
    world.tenants.tenants[FABRIKAM] = Tenant(FABRIKAM, "Fabrikam", CONNECTION_ID)
    theirs = replace(ACTION, tenant_id=FABRIKAM)
    world.add(theirs)
    ticket = (await create(world, tenant_id=TENANT)).ticket
    ours = await world.lists.of_tenant(world.tenants.tenants[TENANT])
    assert ours.beside.keys_with_open_ticket == {ACTION.key}
    shown = ours.beside.ticket(ACTION.key)
    assert shown is not None
    assert shown.ticket_id == ticket.ticket_id
    assert ours.ticket_numbers == {ACTION.key: ticket.record.number if ticket.record else ""}
    other = await world.lists.of_tenant(world.tenants.tenants[FABRIKAM])
    assert [each.tenant_id for each in other.actions] == [FABRIKAM]
    assert other.beside.keys_with_ticket == frozenset()
    assert (await create(world, theirs, tenant_id=FABRIKAM)).ticket.content.references == (theirs.reference,)
