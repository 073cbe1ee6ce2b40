"""What comes back to a route that anybody may use is known by a state of ours, also for a limited customer."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from shared.access.current import seen_by
from shared.access.model import UNLIMITED_ONLY
from shared.access.sight import Sight
from shared.tenants.admin_consent import AdminConsents
from shared.tenants.model import Tenant
from shared.tenants.seen import SeenTenantStore
from tests.memory.clock import ManualClock
from tests.memory.customer_limits import MemoryCustomerLimits
from tests.memory.tenant_store import MemoryTenantStore

TENANT = "11111111-aaaa-4bbb-8ccc-000000000001"


async def test_a_limited_customers_administrator_can_consent() -> None:
    clock = ManualClock()
    sight = Sight(MemoryCustomerLimits(limits={"contoso": ()}), clock)
    tenants = SeenTenantStore(MemoryTenantStore(Tenant(TENANT, "Contoso", "contoso")), sight)
    consents = AdminConsents(
        tenants=tenants,
        clock=clock,
        client_id="c",
        authority_url="https://login.example",
        scope="s",
        redirect_uri="https://connector.example/tenants/consent",
    )
    tenant = await tenants.get_tenant(TENANT)
    assert tenant is not None
    link = consents.link(await consents.make_link(tenant))
    assert link is not None
    [state] = parse_qs(urlsplit(link).query)["state"]
    with seen_by(UNLIMITED_ONLY):
        assert await tenants.get_tenant(TENANT) is None
        assert await consents.answered({"state": state, "admin_consent": "True", "tenant": TENANT})
