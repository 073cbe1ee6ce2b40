"""Links for customers' administrators, and what comes back: forged, repeated, late, and for somebody else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final
from urllib.parse import parse_qs, urlsplit

import pytest

from shared.access.current import seen_by
from shared.access.model import UNLIMITED_ONLY
from shared.access.sight import Sight
from shared.connections.directory import AT_ONCE
from shared.errors import FixRequest
from shared.tenants.admin_consent import AdminConsents
from shared.tenants.model import CONSENT_LINK_LASTS, Tenant
from shared.tenants.seen import SeenTenantStore
from tests.memory.clock import ManualClock
from tests.memory.customer_limits import MemoryCustomerLimits, limited_to
from tests.memory.tenant_store import MemoryTenantStore

CONTOSO: Final = "11111111-aaaa-4bbb-8ccc-000000000001"
FABRIKAM: Final = "22222222-aaaa-4bbb-8ccc-000000000002"
APP: Final = "0c0ffee0-0000-4000-8000-000000000001"


class World:
    """Two customers' tenants; the first belongs to a connection."""

    def __init__(self, client_id: str | None = APP) -> None:
        self.clock = ManualClock()
        later = self.clock() + timedelta(hours=1)
        self.tenants = MemoryTenantStore(
            Tenant(CONTOSO, "Contoso", "contoso", due_at=later), Tenant(FABRIKAM, "Fabrikam", due_at=later)
        )
        self.consents = AdminConsents(
            self.tenants,
            self.clock,
            client_id=client_id,
            authority_url="https://login.microsoftonline.com",
            scope="https://graph.microsoft.com/.default",
            redirect_uri="https://connector.example/tenants/consent",
        )

    def tenant(self, tenant_id: str = CONTOSO) -> Tenant:
        return self.tenants.tenants[tenant_id]

    async def link(self, tenant_id: str = CONTOSO) -> str:
        link = self.consents.link(await self.consents.make_link(self.tenant(tenant_id)))
        assert link is not None
        return link

    async def state(self, tenant_id: str = CONTOSO) -> str:
        return parse_qs(urlsplit(await self.link(tenant_id)).query)["state"][0]

    async def refuses(self, **query: str) -> None:
        """The answer is refused, and nothing has changed."""
        before = dict(self.tenants.tenants)
        with pytest.raises(FixRequest) as caught:
            await self.consents.answered(query)
        assert caught.value.code == "admin_consent_unknown"
        assert self.tenants.tenants == before


def granted(state: str, tenant_id: str = CONTOSO) -> dict[str, str]:
    return {"admin_consent": "True", "tenant": tenant_id, "state": state}


async def test_the_link_asks_the_tenant_itself_for_all_permissions_of_the_registration() -> None:
    world = World()
    link = urlsplit(await world.link())
    assert link._replace(query="").geturl() == f"https://login.microsoftonline.com/{CONTOSO}/v2.0/adminconsent"
    assert parse_qs(link.query) == {
        "client_id": [APP],
        "scope": ["https://graph.microsoft.com/.default"],
        "redirect_uri": ["https://connector.example/tenants/consent"],
        "state": [f"{CONTOSO}.{world.tenant().consent.nonce}"],  # type: ignore[union-attr]
    }


async def test_a_consent_makes_the_tenant_due_and_changes_nothing_else() -> None:
    world = World()
    state = await world.state()
    assert await world.consents.answered(granted(state, CONTOSO.upper()))
    tenant = world.tenant()
    assert tenant.due_at == AT_ONCE
    assert tenant.requested_at == world.clock(), "also if it is being read now"
    assert (tenant.connection_id, tenant.status, tenant.roles) == ("contoso", None, None)
    assert tenant.is_consent_pending(world.clock())


async def test_a_consent_binds_no_tenant_to_a_connection() -> None:
    world = World()
    assert await world.consents.answered(granted(await world.state(FABRIKAM), FABRIKAM))
    assert world.tenant(FABRIKAM).connection_id is None


async def test_a_link_can_be_used_once() -> None:
    world = World()
    state = await world.state()
    await world.consents.answered(granted(state))
    assert world.consents.link(world.tenant()) is None
    await world.refuses(**granted(state))
    await world.refuses(state=state, error="consent_required")


