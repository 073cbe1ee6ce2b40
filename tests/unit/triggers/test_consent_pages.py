"""The tenant's page asks a customer for consent, and a customer's administrator comes back."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import azure.functions as func
import pytest

from shared.error_codes import Code
from shared.errors import FixRequest, TenantRefused
from shared.tenants.admin_consent import AdminConsents
from shared.tenants.consent import ConsentState, consent_state
from shared.tenants.model import AdminConsent, Tenant, TenantError
from shared.tenants.status import after_failure
from shared.triggers import consent_pages, tenant_pages, tenants_api
from shared.triggers.front_door import Call
from shared.triggers.routes import ROUTES
from shared.web.tenants import NextStep, next_step
from shared.words.language import languages
from tests.memory.clock import START
from tests.unit.recommendations.strategies import TENANT
from tests.unit.triggers.page_calls import MANAGER, URL, Pages, pages, text_of

__all__ = ["pages"]

HOME = "99999999-aaaa-4bbb-8ccc-000000000009"
APP = "0c0ffee0-0000-4000-8000-000000000001"
T = languages()["en"]
PERSON = replace(MANAGER, tenant_id=HOME)


class Customers:
    """Pages of a customer's tenant, in a deployment that can read it or not."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        self.store = pages.world.tenants

    async def set_up(
        self,
        *,
        client_id: str | None = APP,
        is_reachable: bool = True,
        tenant_id: str = TENANT,
        error: Code = "admin_consent_missing",
    ) -> None:
        self.tenant_id = tenant_id
        clock = self.pages.world.clock
        app = self.pages.application
        app.settings = SimpleNamespace(
            public_base_url=URL,
            graph_client_id=client_id,
            is_reachable_from_internet=is_reachable,
            managed_identity_client_id=None,
            graph_url="https://graph.microsoft.com",
        )
        app.admin_consents = AdminConsents(
            self.store, clock, client_id, "https://login.example", "scope", f"{URL}/tenants/consent"
        )
        self.store.tenants.pop(tenant_id, None)
        tenant = Tenant(tenant_id, "Fabrikam", due_at=clock())
        await self.store.save_tenant(
            after_failure(tenant, TenantRefused(error, wanted="SecurityEvents.Read.All"), clock())
        )

    @property
    def tenant(self) -> Tenant:
        return self.store.tenants[self.tenant_id]

    async def page(self) -> str:
        answer = await self.pages.get(
            tenant_pages.tenant_page, f"/tenants/{self.tenant_id}", caller=PERSON, tenant_id=self.tenant_id
        )
        return text_of(answer)

    async def make_link(self) -> str:
        await self.pages.post(
            consent_pages.tenant_consent_link,
            f"/tenants/{self.tenant_id}/consent",
            [],
            caller=PERSON,
            tenant_id=self.tenant_id,
        )
        link = self.pages.application.admin_consents.link(self.tenant)
        assert link is not None
        return str(link)


@pytest.fixture
def customers(pages: Pages) -> Customers:
    return Customers(pages)


async def test_the_page_says_what_the_consent_allows_before_it_shows_the_link(customers: Customers) -> None:
    await customers.set_up()
    before = await customers.page()
    assert T("consent.make_link") in before
    link = (await customers.make_link()).replace("&", "&amp;")
    html = await customers.page()
    assert html.index(T("consent.read_only")) < html.index(link)
    assert "SecurityEvents.Read.All" in html
    assert T("consent.proof") in html


async def test_the_commands_for_the_managed_identity_are_for_its_own_tenant(customers: Customers) -> None:
    await customers.set_up(error="graph_permission_missing")
    html = await customers.page()
    assert T("consent.state.incomplete") in html
    assert "appRoleAssignments" not in html
    await customers.set_up(error="graph_permission_missing", tenant_id=HOME)
    assert "appRoleAssignments" in await customers.page()


async def test_in_a_private_network_the_page_says_that_nobody_comes_back(customers: Customers) -> None:
    await customers.set_up(is_reachable=False)
    html = await customers.page()
    assert T("consent.unreachable") in html
    assert T("consent.proof") not in html
    assert T("consent.check") in html


async def test_without_a_registration_the_page_says_so(customers: Customers) -> None:
    await customers.set_up(client_id=None)
    html = await customers.page()
    assert T("consent.not_set_up") in html
    assert "/consent" not in html


