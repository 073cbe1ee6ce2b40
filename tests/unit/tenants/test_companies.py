"""The ServiceNow company of a ticket that nobody made from a recommendation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import FixRequest
from shared.tenants.companies import REMEMBERED_FOR, TenantCompanies
from shared.tenants.model import Tenant
from tests.memory.clock import ManualClock
from tests.memory.steps import at_once
from tests.memory.tenant_store import MemoryTenantStore

ONE, TWO = "a" * 32, "b" * 32
CONNECTIONS = (None, "contoso", "fabrikam")


def id_of(number: int) -> str:
    return f"0c0ffee0-0000-4000-8000-{number:012}"


def tenants_of(*values: tuple[str | None, str | None]) -> list[Tenant]:
    return [Tenant(id_of(number), f"Tenant {number}", *value) for number, value in enumerate(values)]


@given(st.lists(st.tuples(st.sampled_from(CONNECTIONS), st.sampled_from((None, ONE, TWO))), max_size=5))
async def test_a_ticket_never_has_the_company_of_some_tenant_unless_all_have_it(
    values: list[tuple[str | None, str | None]],
) -> None:
    companies = TenantCompanies(MemoryTenantStore(*tenants_of(*values)), ManualClock())
    own = [company for connection_id, company in values if connection_id == "contoso"]
    found = await companies.company_for("contoso", None)
    assert (found is not None) == (bool(own) and all(company == own[0] for company in own) and own[0] is not None)
    assert found in {None, *own}
    to_choose = await companies.to_choose_from("contoso")
    assert [each.company for each in to_choose] == (own if len(set(own)) > 1 else [])
    for number, (connection_id, company) in enumerate(values):
        if connection_id == "fabrikam":
            with pytest.raises(FixRequest) as refused:
                await companies.company_for("contoso", id_of(number))
            assert (refused.value.code, refused.value.status) == ("tenant_other_connection", 409)
        else:
            assert await companies.company_for("contoso", id_of(number)) == company


async def test_an_unknown_tenant_is_refused() -> None:
    companies = TenantCompanies(MemoryTenantStore(), ManualClock())
    for look in (companies.connection_of(id_of(1)), companies.company_for("contoso", id_of(1))):
        with pytest.raises(FixRequest) as refused:
            await look
        assert refused.value.code == "tenant_not_found"


async def test_the_list_is_read_once_a_minute() -> None:
    reads = 0

    async def step(name: str) -> None:
        nonlocal reads
        reads += name == "list_tenants"
        await at_once(name)

    clock = ManualClock()
    store = MemoryTenantStore(*tenants_of(("contoso", ONE)), step=step)
    companies = TenantCompanies(store, clock)
    for _ in range(3):
        assert await companies.company_for("contoso", None) == ONE
    assert reads == 1
    store.tenants = {}
    clock.advance(REMEMBERED_FOR.total_seconds())
    assert await companies.company_for("contoso", None) is None