async def test_a_refusal_says_true_as_well_and_leaves_the_link_open() -> None:
    world = World()
    state = await world.state()
    refusal = {"error": "consent_required", "error_description": "AADSTS65004: …", "admin_consent": "True"}
    assert not await world.consents.answered({**refusal, "state": state})
    tenant = world.tenant()
    assert tenant.consent is not None
    assert tenant.consent.is_refused
    assert tenant.due_at != AT_ONCE
    assert not tenant.is_consent_pending(world.clock())
    assert await world.consents.answered(granted(state))
    assert not world.tenant().consent.is_refused  # type: ignore[union-attr]


async def test_forged_answers() -> None:
    world = World()
    state, other = await world.state(), await world.state(FABRIKAM)
    await world.refuses()
    await world.refuses(**granted(""))
    await world.refuses(**granted(CONTOSO))
    await world.refuses(**granted(f"{CONTOSO}."))
    await world.refuses(**granted(f"{CONTOSO}.{'A' * 43}"))
    await world.refuses(**granted(f"{FABRIKAM}.{state.partition('.')[2]}", FABRIKAM))
    await world.refuses(**granted(f"{CONTOSO}.{other.partition('.')[2]}"))
    await world.refuses(**granted(state, FABRIKAM))
    await world.refuses(**granted("33333333-aaaa-4bbb-8ccc-000000000003." + "A" * 43))
    await world.refuses(**granted(state) | {"admin_consent": "true"})
    await world.refuses(state=state, tenant=CONTOSO)
    await world.refuses(state=state, admin_consent="True")
    await world.refuses(state=f"{CONTOSO}.{'A' * 43}", error="consent_required")


async def test_without_a_link_the_empty_nonce_opens_nothing() -> None:
    world = World()
    await world.consents.confirm(world.tenant())
    await world.refuses(**granted(f"{CONTOSO}."))


async def test_a_new_link_ends_the_one_before() -> None:
    world = World()
    old, new = await world.state(), await world.state()
    await world.refuses(**granted(old))
    assert await world.consents.answered(granted(new))


async def test_a_link_ends_after_a_month() -> None:
    world = World()
    state = await world.state()
    world.clock.advance(CONSENT_LINK_LASTS.total_seconds())
    assert world.consents.link(world.tenant()) is None
    await world.refuses(**granted(state))


async def test_a_tenant_that_was_removed_and_added_again_has_no_link() -> None:
    world = World()
    state = await world.state()
    await world.tenants.delete_tenant(CONTOSO)
    await world.refuses(**granted(state))
    await world.tenants.save_tenant(Tenant(CONTOSO, "Contoso"))
    await world.refuses(**granted(state))


async def test_a_tenant_of_files_is_not_read() -> None:
    world = World()
    await world.tenants.save_tenant(Tenant("44444444-aaaa-4bbb-8ccc-000000000004", "Files"))
    state = await world.state("44444444-aaaa-4bbb-8ccc-000000000004")
    assert await world.consents.answered(granted(state, "44444444-aaaa-4bbb-8ccc-000000000004"))
    assert world.tenant("44444444-aaaa-4bbb-8ccc-000000000004").due_at is None


async def test_where_nobody_comes_back_an_administrator_of_ours_asks_for_the_check() -> None:
    world = World()
    await world.link()
    tenant = await world.consents.confirm(world.tenant())
    assert tenant.due_at == AT_ONCE
    assert tenant.is_consent_pending(world.clock())
    assert world.consents.link(tenant) is not None, "the administrator may still come"


async def test_without_a_registration_there_is_no_link() -> None:
    world = World(client_id=None)
    assert world.consents.link(world.tenant()) is None
    for act in (world.consents.make_link, world.consents.confirm):
        with pytest.raises(FixRequest) as caught:
            await act(world.tenant())
        assert caught.value.code == "customer_tenants_not_set_up"


async def test_a_stranger_brings_the_answer_for_a_customer_that_is_limited() -> None:
    world = World()
    sight = Sight(MemoryCustomerLimits(limits={"contoso": limited_to("friend")}), world.clock)
    world.consents = replace(world.consents, tenants=SeenTenantStore(world.tenants, sight))
    state = await world.state()
    with seen_by(UNLIMITED_ONLY):
        assert await world.consents.answered(granted(state))
        await world.refuses(**granted(state))
    assert world.tenant().due_at == AT_ONCE