async def test_the_home_tenant_needs_no_consent(customers: Customers) -> None:
    await customers.set_up(tenant_id=HOME)
    assert T("consent.title") not in await customers.page()


async def test_whoever_comes_back_is_thanked_and_learns_nothing(customers: Customers) -> None:
    await customers.set_up()
    link = await customers.make_link()
    state = link.partition("state=")[2]
    query = f"admin_consent=True&tenant={TENANT}&state={state}"
    answer = await customers.pages.get(consent_pages.tenant_consent_answer, f"/tenants/consent?{query}")
    html = text_of(answer)
    assert T("consent.thanks") in html
    assert "Fabrikam" not in html
    assert customers.tenant.is_consent_pending(START)
    with pytest.raises(FixRequest):
        await customers.pages.get(consent_pages.tenant_consent_answer, f"/tenants/consent?{query}")


async def test_a_look_without_the_page_uses_nothing_up(customers: Customers) -> None:
    """Scanners of links send HEAD."""
    await customers.set_up()
    state = (await customers.make_link()).partition("state=")[2]
    [route] = [each for each in ROUTES if each.name == "tenant_consent_answer"]
    query = {"admin_consent": "True", "tenant": TENANT, "state": state}
    request = func.HttpRequest(method="HEAD", url=f"{URL}/tenants/consent", body=b"")
    await consent_pages.tenant_consent_answer(Call(route, request, "request", T, query=query))
    assert customers.tenant.consent is not None
    assert customers.tenant.consent.is_open(START)


async def test_a_refusal_is_kept_for_our_administrators(customers: Customers) -> None:
    await customers.set_up()
    state = (await customers.make_link()).partition("state=")[2]
    query = f"error=consent_required&error_description=AADSTS65004&admin_consent=True&state={state}"
    answer = await customers.pages.get(consent_pages.tenant_consent_answer, f"/tenants/consent?{query}")
    assert T("consent.refusal") in text_of(answer)
    assert T("consent.state.refused") in await customers.page()


async def test_programs_see_what_is_known_of_the_consent(customers: Customers) -> None:
    async def shown() -> dict[str, object] | None:
        answer = await customers.pages.ask(tenants_api.get_tenant, "GET", caller=PERSON, tenant_id=customers.tenant_id)
        consent: dict[str, object] | None = json.loads(answer.to_response().get_body())["consent"]
        return consent

    await customers.set_up(error="graph_permission_missing")
    assert await shown() == {
        "state": "incomplete",
        "missing_roles": ["SecurityEvents.Read.All"],
        "checked_at": "2026-03-02T09:30:15.250000Z",
        "link_ends_at": None,
        "answered_at": None,
    }
    await customers.make_link()
    linked = await shown()
    assert linked is not None
    assert linked["link_ends_at"] == "2026-04-01T09:30:15.250000Z"
    await customers.set_up(tenant_id=HOME)
    assert await shown() is None


MISSING = TenantError(TenantRefused("admin_consent_missing").failure, START)
ROLELESS = TenantError(TenantRefused("graph_permission_missing").failure, START)
ANSWERED = AdminConsent("", START, answered_at=START)


@pytest.mark.parametrize(
    ("tenant", "state"),
    [
        (Tenant(TENANT, ""), ConsentState.MISSING),
        (Tenant(TENANT, "", error=MISSING), ConsentState.MISSING),
        (Tenant(TENANT, "", error=MISSING, consent=ANSWERED), ConsentState.PENDING),
        (Tenant(TENANT, "", error=ROLELESS, consent=ANSWERED), ConsentState.PENDING),
        (Tenant(TENANT, "", error=ROLELESS), ConsentState.INCOMPLETE),
        (Tenant(TENANT, "", error=MISSING, consent=replace(ANSWERED, is_refused=True)), ConsentState.REFUSED),
        (Tenant(TENANT, "", roles=("SecurityEvents.Read.All",)), ConsentState.GIVEN),
        (Tenant(TENANT, "", roles=("SecurityEvents.Read.All",), error=MISSING), ConsentState.MISSING),
    ],
)
def test_only_a_token_shows_a_consent(tenant: Tenant, state: ConsentState) -> None:
    assert consent_state(tenant, START) is state


def test_the_next_step_is_to_ask() -> None:
    assert next_step(Tenant(TENANT, "", error=MISSING)) is NextStep.ASK_FOR_CONSENT
