"""Checks the bearer tokens that the sandbox's identity endpoints sign (Microsoft Graph §2.6, §S, 18)."""

from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.requests import Request

from sandbox.graph.engine.world import World
from sandbox.graph.wire.caller import GRAPH_HOSTS, Caller
from sandbox.graph.wire.errors import invalid_token
from sandbox.managed_identity.tokens import InvalidTokenError, TokenSigner


@dataclass(frozen=True)
class BearerTokens:
    """An :data:`sandbox.graph.wire.caller.Authorize` for tokens with `aud`, `tid`, `roles` and `exp`.

    A token is good for its tenant alone. Its audience is that tenant's cloud, or the address of the simulator itself.
    It expires by the real clock, as the identity endpoints issue it: the days of the world pass faster.
    """

    world: World
    signer: TokenSigner

    def __call__(self, request: Request) -> Caller:
        """Return the caller of a request. Raises GraphError (401)."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise invalid_token("Access token is empty.")
        try:
            claims = self.signer.claims(token.strip())
        except InvalidTokenError as error:
            raise invalid_token("CompactToken parsing failed with error code: 80049217") from error
        if claims["exp"] <= datetime.now(UTC).timestamp():
            raise invalid_token("Lifetime validation failed, the token is expired.")
        tenant_id = str(claims["tid"])
        if tenant_id not in self.world:
            raise invalid_token("Access token validation failure. Invalid tenant.")
        own = {GRAPH_HOSTS[self.world.tenant(tenant_id).cloud], f"{request.url.scheme}://{request.url.netloc}"}
        if str(claims["aud"]).rstrip("/") not in own:
            raise invalid_token("Access token validation failure. Invalid audience.")
        return Caller(tenant_id, frozenset(claims.get("roles", ())))
