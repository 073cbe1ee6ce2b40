"""Pages: Microsoft 365 tenants, and one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import azure.functions as func

from shared.connections.lookup import connections_by_id, list_present_connections
from shared.errors import FixRequest
from shared.tenants.consent import consent_state, needs_consent
from shared.tenants.lookup import checked_tenant_id, get_known_tenant
from shared.tenants.model import Tenant
from shared.tenants.requests import read_tenant_request
from shared.triggers.front_door import Call, page, redirect
from shared.triggers.principal import MANAGERS
from shared.triggers.routes import Keeps
from shared.triggers.tenant_forms import FIELDS, sent_values, tenant_body, tenant_faults, tenant_values
from shared.web.tenants import next_step, snapshot_age

blueprint = func.Blueprint()

NOTICES: Final = frozenset({"saved", "read", "reading", "consent_link"})


@page(blueprint, "GET", "tenants", roles=MANAGERS)
async def tenants_page(call: Call) -> func.HttpResponse:
    """List the tenants with what the last reading showed and what to do next."""
    app = call.application
    now = app.clock()
    return call.page(
        "tenants.html",
        tenants=[
            (each, snapshot_age(each, now, call.language), next_step(each)) for each in await app.tenants.list_tenants()
        ],
        connections=await connections_by_id(app.connection_store),
        removed=call.query.get("done") == "removed",
    )


@page(blueprint, "GET", "tenants/new", roles=MANAGERS)
async def tenant_new_page(call: Call) -> func.HttpResponse:
    """Show the form for a new tenant; the first one is most likely the tenant of whoever adds it."""
    values = dict.fromkeys(FIELDS, "")
    if not await call.application.tenants.list_tenants():
        values["tenant_id"] = call.principal.tenant_id or ""
    present = await list_present_connections(call.application.connection_store)
    if len(present) == 1:
        values["connection_id"] = present[0].connection_id
    return await _form(call, None, values, {})


@page(blueprint, "POST", "tenants/new", roles=MANAGERS, keeps=Keeps.FORM)
async def tenant_new_save(call: Call) -> func.HttpResponse:
    """Add a tenant, or show the form again."""
    return await _save(call, None, sent_values(call.form))


@page(blueprint, "GET", "tenants/{tenant_id}", roles=MANAGERS)
async def tenant_page(call: Call) -> func.HttpResponse:
    """Show a tenant: what the last reading showed, and its settings."""
    tenant = await _known(call)
    return await _form(call, tenant, tenant_values(tenant), {})


@page(blueprint, "POST", "tenants/{tenant_id}", roles=MANAGERS, keeps=Keeps.FORM)
async def tenant_save(call: Call) -> func.HttpResponse:
    """Save the settings, or show the form again."""
    tenant = await _known(call)
    return await _save(call, tenant, sent_values(call.form))


@page(blueprint, "POST", "tenants/{tenant_id}/read", roles=MANAGERS, belongs_to="/tenants/{tenant_id}")
async def tenant_read(call: Call) -> func.HttpResponse:
    """Read the tenant now."""
    tenant = await _known(call)
    read = await call.application.tenant_reading.read_now(tenant)
    return redirect(f"/tenants/{tenant.tenant_id}?done={'reading' if read is None else 'read'}")


@page(blueprint, "GET", "tenants/{tenant_id}/remove", roles=MANAGERS)
async def tenant_remove_form(call: Call) -> func.HttpResponse:
    """Ask whether to remove the tenant, and say what is kept."""
    return call.page("remove_tenant.html", tenant=await _known(call))


@page(blueprint, "POST", "tenants/{tenant_id}/remove", roles=MANAGERS)
async def tenant_remove(call: Call) -> func.HttpResponse:
    """Remove the tenant."""
    await call.application.tenant_configuration.remove(call.path_parameter("tenant_id"))
    return redirect("/tenants?done=removed")


async def _known(call: Call) -> Tenant:
    return await get_known_tenant(call.application.tenants, call.path_parameter("tenant_id"))


async def _new_id(call: Call, text: str) -> str:
    """Return the id of a tenant to add. Raises FixRequest if it is none, or has been added already."""
    tenant_id = checked_tenant_id(text)
    if await call.application.tenants.get_tenant(tenant_id) is not None:
        raise FixRequest("tenant_already_added", status=409)
    return tenant_id


async def _save(call: Call, tenant: Tenant | None, values: Mapping[str, str]) -> func.HttpResponse:
    app = call.application
    try:
        tenant_id = tenant.tenant_id if tenant is not None else await _new_id(call, values["tenant_id"])
        await app.tenant_configuration.put(tenant_id, read_tenant_request(tenant_body(values)))
    except FixRequest as error:
        return await _form(call, tenant, values, tenant_faults(call.language, error), status=error.status)
    return redirect(f"/tenants/{tenant_id}?done=saved")


async def _form(
    call: Call, tenant: Tenant | None, values: Mapping[str, str], faults: Mapping[str, str], *, status: int = 200
) -> func.HttpResponse:
    app = call.application
    now, done = app.clock(), call.query.get("done")
    connections = {each.connection_id: each for each in await list_present_connections(app.connection_store)}
    chosen = connections.get(values["connection_id"])
    companies = None if chosen is None else await app.options.companies(chosen)
    offered = None if companies is None else [(each.value, each.label) for each in companies]
    if offered is not None and values["company"] and all(value != values["company"] for value, _ in offered):
        offered.insert(0, (values["company"], values["company"]))
    is_customers = tenant is not None and needs_consent(tenant, call.principal.tenant_id)
    return call.page(
        "tenant.html",
        status=status,
        tenant=tenant,
        values=values,
        faults=faults,
        connections=[(each.connection_id, each.display_name) for each in connections.values()],
        companies=offered,
        age="" if tenant is None else snapshot_age(tenant, now, call.language),
        next_reading_at=None if tenant is None else tenant.next_reading_at(now),
        is_being_read=tenant is not None and tenant.is_held(now),
        lacks_permission=tenant is not None and tenant.lacks_permission and not is_customers,
        consent=consent_state(tenant, now) if tenant is not None and is_customers else None,
        consent_link=None if tenant is None else app.admin_consents.link(tenant),
        can_consent=app.settings.graph_client_id is not None,
        is_reachable=app.settings.is_reachable_from_internet,
        identity=app.settings.managed_identity_client_id,
        graph=app.settings.graph_url,
        notice=done if done in NOTICES else None,
        is_answer=not call.is_safe,
    )
