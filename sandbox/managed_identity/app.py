"""The token endpoint on the wire, ``api-version=2019-08-01``, and the control API.

Tokens for Microsoft Graph carry the app roles that the identity has been granted. The platform keeps a token per
resource for about a day, so a new role shows late and a removed one lingers (Microsoft Graph §2.2); the setting
``caching`` turns that on.

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

from sandbox.clock import Clock
from sandbox.managed_identity.tokens import GRAPH, TOKEN_EXCHANGE, ManagedIdentity, TokenSigner, is_graph

API_VERSION = "2019-08-01"
RESOURCES = frozenset(
    {
        GRAPH,
        TOKEN_EXCHANGE,
        "https://management.azure.com",
        "https://monitor.azure.com",
        "https://storage.azure.com",
        "https://vault.azure.net",
    }
)
"""The resources that tokens are for. Apart from the sandbox's Microsoft Graph, nothing else is one of the tenant."""


@dataclass(frozen=True)
class IssuedToken:
    """An access token and its end."""

    text: str
    ends_at: datetime


@dataclass
class Endpoint:
    """The state of one app's endpoint, and the faults that tests ask for.

    Attributes:
        secret: The required value of ``X-IDENTITY-HEADER`` (``IDENTITY_HEADER``).
        signer: Signs the tokens.
        system_assigned: The identity for requests without a ``client_id``, or ``None`` if the app has none.
        user_assigned: The identities for requests with a ``client_id``.
        lifetime: How long a token is valid.
        roles: The app roles of Microsoft Graph that identities have been granted, by client id.
        caching: Whether the platform keeps a token until it ends, whatever happens to the roles.
        clock: The platform's clock.
        failures: Statuses of the next answers, in order; empty means success.
        requests: Every token request so far: ``at``, ``resource``, ``client_id``, ``status``.
        issued: Every token so far, so that tests can look for them where they must not be.
    """

    secret: str
    signer: TokenSigner
    system_assigned: ManagedIdentity | None
    user_assigned: Sequence[ManagedIdentity] = ()
    lifetime: timedelta = timedelta(hours=24)
    roles: dict[str, set[str]] = field(default_factory=dict)
    caching: bool = False
    clock: Clock = field(default_factory=Clock)
    failures: list[int] = field(default_factory=list)
    requests: list[dict[str, object]] = field(default_factory=list)
    issued: list[str] = field(default_factory=list)
    _kept: dict[tuple[str, str], IssuedToken] = field(default_factory=dict)

    def token(self, identity: ManagedIdentity, resource: str) -> IssuedToken:
        """Return a token for a resource: a new one, or the one that the platform keeps."""
        kept = self._kept.get((identity.client_id, resource))
        now = self.clock.now()
        if self.caching and kept is not None and now < kept.ends_at:
            return kept
        roles = self.roles.get(identity.client_id, set()) if is_graph(resource) else ()
        text = self.signer.issue(identity, resource, issued_at=now, lifetime=self.lifetime, roles=roles)
        self.issued.append(text)
        token = IssuedToken(text, now + self.lifetime)
        self._kept[identity.client_id, resource] = token
        return token

    def forget_tokens(self) -> None:
        """Let the platform keep no token."""
        self._kept.clear()

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
        if "caching" in wanted:
            endpoint.caching = bool(wanted["caching"])
        return JSONResponse(
            {
                "lifetime_s": endpoint.lifetime.total_seconds(),
                "failures": endpoint.failures,
                "caching": endpoint.caching,
            }
        )

    async def roles(request: Request) -> Response:
        identity = endpoint.identity(request.query_params.get("client_id"))
        if identity is None:
            return JSONResponse({"error": "the app has no such identity"}, 404)
        granted = endpoint.roles.setdefault(identity.client_id, set())
        if request.method == "POST":
            wanted = await request.json()
            granted |= set(wanted.get("grant", ()))
            granted -= set(wanted.get("remove", ()))
        return JSONResponse(sorted(granted))

    async def tokens(request: Request) -> Response:
        if request.method == "DELETE":
            endpoint.forget_tokens()
            return Response(status_code=204)
        return JSONResponse(endpoint.issued)

    async def clock(request: Request) -> Response:
        wanted = await request.json()
        endpoint.clock.advance(wanted["advance_s"])
        return JSONResponse({"now": endpoint.clock.now().isoformat()})

    return Starlette(
        routes=[
            Route("/msi/token", token, methods=["GET"]),
            Route("/sandbox/requests", requests, methods=["GET", "DELETE"]),
            Route("/sandbox/settings", settings, methods=["PATCH"]),
            Route("/sandbox/roles", roles, methods=["GET", "POST"]),
            Route("/sandbox/tokens", tokens, methods=["GET", "DELETE"]),
            Route("/sandbox/clock", clock, methods=["POST"]),
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
    if resource.rstrip("/") not in RESOURCES and not is_graph(resource):
        return _refusal(
            400,
            f"AADSTS500011: The resource principal named {resource} was not found in the tenant named Sandbox.",
        )
    identity = endpoint.identity(query.get("client_id"))
    if identity is None:
        return _refusal(400, "Unable to load the proper Managed Identity.")
    token = endpoint.token(identity, resource)
    return JSONResponse(
        {
            "access_token": token.text,
            "client_id": identity.client_id,
            "expires_on": str(int(token.ends_at.timestamp())),
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
