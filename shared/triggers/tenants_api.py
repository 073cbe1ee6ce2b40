"""HTTP API: tenants and reading them."""

from __future__ import annotations

from typing import Final

import azure.functions as func

from shared.tenants.lookup import get_known_tenant
from shared.tenants.model import Tenant
from shared.tenants.requests import TenantRequest, read_tenant_request
from shared.triggers.answers import JsonAnswer
from shared.triggers.front_door import Call, route
from shared.triggers.principal import ANY_ROLE, MANAGERS
from shared.triggers.routes import model_of

blueprint = func.Blueprint()

_TENANT: Final = model_of("shared.tenants.views", "TenantView")
_LIST: Final = model_of("shared.tenants.views", "TenantListView")
_LINK: Final = model_of("shared.tenants.views", "ConsentLinkView")
_KNOWN: Final = {400: ("invalid_tenant_id",), 404: ("tenant_not_found",)}


@route(
    blueprint,
    "PUT",
    "api/tenants/{tenant_id}",
    summary="Add a tenant, or change it",
    roles=MANAGERS,
    body=TenantRequest,
    answers={200: _TENANT, 201: _TENANT},
    problems={
        400: ("invalid_json", "invalid_tenant_id"),
        404: ("connection_not_found",),
        409: ("too_many_tenants", "tenant_already_added"),
        411: ("length_required",),
        415: ("unsupported_media_type",),
        422: ("invalid_tenant",),
        503: ("tenant_busy",),
    },
)
async def put_tenant(call: Call) -> JsonAnswer:
    """Answer 201 if the tenant is new."""
    request = read_tenant_request(call.json())
    outcome = await call.application.tenant_configuration.put(call.path_parameter("tenant_id"), request)
    return _answer(call, outcome.tenant, status=201 if outcome.created else 200)


@route(
    blueprint,
    "GET",
    "api/tenants",
    summary="List all tenants",
    roles=ANY_ROLE,
    answers={200: _LIST},
)
async def list_tenants(call: Call) -> JsonAnswer:
    """Answer with every tenant and what its last reading showed."""
    from shared.tenants.views import tenant_list_view

    app = call.application
    tenants, home_id = await app.tenants.list_tenants(), call.principal.tenant_id
    view = tenant_list_view(tenants, app.clock(), call.language, home_tenant_id=home_id)
    return JsonAnswer(view, language=call.language)


@route(
    blueprint,
    "GET",
    "api/tenants/{tenant_id}",
    summary="Show a tenant and what its last reading showed",
    roles=ANY_ROLE,
    answers={200: _TENANT},
    problems=_KNOWN,
)
async def get_tenant(call: Call) -> JsonAnswer:
    """Answer with the tenant."""
    return _answer(call, await get_known_tenant(call.application.tenants, call.path_parameter("tenant_id")))


@route(
    blueprint,
    "DELETE",
    "api/tenants/{tenant_id}",
    summary="Remove a tenant and its recommendations; its tickets stay",
    roles=MANAGERS,
    answers={204: None},
    problems=_KNOWN,
)
async def delete_tenant(call: Call) -> JsonAnswer:
    """Answer 204, also if there is no such tenant, but not for one that the caller may not see."""
    await call.application.tenant_configuration.remove(call.path_parameter("tenant_id"))
    return JsonAnswer(status=204)


@route(
    blueprint,
    "POST",
    "api/tenants/{tenant_id}/read",
    summary="Read a tenant's recommendations now",
    roles=ANY_ROLE,
    answers={200: _TENANT, 202: None},
    problems={**_KNOWN, 409: ("tenant_files_only",), 503: ("tenant_busy",)},
)
async def read_tenant(call: Call) -> JsonAnswer:
    """Answer with the tenant, also if the reading failed: it says why. 202: the tenant is read next."""
    app = call.application
    tenant = await get_known_tenant(app.tenants, call.path_parameter("tenant_id"))
    read = await app.tenant_reading.read_now(tenant)
    return JsonAnswer(status=202) if read is None else _answer(call, read)


@route(
    blueprint,
    "POST",
    "api/tenants/{tenant_id}/consent",
    summary="Make a link for the administrator of a customer's tenant, in place of the one before",
    roles=MANAGERS,
    answers={200: _LINK},
    problems={**_KNOWN, 409: ("customer_tenants_not_set_up",), 503: ("tenant_busy",)},
)
async def make_consent_link(call: Call) -> JsonAnswer:
    """Answer with the link."""
    from shared.tenants.views import consent_link_view

    app = call.application
    tenant = await get_known_tenant(app.tenants, call.path_parameter("tenant_id"))
    made = await app.admin_consents.make_link(tenant)
    return JsonAnswer(consent_link_view(made, app.admin_consents.link(made)), language=call.language)


def _answer(call: Call, tenant: Tenant, *, status: int = 200) -> JsonAnswer:
    from shared.tenants.views import tenant_view

    now, home_id = call.application.clock(), call.principal.tenant_id
    view = tenant_view(tenant, now, call.language, home_tenant_id=home_id)
    return JsonAnswer(view, status=status, language=call.language)
