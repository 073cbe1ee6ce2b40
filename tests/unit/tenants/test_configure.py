"""Adding, changing and removing tenants."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.connections.directory import AT_ONCE
from shared.connections.model import Connection
from shared.errors import FixRequest
from shared.recommendations.model import ImprovementAction, SourceName
from shared.tenants.configure import MAX_TENANTS, TenantConfiguration
from shared.tenants.model import Tenant
from shared.tenants.requests import TenantRequest, read_tenant_request
from tests.memory.clock import START, ManualClock
from tests.memory.connection_store import MemoryConnectionStore
from tests.memory.recommendation_store import MemoryRecommendationStore
from tests.memory.tenant_store import MemoryTenantStore

TENANT_ID = "11111111-aaaa-4bbb-8ccc-000000000001"
CONTOSO = Connection("contoso", "Contoso", "https://contoso.service-now.com", "client", "user")


def request(**changes: object) -> TenantRequest:
    return read_tenant_request({"name": "Contoso", **changes})


class World:
    def __init__(self, *tenants: Tenant) -> None:
        self.tenants = MemoryTenantStore(*tenants)
        self.connections = MemoryConnectionStore()
        self.recommendations = MemoryRecommendationStore()
        self.configuration = TenantConfiguration(self.tenants, self.connections, self.recommendations, ManualClock())

    @property
    def tenant(self) -> Tenant:
        return self.tenants.tenants[TENANT_ID]


async def test_a_new_tenant_is_due_at_once() -> None:
    world = World()
    await world.connections.create_connection(CONTOSO)
    outcome = await world.configuration.put(TENANT_ID.upper(), request(connection_id="contoso", company="a" * 32))
    assert outcome.created
    assert outcome.tenant == world.tenant
    assert world.tenant == Tenant(TENANT_ID, "Contoso", "contoso", "a" * 32, added_at=START, due_at=AT_ONCE)


async def test_repeating_a_request_writes_nothing() -> None:
    world = World()
    first = await world.configuration.put(TENANT_ID, request())
    again = await world.configuration.put(TENANT_ID, request())
    assert not again.created
    assert again.tenant.etag == first.tenant.etag


async def test_a_change_keeps_what_readings_have_stored() -> None:
    read = Tenant(TENANT_ID, "Contoso", snapshot_id="s", read_at=START, due_at=START, holder="host", roles=("a",))
    world = World(read)
    await world.configuration.put(TENANT_ID, request(name="Fabrikam"))
    assert world.tenant == replace(read, name="Fabrikam")


async def test_files_only_ends_readings_and_begins_them_again() -> None:
    world = World(Tenant(TENANT_ID, "Contoso", due_at=START))
    await world.configuration.put(TENANT_ID, request(files_only=True))
    assert world.tenant.due_at is None
    await world.configuration.put(TENANT_ID, request())
    assert world.tenant.due_at == AT_ONCE


@pytest.mark.parametrize(
    ("tenant_id", "changes", "code", "status"),
    [
        ("contoso.com", {}, "invalid_tenant_id", 400),
        (f"{TENANT_ID}\n", {}, "invalid_tenant_id", 400),
        (f"{{{TENANT_ID}}}", {}, "invalid_tenant_id", 400),
        (TENANT_ID, {"connection_id": "unknown"}, "connection_not_found", 404),
    ],
)
async def test_refusals(tenant_id: str, changes: dict[str, object], code: str, status: int) -> None:
    world = World()
    with pytest.raises(FixRequest) as refusal:
        await world.configuration.put(tenant_id, request(**changes))
    assert (refusal.value.code, refusal.value.status) == (code, status)
    assert world.tenants.tenants == {}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "a", "cloud": "global"},
        {"name": "a", "company": "ACME"},
        {"name": "a", "files_only": 1},
    ],
)
def test_requests_that_make_no_sense(body: object) -> None:
    with pytest.raises(FixRequest, match="invalid_tenant"):
        read_tenant_request(body)


async def test_there_is_a_limit() -> None:
    world = World(*(Tenant(f"{number:08x}-aaaa-4bbb-8ccc-000000000001", "x") for number in range(MAX_TENANTS)))
    with pytest.raises(FixRequest, match="too_many_tenants"):
        await world.configuration.put(TENANT_ID, request())


async def test_removal_takes_the_recommendations_with_it_and_can_be_repeated() -> None:
    world = World(Tenant(TENANT_ID, "Contoso"))
    action = ImprovementAction(TENANT_ID, SourceName.SECURE_SCORE, "a", "A")
    await world.recommendations.save_reading(TENANT_ID, [action], {}, [])
    for _ in range(2):
        await world.configuration.remove(TENANT_ID.upper())
        assert world.tenants.tenants == {}
        assert await world.recommendations.list_actions(TENANT_ID) == []
