"""Pages: the consent of a customer's tenant."""

from __future__ import annotations

import azure.functions as func

from shared.tenants.admin_consent import CALLBACK
from shared.tenants.lookup import get_known_tenant
from shared.tenants.model import Tenant
from shared.triggers.front_door import Call, page, redirect
from shared.triggers.principal import MANAGERS

blueprint = func.Blueprint()

_PAGE = "/tenants/{tenant_id}"


@page(blueprint, "GET", CALLBACK, roles=None)
async def tenant_consent_answer(call: Call) -> func.HttpResponse:
    """Thank whoever comes back from Microsoft; they are no user of ours, and what they bring proves nothing."""
    if call.request.method == "HEAD":
        return func.HttpResponse(status_code=200)
    has_consented = await call.application.admin_consents.answered(call.query)
    return call.page("consent_answer.html", has_consented=has_consented, here="/")


@page(blueprint, "POST", "tenants/{tenant_id}/consent", roles=MANAGERS, belongs_to=_PAGE)
async def tenant_consent_link(call: Call) -> func.HttpResponse:
    """Make a link to send to the tenant's administrator."""
    tenant = await _known(call)
    await call.application.admin_consents.make_link(tenant)
    return redirect(f"/tenants/{tenant.tenant_id}?done=consent_link#consent")


@page(blueprint, "POST", "tenants/{tenant_id}/consent-check", roles=MANAGERS, belongs_to=_PAGE)
async def tenant_consent_check(call: Call) -> func.HttpResponse:
    """Read the tenant now: only a token for it shows the consent."""
    tenant = await call.application.admin_consents.confirm(await _known(call))
    read = await call.application.tenant_reading.read_now(tenant)
    return redirect(f"/tenants/{tenant.tenant_id}?done={'reading' if read is None else 'read'}")


async def _known(call: Call) -> Tenant:
    return await get_known_tenant(call.application.tenants, call.path_parameter("tenant_id"))
