"""The token endpoint on the wire, ``api-version=2019-08-01``, and the control API.

Sources: Microsoft Learn, "How to use managed identities for App Service and Azure Functions", REST endpoint reference;
for the body of a refusal, the answer quoted in Azure/azure-sdk-for-net issue 43691. The status for a missing or wrong
secret header is not documented: 401 here.
"""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.managed_identity.tokens import ManagedIdentity, TokenSigner

API_VERSION = "2019-08-01"
RESOURCES = frozenset(
    {
        "https://graph.microsoft.com",
        "https://management.azure.com",
        "https://monitor.azure.com",
        "https://storage.azure.com",
        "https://vault.azure.net",
    }
)
"""The resources that tokens are for; anything else is not a resource of the tenant."""


@dataclass
class Endpoint:
    """The state of one app's endpoint, and the faults that tests ask for.

    Attributes:
        secret: The required value of ``X-IDENTITY-HEADER`` (``IDENTITY_HEADER``).
        signer: Signs the tokens.
        system_assigned: The identity for requests without a ``client_id``, or ``None`` if the app has none.
        user_assigned: The identities for requests with a ``client_id``.
        lifetime: How long a token is valid.
        failures: Statuses of the next answers, in order; empty means success.
        requests: Every token request so far: ``at``, ``resource``, ``client_id``, ``status``.
    """

    secret: str
    signer: TokenSigner
    system_assigned: ManagedIdentity | None
    user_assigned: Sequence[ManagedIdentity] = ()
    lifetime: timedelta = timedelta(hours=24)
    failures: list[int] = field(default_factory=list)
    requests: list[dict[str, object]] = field(default_factory=list)

    def identity(self, client_id: str | None) -> ManagedIdentity | None:
        """Return the identity for a ``client_id``, or ``None`` if the app does not have it."""
        if not client_id:
            return self.system_assigned
        known = [*self.user_assigned, *([self.system_assigned] if self.system_assigned else [])]
        return next((identity for identity in known if identity.client_id == client_id), None)


def create_app(endpoint: Endpoint) -> Starlette:
    """Return the endpoint as a web application."""

    async def token(request: Request) -> Response:
        response = _answer(endpoint, request)
        endpoint.requests.append(
            {
                "at": datetime.now(UTC).isoformat(),
                "resource": request.query_params.get("resource"),
                "client_id": request.query_params.get("client_id"),
                "status": response.status_code,
            }
        )
        return response

    async def requests(request: Request) -> Response:
        if request.method == "DELETE":
            endpoint.requests.clear()
        return JSONResponse(endpoint.requests)

    async def settings(request: Request) -> Response:
        wanted = await request.json()
        if "lifetime_s" in wanted:
            endpoint.lifetime = timedelta(seconds=wanted["lifetime_s"])
        if "failures" in wanted:
            endpoint.failures = list(wanted["failures"])
        return JSONResponse({"lifetime_s": endpoint.lifetime.total_seconds(), "failures": endpoint.failures})

    return Starlette(
        routes=[
            Route("/msi/token", token, methods=["GET"]),
            Route("/sandbox/requests", requests, methods=["GET", "DELETE"]),
            Route("/sandbox/settings", settings, methods=["PATCH"]),
        ]
    )


def _answer(endpoint: Endpoint, request: Request) -> Response:
    query = request.query_params
    if not hmac.compare_digest(request.headers.get("x-identity-header", "").encode(), endpoint.secret.encode()):
        return _refusal(401, "The X-IDENTITY-HEADER header is missing or wrong.")
    if endpoint.failures:
        return _refusal(endpoint.failures.pop(0), "The token service cannot answer now.")
    if query.get("api-version") != API_VERSION:
        return _refusal(400, f"The api-version is not supported; use {API_VERSION}.")
    resource = query.get("resource", "")
    if resource.rstrip("/") not in RESOURCES:
        return _refusal(
            400,
            f"AADSTS500011: The resource principal named {resource} was not found in the tenant named Sandbox.",
        )
    identity = endpoint.identity(query.get("client_id"))
    if identity is None:
        return _refusal(400, "Unable to load the proper Managed Identity.")
    now = datetime.now(UTC)
    return JSONResponse(
        {
            "access_token": endpoint.signer.issue(identity, resource, issued_at=now, lifetime=endpoint.lifetime),
            "client_id": identity.client_id,
            "expires_on": str(int((now + endpoint.lifetime).timestamp())),
            "resource": resource,
            "token_type": "Bearer",
        }
    )


def _refusal(status: int, message: str) -> Response:
    correlation_id = str(uuid.uuid4())
    return JSONResponse(
        {"statusCode": status, "message": message, "correlationId": correlation_id},
        status_code=status,
        headers={"X-CORRELATION-ID": correlation_id},
    )
