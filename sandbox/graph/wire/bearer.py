"""Checks bearer tokens as Graph does (Microsoft Graph §2.6, §S, 18)."""

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import jwt
from starlette.requests import Request

from sandbox.entra.directory import GRAPH_HOSTS
from sandbox.entra.token_endpoint import TokenEndpoint
from sandbox.graph.wire.caller import Caller
from sandbox.graph.wire.errors import GraphError, invalid_token
from sandbox.managed_identity.tokens import InvalidTokenError


class BearerTokens:
    """An :data:`sandbox.graph.wire.caller.Authorize` for the tokens of the sandbox's identity endpoints.

    A token is good for its own tenant alone, and for this host alone: by the address that the caller used, or by the
    name of Graph in the tenant's cloud. Its time is compared with Entra ID's clock, not with the world's: days of
    Secure Score can pass while a client keeps the token that it got a minute ago.
    """

    def __init__(self, issuer: TokenEndpoint) -> None:
        self._issuer = issuer

    def __call__(self, request: Request) -> Caller:
        """Return the caller of a request. Raises GraphError (401)."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise invalid_token("Access token is empty.")
        claims = self._verified(token.strip())
        now = self._issuer.clock.now().timestamp()
        if claims["exp"] <= now:
            raise invalid_token("Lifetime validation failed, the token is expired.")
        if claims["nbf"] > now:
            raise invalid_token("Lifetime validation failed, the token is not valid yet.")
        tenant_id = str(claims["tid"])
        cloud = self._issuer.directories.cloud_of(tenant_id)
        if cloud is None:
            raise invalid_token("Access token validation failure. Invalid tenant.")
        if str(claims["aud"]).rstrip("/") not in {_origin(request), GRAPH_HOSTS[cloud]}:
            raise invalid_token("Access token validation failure. Invalid audience.")
        revoked_at = self._issuer.directories.revoked_at.get(tenant_id)
        if revoked_at is not None and claims["iat"] < int(revoked_at.timestamp()):
            raise _claims_challenge(revoked_at)
        return Caller(tenant_id, frozenset(claims.get("roles", ())))

    def _verified(self, token: str) -> Mapping[str, Any]:
        try:
            jwt.get_unverified_header(token)
        except jwt.InvalidTokenError as error:
            raise invalid_token("CompactToken parsing failed with error code: 80049217") from error
        try:
            return self._issuer.signer.claims(token)
        except InvalidTokenError as error:
            raise invalid_token("Access token validation failure. Invalid signature.") from error


def _origin(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}"


def _claims_challenge(revoked_at: datetime) -> GraphError:
    """Demand a token that was issued after a moment: continuous access evaluation."""
    wanted = {"access_token": {"nbf": {"essential": True, "value": str(int(revoked_at.timestamp()))}}}
    claims = base64.b64encode(json.dumps(wanted).encode()).decode()
    error = invalid_token("Continuous access evaluation resulted in challenge with result: InteractionRequired.")
    challenge = (
        'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", '
        f'error="insufficient_claims", claims="{claims}"'
    )
    return GraphError(error.status, error.code, error.message, {"WWW-Authenticate": challenge})
