"""The control API of the simulated Entra ID, below ``/control/entra``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.entra.consent_page import ConsentPage
from sandbox.entra.directory import FederatedCredential
from sandbox.entra.token_endpoint import Failure, TokenEndpoint

_SECRETS_LAST = timedelta(days=365)

type _Act = Callable[[Request, Any], object]


def control_routes(endpoint: TokenEndpoint, consent_page: ConsentPage) -> list[Route]:
    """Return the routes that change applications, consents and the endpoint itself.

    ``PUT /control/entra/applications/{client_id}`` registers: ``home_tenant_id``, ``secrets`` (each lasts a year),
    ``certificates`` (PEM), ``federated_credentials`` (``issuer``, ``subject``, ``audience``), ``redirect_uris``,
    ``required_roles``.
    ``PATCH`` there: ``rotate_secret`` (the only client secret from now on) and ``expire_certificates``.
    ``POST /control/entra/tenants/{tenant_id}/applications/{client_id}`` consents and changes: ``grant`` and ``remove``
    roles, ``enabled``. ``DELETE`` takes the consent back.
    ``POST /control/entra/tenants/{tenant_id}/revocation`` makes a tenant's older tokens worthless where access is
    evaluated continuously.
    ``PATCH /control/entra/settings``: ``failures`` (``status``, ``retry_after``), ``lifetime_s``,
    ``unauthorized_status``, ``consent_delay_s`` and ``consent_grants`` (roles, or null for those that are asked for).
    ``POST /control/entra/clock``: ``advance_s``. ``GET /control/entra/requests``.
    """
    directories = endpoint.directories

    def register(request: Request, body: Any) -> object:
        application = directories.register(request.path_params["client_id"], body["home_tenant_id"])
        application.secrets = dict.fromkeys(body.get("secrets", ()), endpoint.clock.now() + _SECRETS_LAST)
        application.certificates = list(body.get("certificates", ()))
        application.certificates_end_at = None
        application.federated_credentials = [
            FederatedCredential(**credential) for credential in body.get("federated_credentials", ())
        ]
        application.redirect_uris = list(body.get("redirect_uris", ()))
        application.required_roles = list(body.get("required_roles", ()))
        return {"client_id": application.client_id}

    def change(request: Request, body: Any) -> object:
        application, now = directories.applications[request.path_params["client_id"]], endpoint.clock.now()
        if "rotate_secret" in body:
            application.secrets = {body["rotate_secret"]: now + _SECRETS_LAST}
        if body.get("expire_certificates"):
            application.certificates_end_at = now
        return {"client_id": application.client_id}

    def consent(request: Request, body: Any) -> object:
        there = directories.consent(
            request.path_params["tenant_id"], request.path_params["client_id"], *body.get("grant", ())
        )
        there.roles -= set(body.get("remove", ()))
        there.enabled = body.get("enabled", there.enabled)
        return {"object_id": there.object_id, "roles": sorted(there.roles), "enabled": there.enabled}

    def withdraw(request: Request, body: Any) -> object:
        directories.withdraw(request.path_params["tenant_id"], request.path_params["client_id"])
        return {}

    def revoke(request: Request, body: Any) -> object:
        directories.revoked_at[request.path_params["tenant_id"]] = endpoint.clock.now()
        return {}

    def settings(request: Request, body: Any) -> object:
        if "failures" in body:
            endpoint.failures = [Failure(**failure) for failure in body["failures"]]
        if "lifetime_s" in body:
            endpoint.lifetime = timedelta(seconds=body["lifetime_s"])
        if "unauthorized_status" in body:
            endpoint.unauthorized_status = body["unauthorized_status"]
        if "consent_delay_s" in body:
            consent_page.delay = timedelta(seconds=body["consent_delay_s"])
        if "consent_grants" in body:
            consent_page.granted = body["consent_grants"]
        return {
            "failures": len(endpoint.failures),
            "lifetime_s": endpoint.lifetime.total_seconds(),
            "unauthorized_status": endpoint.unauthorized_status,
            "consent_delay_s": consent_page.delay.total_seconds(),
            "consent_grants": consent_page.granted,
        }

    def clock(request: Request, body: Any) -> object:
        endpoint.clock.advance(body["advance_s"])
        return {"now": endpoint.clock.now().isoformat()}

    def requests(request: Request, body: Any) -> object:
        return endpoint.requests

    there = "/control/entra/tenants/{tenant_id}/applications/{client_id}"
    return [
        Route("/control/entra/applications/{client_id}", _answering(register), methods=["PUT"]),
        Route("/control/entra/applications/{client_id}", _answering(change), methods=["PATCH"]),
        Route(there, _answering(consent), methods=["POST"]),
        Route(there, _answering(withdraw), methods=["DELETE"]),
        Route("/control/entra/tenants/{tenant_id}/revocation", _answering(revoke), methods=["POST"]),
        Route("/control/entra/settings", _answering(settings), methods=["PATCH"]),
        Route("/control/entra/clock", _answering(clock), methods=["POST"]),
        Route("/control/entra/requests", _answering(requests), methods=["GET"]),
    ]


def _answering(act: _Act) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            return JSONResponse(act(request, await request.json() if await request.body() else {}))
        except KeyError as error:
            return JSONResponse({"error": f"unknown or missing: {error.args[0]}"}, 400)

    return answer
